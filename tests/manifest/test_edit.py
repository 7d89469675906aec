"""Editing in place: what is asked for changes, and not one character besides."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.core.cid import parse
from reconciler.core.errors import ManifestError, PinrecError, UsageError
from reconciler.manifest.compose import flow, scalar
from reconciler.manifest.edit import add_pin, remove_pin, set_cid
from reconciler.manifest.loader import load
from reconciler.manifest.splice import CannotSpliceError, Yaml
from reconciler.manifest.write import held

A = "bafybeiaysi4s6lnjev27ln5icwm6tueaw2vdykrtjkwiphwekaywqhcjze"
B = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
C = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"

# --- one change in one text ---------------------------------------------------------------------------------------


def edited(text: str, *calls: tuple[str, Any]) -> str:
    yaml = Yaml(text, file="x.yaml")
    for name, args in calls:
        getattr(yaml, name)(*args)
    return yaml.text


@pytest.mark.parametrize(
    ("before", "call", "after"),
    [
        # set
        ("a: 1  # one\n", ("set", (("a",), 2)), "a: 2  # one\n"),
        ("a: 'x y'\nb: 1", ("set", (("a",), "z")), "a: z\nb: 1"),
        ("a: >\n  long\n  text\nb: 1\n", ("set", (("a",), "z")), "a: z\nb: 1\n"),
        ("a:\nb: 1\n", ("set", (("a",), "z")), "a: z\nb: 1\n"),
        ("a: &x y\nb: 1\n", ("set", (("a",), "z")), "a: &x z\nb: 1\n"),
        ("a: &x y\nb: *x\n", ("set", (("b",), "z")), "a: &x y\nb: z\n"),
        ("é: [ü, ö]  # ä\r\nb: {c: d}\r\n", ("set", (("b", "c"), "e")), "é: [ü, ö]  # ä\r\nb: {c: e}\r\n"),
        # items
        ("a:\n- 1 # x\n\n# y\nb: 2\n", ("add_item", (("a",), 3)), "a:\n- 1 # x\n- 3\n\n# y\nb: 2\n"),
        ("a:\n- 1\n\n- 2\n", ("add_item", (("a",), 3)), "a:\n- 1\n\n- 2\n\n- 3\n"),
        ("a:\n  -   1", ("add_item", (("a",), 3)), "a:\n  -   1\n  -   3\n"),
        ("a: [1, 2]\n", ("add_item", (("a",), 3)), "a: [1, 2, 3]\n"),
        ("a: [\n  1,\n  2,\n]\n", ("add_item", (("a",), 3)), "a: [\n  1,\n  2,\n  3,\n]\n"),
        ("a: []  # none\nb: 1\n", ("add_item", (("a",), 3)), "a:  # none\n  - 3\nb: 1\n"),
        ("a:\nb: 1\n", ("add_item", (("a",), 3)), "a:\n  - 3\nb: 1\n"),
        ("b: 1", ("add_item", (("a",), {"c": "d"})), "b: 1\na:\n  - c: d\n"),
        ("a:\r\n- b: 1\r\n  c: 2\r\n", ("add_item", (("a",), {"b": 3, "c": 4})),
         "a:\r\n- b: 1\r\n  c: 2\r\n- b: 3\r\n  c: 4\r\n"),
        ("a:\n- b: |\n    x\n", ("add_item", (("a",), {"b": 3})), "a:\n- b: |\n    x\n- b: 3\n"),
        ("a: [\n  # x\n]\n", ("add_item", (("a",), 3)), "a: [\n  # x\n  3\n]\n"),
        ("a:\n  -\n    b: 1\n", ("add_item", (("a",), {"b": 3})), "a:\n  -\n    b: 1\n  - b: 3\n"),
        # keys
        ("a: {b: 1}\n", ("add_key", (("a",), "c", [2])), "a: {b: 1, c: [2]}\n"),
        ("a:\n   b: 1 # x\n# y\n", ("add_key", (("a",), "c", 2)), "a:\n   b: 1 # x\n   c: 2\n# y\n"),
        ("a: {}\n", ("add_key", (("a",), "c", {"d": 2})), "a:\n  c:\n    d: 2\n"),
        # out
        ("a:\n- 1\n# two\n- 2 # x\n- 3\n", ("remove", (("a", 1),)), "a:\n- 1\n# two\n- 3\n"),
        ("a:\n- 1\nb: 2\n", ("remove", (("a", 0),)), "a: []\nb: 2\n"),
        ("a: [1, 2, 3]\n", ("remove", (("a", 1),)), "a: [1, 3]\n"),
        ("a: [1, 2]\n", ("remove", (("a", 0),)), "a: [2]\n"),
        ("a: [1]\n", ("remove", (("a", 0),)), "a: []\n"),
        ("a: [1,]\n", ("remove", (("a", 0),)), "a: []\n"),
        ("a: [\n  1,  # one\n  # x\n  2,  # two\n  3,  # three\n]\n", ("remove", (("a", 1),)),
         "a: [\n  1,  # one\n  # x\n  3,  # three\n]\n"),
        ("a: [\n  1,  # one\n  # x\n  2  # two\n]\n", ("remove", (("a", 1),)), "a: [\n  1  # one\n  # x\n]\n"),
        ("a: [\n  1,  # one\n  # x\n  2  # two\n]\n", ("remove", (("a", 0),)), "a: [\n  # x\n  2  # two\n]\n"),
        ("a: [\n  1  # one\n  , 2  # two\n]\n", ("remove", (("a", 0),)), "a: [\n   2  # two\n]\n"),
        ("a: [1, 2,  # x\n  3]\n", ("remove", (("a", 1),)), "a: [1,  # x\n  3]\n"),
        ("a: [\n  1, 2  # x\n]\n", ("remove", (("a", 0),)), "a: [\n  2  # x\n]\n"),
        ("a: [1, 2,  # x\n  3]\n", ("remove", (("a", 2),)), "a: [1, 2  # x\n]\n"),
        ("a:\n  -  # x\n    # y\n    b: 1\n  # z\n  -\n    b: 2\n", ("remove", (("a", 0),)),
         "a:\n  # z\n  -\n    b: 2\n"),
        ("a:\n-\n  b: 1\n", ("remove", (("a", 0),)), "a: []\n"),
        ("a:\n  b:\n    c: 1\n    # in b\n  d: 2\n", ("remove", (("a", "b"),)), "a:\n    # in b\n  d: 2\n"),
        ("a: {b: 1, c: {d: 2}}\n", ("remove", (("a", "b"),)), "a: {c: {d: 2}}\n"),
        ("a:\n  b: 1\nc: 2\n", ("remove", (("a", "b"),)), "a: {}\nc: 2\n"),
    ],
)  # fmt: skip
def test_a_change(before: str, call: tuple[str, Any], after: str) -> None:
    assert edited(before, call) == after


@pytest.mark.parametrize(
    ("text", "call", "why"),
    [
        ("a: &x y\nb: *x\n", ("set", (("a",), "z")), "through an anchor"),
        ("x: &x [1]\na: *x\n", ("add_item", (("a",), 2)), "comes from an alias"),
        ("x: &x {b: 1}\na:\n  <<: *x\n", ("set", (("a", "b"), 2)), "an alias or a merge key"),
        ("a:\n- &x 1\n- *x\n", ("remove", (("a", 0),)), "through an anchor"),
        ("- 1\n", ("set", (("a",), 2)), "it is no mapping"),
        ("a: [\n", ("set", (("a",), 2)), "not valid YAML"),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, call: tuple[str, Any], why: str) -> None:
    with pytest.raises(CannotSpliceError, match=why):
        edited(text, call)


# --- properties ---------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["yes", "null", "~", "1e3", "012", "- a", "a: b", "#c", "é", "\u2028", "\ufeff", "2027-06-30", "*a"]
    ),
).filter(lambda t: not any(0xD800 <= ord(c) < 0xE000 for c in t))


VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(0, 99),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_composed_is_read_as_it_was_meant(value: Any) -> None:
    for pure in (False, True):
        assert load(f"key: {flow(value)}  # end\n", pure=pure).value == {"key": value}
        as_json = flow(value, as_json=True)
        assert load(f"key: {as_json}\n", pure=pure).value == {"key": value}
        assert json.loads(as_json) == value


@given(TEXTS)
def test_readers_of_older_yaml_read_the_same_texts(text: str) -> None:
    old = YAML(typ="safe", pure=True)
    old.version = (1, 1)
    assert old.load(f"key: {scalar(text)}\n") == {"key": text}


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """`pins:` in any mix of styles, each item with a number of services, and comments everywhere."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    indent = draw(st.sampled_from(["", "  ", "     "]))
    gap = draw(st.sampled_from([" ", "   "]))
    lines, wanted = ["# head", "version: 1", "pins:" + draw(st.sampled_from(["", "  # mine"]))], []
    for i in range(draw(st.integers(1, 4))):
        services = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))
        wanted.append(services)
        comment = draw(st.sampled_from(["", f"  # c{i}"]))
        lines += [""] * draw(st.integers(0, 1)) + [f"{indent}# about {i}"] * draw(st.integers(0, 1))
        inner = indent + " " + gap
        match draw(st.integers(0, 2)):
            case 0:
                lines.append(
                    f"{indent}-{gap}{{name:  n{i}, cid: c, services: [{','.join(services)}]}}{comment}"
                )
            case 1:
                lines += [f"{indent}-{gap}name: n{i}{comment}", f"{inner}cid: 'c'   # see"]
                lines += [f"{inner}services: [{', '.join(services)}]"]
            case _:
                lines += [f"{indent}-{gap}services:{comment}"]
                lines += [f"{inner}- {s}" for s in services]
                lines += [f"{inner}name: n{i}", f"{inner}# inside", f"{inner}cid: >-", f"{inner}  c"]
    lines += draw(
        st.lists(st.sampled_from(["", "# tail", "guards: {maxDeletes: 1}  # g"]), max_size=2, unique=True)
    )
    return newline.join(lines) + draw(st.sampled_from(["", newline])), wanted


@given(documents(), st.data())
def test_any_change_to_any_document_leaves_the_rest(
    document: tuple[str, list[list[str]]], data: st.DataObject
) -> None:
    text, wanted = document
    yaml = Yaml(text, file="x.yaml")
    before = load(text).value
    i = data.draw(st.integers(0, len(wanted) - 1))
    match data.draw(st.sampled_from(["set", "add", "extend", "rm", "leave"])):
        case "set":
            yaml.set(("pins", i, "cid"), "NEW")
            before["pins"][i]["cid"] = "NEW"
            assert yaml.text.count("NEW") == 1
            assert abs(len(yaml.text.splitlines()) - len(text.splitlines())) <= 1
        case "add":
            item = {"name": "new", "cid": "x", "services": ["a"]}
            yaml.add_item(("pins",), item)
            before["pins"].append(item)
            assert kept(text, yaml.text)
        case "extend":
            yaml.add_item(("pins", i, "services"), "z")
            before["pins"][i]["services"].append("z")
        case "rm":
            yaml.remove(("pins", i))
            del before["pins"][i]
            assert kept(yaml.text.replace("pins: []", "pins:"), text)
        case _:
            services = before["pins"][i]["services"]
            yaml.remove(("pins", i, "services", data.draw(st.integers(0, len(services) - 1))))
            before["pins"][i]["services"] = yaml.value["pins"][i]["services"]
            assert len(yaml.value["pins"][i]["services"]) == len(services) - 1
    assert load(yaml.text).value == before
    assert ("\r\n" in text) == ("\r\n" in yaml.text)
    assert yaml.text.count("\r\n") == (yaml.text.count("\n") if "\r\n" in text else 0)


def kept(lines: str, within: str) -> bool:
    """Whether all lines are within the other text, in their order."""
    rest = iter(within.splitlines())
    return all(line in rest for line in lines.splitlines())


# --- a file -------------------------------------------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pinrec.yaml"
    path.write_text(
        "version: 1\nname: acme\nservices: {s: {preset: pinata, key: {env: K}}}\npins:\n"
        f"  - {{name: a, cid: {A}}}\n"
    )
    return path


def test_a_byte_order_mark_stays(manifest: Path) -> None:
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes())
    before = manifest.read_bytes()
    set_cid("pinrec.yaml", "a", parse(B))
    assert manifest.read_bytes() == before.replace(A.encode(), B.encode())


def test_another_spelling_of_the_same_cid_is_no_change(manifest: Path) -> None:
    before = manifest.read_text()
    v0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
    set_cid("pinrec.yaml", "a", parse(B))
    assert set_cid("pinrec.yaml", "a", parse(v0)).what == "unchanged"
    assert manifest.read_text() == before.replace(A, B)


def test_entries_of_one_name_on_several_services_change_together(manifest: Path) -> None:
    manifest.write_text(
        manifest.read_text().replace("K}}", "K}}, t: {preset: filebase, key: {env: L}}").replace("A}", "")
        .replace(f"cid: {A}}}", f"cid: {A}, services: [s]}}\n  - {{name: a, cid: {C}, services: [t]}}")
    )  # fmt: skip
    done = set_cid("pinrec.yaml", "a", parse(B))
    assert (done.what, done.services, done.old) == ("changed", ("s", "t"), f"{A}, {C}")
    assert manifest.read_text().count(B) == 2


def test_an_entry_shared_by_an_alias_is_not_changed_behind_ones_back(manifest: Path) -> None:
    text = manifest.read_text().replace(f"cid: {A}", f"cid: &it {A}") + "  - {name: b, cid: *it}\n"
    manifest.write_text(text)
    with pytest.raises(UsageError, match="through an anchor"):
        set_cid("pinrec.yaml", "a", parse(B))
    assert manifest.read_text() == text
    set_cid("pinrec.yaml", "b", parse(B))
    assert manifest.read_text() == text.replace("*it", B)


def test_an_invalid_result_is_not_written(manifest: Path) -> None:
    before = manifest.read_text()
    with pytest.raises(ManifestError, match="multiaddr"):
        add_pin("pinrec.yaml", cid=parse(B), name="b", origins=["nowhere"])
    assert manifest.read_text() == before


def test_a_change_by_somebody_else_is_not_overwritten(manifest: Path) -> None:
    with held("pinrec.yaml") as holding:
        manifest.write_text("mine\n")
        with pytest.raises(PinrecError, match="changed by somebody else"):
            holding.replace(b"ours\n")
    assert manifest.read_text() == "mine\n"
    assert os.listdir() == ["pinrec.yaml"]


def test_the_mode_is_kept(manifest: Path) -> None:
    manifest.chmod(0o604)
    remove_pin("pinrec.yaml", "a")
    assert stat.S_IMODE(manifest.stat().st_mode) == 0o604
    assert os.listdir() == ["pinrec.yaml"]


def test_a_large_manifest_changes_at_one_place(manifest: Path) -> None:
    many = "".join(f"  - name: n{i}\n    cid: {A}   # {i}\n" for i in range(20_000))
    manifest.write_text(manifest.read_text() + many)
    before = manifest.read_text()
    set_cid("pinrec.yaml", "n12345", parse(B))
    assert manifest.read_text() == before.replace(f"{A}   # 12345\n", f"{B}   # 12345\n")
    remove_pin("pinrec.yaml", "n19999")
    assert manifest.read_text().endswith("   # 19998\n")
