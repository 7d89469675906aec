"""Text from outside can do nothing but be shown."""

import re
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.render import escape

NASTY = (
    "\x1b[2J\x1b[1;1Hgone",
    "a\rb",
    "a\nb\n::error::pwned",
    "::error file=x::pwned",
    "  ::add-mask::x",
    "##[error]pwned",
    "a ##[stop-commands]token",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "zero\u200bwidth\ufeff",
    "c1\x9b31mred",
    "\u3164",
    "\U000e0041tag",
    "back\\x1bslash",
    "z" + "\u0301" * 40,
    "\u0301first",
    "\udce9lone",
    "| a | b |",
    "`code` ``more``",
    "<img src=x onerror=alert(1)>",
    "</code></details><script>",
    "[link](http://evil.example)",
    "![](http://evil.example/x.png)",
    "@someone and #12 and GH-1",
    "https://evil.example/ www.evil.example a@b.example",
    "<!-- comment -->",
    "--> end of comment",
    "$x$ **bold** _it_ ~~s~~",
    "%0A::error::x",
    "a,line=1::x",
    "",
    " ",
    "name with  spaces ",
    'quote"d',
)
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(), st.text(alphabet="`|\\<>&@#:[]()*_~!% \n\x1b\u202e"))


def unescaped(text: str) -> str:
    """What `terminal` was given: the proof that nothing is lost."""
    return re.sub(
        r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})",
        lambda m: "\\" if m[1] == "\\" else chr(int(m[1][1:], 16)),
        text,
    )


@given(TEXTS)
def test_a_terminal_gets_one_line_of_visible_text(text: str) -> None:
    safe = escape.terminal(text)
    assert safe.isprintable()
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in safe)
    assert not safe.lstrip().startswith("::")
    assert "##[" not in safe


@given(TEXTS)
def test_terminal_escaping_can_be_read_back_so_no_two_texts_look_the_same(text: str) -> None:
    assert unescaped(escape.terminal(text)) == text


def test_what_leaves_no_ink_is_spelled_out() -> None:
    assert escape.terminal("\u3164\u200b\ufe0f") == r"\u3164\u200b\ufe0f"


def test_combining_marks_cannot_paint_over_other_lines() -> None:
    assert sum(map(unicodedata.combining, escape.terminal("z" + "\u0301" * 100))) <= 4 * 230


def test_columns_are_counted_as_a_terminal_shows_them() -> None:
    assert [escape.cells(t) for t in ("abc", "日本", "é", "e\u0301", "→")] == [3, 4, 1, 1, 1]
    assert escape.pad("日本", 6) == "日本  "
    assert escape.pad("too long", 3) == "too long"


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("website", "docs/2027-01", "bücher", "日本語", "a_b-c.d@1"):
        assert escape.terminal(name) == escape.quoted(name) == name


@given(TEXTS)
def test_a_quoted_name_is_one_word(text: str) -> None:
    name = escape.quoted(text)
    assert name
    assert " " not in name or (name.startswith('"') and name.endswith('"'))


@given(TEXTS)
def test_free_markdown_holds_nothing_that_markdown_or_github_would_obey(text: str) -> None:
    safe = escape.markdown(text)
    assert "\n" not in safe
    bare = safe.replace("&#64;<!-- -->", "").replace("&#35;<!-- -->", "")
    assert not re.search(r"[`|\\<>\[\]*_~@$]", bare)
    assert "://" not in bare
    assert not re.search(r"www\.\S", bare)
    assert all(re.match(r"&#\d+;", bare[m.start() :]) for m in re.finditer("&", bare))


@given(TEXTS)
def test_code_in_markdown_cannot_end_early(text: str) -> None:
    safe = escape.markdown_code(text)
    if safe.startswith("`"):
        inner = safe[1:-1]
        assert not re.search(r"[`|\\<>&\n]", inner)
        assert inner.strip() == inner != ""
    else:
        inner = safe.removeprefix("<code>").removesuffix("</code>")
        assert not re.search(r"[`|\\<>\[\]@]", inner)


@given(TEXTS)
def test_a_workflow_command_stays_one_command(text: str) -> None:
    line = f"::error file={escape.github_property(text)},title=x::{escape.github_message(text)}"
    assert "\n" not in line
    assert "\r" not in line
    assert re.fullmatch(r"::error file=[^,:]*,title=x::.*", line)
    # `%` survives only as the start of our own escapes.
    assert not re.search(r"%(?!25|0A|0D|3A|2C)", line)


@given(TEXTS.filter(lambda t: not re.search("[\ud800-\udfff]", t)))
def test_json_means_the_same_and_shows_nothing_that_is_obeyed(text: str) -> None:
    encoded = msgspec.json.encode({"name": text, text: [text]})
    safe = escape.json_text(encoded)
    assert msgspec.json.decode(safe) == msgspec.json.decode(encoded)
    assert not any(unicodedata.category(c) == "Cf" or "\x7f" <= c <= "\x9f" or c < " " for c in safe)
    assert "##[" not in safe


@pytest.mark.parametrize("text", NASTY)
def test_the_fixed_list_in_every_function(text: str) -> None:
    for function in (
        escape.terminal,
        escape.quoted,
        escape.markdown,
        escape.markdown_code,
        escape.github_message,
    ):
        assert "\x1b" not in function(text)
        assert "\u202e" not in function(text)
        assert "\n" not in function(text)
