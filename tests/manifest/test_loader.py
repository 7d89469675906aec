"""Reading YAML: the C parser and the pure one must agree on everything."""

import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.manifest.events import YamlSyntaxError
from reconciler.manifest.loader import load
from reconciler.manifest.places import locate

BOTH = pytest.mark.parametrize("pure", [False, True], ids=["c", "pure"])


def value(text: str, *, pure: bool = False) -> object:
    loaded = load(text, pure=pure)
    assert loaded.problems == []
    return loaded.value


@BOTH
@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        ("012", 12),
        ("-7", -7),
        ("+7", 7),
        ("0o14", 12),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e-3", -0.0015),
        # Texts, unlike in YAML 1.1.
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("y", "y"),
        ("2027-06-30", "2027-06-30"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b1", "0b1"),
        ("0o8", "0o8"),
        ("nULL", "nULL"),
        ("1.2.3", "1.2.3"),
        ("10%", "10%"),
        ("-", "-"),
        ("..", ".."),
        (".inf", ".inf"),
        ("-.INF", "-.INF"),
        (".nan", ".nan"),
        ("1" * 200, "1" * 200),
        ('"012"', "012"),
        ("'null'", "null"),
        ("!!str 012", "012"),
        ("! 012", "012"),
        ("!!int 12", 12),
    ],
)
def test_scalars_follow_the_core_schema(scalar: str, expected: object, pure: bool) -> None:
    if scalar == "-":
        scalar = '"-"'
    got = value(f"a: {scalar}\n", pure=pure)
    assert got == {"a": expected}
    assert type(got["a"]) is type(expected)


@BOTH
def test_keys_are_texts(pure: bool) -> None:
    assert value("{012: a, null: b, true: c, 1e3: d, '': e}", pure=pure) == {
        "012": "a", "null": "b", "true": "c", "1e3": "d", "": "e",
    }  # fmt: skip


@BOTH
@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "--- ~\n"])
def test_nothing(text: str, pure: bool) -> None:
    assert value(text, pure=pure) is None


@BOTH
def test_anchors_aliases_and_merge_keys(pure: bool) -> None:
    text = """
    x: &x {a: 1, b: 2}
    y: &y {b: 3, c: 4}
    one: {<<: *x, b: 9}
    late: {b: 9, <<: *x}
    list: {<<: [*x, *y], d: 5}
    inline: {<<: {a: 7}}
    alias: *y
    scalar: [&s text, *s]
    """
    got = value(text, pure=pure)
    assert got["one"] == got["late"] == {"a": 1, "b": 9}
    assert got["list"] == {"a": 1, "b": 2, "c": 4, "d": 5}
    assert got["inline"] == {"a": 7}
    assert got["alias"] == {"b": 3, "c": 4}
    assert got["scalar"] == ["text", "text"]


@BOTH
def test_lines_of_the_items_of_top_level_lists_and_mappings(pure: bool) -> None:
    text = "services:\n  a: {x: 1}\n\n  b: 2\npins:\n  - one\n  - {two: [1, 2]}\n  -\n    - three\nflow: [1,\n 2]\n"
    lines = {key: list(lines) for key, lines in load(text, pure=pure).lines.items()}
    assert lines == {"services": [2, 4], "pins": [6, 7, 9], "flow": [10, 11]}


@BOTH
@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "the key 'a' is here for the second time"),
        ("a: {b: 1,\n b: 2}\n", (2, 2), "the key 'b' is here for the second time"),
        ("a: [1]\na: {b: 1}\n", (2, 1), "the key 'a' is here for the second time"),
        ("a: *nowhere\n", (1, 4), "this alias (*…) refers to an anchor that is not defined above"),
        ("a: !secret x\n", (1, 4), "tags (!…) have no meaning in a manifest"),
        ("a: !thing {x: 1}\n", (1, 4), "tags (!…) have no meaning in a manifest"),
        ("a: 1\n---\nb: 2\n", (2, 1), "a manifest is one YAML document"),
        ("a: {<<: 5}\n", (1, 10), "<< takes a mapping or a list of mappings, usually as an alias"),
    ],
)
def test_problems_that_reading_survives(text: str, place: tuple[int, int], message: str, pure: bool) -> None:
    [problem] = load(text, pure=pure).problems
    assert ((problem.line, problem.column), problem.message) == (place, message)


@BOTH
@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a: b: c\n", 1, "not valid YAML"),
        ("a:\n\t- b\n", 2, "not valid YAML"),
        ("a: @x\n", 1, "not valid YAML"),
        ("a: 'open\n", 2, "not valid YAML"),
        ("{[a]: b}\n", 1, "a key must be a text"),
        ("a: &a [*a]\n", 1, "this alias leads into itself"),
        ("x: &x {a: 1}\n? *x\n: 1\n", 2, "a key must be a text"),
        ("[" * 65 + "]" * 65, 1, "nested too deeply"),
    ],
)
def test_problems_that_end_reading(text: str, line: int, message: str, pure: bool) -> None:
    with pytest.raises(YamlSyntaxError) as caught:
        load(text, pure=pure)
    assert caught.value.problem.line == line
    assert message in caught.value.problem.message


def test_a_colon_within_brackets_is_read_although_libyaml_refuses_it() -> None:
    text = "a: {url: https://x.example/y}\nb: [::1]\nc: {d: 1, d: 2}\n"
    loaded = load(text)
    assert loaded.value == {"a": {"url": "https://x.example/y"}, "b": ["::1"], "c": {"d": 1}}
    assert loaded.pure
    assert [(p.line, p.column) for p in loaded.problems] == [(3, 11)]
    place = locate(text, {("a", "url")}, pure=loaded.pure)[("a", "url")]
    assert (place.line, place.column) == (1, 10)


def test_without_the_c_parser_the_pure_one_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, x]\nb: {c: 1, c: 2}\n"
    with_c = load(text)
    monkeypatch.setitem(sys.modules, "_ruamel_yaml", None)
    without = load(text)
    assert (without.value, without.problems) == (with_c.value, with_c.problems)


@BOTH
def test_a_key_that_nobody_quoted_is_not_shown(pure: bool) -> None:
    """A token may begin with a character that means something to YAML."""
    for text in (
        "key: *SECRET\n",
        "key: !SECRET\n",
        "key: !SECRET x\n",
        "key: @SECRET\n",
        "key: %SECRET\n",
        "key: `SECRET\n",
    ):
        try:
            said = str(load(text, pure=pure).problems)
        except YamlSyntaxError as error:
            said = str(error.problem)
        assert said != "[]"
        assert "SECRET" not in said


def test_repeated_keys_are_all_kept_at_the_first() -> None:
    loaded = load("a: 1\na: 2\nb: {c: 1, d: 2}\nb: {c: 3, d: 4}\na: 5\n")
    assert loaded.value == {"a": 1, "b": {"c": 1, "d": 2}}
    assert [(p.line, p.hint) for p in loaded.problems] == [
        (2, "the first is at 1:1"),
        (4, "the first is at 3:1"),
        (5, "the first is at 1:1"),
    ]


def test_an_alias_gets_a_hint() -> None:
    [problem] = load("x: &common [a]\ny: *comon\n").problems
    assert problem.hint == "did you mean *common?"


@BOTH
def test_a_billion_laughs_are_refused(pure: bool) -> None:
    text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for this, last in zip("bcdefghi", "abcdefgh", strict=True):
        text += f"{this}: &{this} [{','.join(['*' + last] * 10)}]\n"
    with pytest.raises(YamlSyntaxError, match="stand for far more"):
        load(text, pure=pure)


def test_many_aliases_to_one_short_list_are_fine() -> None:
    text = "x: &x [a, b, c, d, e]\npins:\n" + "  - {cid: x, services: *x}\n" * 20_000
    assert len(value(text)["pins"]) == 20_000


texts = st.text(st.sampled_from("ab0 1-.:#'\"\\[]{}&*!|>%@`,?éä\n~"), max_size=8)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(document=documents, indent=st.sampled_from([None, 1]))
def test_both_parsers_read_json_as_json(document: object, indent: int | None) -> None:
    if isinstance(document, dict) and "<<" in str(document):
        return
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    c, pure = load(text), load(text, pure=True)
    assert c.value == pure.value == document
    assert {k: list(v) for k, v in c.lines.items()} == {k: list(v) for k, v in pure.lines.items()}


def paths(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = (
        list(node.items())
        if isinstance(node, dict)
        else list(enumerate(node))
        if isinstance(node, list)
        else []
    )
    return [path, *(p for key, child in inner for p in paths(child, (*path, key)))]


@given(document=documents)
def test_every_path_is_found_where_it_stands(document: object) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False)
    wanted = set(paths(document))
    places = locate(text, wanted)
    assert places == locate(text, wanted, pure=True)
    lines = text.splitlines() if "\n" in text else [text]
    for path in wanted:
        node = document
        for step in path:
            node = node[step]
        place = places[path]
        start = json.dumps(node, indent=1, ensure_ascii=False).split("\n")[0]
        assert lines[place.line - 1][place.column - 1 :].startswith(start)
        if path and isinstance(path[-1], str):
            key = json.dumps(path[-1], ensure_ascii=False)
            assert lines[place.key_line - 1][place.key_column - 1 :].startswith(key)


@BOTH
def test_what_came_through_an_alias_is_placed_at_the_nearest_node_that_is_written(pure: bool) -> None:
    text = "x: &x {k: [1, 2]}\na:\n  m: {<<: *x}\n  n: *x\n"
    places = locate(text, {("a", "m", "k", 1), ("a", "n", "k"), ("a", "gone"), ("x", "k", 1)}, pure=pure)
    assert {path: (p.line, p.column) for path, p in places.items()} == {
        ("a", "m", "k", 1): (3, 6),
        ("a", "n", "k"): (4, 6),
        ("a", "gone"): (3, 3),
        ("x", "k", 1): (1, 15),
    }


@BOTH
@pytest.mark.parametrize("key", ["a\\ud800b", "\\uDFFF", "\\ude00\\ud83d", "\\U0000d83d"])
def test_half_a_character_is_refused_where_it_stands(key: str, pure: bool) -> None:
    for text in (f'a: 1\nb: [x, "{key}"]\n', f'a: 1\nb: {{"{key}": x}}\n', f'a: 1\nb: &x "{key}"\n'):
        with pytest.raises(YamlSyntaxError) as caught:
            load(text, pure=pure)
        assert caught.value.problem.line == 2
        assert caught.value.problem.column > 3
        assert "half a character" in caught.value.problem.message


@BOTH
def test_two_halves_of_a_character_are_one_as_in_json(pure: bool) -> None:
    assert value(r'{"a\ud83d\ude00": "\uD83D\uDE00b"}', pure=pure) == {"a😀": "😀b"}


@BOTH
@pytest.mark.parametrize(
    ("character", "name"), [("\0", "U+0000"), ("\x07", "U+0007"), ("\x9b", "U+009B"), ("\uffff", "U+FFFF")]
)
def test_what_no_yaml_may_hold_is_told_where_it_stands(character: str, name: str, pure: bool) -> None:
    for text in (f"a: 1\nb: ü{character}\n", f"a: 1\n#  {character}\n"):
        with pytest.raises(YamlSyntaxError, match=f"the character {re.escape(name)}") as caught:
            load(text, pure=pure)
        assert (caught.value.problem.line, caught.value.problem.column) == (2, text[5:].index(character) + 1)


@BOTH
def test_a_byte_that_is_no_utf8_is_told_where_it_stands(pure: bool) -> None:
    with pytest.raises(YamlSyntaxError, match="not UTF-8") as caught:
        load("a: 1\nb: x\udcff\n", pure=pure)
    assert (caught.value.problem.line, caught.value.problem.column) == (2, 5)
