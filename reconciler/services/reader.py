"""An account being read: asks for pages, passes on what is new, and learns what `count` and `limit` mean here."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from reconciler.core.instant import MICROSECOND, MILLISECOND, format_instant
from reconciler.core.model import STATUSES, PinStatus
from reconciler.core.profile import Profile
from reconciler.services.protocol import Page, PinningService, Query

LIMIT: Final = 1000
#: No page of fewer pins is taken for the largest that a service gives: it is the API's default.
SMALLEST_CAP: Final = 10
#: Windows are asked for at once where the machine idles at least this long (s) for a page.
WORTH_WAITING: Final = 0.008
#: Requests in a row that may bring nothing new.
PATIENCE: Final = 200

Sink = Callable[[Sequence[PinStatus]], None]


class StuckError(Exception):
    """The listing cannot be finished; the text says why."""


class Reader:
    def __init__(self, service: PinningService, profile: Profile, sink: Sink) -> None:
        self.service = service
        self.profile = profile
        self.sink = sink
        self.seen: set[str] = set()
        self.requests = 0
        self.skew: float | None = None
        self.absent = False
        #: What is asked for, and the largest page that was not the last of its window.
        self.limit = LIMIT
        self.cap = SMALLEST_CAP
        #: Whether `count` has exceeded a page, so that it would tell if there were more.
        self.count_tells = False
        self.count_is_total = profile.count == "total"
        #: Whether waiting for an answer takes longer than reading it.
        self.parallel = False
        self._barren = 0

    async def ask(self, lo: int | None, hi: int | None, limit: int) -> Page:
        """The pins created after `lo` and before `hi`; `limit` 0 sends none. Raises ServiceError, StuckError."""
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
        self.absent = self.absent or page.absent
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
            self._barren += 1
            if self._barren > PATIENCE:
                raise StuckError(f"{PATIENCE} pages in a row brought nothing new")
            return
        self._barren = 0
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

    def is_all(self, page: Page) -> bool:
        """Whether `page` is all that its window holds."""
        shown = len(page.results)
        if page.count != shown:
            return shown == 0
        if self.count_tells or shown < self.cap:
            return True
        # What a profile says is believed short of a full page, where a count of the page would say the same.
        return self.profile.count in ("total", "plus1") and shown < (self.limit or SMALLEST_CAP)

    def rests_on_profile(self, page: Page) -> bool:
        """Whether only the profile says that `page` is all: a cap on pages that counts the page looks the same.

        Caps are round numbers, so pages of other lengths are believed.
        """
        shown = len(page.results)
        if self.count_tells or shown < self.cap:
            return False
        return shown % 10 == 0 or shown % 25 == 0 or shown & (shown - 1) == 0

    def distrust_count(self) -> None:
        """The profile is wrong about `count`: what it says is not used any more."""
        self.profile = replace(self.profile, count="unknown")
        self.count_is_total = False

    async def is_gone(self, requestid: str) -> bool:
        self.requests += 1
        return await self.service.get(requestid) is None


def _edge(instant: int) -> str:
    return format_instant(max(instant, 0), MILLISECOND if instant % MILLISECOND == 0 else MICROSECOND)
