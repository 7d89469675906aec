"""A text list file changed by line: `cid name`, as `lists` reads it. Other lines are left as they are."""

from collections.abc import Collection, Iterator

from reconciler.core.errors import UsageError


def editable(file: str) -> None:
    """Raises UsageError for a list file that is no plain text."""
    if file.lower().endswith((".csv", ".ndjson", ".jsonl")):
        raise UsageError(
            f"{file} is not edited in place: it is usually written by another program",
            hint="change it there, or edit it by hand",
        )


def set_cid(text: str, name: str, cid: str, *, prefixes: Collection[str]) -> str:
    """The text with `cid` in every line of `name`, whose prefix is one of `prefixes`."""
    return "".join(
        line.replace(line.lstrip("\ufeff").split(None, 1)[0], cid, 1) if found else line
        for line, found in _lines(text, name, prefixes)
    )


def remove(text: str, name: str, *, prefixes: Collection[str], canonical: bool = False) -> str:
    """The text without the lines of `name`; with `canonical`, without the unnamed lines of that CID."""
    return "".join(
        line
        for line, found in _lines(text, name, prefixes)
        if not (_unnamed(line, name) if canonical else found)
    )


def _lines(text: str, name: str, prefixes: Collection[str]) -> Iterator[tuple[str, bool]]:
    # Not splitlines(): a name may hold characters that it takes for line breaks.
    lines = text.split("\n")
    for number, line in enumerate(lines):
        parts = line.lstrip("\ufeff").split(None, 1)
        found = (
            len(parts) == 2
            and not parts[0].startswith("#")
            and any(prefix + parts[1].rstrip() == name for prefix in prefixes)
        )
        yield line + ("\n" if number < len(lines) - 1 else ""), found


def _unnamed(line: str, cid: str) -> bool:
    from reconciler.core.cid import CidError, canonical, parse, spells

    parts = line.lstrip("\ufeff").split(None, 1)
    if not parts or parts[0].startswith("#"):
        return False
    try:
        if canonical(parts[0]) != cid:
            return False
        return len(parts) == 1 or spells(parts[1].rstrip(), parse(parts[0]))
    except CidError:
        return False
