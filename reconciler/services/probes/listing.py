"""GET /pins without filters: limit, order, precision, count, edges, default status. Makes no pin itself."""

from collections.abc import Iterable, Sequence
from math import factorial, gcd
from typing import Final

from reconciler.core.instant import MICROSECOND, MILLISECOND, SECOND, format_instant, parse_instant
from reconciler.core.model import PINNED, STATUSES, PinStatus
from reconciler.services.examination import Notes
from reconciler.services.probes.bench import Bench
from reconciler.services.protocol import Page, Query
from reconciler.services.view import MINUTE, view

FIELDS: Final = ("limit", "largeLimit", "order", "precisionMs", "count", "edges")
#: An order that so many others could have come out instead is none by chance.
_ORDERS: Final = 100
#: Pins asked for to see what `count` says of the others.
_FEW: Final = 2


async def probe(bench: Bench, notes: Notes) -> None:
    """Raises ServiceError."""
    first = await bench.everything()
    if first.page is None:
        # A key that is wrong, or an endpoint, is no matter of the limit.
        await bench.service.pins(Query(status=STATUSES, limit=_FEW))
        notes.missed(FIELDS, f"limit=1000 is answered with HTTP {first.status}")
        notes.saw("limit", f"limit=1000 is answered with HTTP {first.status}", ok=False)
        return
    page = first.page
    if page.skew is not None and abs(page.skew) >= 5:
        notes.saw("clock", f"its clock is {abs(page.skew):.0f} s {'ahead' if page.skew > 0 else 'behind'}")
    again = await bench.everything()
    pages = [page, again.page] if again.page else [page]
    _order(pages, notes)
    _precision(page.results, notes)
    await _large_limit(bench, page, notes)
    _limit(bench, page, notes)
    await _count(bench, page, notes)
    await _edges(bench, page, notes)
    await _defaults(bench, page, notes)


# --- order and precision ------------------------------------------------------------------------------------------


def _order(pages: Sequence[Page], notes: Notes) -> None:
    orders = [ends.order for page in pages if (ends := view(page.results))]
    if not orders:
        notes.unknown("order", "there are no pins to see an order of")
        return
    if "unsorted" in orders or len(set(orders)) > 1:
        notes.found("order", "unsorted", f"{len(pages[0].results)} pins came in no order")
        return
    order, others = orders[0], _others(_instants(pages[0].results))
    if order is None or others < _ORDERS:
        notes.unknown("order", "too few instants among its pins to tell an order from chance")
    else:
        notes.found("order", order, f"{len(pages[0].results)} pins came {order} first")


def _others(instants: Sequence[int]) -> int:
    """In how many ways pins of these instants could have been listed, counted by their instants."""
    ways = factorial(min(len(instants), 20))
    for instant in set(instants[:20]):
        ways //= factorial(instants[:20].count(instant))
    return ways


def _instants(pins: Iterable[PinStatus]) -> list[int]:
    found = []
    for pin in pins:
        try:
            found.append(parse_instant(pin.created))
        except ValueError:
            continue
    return found


def _precision(pins: Sequence[PinStatus], notes: Notes) -> None:
    instants = _instants(pins)
    if len(instants) < len(pins):
        notes.saw("created", "there are pins whose `created` is no RFC 3339 instant", ok=False)
    if len(instants) < 3:
        notes.unknown("precisionMs", "too few pins to tell the step of `created`")
        return
    step = gcd(*instants)
    if step % SECOND == 0:
        notes.found("precisionMs", 1000, f"{len(instants)} pins are stamped with whole seconds")
    elif step % MILLISECOND == 0:
        notes.found("precisionMs", 1, f"{len(instants)} pins are stamped with milliseconds")
    else:
        notes.found("precisionMs", 1, f"{len(instants)} pins are stamped more finely than a millisecond")


# --- limit and count ----------------------------------------------------------------------------------------------


async def _large_limit(bench: Bench, page: Page, notes: Notes) -> None:
    reply = await bench.ask(Query(status=STATUSES, limit=1001))
    if reply.page is None:
        notes.found("largeLimit", False, f"limit=1001 is answered with HTTP {reply.status}")
    elif len(reply.page.results) > 1000:
        notes.found("largeLimit", True, "limit=1001 gave more than 1000 pins")
    elif reply.page.count > (shown := len(reply.page.results)) or (
        # A count that is the page's own length tells nothing; fewer than a page are fewer pins than a moment ago.
        page.count > len(page.results) and shown >= len(page.results)
    ):
        notes.found("largeLimit", False, f"limit=1001 gave {len(reply.page.results)} of more pins")
    else:
        notes.unknown(
            "largeLimit", "limit=1001 is accepted; with fewer pins there is no telling if it is obeyed"
        )


def _limit(bench: Bench, page: Page, notes: Notes) -> None:
    shown = len(page.results)
    ours = len(bench.of_this_run(page.results))
    if shown and (page.count > shown or (notes.value("order") == "newest" and ours < len(bench.pins))):
        notes.found("limit", min(shown, 1000), f"limit=1000 gave {shown} pins, and there are more")
    else:
        notes.unknown(
            "limit", f"all {shown} pins came in one page; a smaller limit of its own would not show"
        )


async def _count(bench: Bench, page: Page, notes: Notes) -> None:
    there = max(len(page.results), 0)
    if there < _FEW + 3:
        notes.unknown("count", f"it takes {_FEW + 3} pins to tell, and there are {there}")
        return
    reply = await bench.ask(Query(status=STATUSES, limit=_FEW))
    if reply.page is None:
        notes.unknown("count", f"limit={_FEW} is answered with HTTP {reply.status}")
        return
    shown, count = len(reply.page.results), reply.page.count
    if shown > _FEW:
        notes.saw("limit", f"limit={_FEW} is not obeyed: {shown} pins came", ok=False)
        notes.unknown("count", "it gives all pins whatever `limit` says, so `count` cannot differ")
    elif count == shown:
        notes.found("count", "page", f"with limit={_FEW} it counts {count} of {there} pins")
    elif count == shown + 1:
        notes.found("count", "plus1", f"with limit={_FEW} it counts {count} of {there} pins")
    elif count >= there:
        notes.found("count", "total", f"with limit={_FEW} it counts {count} pins")
    else:
        notes.unknown(
            "count", f"with limit={_FEW} it counts {count} of {there} pins: no meaning that is known"
        )


# --- edges --------------------------------------------------------------------------------------------------------


async def _edges(bench: Bench, page: Page, notes: Notes) -> None:
    chosen = next(iter(bench.of_this_run(page.results)), None) or next(iter(page.results), None)
    instants = _instants([chosen]) if chosen else []
    if chosen is None or not instants:
        notes.unknown("edges", "there is no pin with a readable `created` to cut at")
        return
    at = instants[0]

    async def shows(after: int | None, before: int | None) -> bool | None:
        reply = await bench.ask(
            Query(
                status=STATUSES,
                limit=1000,
                after=None if after is None else _text(after),
                before=None if before is None else _text(before),
            )
        )
        if reply.page is None:
            return None
        return any(pin.requestid == chosen.requestid for pin in reply.page.results)

    if not await shows(at - MINUTE, at + MINUTE):
        notes.unknown("edges", "`before` and `after` around a pin do not show it")
        notes.saw("before, after", "a window of time around a pin does not show it", ok=False)
        return
    before, after = await shows(at - MINUTE, at), await shows(at, at + MINUTE)
    if before and await shows(None, at - MINUTE):
        notes.saw("before", "is ignored", ok=False)
        notes.unknown("edges", "`before` is ignored")
    elif after and await shows(at + MINUTE, None):
        notes.saw("after", "is ignored", ok=False)
        notes.unknown("edges", "`after` is ignored")
    elif before is None or after is None:
        notes.unknown("edges", "`before` or `after` is refused")
    elif before != after:
        one, other = ("`before`", "`after`") if before else ("`after`", "`before`")
        notes.unknown("edges", f"{one} includes its own instant, {other} does not")
    else:
        kind = "inclusive" if before else "exclusive"
        does = "shows" if before else "does not show"
        notes.found("edges", kind, f"a window that ends at a pin's own instant {does} it")


def _text(instant: int) -> str:
    step = MILLISECOND if instant % MILLISECOND == 0 else MICROSECOND if instant % MICROSECOND == 0 else 1
    return format_instant(max(instant, 0), step)


# --- what is left out of a query ------------------------------------------------------------------------------------


async def _defaults(bench: Bench, page: Page, notes: Notes) -> None:
    plain = await bench.ask(Query())
    if plain.page is None:
        notes.saw("default limit", f"a listing without parameters is HTTP {plain.status}", ok=False)
        return
    shown, there = len(plain.page.results), len(page.results)
    others = [pin for pin in page.results if pin.status != PINNED]
    if shown > 10:
        notes.saw("default limit", f"is not 10: {shown} pins came", ok=False)
    elif shown == 10 < there:
        notes.saw("default limit", "is 10")
    if any(pin.status != PINNED for pin in plain.page.results):
        notes.saw("default status", "all: pins come that are not pinned", ok=False)
    elif others:
        reply = await bench.ask(Query(limit=1000))
        if reply.page is None:
            return
        ids = {pin.requestid for pin in reply.page.results}
        if ids and not any(pin.requestid in ids for pin in others):
            notes.saw("default status", "is pinned")
        elif ids:
            notes.saw("default status", "all: pins come that are not pinned", ok=False)
