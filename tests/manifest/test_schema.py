"""The published schema: fit for editors, equal in every regex dialect, and the authority over the shortcut."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from reconciler.core.presets import PRESETS
from reconciler.core.profile import PROFILES, Profile
from reconciler.manifest import schema_file, schema_text
from reconciler.manifest.schema import accept, errors

SCHEMA: dict[str, Any] = json.loads(schema_text())
VALIDATOR = Draft7Validator(SCHEMA)


def subschemas(node: object, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            yield from subschemas(child, f"{path}/{key}")
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from subschemas(child, f"{path}/{i}")


def test_it_is_a_valid_draft_07_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_every_mapping_is_closed() -> None:
    """A policy by the branch of its kind, and the map of policies by the schema of those of any name."""
    for path, schema in subschemas(SCHEMA):
        if "properties" in schema and not path.endswith("/properties"):
            if path == "#/definitions/policies":
                assert schema["additionalProperties"] == {"$ref": "#/definitions/policy"}
            elif path == "#/definitions/policy" or path.endswith("/if"):
                assert "kind" in schema["required"]
            else:
                assert schema.get("additionalProperties") is False, path


def test_patterns_mean_the_same_in_every_dialect() -> None:
    """No classes that some engines take as Unicode, and no `$` that lets a last newline through."""
    patterns = [
        (path, schema["pattern"])
        for path, schema in subschemas(SCHEMA)
        if isinstance(schema.get("pattern"), str) and not path.endswith("/properties")
    ]
    assert patterns
    for path, pattern in patterns:
        re.compile(pattern)
        assert not re.search(r"\\[dDwWbB]", pattern), path
        assert "$" not in pattern.replace("$(?!\\n)", "").replace("(\\.|$)", ""), path
        assert "patternErrorMessage" in dict(subschemas(SCHEMA))[path], path


def test_every_key_of_the_manifest_has_a_description_for_editors() -> None:
    for path, schema in subschemas(SCHEMA):
        if path.endswith("/properties"):
            for key, child in schema.items():
                target = SCHEMA["definitions"][child["$ref"].rpartition("/")[2]] if "$ref" in child else child
                told = "description" in child or "description" in target
                assert told or "included" in path or "/if/" in path, f"{path}/{key}"


def test_examples_and_defaults_are_valid() -> None:
    count = 0
    for path, schema in subschemas(SCHEMA):
        if path.endswith("/properties"):
            continue
        for example in [*schema.get("examples", []), *([schema["default"]] if "default" in schema else [])]:
            count += 1
            # $ref hides its siblings, so it is asked alone.
            checked = {"$ref": schema["$ref"]} if "$ref" in schema else schema
            assert list(VALIDATOR.descend(example, checked)) == [], (path, example)
    assert count > 30


def test_presets_and_profiles_are_those_of_the_core() -> None:
    definitions = SCHEMA["definitions"]
    assert definitions["service"]["properties"]["preset"]["enum"] == list(PRESETS)
    assert definitions["profile"]["then"]["enum"] == list(PROFILES)
    fields = {f.encode_name: f for f in msgspec.structs.fields(Profile) if f.name != "name"}
    properties = definitions["profile"]["properties"]
    assert list(properties) == list(fields)
    for name, schema in properties.items():
        allowed = schema.get("enum") or schema.get("items", {}).get("enum")
        if allowed:
            literal = re.findall(r"'([^']+)'", str(fields[name].type))
            assert allowed == literal, name


def test_other_schemas_are_found_by_name_and_missing_ones_are_not() -> None:
    assert schema_file("manifest.schema.json") == schema_text()
    with pytest.raises(FileNotFoundError):
        schema_file("nothing.schema.json")


# --- the shortcut ---------------------------------------------------------------------------------------------

texts = st.sampled_from(
    [
        "",
        "a",
        "b",
        "pinrec",
        "pinrec.x",
        "pinrecorder",
        "safe",
        "modify",
        "2027-06-30",
        "2027-6-3",
        "2027-06-30\n",
        "x" * 300,
        "٢٠٢٧-٠٦-٣٠",
    ]
) | st.text(max_size=3)
scalars = st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from([1.0, 0.5]) | texts
lists = st.lists(scalars, max_size=4) | st.lists(texts, min_size=19, max_size=22)
mappings = st.dictionaries(texts, scalars, max_size=3)
anything = (
    scalars
    | lists
    | mappings
    | st.dictionaries(st.sampled_from(["replicas", "of", "env", "file"]), scalars | lists, max_size=2)
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "name": texts,
    "cid": texts | st.fixed_dictionaries({"env": st.just("A")}),
    "services": st.lists(st.sampled_from(["a", "b", ""]), max_size=3)
    | st.fixed_dictionaries({"replicas": st.integers(0, 2), "of": lists}),
    "meta": st.dictionaries(texts, texts, max_size=3),
    "origins": lists,
    "protect": st.booleans(),
    "expires": texts,
    "replace": texts,
    "mode": st.sampled_from(["recursive", "direct"]),
    "from": texts,
    "namePrefix": texts,
    "nmae": texts,
}
items = (
    st.lists(st.sampled_from(sorted(GOOD)), unique=True, max_size=5)
    .flatmap(lambda keys: st.fixed_dictionaries({k: GOOD[k] | anything for k in keys}))
    | st.fixed_dictionaries(
        {"cid": texts},
        optional={k: v for k, v in GOOD.items() if k not in ("cid", "mode", "from", "namePrefix", "nmae")},
    )
    | anything
)  # fmt: skip


@given(item=items)
def test_what_the_shortcut_accepts_the_schema_accepts(item: object) -> None:
    if accept(item):
        assert list(VALIDATOR.descend(item, {"$ref": "#/definitions/item"})) == []


@given(
    pins=st.lists(items, max_size=3),
    rest=st.fixed_dictionaries(
        {},
        optional={
            "version": st.integers(1, 2),
            "name": texts,
            "x-a": anything,
            "ignore": anything,
            "b": anything,
        },
    ),
)
def test_the_whole_check_is_the_schema(pins: list[object], rest: dict[str, object]) -> None:
    document = {"version": 1, "name": "a", "pins": pins, **rest}
    ours = sorted((list(map(str, e.absolute_path)), str(e.validator)) for e in errors(document, main=True))
    theirs = sorted(
        (list(map(str, e.absolute_path)), str(e.validator)) for e in VALIDATOR.iter_errors(document)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "item",
    [
        {"cid": "x", "meta": {"": "y"}},
        {"cid": "x", "meta": {"pinrec": "y"}},
        {"cid": "x", "meta": {"a": None}},
        {"cid": "x", "meta": {f"k{i}": "" for i in range(991)}},
        {"cid": "x", "expires": "2027-06-30\n"},
        {"cid": "x", "expires": "٢٠٢٧-٠٦-٣٠"},
        {"cid": "x", "protect": 1},
        {"cid": "x", "protect": 0.0},
        {"cid": "x", "origins": [str(i) for i in range(21)]},
        {"cid": "x", "services": ["a", "a"]},
        {"cid": "x", "services": []},
        {"cid": ""},
        {"cid": "x", "name": ""},
        {"cid": "x", "nmae": "y"},
        {"name": "x"},
    ],
)
def test_edges_are_refused_by_both(item: object) -> None:
    assert not accept(item)
    assert list(VALIDATOR.descend(item, {"$ref": "#/definitions/item"}))


def test_the_shortcut_takes_the_common_shapes() -> None:
    """Or it is none: 100,000 items cost jsonschema three seconds."""
    for item in (
        {"cid": "x"},
        {"name": "a", "cid": "x"},
        {"name": "a", "cid": "x", "services": ["a", "b"]},
        {"name": "a", "cid": "x", "meta": {"team": "web"}, "protect": True, "expires": "2027-06-30"},
        {"cid": "x", "origins": ["/dns4/x"], "replace": "modify"},
    ):
        assert accept(item)


@pytest.mark.parametrize("pins", [None, {}, "x", 5])
def test_pins_that_are_no_list(pins: object) -> None:
    [error] = errors({"version": 1, "name": "a", "pins": pins}, main=True)
    assert list(error.absolute_path) == ["pins"]
