"""The parameters of GET /pins, checked and typed."""

import re
from typing import Literal, cast
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from reconciler.sandbox.failure import FailureError, bad_request
from reconciler.sandbox.instants import FINE, nanoseconds, parse_fine
from reconciler.sandbox.personality import STEPS, Personality
from reconciler.sandbox.pin import MAX_NAME, PINNED, STATUSES, canonical, spelled

MAX_LIMIT = 1000
MAX_CIDS = 10
#: More than any instant, in microseconds.
FOREVER = 1 << 62
_ALL = tuple(range(len(STATUSES)))
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)
#: In place of no limit: more pins than an account can hold here.
UNLIMITED = 10**9

Match = Literal["exact", "iexact", "partial", "ipartial"]
_MATCHES = ("exact", "iexact", "partial", "ipartial")


class Query(Struct, frozen=True, kw_only=True):
    """What is asked for. `since` and `until` bound the stored `created`: since <= created < until.

    With `spellings` only pins whose CID is written as one of these.
    """

    statuses: tuple[int, ...] = _ALL
    cids: tuple[str, ...] = ()
    name: str | None = None
    match: Match = "exact"
    meta: tuple[tuple[str, str], ...] = ()
    since: int = -FOREVER
    until: int = FOREVER
    limit: int = 10
    spellings: tuple[str, ...] = ()


#: What nothing matches.
NOTHING = Query(since=FOREVER, until=-FOREVER)


def parse(raw: bytes, habits: Personality) -> Query:
    """Reads the query string of a request. Raises FailureError, with 400 unless the habits have another code."""
    try:
        return _parse(raw, habits)
    except FailureError as error:
        if error.status == 500:  # it breaks down, whatever it makes of a wrong value
            raise
        if habits.bad_query == "empty":
            return NOTHING
        if habits.bad_query == "500":
            raise FailureError(500, "INTERNAL_SERVER_ERROR", error.details) from None
        raise


def _parse(raw: bytes, habits: Personality) -> Query:
    """Raises FailureError 400 for the first thing wrong.

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
            if habits.bad_query == "empty":
                raise FailureError(500, "INTERNAL_SERVER_ERROR", f"{key}: given twice", shape="html")
            raise bad_request(f"{key}: given twice; join the values with commas")
        given[key] = value
    for key in habits.ignored:
        given.pop(key, None)
    if "cid" in given and habits.cid_filter == "alone":
        given = {key: given[key] for key in ("cid", "limit") if key in given}
    if "meta" in given and habits.meta_filter == "error":
        raise FailureError(500, "INTERNAL_SERVER_ERROR", "meta cannot be filtered by", shape="html")

    since, until = _window(given.get("after"), given.get("before"), habits)
    name = given.get("name")
    if name is not None and len(name) > MAX_NAME and habits.body_check in ("strict", "loose"):
        raise bad_request(f"name: longer than {MAX_NAME} characters")
    match = given.get("match", "exact")
    if habits.match == "exact" or (habits.match == "lenient" and match not in _MATCHES):
        match = "exact"
    if match not in _MATCHES:
        raise bad_request(f"match: {match[:40]!r} is not one of {', '.join(_MATCHES)}")
    if name is not None and habits.match == "broken" and match != "exact":
        if match == "partial":
            return NOTHING
        name = None
    statuses = _statuses(given.get("status"), habits, alone="cid" in given and habits.cid_filter == "alone")
    if not statuses:
        return NOTHING
    meta = _meta(given.get("meta"))
    if meta and habits.meta_filter == "nothing":
        return NOTHING
    cids = given.get("cid")
    return Query(
        statuses=statuses,
        cids=_cids(cids),
        spellings=()
        if cids is None or habits.cid_filter == "obeyed"
        else tuple(spelled(c, habits.cid_echo) for c in cids.split(",")),
        name=name,
        match=cast(Match, match),  # one of _MATCHES, as just checked
        meta=meta,
        since=since,
        until=until,
        limit=_limit(given.get("limit"), habits),
    )


_KNOWN = frozenset({"cid", "name", "match", "status", "before", "after", "limit", "meta"})


def _statuses(text: str | None, habits: Personality, *, alone: bool) -> tuple[int, ...]:
    if text == "" and habits.empty_status:
        text = None
    if text is None:
        if habits.default_status == "required" and "status" not in habits.ignored and not alone:
            raise bad_request("status: it must be given")
        return (PINNED,) if habits.default_status == "pinned" and "status" not in habits.ignored else _ALL
    names = text.split(",")
    if habits.status_check == "none":
        return tuple(sorted(STATUSES.index(n) for n in set(names) & set(STATUSES)))
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
        limit = UNLIMITED if habits.default_limit is None else habits.default_limit
    elif habits.limit_check == "none" and not (_LIMIT.fullmatch(text) and 1 <= int(text) <= MAX_LIMIT):
        limit = UNLIMITED
    elif habits.limit_check == "zero" and text == "0":
        limit = 0
    elif not _LIMIT.fullmatch(text) or int(text) < 1 or (int(text) > MAX_LIMIT and not habits.large_limit):
        raise bad_request(f"limit: {text[:40]!r} is not a number from 1 to {MAX_LIMIT}")
    else:
        limit = int(text)
    return min(limit, habits.page_cap) if habits.page_cap else limit


def _window(after: str | None, before: str | None, habits: Personality) -> tuple[int, int]:
    """Bounds of the stored `created` for what is shown of it, which is cut to the personality's step."""
    since, until = -FOREVER, FOREVER
    if after is not None and (instant := _instant("after", after, habits)) is not None:
        since = _first_from(instant, habits, past=habits.edges not in ("inclusive", "after-inclusive"))
    if before is not None and (instant := _instant("before", before, habits)) is not None:
        until = _first_from(instant, habits, past=habits.edges in ("inclusive", "before-inclusive"))
    return since, until


def _first_from(instant: int, habits: Personality, *, past: bool) -> int:
    """The least stored `created` that is shown at `instant` or later; with `past`, later."""
    step = STEPS[habits.precision]
    fine = step * FINE
    if habits.precision == "ns":
        # Three made-up digits are shown beyond what is stored.
        whole, rest = divmod(instant, FINE)
        shown = nanoseconds(whole) * (FINE // 1000)
        return whole + (shown < rest or (past and shown == rest))
    return (instant // fine + 1 if past else -(-instant // fine)) * step


def _instant(key: str, text: str, habits: Personality) -> int | None:
    """None: it is to be ignored."""
    if habits.instant_check == "z" and not text.endswith("Z"):
        raise bad_request(f"{key}: {text[:60]!r}: not in UTC with a Z")
    try:
        instant = parse_fine(text)
    except ValueError as e:
        if habits.instant_check == "none":
            return None
        raise bad_request(f"{key}: {text[:60]!r}: {e}") from None
    if habits.edge_step is None:
        return instant
    fine = STEPS[habits.edge_step] * FINE
    return instant // fine * fine
