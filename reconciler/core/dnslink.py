"""What the TXT records of a domain say of its content (dnslink.dev; boxo, namesys/dns_resolver.go).

    dnslink=/ipfs/<cid>/path, dnslink=/ipns/<name>      a link
    dnslink=<cid>, /ipfs/<cid>, /ipns/<name>            as Kubo reads them too
    anything else                                       other people's records, passed over

Several links of one domain are several answers: DNS gives records in an order that changes from query to query, so
whoever takes the first follows the dice, and pins one root, then the other. They are refused, unless they are equal.
"""

from collections.abc import Iterable
from typing import Final

from reconciler.core.cid import CidError
from reconciler.core.cid import parse as parse_cid
from reconciler.core.content_path import ContentPath, PathError, parse_path

PREFIX: Final = "dnslink="
#: Where the link of a domain is looked for, the first first.
PLACES: Final = ("_dnslink.", "")


class DnslinkError(ValueError):
    """Records that give no one answer. The text is one clear reason."""


def link_of(records: Iterable[str]) -> ContentPath | None:
    """Where the records lead; None if none of them is a link. Raises DnslinkError."""
    found: dict[str, ContentPath] = {}
    wrong = ""
    for record in records:
        try:
            path = _link(record)
        except PathError as error:
            wrong = wrong or str(error)
            continue
        if path is not None:
            found[str(path)] = path
    if len(found) > 1:
        raise DnslinkError(f"there are {len(found)} of them, and which one counts is left to chance")
    if not found and wrong:
        raise DnslinkError(f"it leads nowhere: {wrong}")
    return next(iter(found.values()), None)


def _link(record: str) -> ContentPath | None:
    text = record.strip()
    if text.startswith(PREFIX):
        value = text.removeprefix(PREFIX).strip()
        return parse_path(value if "/" in value else _of_cid(value) or value)
    if text.startswith(("/ipfs/", "/ipns/")):
        return parse_path(text)
    bare = _of_cid(text)
    return parse_path(bare) if bare else None


def _of_cid(text: str) -> str:
    try:
        return f"/ipfs/{parse_cid(text)}"
    except CidError:
        return ""
