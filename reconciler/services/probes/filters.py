"""GET /pins with filters, over the pins of this run: what is shown that was not asked for, and the other way."""

from collections.abc import Callable, Sequence
from typing import Final

from reconciler.core.cid import canonical
from reconciler.core.instant import format_instant, parse_instant
from reconciler.core.model import META_OWNER, STATUSES, PinStatus
from reconciler.services.examination import Notes
from reconciler.services.probes import throwaway
from reconciler.services.probes.bench import Bench
from reconciler.services.protocol import Match, Query
from reconciler.services.tape import Reply
from reconciler.services.view import MINUTE

FIELDS: Final = ("filters",)


async def probe(bench: Bench, notes: Notes, pins: Sequence[PinStatus]) -> None:
    """`pins`: of this run, as they were added, each of a CID and a name of its own. Raises ServiceError."""
    if len(pins) < 2:
        notes.unknown("filters", "it takes two pins to see what a filter leaves out")
        return
    one, other = pins[0], pins[1]
    obeyed = []

    reply = await bench.ask(Query(cid=(one.pin.cid,), status=STATUSES, limit=100))
    if _obeys(reply, one, lambda p: _cid(p) == _cid(one), "cid", notes):
        obeyed.append("cid")
        both = await bench.ask(Query(cid=(one.pin.cid, other.pin.cid), status=STATUSES, limit=100))
        if both.page is None or {one.requestid, other.requestid} - {p.requestid for p in both.page.results}:
            notes.saw("cid", "a list of several CIDs does not show them all", ok=False)

    name = one.pin.name or ""
    reply = await bench.ask(Query(name=name, match="exact", status=STATUSES, limit=100))
    if name and _obeys(reply, one, lambda p: p.pin.name == name, "name", notes):
        obeyed.append("name")
        assert reply.page is not None
        if reply.page.count > len(reply.page.results) and notes.value("count") == "total":
            notes.unknown("count", "it counts all pins, whatever is asked for")
    await _match(bench, notes, one, pins)

    meta = {META_OWNER: f"{throwaway.MARK}{bench.run}", throwaway.META_LABEL: _label(one)}
    if notes.value("meta") == "dropped":
        notes.saw("meta", "nothing to filter by: meta is dropped", ok=False)
    else:
        reply = await bench.ask(Query(meta=meta, status=STATUSES, limit=100))
        if _obeys(reply, one, lambda p: (p.pin.meta or {}).items() >= meta.items(), "meta", notes):
            obeyed.append("meta")

    # The end of the listing that is shown first: a service may cut its pages short.
    status = await _status(bench, notes, one if notes.value("order") == "oldest" else pins[-1])
    if status:
        obeyed.append("status")
    how = f"obeyed: {', '.join(obeyed) or 'none'}"
    if status is None:
        notes.unknown("filters", f"{how}; of status there is no telling")
    else:
        notes.found("filters", tuple(obeyed), how)


def _obeys(
    reply: Reply, wanted: PinStatus, fits: Callable[[PinStatus], bool], what: str, notes: Notes
) -> bool:
    if reply.page is None:
        notes.saw(what, f"the filter is answered with HTTP {reply.status}", ok=False)
        return False
    strangers = sum(not fits(pin) for pin in reply.page.results)
    if strangers:
        notes.saw(what, f"the filter is ignored: {strangers} other pins came", ok=False)
        return False
    if not any(pin.requestid == wanted.requestid for pin in reply.page.results):
        notes.saw(what, "the filter does not find the pin", ok=False)
        return False
    return True


async def _match(bench: Bench, notes: Notes, one: PinStatus, pins: Sequence[PinStatus]) -> None:
    name = one.pin.name or ""
    asked: tuple[tuple[Match, str, set[str]], ...] = (
        ("iexact", name.upper(), {one.requestid}),
        ("partial", bench.run, {p.requestid for p in pins}),
        ("ipartial", bench.run.upper(), {p.requestid for p in pins}),
    )
    for match, text, wanted in asked:
        reply = await bench.ask(Query(name=text, match=match, status=STATUSES, limit=100))
        shown = {p.requestid for p in reply.page.results} if reply.page else set()
        ours = {p.requestid for p in bench.of_this_run(reply.page.results)} if reply.page else set()
        if reply.page is None:
            notes.saw("match", f"match={match} is answered with HTTP {reply.status}", ok=False)
        elif shown - ours:
            notes.saw("match", f"match={match} is ignored: other pins came", ok=False)
        elif wanted - shown:
            notes.saw(
                "match", f"match={match} does not find {len(wanted - shown)} of {len(wanted)}", ok=False
            )


async def _status(bench: Bench, notes: Notes, one: PinStatus) -> bool | None:
    """A pin that stands in one status is shown when that is asked for, and not when the others are."""
    now = await bench.get(one.requestid)
    if now is None:
        return None
    since = _a_minute_before(now)
    mine = await bench.ask(Query(status=(now.status,), after=since, limit=1000))
    rest = tuple(s for s in STATUSES if s != now.status)
    others = await bench.ask(Query(status=rest, after=since, limit=1000))
    after = await bench.get(one.requestid)
    if after is None or after.status != now.status:
        return None
    if mine.page is None or others.page is None:
        notes.saw("status", f"the filter is answered with HTTP {mine.status}, {others.status}", ok=False)
        return False
    strangers = any(p.status != now.status for p in mine.page.results)
    stray = any(p.requestid == one.requestid for p in others.page.results)
    if strangers or stray or not any(p.requestid == one.requestid for p in mine.page.results):
        notes.saw("status", f"status={now.status} is not obeyed", ok=False)
        return False
    return True


def _a_minute_before(pin: PinStatus) -> str | None:
    """So that in a long account the pin is on the first page, whatever the order."""
    try:
        return format_instant(parse_instant(pin.created) - MINUTE)
    except ValueError:
        return None


def _cid(pin: PinStatus) -> str:
    try:
        return canonical(pin.pin.cid)
    except ValueError:
        return pin.pin.cid


def _label(pin: PinStatus) -> str:
    return (pin.pin.name or "").rpartition("/")[2]
