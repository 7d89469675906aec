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

Where none of this leads to an end the listing is incomplete, and says why.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from msgspec import Struct

from reconciler.core.errors import AuthError, FundsError, RejectedError, ServerFaultError, ServiceError
from reconciler.core.instant import MICROSECOND, MILLISECOND, SECOND, format_instant, parse_instant
from reconciler.core.manifest import Limits
from reconciler.core.model import STATUSES, PinStatus
from reconciler.core.profile import Profile
from reconciler.services.protocol import Page, PinningService, Query
from reconciler.services.view import MINUTE, View, resolution, view

LIMIT: Final = 1000
#: No page of this size or less is taken for the largest that a service gives: it is the API's default.
SMALLEST_CAP: Final = 10
LARGEST_LIMIT: Final = 50_000
CONCURRENCY: Final = 16
#: Quanta that `before` and `after` are known to be cut to.
QUANTA: Final = (MILLISECOND, SECOND, MINUTE)
#: Windows are asked for at once where the machine idles at least this long (s) for a page.
WORTH_WAITING: Final = 0.008
CATCH_UPS: Final = 10
#: Requests in a row that may bring nothing new.
PATIENCE: Final = 200
#: Requests a second below which every one counts more than waiting for it.
SLOW_RATE: Final = 20.0

Sink = Callable[[Sequence[PinStatus]], None]


class Sweep(Struct, frozen=True, kw_only=True):
    """`seen`: pins given to the sink. `why`: one clause, "" if `complete`. `skew` as in `Page`."""

    complete: bool
    why: str = ""
    seen: int = 0
    requests: int = 0
    skew: float | None = None


class _StuckError(Exception):
    """The listing cannot be finished; the text says why."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Window:
    """The pins created after `lo` and before `hi` (ns; None is open) that are still to be read.

    `sentinel`: instant and id of a known pin that the next page must show again. `left`: how many pins are still
    to come, where it is known; `per_pin`: ns between two of them, as estimated from the last page.
    """

    lo: int | None = None
    hi: int | None = None
    sentinel: tuple[int, str] | None = None
    left: int | None = None
    per_pin: float = 0.0


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
    return await _Sweeper(service, profile, sink, concurrency).run()


class _Sweeper:
    def __init__(self, service: PinningService, profile: Profile, sink: Sink, concurrency: int) -> None:
        self.service = service
        self.profile = profile
        self.sink = sink
        self.concurrency = max(1, concurrency)
        self.seen: set[str] = set()
        self.requests = 0
        self.skew: float | None = None
        # What has been learned of the service on the way.
        self.limit = LIMIT
        self.cap = SMALLEST_CAP
        self.quantum = 0
        self.widened = False
        self.order: Literal["newest", "oldest", "unsorted"] = "newest"
        self.count_tells = False
        self.count_is_total = profile.count == "total"
        self.at_once = False
        self.edges_hold = True
        self.edges_tried = False
        self.overlap = MINUTE
        self.asked_for_more = False
        self.barren = 0
        self.parallel = False

    async def run(self) -> Sweep:
        try:
            await self._run()
        except _StuckError as stuck:
            return self._result(str(stuck))
        except (AuthError, FundsError):
            raise
        except ServiceError as error:
            if not self.seen:
                raise
            return self._result(error.message)
        return self._result("")

    def _result(self, why: str) -> Sweep:
        return Sweep(complete=not why, why=why, seen=len(self.seen), requests=self.requests, skew=self.skew)

    async def _run(self) -> None:
        first = await self._first()
        if not first.results:
            if first.count > 0:
                raise _StuckError(f"it counts {first.count} pins and lists none")
            return
        if self._is_all(first):
            return
        ends = view(first.results)
        if ends is None:
            raise _StuckError("its `created` cannot be read, so there is no second page")
        self.quantum = max(resolution(first.results), MILLISECOND)
        seen_at_first = len(self.seen)
        whole = _Window()
        if self.profile.large_limit and first.count > len(first.results):
            self.limit = _above(first.count)
            await self._walk([whole])
        else:
            await self._walk(await self._judge(whole, first, len(first.results), whole.lo))
        # A walk upwards ends at what is newest; what was added on the way has been passed. And a last page that
        # holds the whole account leaves nothing out.
        if len(self.seen) > seen_at_first and self.order != "oldest" and not self.at_once:
            await self._catch_up(ends.newest)
        await self._settle(first.count)

    async def _first(self) -> Page:
        """The first page; with a smaller limit, or none, where 1000 is refused."""
        for limit in (LIMIT, 100):
            try:
                return await self._ask(None, None, limit)
            except RejectedError as error:
                if error.status not in (400, 422):
                    raise
                refused = error
            self.limit = 100 if limit == LIMIT else 0
        try:
            return await self._ask(None, None, 0)
        except RejectedError:
            raise refused from None

    async def _catch_up(self, newest: int) -> None:
        for _ in range(CATCH_UPS):
            before = len(self.seen)
            start = newest - newest % self.quantum - MILLISECOND
            await self._walk([_Window(lo=start)])
            if len(self.seen) == before:
                return
        raise _StuckError("pins are added faster than they can be listed")

    async def _settle(self, counted: int) -> None:
        """The sum check. Fewer than were counted at first is right only if pins were deleted meanwhile."""
        if not self.count_is_total or len(self.seen) >= counted:
            return
        now = (await self._ask(None, None, 1)).count
        if len(self.seen) < now:
            raise _StuckError(f"it counts {now} pins and listed {len(self.seen)}")

    # --- one request --------------------------------------------------------------------------------------

    async def _ask(self, lo: int | None, hi: int | None, limit: int) -> Page:
        self.requests += 1
        waited, worked = time.perf_counter(), time.process_time()
        page = await self.service.pins(
            Query(
                status=STATUSES,
                limit=limit or None,
                before=None if hi is None else _edge(hi),
                after=None if lo is None else _edge(lo),
            )
        )
        worked = time.process_time() - worked
        waited = time.perf_counter() - waited - worked
        self.parallel = self.parallel or waited > max(WORTH_WAITING, worked / 2)
        if page.skew is not None:
            self.skew = page.skew
        shown = len(page.results)
        self.count_tells = self.count_tells or page.count > shown > 0
        self.count_is_total = self.count_is_total or (page.count > shown + 1 and shown > 0)
        self._take(page.results)
        return page

    def _take(self, results: Sequence[PinStatus]) -> None:
        ids = {pin.requestid for pin in results}
        fresh = ids - self.seen
        if not fresh:
            self.barren += 1
            if self.barren > PATIENCE:
                raise _StuckError(f"{PATIENCE} pages in a row brought nothing new")
            return
        self.barren = 0
        if len(fresh) == len(results):
            self.seen |= ids
            self.sink(results)
            return
        new = []
        for pin in results:
            if pin.requestid not in self.seen:
                self.seen.add(pin.requestid)
                new.append(pin)
        self.sink(new)

    def _is_all(self, page: Page) -> bool:
        """Whether `page` is all that its window holds."""
        shown = len(page.results)
        if page.count != shown:
            return shown == 0
        if self.count_tells or shown < self.cap:
            return True
        # What a profile says is believed short of a full page, where a count of the page would say the same.
        return self.profile.count in ("total", "plus1") and shown < (self.limit or SMALLEST_CAP)

    # --- windows ------------------------------------------------------------------------------------------

    async def _walk(self, windows: list[_Window]) -> None:
        """Reads windows and what becomes of them to the end, several at once where waiting is what takes time."""
        queue = windows
        flying: dict[asyncio.Task[list[_Window]], _Window] = {}
        try:
            while queue or flying:
                wanted = self.concurrency if self.parallel else 1
                if wanted == 1 and not flying:
                    queue += await self._step(queue.pop())
                    continue
                while len(flying) < wanted and (queue or self._split(queue, list(flying.values()))):
                    window = queue.pop()
                    flying[asyncio.create_task(self._step(window))] = window
                    if not queue:
                        self._split(queue, list(flying.values()))
                done, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del flying[task]
                    queue += task.result()
        finally:
            for task in flying:
                task.cancel()
            await asyncio.gather(*flying, return_exceptions=True)

    def _split(self, queue: list[_Window], flying: list[_Window]) -> bool:
        """Puts the older half of the longest window into the queue; False if none is worth a request more."""
        page = self.cap
        candidates = [w for w in flying if w.left is not None and w.left > 2 * page and w.hi is not None]
        if not candidates or not self.edges_hold or self.order != "newest":
            return False
        window = max(candidates, key=lambda w: w.left or 0)
        assert window.left is not None
        assert window.hi is not None
        kept = page + (window.left - page) // 2
        middle = window.hi - int(kept * window.per_pin)
        if window.lo is not None and middle <= window.lo:
            middle = (window.lo + window.hi) // 2
        span = window.left * window.per_pin
        overlap = max(self._overlap(span), SECOND)
        if span < 20 * overlap or (window.lo is not None and middle - overlap <= window.lo + overlap):
            return False
        self.overlap = min(self.overlap, overlap)
        older = _Window(lo=window.lo, hi=middle + overlap, left=window.left - kept, per_pin=window.per_pin)
        window.lo, window.left = middle - overlap, kept
        queue.append(older)
        return True

    def _overlap(self, span: float) -> int:
        """How far the halves of a window of `span` ns reach into each other: enough for edges cut to seconds,
        or to minutes where that is little of the whole."""
        return max(self.quantum, min(MINUTE, int(span / 1000) // SECOND * SECOND))

    async def _step(self, window: _Window) -> list[_Window]:
        lo = window.lo
        page = await self._ask(lo, window.hi, self.limit)
        return await self._judge(window, page, len(page.results), lo)

    async def _judge(self, window: _Window, page: Page, shown: int, lo: int | None) -> list[_Window]:
        """What is left of `window` after `page`, which was asked for from `lo` (since then it may have shrunk)."""
        if window.sentinel and not await self._is_continued(window, page):
            return [self._widen(window, window.sentinel)]
        if not page.results or self._is_all(page):
            self.at_once = lo is None and window.hi is None
            return []
        ends = view(page.results)
        if ends is None:
            raise _StuckError("its `created` cannot be read, so there is no next page")
        self.cap = max(self.cap, shown)
        if ends.order:
            self.order = ends.order
        if self._is_outside(window, ends, lo):
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

    async def _down(self, window: _Window, page: Page, ends: View, lo: int | None) -> list[_Window]:
        shown = len(page.results)
        if window.lo is not None and ends.oldest < window.lo:
            return []
        left = None
        if self.count_is_total:
            # A window that was split on the way is no longer what `count` is about.
            left = page.count - shown if window.lo == lo else max(0, (window.left or 0) - shown)
        per_pin = (ends.newest - ends.oldest) / shown
        start = ends.oldest - ends.oldest % self.quantum
        hi = start + self.quantum
        if window.hi is None or hi < window.hi:
            sentinel = (ends.oldest, ends.oldest_id)
            return [_Window(lo=window.lo, hi=hi, sentinel=sentinel, left=left, per_pin=per_pin)]
        # The page lies in one quantum, the last of the window.
        if shown >= self.cap:
            return await self._ask_for_more(window, page, "more pins than a page were created at one instant")
        hi = start if start < window.hi else window.hi - self.quantum
        return [] if window.lo is not None and hi <= window.lo else [_Window(lo=window.lo, hi=hi)]

    async def _up(self, window: _Window, page: Page, ends: View) -> list[_Window]:
        """The mirror image, for services that give the oldest first."""
        if window.hi is not None and ends.newest > window.hi:
            return []
        start = ends.newest - ends.newest % self.quantum
        lo = start - MILLISECOND
        if window.lo is None or lo > window.lo:
            return [_Window(lo=lo, hi=window.hi, sentinel=(ends.newest, ends.newest_id))]
        if len(page.results) >= self.cap:
            return await self._ask_for_more(window, page, "more pins than a page were created at one instant")
        lo = max(start + self.quantum - MILLISECOND, window.lo + MILLISECOND)
        return [] if window.hi is not None and lo >= window.hi else [_Window(lo=lo, hi=window.hi)]

    async def _halve(self, window: _Window, page: Page, ends: View) -> list[_Window]:
        if not self.edges_tried and self.quantum < SECOND:
            self.edges_tried = True
            await self._try_edges(page)
        overlap = max(self._overlap(ends.newest - ends.oldest), MILLISECOND)
        middle = (ends.newest + ends.oldest) // 2
        middle -= middle % self.quantum
        lower, upper = middle + overlap, middle - overlap
        splits = ends.newest - ends.oldest > 2 * overlap
        shrinks = (window.hi is None or lower < window.hi) and (window.lo is None or upper > window.lo)
        if not (splits and shrinks and self.edges_hold):
            return await self._ask_for_more(window, page, "more pins than an unsorted page at one instant")
        return [_Window(lo=window.lo, hi=lower), _Window(lo=upper, hi=window.hi)]

    # --- doubts -------------------------------------------------------------------------------------------

    async def _is_continued(self, window: _Window, page: Page) -> bool:
        """Whether the page begins where the last one ended."""
        assert window.sentinel is not None
        instant, requestid = window.sentinel
        if (window.lo is not None and instant <= window.lo) or (
            window.hi is not None and instant >= window.hi
        ):
            return True
        return any(pin.requestid == requestid for pin in page.results) or await self._is_gone(requestid)

    async def _is_gone(self, requestid: str) -> bool:
        self.requests += 1
        return await self.service.get(requestid) is None

    async def _try_edges(self, page: Page) -> None:
        """Without an order there is no sentinel: asks for the millisecond of one known pin instead."""
        for pin in page.results:
            try:
                instant = parse_instant(pin.created)
            except ValueError:
                continue
            if instant % SECOND >= 2 * MILLISECOND:
                lo = instant - instant % MILLISECOND - MILLISECOND
                shown = await self._ask(lo, lo + 2 * MILLISECOND, self.limit)
                if not any(p.requestid == pin.requestid for p in shown.results) and not await self._is_gone(
                    pin.requestid
                ):
                    self.quantum, self.widened = SECOND, True
                return

    def _widen(self, window: _Window, sentinel: tuple[int, str]) -> _Window:
        wider = [quantum for quantum in QUANTA if quantum > self.quantum]
        if not wider:
            raise _StuckError("a pin that is there does not come again at the edge of its page")
        self.quantum, self.widened = wider[0], True
        if self.quantum > self.overlap:
            # Windows were split too finely for such edges: all over again, in one piece.
            self.edges_hold = False
            self.overlap = self.quantum
            return _Window()
        start = sentinel[0] - sentinel[0] % self.quantum
        if self.order == "oldest":
            return _Window(lo=start - MILLISECOND, hi=window.hi, sentinel=sentinel)
        return _Window(lo=window.lo, hi=start + self.quantum, sentinel=sentinel)

    def _is_outside(self, window: _Window, ends: View, lo: int | None) -> bool:
        """Whether a page shows pins far outside of what was asked for."""
        return (window.hi is not None and ends.newest >= window.hi + MINUTE) or (
            lo is not None and ends.oldest <= lo - MINUTE
        )

    async def _ask_for_more(self, window: _Window, page: Page, why: str) -> list[_Window]:
        """The ways out where windows of time do not help: finer windows, a count that tells, a larger limit."""
        finer = resolution(page.results)
        if finer < self.quantum and not self.widened:
            self.quantum, self.widened = max(finer, MICROSECOND), True
            return [_Window(lo=window.lo, hi=window.hi)]
        shown = len(page.results)
        if not self.count_tells and shown > 1:
            # Asked for one pin a service may count more than that: then it does not count the page.
            await self._ask(window.lo, window.hi, 1)
        if self._is_all(page):
            return []
        if self.asked_for_more and self.limit <= LIMIT:
            raise _StuckError(why)
        limit = _above(max(page.count, 10 * LIMIT if page.count <= shown else 0))
        if limit <= self.limit:
            raise _StuckError(why)
        self.asked_for_more = True
        try:
            larger = await self._ask(window.lo, window.hi, limit)
        except (RejectedError, ServerFaultError):
            raise _StuckError(why) from None
        if len(larger.results) <= max(shown, LIMIT):
            raise _StuckError(why)
        self.limit = limit
        if larger.count == len(larger.results) < limit:
            self.at_once = window.lo is None and window.hi is None
            return []
        self.cap = max(self.cap, len(larger.results))
        return [_Window(lo=window.lo, hi=window.hi)]


def _above(count: int) -> int:
    """A limit that leaves room for what is added meanwhile."""
    return min(count + count // 10 + 100, LARGEST_LIMIT)


def _edge(instant: int) -> str:
    return format_instant(max(instant, 0), MILLISECOND if instant % MILLISECOND == 0 else MICROSECOND)
