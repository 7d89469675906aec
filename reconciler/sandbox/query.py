"""The parameters of GET /pins, checked and typed."""

import re
from typing import Literal, cast
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from reconciler.sandbox.failure import bad_request
from reconciler.sandbox.instants import FINE, parse_fine
from reconciler.sandbox.personality import STEPS, Personality
from reconciler.sandbox.pin import MAX_NAME, PINNED, STATUSES, canonical

MAX_LIMIT = 1000
MAX_CIDS = 10
#: More than any instant, in microseconds.
FOREVER = 1 << 62
_ALL = tuple(range(len(STATUSES)))
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)

Match = Literal["exact", "iexact", "partial", "ipartial"]
_MATCHES = ("exact", "iexact", "partial", "ipartial")


class Query(Struct, frozen=True, kw_only=True):
    """What is asked for. `since` and `until` bound the stored `created`: since <= created < until."""

    statuses: tuple[int, ...] = _ALL
    cids: tuple[str, ...] = ()
    name: str | None = None
    match: Match = "exact"
    meta: tuple[tuple[str, str], ...] = ()
    since: int = -FOREVER
    until: int = FOREVER
    limit: int = 10


def parse(raw: bytes, habits: Personality) -> Query:
    """Reads the query string of a request. Raises FailureError 400 for the first thing wrong in it.

    Parameters that the API does not know are skipped. One that is given twice is refused: lists are one parameter,
    joined by commas (`style: form, explode: false`).
    """
    given: dict[str, str] = {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise bad_request("The query is not percent-encoded UTF-8") from None
    for key, value in pairs:
        if key in given and key in _KNOWN:
            raise bad_request(f"{key}: given twice; join the values with commas")
        given[key] = value
    for key in habits.ignored:
        given.pop(key, None)

    since, until = _window(given.get("after"), given.get("before"), habits)
    name = given.get("name")
    if name is not None and len(name) > MAX_NAME:
        raise bad_request(f"name: longer than {MAX_NAME} characters")
    match = given.get("match", "exact")
    if match not in _MATCHES:
        raise bad_request(f"match: {match[:40]!r} is not one of {', '.join(_MATCHES)}")
    return Query(
        statuses=_statuses(given.get("status"), habits),
        cids=_cids(given.get("cid")),
        name=name,
        match=cast(Match, match),  # one of _MATCHES, as just checked
        meta=_meta(given.get("meta")),
        since=since,
        until=until,
        limit=_limit(given.get("limit"), habits),
    )


_KNOWN = frozenset({"cid", "name", "match", "status", "before", "after", "limit", "meta"})


def _statuses(text: str | None, habits: Personality) -> tuple[int, ...]:
    if text is None:
        return (PINNED,) if habits.default_status == "pinned" and "status" not in habits.ignored else _ALL
    names = text.split(",")
    for name in names:
        if name not in STATUSES:
            raise bad_request(f"status: {name[:40]!r} is not one of {', '.join(STATUSES)}")
    if len(set(names)) < len(names):
        raise bad_request("status: one is listed twice")
    return tuple(sorted(STATUSES.index(n) for n in names))


def _cids(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    given = text.split(",")
    if len(given) > MAX_CIDS:
        raise bad_request(f"cid: {len(given)} are listed, at most {MAX_CIDS} may be")
    if len(set(given)) < len(given):
        raise bad_request("cid: one is listed twice")
    return tuple(dict.fromkeys(canonical(c) for c in given))


def _meta(text: str | None) -> tuple[tuple[str, str], ...]:
    if text is None:
        return ()
    try:
        pairs = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError as e:
        raise bad_request(f"meta: not a JSON object of strings: {e}") from None
    return tuple(sorted(pairs.items()))


def _limit(text: str | None, habits: Personality) -> int:
    if text is None:
        limit = habits.default_limit
    elif not _LIMIT.fullmatch(text) or int(text) < 1 or (int(text) > MAX_LIMIT and not habits.large_limit):
        raise bad_request(f"limit: {text[:40]!r} is not a number from 1 to {MAX_LIMIT}")
    else:
        limit = int(text)
    return min(limit, habits.page_cap) if habits.page_cap else limit


def _window(after: str | None, before: str | None, habits: Personality) -> tuple[int, int]:
    """Bounds of the stored `created` for what is shown of it, which is cut to the personality's step."""
    step = STEPS[habits.precision]
    fine = step * FINE
    inclusive = habits.edges == "inclusive"
    since, until = -FOREVER, FOREVER
    if after is not None:
        instant = _instant("after", after)
        since = (-(-instant // fine) if inclusive else instant // fine + 1) * step
    if before is not None:
        instant = _instant("before", before)
        until = (instant // fine + 1 if inclusive else -(-instant // fine)) * step
    return since, until


def _instant(key: str, text: str) -> int:
    try:
        return parse_fine(text)
    except ValueError as e:
        raise bad_request(f"{key}: {text[:60]!r}: {e}") from None
