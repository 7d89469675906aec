"""The short way through a run of plain pins: no text may show which way it was read."""

import json
import sys
from itertools import accumulate

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from reconciler.manifest.events import YamlProblem, YamlSyntaxError
from reconciler.manifest.fast import LEAST_RUN, find_run
from reconciler.manifest.loader import Loaded, load

NEVER = 1 << 40
LEAST = 4


def outcome(text: str, least_run: int) -> tuple[Loaded, str] | tuple[YamlProblem, bool]:
    try:
        loaded = load(text, least_run=least_run)
    except YamlSyntaxError as error:
        return error.problem, error.by_parser
    # The order of keys, and what Python takes for equal: 1 and 1.0 and True.
    return loaded, json.dumps([loaded.value, {key: list(lines) for key, lines in loaded.lines.items()}])


def taken(text: str, least_run: int = LEAST) -> bool:
    """Whether the short way leads to the end."""
    run = find_run(text, least_run)
    try:
        return run is not None and run.restore(load(run.rest, least_run=NEVER))
    except YamlSyntaxError:
        return False


def same(text: str, least_run: int = LEAST) -> Loaded | None:
    short, long = outcome(text, least_run), outcome(text, NEVER)
    assert short == long
    return short[0] if isinstance(short[0], Loaded) else None


def items(count: int, *, indent: str = "  ", services: str = "", first: int = 0) -> str:
    return "".join(
        f"{indent}- name: n{i}\n{indent}  cid: bafk{i}\n" + (services and f"{indent}  services: {services}\n")
        for i in range(first, first + count)
    )


HEAD = "version: 1\nname: acme\n"
TAIL = "ignore:\n  - one\n  - two\n"


@pytest.mark.parametrize("indent", ["", "  ", "     "])
@pytest.mark.parametrize("services", ["", "[a]", "[a, b-1, c.d/e_f]"])
@pytest.mark.parametrize("head", ["", HEAD, "---\n" + HEAD, "# ünï 🦊\n" + HEAD])
@pytest.mark.parametrize("tail", ["", TAIL, "\n# end\n" + TAIL, "...\n"])
def test_a_run_takes_the_short_way(indent: str, services: str, head: str, tail: str) -> None:
    text = f"{head}pins:\n{items(LEAST_RUN, indent=indent, services=services)}{tail}"
    assert taken(text, LEAST_RUN)
    assert not taken(text, LEAST_RUN + 1)
    loaded = same(text, LEAST_RUN)
    assert loaded is not None
    assert load(text) == loaded
    assert loaded.value["pins"][-1]["name"] == f"n{LEAST_RUN - 1}"
    step = 3 if services else 2
    assert list(loaded.lines["pins"]) == list(
        accumulate([step] * (LEAST_RUN - 1), initial=head.count("\n") + 2)
    )


def test_without_the_c_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{HEAD}pins:\n{items(9, services='[a, b]')}    meta: {{a: b}}\n{TAIL}"
    with_c = same(text)
    monkeypatch.setitem(sys.modules, "_ruamel_yaml", None)
    assert taken(text)
    assert same(text) == with_c


def test_a_text_that_is_no_unicode_fails_at_its_own_place() -> None:
    text = f"pins:\n{items(9)}a: \ud800\n"
    with pytest.raises(YamlSyntaxError) as short:
        load(text, least_run=LEAST)
    with pytest.raises(YamlSyntaxError) as long:
        load(text, least_run=NEVER)
    assert short.value.problem == long.value.problem
    assert (short.value.problem.line, short.value.problem.column) == (text.count("\n"), 4)


def test_items_with_and_without_services_and_in_another_order() -> None:
    one = "- cid: b\n  services: [a]\n  name: n\n- cid: c\n  name: m\n"
    loaded = same("pins:\n" + one * 5 + TAIL)
    assert taken("pins:\n" + one * 5 + TAIL)
    assert loaded is not None
    assert list(loaded.lines["pins"][:4]) == [2, 5, 7, 10]
    assert taken("pins:\n" + "- services: [a]\n  cid: b\n" * 5)
    assert taken("pins:\n" + "- cid: b\n" * 5)
    assert not taken("pins:\n" + "- cid: b\n  cid: c\n" * 5)


def test_what_follows_may_go_on_with_the_last_item() -> None:
    for more in (
        "    meta: {a: b}\n",
        "    meta:\n      a: b\n",
        "      more of the text\n",
        "\n\n      more of the text\n",
        "    # a comment\n    protect: true\n",
        "  - null\n",
    ):
        for rest in ("", items(6, first=50), TAIL):
            text = f"{HEAD}pins:\n{items(5)}{more}{rest}"
            assert taken(text), more
            assert same(text) is not None


@pytest.mark.parametrize(
    "word", ["null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "~", "1", "1e3", ".5"]
)
@pytest.mark.parametrize(
    "item",
    [
        "- name: {}\n  cid: b\n",
        "- cid: {}\n",
        "- cid: b\n  services: [a, {}]\n",
        "- cid: b\n  services: [{}, a]\n",
    ],
)
def test_what_is_no_text_stays_what_it_is(word: str, item: str) -> None:
    text = "pins:\n" + item.format("x") * 5 + item.format(word) * 5
    loaded = same(text)
    assert loaded is not None
    assert word not in json.loads(json.dumps(list(loaded.value["pins"][-1].values())))
    assert same("pins:\n" + item.format(word) * 5) is not None


RUN = "pins:\n" + items(6)
#: The first item, then the last where it stands in the run: as if it had been cut.
HOLLOW = items(1) + "\n" * 8 + items(1, first=5)


@pytest.mark.parametrize(
    "text",
    [
        f'a: "\n{RUN}"\nb: 1\n',
        f"a: '\n{RUN}'\npins:\n{items(6)}",
        f'a: "\n{RUN}"\npins:\n{HOLLOW}',
        f'"pins":\n{HOLLOW}a: "\n{RUN}"\n',
        # Some of these are line breaks for the parser and none for str.count("\n").
        *(f'x: "{b * 14}"\n"pins":\n{HOLLOW}a: "\n{RUN}"\n' for b in ("\r", "\x85", "\u2028", "\u2029")),
        *(f'x: "{b * n}"\n{RUN}' for b in ("\r", "\x85", "\u2028", "\u2029") for n in (1, 7)),
        f"a: |\n  x\n  {RUN}",
        f"--- |\n{RUN}",
        f"--- >\n{RUN}",
        f'"\n{RUN}"\n',
        f"a:\n{RUN}",
        f"{{a: 1,\n{RUN}}}\n",
        f"[\n{RUN}]\n",
        f"{RUN}{RUN}",
        f'"pins": []\n{RUN}',
        f"{RUN}'pins':\n{HOLLOW}",
        f"a: 1\n---\n{RUN}",
        f"pins: 1\n---\n{RUN}",
        f"{RUN}---\na: 1\n",
        f"{RUN}...\n{RUN}",
        f"a: &x\n  pins: [1]\n<<: *x\n{RUN}",
        f'a: &a {{pins: [x, y]}}\n<<: *a\nb: "\n{RUN}"\n',
        f"&x\n{RUN}y: *x\n",
        f"{RUN}y: *x\n",
        f"{RUN}  - *x\n",
        f"&x a: 1\n{RUN}  - *x\n  - {{<<: 1}}\n",
        f"{RUN}  - {{a: 1, a: 2}}\n",
        f"{RUN}    name: again\n",
        f"{RUN} - x\n",
        f"{RUN}   - x\n",
        f"{RUN}  x: y\n",
        f"{RUN}\tx: y\n",
        f"{RUN}a: [\n",
        f"{RUN}a: {{endpoint: https://x.example/}}\n",
        f"{RUN}a: !odd x\n",
        f"{RUN}a: \x07\n",
        f"# pins:\n{RUN}",
        f"? a\n:\n  b: 1\n{RUN}",
        f"?\n{RUN}: 1\n",
        f"\ufeff{RUN}",
        f"a: 1\n\ufeff{RUN}",
        f"%YAML 1.2\n---\n{RUN}",
        RUN[:-1],
        RUN.replace("\n", "\r\n"),
        RUN.replace("pins:", "pins:  "),
        RUN.replace("pins:", "pins: # c"),
        RUN.replace("pins:", "pins: &p") + "y: *p\n",
        RUN.replace("pins:", "pins: !!seq"),
        RUN.replace("pins:", "pins: |"),
        RUN.replace("pins:", "pins :"),
    ],
)
def test_what_only_looks_like_a_run(text: str) -> None:
    same(text)


def test_aliases_that_stand_for_much_are_measured_by_the_whole_text() -> None:
    grow = "a0: &a0 [x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 6)
    )
    # Too much for what is left without the run, and not for the whole.
    assert same(f"pins:\n{items(5)}{grow}") is None
    assert same(f"pins:\n{items(20_000)}{grow}") is not None


TEXTS = st.sampled_from(["n1", "a/b-c_d.e", "nul", "truely", "Qm1", "y", "no", "x" * 40])
ODD_TEXTS = [
    "null", "True", "FALSE", "~", "7", "1e3", ".5", "-x", '"q"', "'q'", "&a b", "*a", "!t x", "a: b", "a #c", "a:",
    "a b", "a:b", "ü", "", "|", "[a]", "{a: b}", "a ", "a\t", "x\n      y", "x\n\n      y", '"x\npins:\n- name: a"'
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_TEXTS)
@pytest.mark.parametrize("item", ["- name: {}\n  cid: b\n", "- cid: {}\n", "- cid: b\n  services: [{}, a]\n"])
def test_an_odd_text_within_a_run(item: str, odd: str) -> None:
    same("pins:\n" + item.format("x") * 5 + item.format(odd) + item.format("x") * 5)


@st.composite
def plain_items(draw: st.DrawFn, keys: tuple[str, ...], indent: str) -> str:
    lines = []
    for key in keys:
        if key == "services":
            if key == keys[0] or draw(st.booleans()):
                lines.append(f"services: [{', '.join(draw(st.lists(TEXTS, min_size=1, max_size=3)))}]")
        else:
            lines.append(f"{key}: {draw(TEXTS)}")
    return "".join(f"{indent}{'  ' if i else '- '}{line}\n" for i, line in enumerate(lines))


@st.composite
def odd_lines(draw: st.DrawFn, indent: str) -> str:
    kind = draw(st.integers(0, 7))
    text = draw(st.sampled_from(ODD_TEXTS))
    if kind == 0:
        return f"{indent}- name: {text}\n{indent}  cid: b\n"
    if kind == 1:
        return f"{indent}- name: a\n{indent}  cid: {text}\n"
    if kind == 2:
        return f"{indent}- cid: b\n{indent}  services: [a, {text}]\n"
    if kind == 3:
        return draw(
            st.sampled_from(
                ["\n", "# c\n", f"{indent}# c\n", "  \n", "\t\n", "---\n", "...\n", "\r\n", "\x85\n"]
            )
        )
    if kind == 4:
        return f"{indent}- {text}\n"
    if kind == 5:
        more = draw(st.sampled_from(["meta: {a: b}", "meta:\n        a: b", "name: again", "protect: true"]))
        return f"{indent}  {more}\n"
    if kind == 6:
        other = draw(st.sampled_from(["", " ", "  ", "    "]))
        return f"{other}- name: a\n{other}  cid: b\n"
    return draw(
        st.sampled_from(
            ["pins:\n", "x: &a 1\n", "- \n", '"pins":\n', "'\n", '"\n', "x: |\n", "x: '\n", 'x: "\n']
        )
    )


@st.composite
def documents(draw: st.DrawFn) -> str:
    keys = tuple(draw(st.permutations(["name", "cid", "services"])))[: draw(st.sampled_from([3, 3, 2, 1]))]
    indent = draw(st.sampled_from(["", "  ", "  ", "    "]))
    item = plain_items(keys, indent)
    first = st.lists(item, min_size=LEAST - draw(st.sampled_from([0, 0, 0, 2])), max_size=LEAST + 3).map(
        "".join
    )
    block = st.lists(item, max_size=LEAST + 2).map("".join)
    head = st.sampled_from(
        ["", "", HEAD, HEAD, "---\n", "a: &a x\n", "a: |\n", "a: |\n  ", 'a: "\n', "a: '\n", "a:\n  ", "pins: []\n",
         '"pins": [x]\n', "# c\n\n", "\ufeff", "a: &a {pins: [x]}\n<<: *a\n", "a: 1\r\n", "{a: 1,\n"],
    )  # fmt: skip
    tail = st.sampled_from(
        ["", "", TAIL, TAIL, '"\n', "'\n", f'"\npins:\n{HOLLOW}', f"'\n{RUN}", RUN, "ignore: [*a]\n", "x: [\n",
         "x: 1\nx: 2\n", "---\nb\n", "}\n", "x: !t y\n"],
    )  # fmt: skip
    odd_pins = st.sampled_from(["pins:  \n", "pins: # c\n", "  pins:\n", "pins: &a\n"])
    pins = draw(odd_pins) if draw(st.integers(0, 5)) == 0 else "pins:\n"
    text = draw(st.just(HEAD) | head) + pins + draw(first)
    for _ in range(draw(st.integers(0, 2))):
        text += draw(odd_lines(indent)) + draw(block)
    text += draw(st.just(TAIL) | tail)
    return text[:-1] if draw(st.integers(0, 5)) == 0 else text


@given(documents())
@example(RUN)
def test_both_ways_give_the_same(text: str) -> None:
    event("short way" if taken(text) else "looked like a run" if find_run(text, LEAST) else "no run")
    same(text)
