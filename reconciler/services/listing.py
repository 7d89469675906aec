"""Everything that an account holds, or an honest "not everything".

The API pages by time: newest first, `before` the oldest seen so far. Taken at its word that loses pins, since
services stamp many pins with one instant, include or exclude the edges, cut the edges to whole seconds, ignore
`limit`, sort the other way or not at all, and mean three things by `count`. So a listing is a set of windows of
time, and each answer about a window is judged by what is in it:

1.  The next window overlaps the last page by one quantum of `created`, and ids that are known are dropped.
2.  The oldest pin of the last page, the sentinel, must come again. If it does not and is still there, the edge is
    cut more coarsely than the stamps: the quantum is widened and the step repeated.
3.  A window is done when its page is empty, or when `count` equals the page and either `count` has been seen to
    exceed a page (so it would tell) or the page is shorter than pages of this service are.
4.  Pages that are oldest first are walked upwards; unsorted ones are halved until they fit a page.
5.  Where one quantum holds more than a page, time cannot tell the pins apart: a limit above their number may.
6.  What was created or replaced meanwhile is newer than the newest seen at first: asked for until nothing is new.
7.  At last the number seen is held against `count`, where that is a total.

A profile saves requests and is not relied on: what it has otherwise than the listing shows is told (`signs`).

Where none of this leads to an end the listing is incomplete, and says why.
"""

import asyncio
from collections.abc import Collection
from typing import Final, Literal

from msgspec import Struct

from reconciler.core.errors import AuthError, FundsError, RejectedError, ServerFaultError, ServiceError
from reconciler.core.instant import MICROSECOND, MILLISECOND, SECOND, parse_instant
from reconciler.core.learned import Contradiction
from reconciler.core.manifest import Limits
from reconciler.core.profile import Profile
from reconciler.services.protocol import Page, PinningService
from reconciler.services.reader import LIMIT, Reader, Sink, StuckError
from reconciler.services.signs import Signs
from reconciler.services.view import MINUTE, View, resolution, view
from reconciler.services.windows import (
    Window,
    above,
    below,
    halves,
    past_newest,
    past_oldest,
    shows_others,
    split,
)

LARGEST_LIMIT: Final = 50_000
CONCURRENCY: Final = 16
#: Quanta that `before` and `after` are known to be cut to.
QUANTA: Final = (MILLISECOND, SECOND, MINUTE)
CATCH_UPS: Final = 10
#: Requests a second below which every one counts more than waiting for it.
SLOW_RATE: Final = 20.0

GAP: Final = "a pin that is there does not come again at the edge of its page"
ONE_INSTANT: Final = "more pins than a page were created at one instant"


class Sweep(Struct, frozen=True, kw_only=True):
    """`seen`: pins given to the sink. `why`: one clause, "" if `complete`. `skew` as in `Page`."""

    complete: bool
    why: str = ""
    seen: int = 0
    requests: int = 0
    skew: float | None = None
    #: Nothing was seen but a 404: an empty account, or an endpoint that is none.
    absent: bool = False
    #: What the profile has otherwise than it was seen.
    against: tuple[Contradiction, ...] = ()


def workers(limits: Limits) -> int:
    """How many windows of a listing to ask for at once under `limits`. Each costs about one request more."""
    rates = [rate.count / rate.seconds for rate in (limits.requests, limits.listing) if rate]
    return 1 if rates and min(rates) < SLOW_RATE else limits.concurrency


async def sweep(
    service: PinningService, profile: Profile, sink: Sink, *, concurrency: int = CONCURRENCY
) -> Sweep:
    """Every pin of the account, in all four statuses, each once to `sink`, in no order.

    Raises ServiceError if nothing could be read, or if the service refuses the key. A failure on the way ends in
    a Sweep that is not complete.
    """
    return await _Sweeper(Reader(service, profile, sink), concurrency).run()


class _Sweeper:
    def __init__(self, reader: Reader, concurrency: int) -> None:
        self.reader = reader
        self.profile = reader.profile
        self.signs = Signs()
        self.concurrency = max(1, concurrency)
        self.quantum = 0
        self.widened = False
        self.order: Literal["newest", "oldest", "unsorted"] = "newest"
        #: Whether the last page was the account as a whole.
        self.at_once = False
        #: Whether `before` and `after` do anything, and whether that has been tried where nothing else tells.
        self.edges_hold = True
        self.edges_tried = False
        #: The smallest overlap that windows were split with.
        self.overlap = MINUTE
        self.asked_for_more = False

    async def run(self) -> Sweep:
        try:
            await self._run()
        except StuckError as stuck:
            return self._result(str(stuck))
        except (AuthError, FundsError):
            raise
        except ServiceError as error:
            if not self.reader.seen:
                raise
            return self._result(error.message)
        return self._result("")

    def _result(self, why: str) -> Sweep:
        return Sweep(
            complete=not why,
            why=why,
            seen=len(self.reader.seen),
            requests=self.reader.requests,
            skew=self.reader.skew,
            absent=self.reader.absent and not self.reader.seen,
            against=self.signs.against(self.profile),
        )

    async def _run(self) -> None:
        first = await self._first()
        if not first.results:
            if first.count > 0:
                raise StuckError(f"it counts {first.count} pins and lists none")
            return
        ends = view(first.results)
        if await self._is_all(first, None, None):
            if ends is not None:
                self.signs.page(first.results, first.count, hi=None, limit=self.reader.limit, ends=ends)
            return
        if ends is None:
            raise StuckError("its `created` cannot be read, so there is no second page")
        self.quantum = max(resolution(first.results), MILLISECOND)
        seen_at_first = len(self.reader.seen)
        page = await self._in_one(first) if self.profile.large_limit else first
        await self._walk(await self._judge(Window(), page, len(page.results), None))
        # A walk upwards ends at what is newest; what was added on the way has been passed. And a last page that
        # holds the whole account leaves nothing out.
        if len(self.reader.seen) > seen_at_first and self.order != "oldest" and not self.at_once:
            await self._catch_up(ends.newest)
        await self._settle(first.count)

    async def _first(self) -> Page:
        """The first page; with a smaller limit, or none, where 1000 is refused."""
        for limit in (LIMIT, 100):
            try:
                return await self.reader.ask(None, None, limit)
            except RejectedError as error:
                if error.status not in (400, 422):
                    raise
                refused = error
            self.reader.limit = 100 if limit == LIMIT else 0
        try:
            return await self.reader.ask(None, None, 0)
        except RejectedError:
            raise refused from None

    async def _in_one(self, first: Page) -> Page:
        """A page of everything, where a limit above 1000 is known to be obeyed; the first page if it is not."""
        shown, limit = len(first.results), self.reader.limit
        if first.count <= shown:
            return first
        self.reader.limit = _above(first.count)
        try:
            page = await self.reader.ask(None, None, self.reader.limit)
        except (RejectedError, ServerFaultError):
            page = first
        self.signs.large_limit = len(page.results) > min(shown, LIMIT)
        if not self.signs.large_limit:
            self.reader.limit = limit
        return page if self.signs.large_limit else first

    async def _is_all(self, page: Page, lo: int | None, hi: int | None) -> bool:
        """Whether `page` is all of its window; asks once more where only the profile says so and it may be a cap."""
        whole = self.reader.is_all(page)
        if not whole or not page.results or not self.reader.rests_on_profile(page):
            return whole
        # Asked for one pin, a service that counts more than the page says so.
        asked = await self.reader.ask(lo, hi, 1)
        if asked.results and not self.reader.count_tells:
            self.signs.counts_the_page()
            self.reader.distrust_count()
        return self.reader.is_all(page)

    async def _catch_up(self, newest: int) -> None:
        for _ in range(CATCH_UPS):
            before = len(self.reader.seen)
            start = newest - newest % self.quantum - MILLISECOND
            await self._walk([Window(lo=start)])
            if len(self.reader.seen) == before:
                return
        raise StuckError("pins are added faster than they can be listed")

    async def _settle(self, counted: int) -> None:
        """The sum check. Fewer than were counted at first is right only if pins were deleted meanwhile."""
        if not self.reader.count_is_total or len(self.reader.seen) >= counted:
            return
        now = (await self.reader.ask(None, None, 1)).count
        if len(self.reader.seen) < now:
            raise StuckError(f"it counts {now} pins and listed {len(self.reader.seen)}")

    # --- windows ------------------------------------------------------------------------------------------

    async def _walk(self, windows: list[Window]) -> None:
        """Reads windows and what becomes of them to the end, several at once where waiting is what takes time."""
        queue = windows
        flying: dict[asyncio.Task[list[Window]], Window] = {}
        try:
            while queue or flying:
                wanted = self.concurrency if self.reader.parallel else 1
                if wanted == 1 and not flying:
                    queue += await self._step(queue.pop())
                    continue
                while len(flying) < wanted and (queue or self._split(queue, flying.values())):
                    window = queue.pop()
                    flying[asyncio.create_task(self._step(window))] = window
                    if not queue:
                        self._split(queue, flying.values())
                done, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del flying[task]
                    queue += task.result()
        finally:
            for task in flying:
                task.cancel()
            await asyncio.gather(*flying, return_exceptions=True)

    def _split(self, queue: list[Window], flying: Collection[Window]) -> bool:
        """Puts half of a window into the queue; False if none is worth a request more."""
        if not self.edges_hold or self.order != "newest":
            return False
        halved = split(flying, self.reader.cap, self.quantum)
        if halved is None:
            return False
        older, reach = halved
        self.overlap = min(self.overlap, reach)
        queue.append(older)
        return True

    async def _step(self, window: Window) -> list[Window]:
        lo = window.lo
        page = await self.reader.ask(lo, window.hi, self.reader.limit)
        return await self._judge(window, page, len(page.results), lo)

    async def _judge(self, window: Window, page: Page, shown: int, lo: int | None) -> list[Window]:
        """What is left of `window` after `page`, which was asked for from `lo` (since then it may have shrunk)."""
        if window.sentinel and not await self._is_continued(window, page):
            wider = self._widen(window, window.sentinel)
            if wider:
                return [wider]
            if page.count <= shown:
                raise StuckError(GAP)
            # No edge is as coarse as that: a service without an order shows another choice of one instant each time.
            return await self._ask_for_more(window, page, GAP)
        if not page.results or await self._is_all(page, lo, window.hi):
            self.at_once = lo is None and window.hi is None
            return []
        ends = view(page.results)
        if ends is None:
            raise StuckError("its `created` cannot be read, so there is no next page")
        self.reader.cap = max(self.reader.cap, shown)
        self.signs.page(page.results, page.count, hi=window.hi, limit=self.reader.limit, ends=ends)
        if ends.order and self.order != "unsorted":
            # Once without an order is for good: a few pins are in order by chance, and what is between them is not
            # on the page.
            self.order = ends.order
        if shows_others(window, ends, lo):
            self.edges_hold = False
            if window.hi is not None and ends.newest >= window.hi + MINUTE:
                return await self._ask_for_more(window, page, "`before` is ignored")
        match self.order:
            case "newest":
                return await self._down(window, page, ends, lo)
            case "oldest":
                return await self._up(window, page, ends)
            case _:
                return await self._halve(window, page, ends)

    async def _down(self, window: Window, page: Page, ends: View, lo: int | None) -> list[Window]:
        shown = len(page.results)
        if window.lo is not None and ends.oldest < window.lo:
            return []
        rest = below(window, ends, self.quantum)
        if rest:
            if self.reader.count_is_total:
                # A window that was split on the way is no longer what `count` is about.
                rest.left = page.count - shown if window.lo == lo else max(0, (window.left or 0) - shown)
                rest.per_pin = (ends.newest - ends.oldest) / shown
            return [rest]
        if shown >= self.reader.cap:
            return await self._ask_for_more(window, page, ONE_INSTANT)
        return past_oldest(window, ends, self.quantum)

    async def _up(self, window: Window, page: Page, ends: View) -> list[Window]:
        """The mirror image, for services that give the oldest first."""
        if window.hi is not None and ends.newest > window.hi:
            return []
        rest = above(window, ends, self.quantum)
        if rest:
            return [rest]
        if len(page.results) >= self.reader.cap:
            return await self._ask_for_more(window, page, ONE_INSTANT)
        return past_newest(window, ends, self.quantum)

    async def _halve(self, window: Window, page: Page, ends: View) -> list[Window]:
        if not self.edges_tried and self.quantum < SECOND:
            self.edges_tried = True
            await self._try_edges(page)
        parts = halves(window, ends, self.quantum) if self.edges_hold else []
        return parts or await self._ask_for_more(window, page, ONE_INSTANT)

    # --- doubts -------------------------------------------------------------------------------------------

    async def _is_continued(self, window: Window, page: Page) -> bool:
        """Whether the page begins where the last one ended."""
        assert window.sentinel is not None
        instant, requestid = window.sentinel
        if not window.holds(instant):
            return True
        return any(pin.requestid == requestid for pin in page.results) or await self.reader.is_gone(requestid)

    async def _try_edges(self, page: Page) -> None:
        """Without an order there is no sentinel: asks for the millisecond of one known pin instead."""
        for pin in page.results:
            try:
                instant = parse_instant(pin.created)
            except ValueError:
                continue
            if instant % SECOND >= 2 * MILLISECOND:
                lo = instant - instant % MILLISECOND - MILLISECOND
                shown = await self.reader.ask(lo, lo + 2 * MILLISECOND, self.reader.limit)
                ids = {p.requestid for p in shown.results}
                if pin.requestid not in ids and not await self.reader.is_gone(pin.requestid):
                    self.quantum, self.widened = SECOND, True
                return

    def _widen(self, window: Window, sentinel: tuple[int, str]) -> Window | None:
        wider = [quantum for quantum in QUANTA if quantum > self.quantum]
        if not wider:
            return None
        self.quantum, self.widened = wider[0], True
        if self.quantum > self.overlap:
            # Windows were split too finely for such edges: all over again, in one piece.
            self.edges_hold = False
            self.overlap = self.quantum
            return Window()
        start = sentinel[0] - sentinel[0] % self.quantum
        if self.order == "oldest":
            return Window(lo=start - MILLISECOND, hi=window.hi, sentinel=sentinel)
        return Window(lo=window.lo, hi=start + self.quantum, sentinel=sentinel)

    async def _ask_for_more(self, window: Window, page: Page, why: str) -> list[Window]:
        """The ways out where windows of time do not help: finer windows, a count that tells, a larger limit."""
        finer = resolution(page.results)
        if finer < self.quantum and not self.widened:
            self.quantum, self.widened = max(finer, MICROSECOND), True
            return [Window(lo=window.lo, hi=window.hi)]
        shown = len(page.results)
        if not self.reader.count_tells and shown > 1:
            # Asked for one pin a service may count more than that: then it does not count the page.
            await self.reader.ask(window.lo, window.hi, 1)
        if self.reader.is_all(page):
            return []
        if self.asked_for_more and self.reader.limit <= LIMIT:
            raise StuckError(why)
        limit = _above(max(page.count, 10 * LIMIT if page.count <= shown else 0))
        if limit <= self.reader.limit:
            raise StuckError(why)
        self.asked_for_more = True
        try:
            larger = await self.reader.ask(window.lo, window.hi, limit)
        except (RejectedError, ServerFaultError):
            raise StuckError(why) from None
        if len(larger.results) <= max(shown, LIMIT):
            raise StuckError(why)
        self.reader.limit = limit
        if larger.count == len(larger.results) < limit:
            self.at_once = window.is_whole
            return []
        self.reader.cap = max(self.reader.cap, len(larger.results))
        return [Window(lo=window.lo, hi=window.hi)]


def _above(count: int) -> int:
    """A limit that leaves room for what is added meanwhile."""
    return min(count + count // 10 + 100, LARGEST_LIMIT)
