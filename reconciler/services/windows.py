"""Windows of time, and how a page of one leads to the next: pure, no request is made here.

Every step overlaps what has been read, by a quantum of the service's time stamps at least.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from reconciler.core.instant import MILLISECOND, SECOND
from reconciler.services.view import MINUTE, View

#: A window is only split where its halves overlap in at most a twentieth of it.
SPLIT_AT_LEAST: Final = 20


@dataclass(slots=True, kw_only=True, eq=False)
class Window:
    """The pins created after `lo` and before `hi` (ns; None is open) that are still to be read.

    `sentinel`: instant and id of a known pin that the next page must show again. `left`: how many pins are still
    to come, where it is known; `per_pin`: ns between two of them, as estimated from the last page.
    """

    lo: int | None = None
    hi: int | None = None
    sentinel: tuple[int, str] | None = None
    left: int | None = None
    per_pin: float = 0.0

    @property
    def is_whole(self) -> bool:
        return self.lo is None and self.hi is None

    def holds(self, instant: int) -> bool:
        return (self.lo is None or instant > self.lo) and (self.hi is None or instant < self.hi)


def overlap(span: float, quantum: int) -> int:
    """How far the halves of a window of `span` ns reach into each other (ns): enough for edges that are cut to
    seconds, or to minutes, where that is little of the whole."""
    return max(quantum, min(MINUTE, int(span / 1000) // SECOND * SECOND))


def shows_others(window: Window, ends: View, lo: int | None) -> bool:
    """Whether a page, asked for from `lo`, shows pins far outside of `window`."""
    return (window.hi is not None and ends.newest >= window.hi + MINUTE) or (
        lo is not None and ends.oldest <= lo - MINUTE
    )


def below(window: Window, ends: View, quantum: int) -> Window | None:
    """What is left under a page of the newest; None if the page lies in the last quantum of `window`."""
    hi = ends.oldest - ends.oldest % quantum + quantum
    if window.hi is not None and hi >= window.hi:
        return None
    return Window(lo=window.lo, hi=hi, sentinel=(ends.oldest, ends.oldest_id))


def past_oldest(window: Window, ends: View, quantum: int) -> list[Window]:
    """What is left under the quantum of the oldest, once all of that quantum is known."""
    hi = ends.oldest - ends.oldest % quantum
    if window.hi is not None and hi >= window.hi:
        hi = window.hi - quantum
    return [] if window.lo is not None and hi <= window.lo else [Window(lo=window.lo, hi=hi)]


def above(window: Window, ends: View, quantum: int) -> Window | None:
    """What is left over a page of the oldest; None if the page lies in the first quantum of `window`."""
    lo = ends.newest - ends.newest % quantum - MILLISECOND
    if window.lo is not None and lo <= window.lo:
        return None
    return Window(lo=lo, hi=window.hi, sentinel=(ends.newest, ends.newest_id))


def past_newest(window: Window, ends: View, quantum: int) -> list[Window]:
    """What is left over the quantum of the newest, once all of that quantum is known."""
    lo = ends.newest - ends.newest % quantum + quantum - MILLISECOND
    if window.lo is not None and lo <= window.lo:
        lo = window.lo + quantum
    return [] if window.hi is not None and lo >= window.hi else [Window(lo=lo, hi=window.hi)]


def halves(window: Window, ends: View, quantum: int) -> list[Window]:
    """The two halves of what a page without order shows; none if they would be no smaller than `window`."""
    span = ends.newest - ends.oldest
    reach = overlap(span, quantum)
    middle = (ends.newest + ends.oldest) // 2
    middle -= middle % quantum
    lower, upper = middle + reach, middle - reach
    shrink = (window.hi is None or lower < window.hi) and (window.lo is None or upper > window.lo)
    if span <= 2 * reach or not shrink:
        return []
    return [Window(lo=window.lo, hi=lower), Window(lo=upper, hi=window.hi)]


def split(flying: Iterable[Window], page: int, quantum: int) -> tuple[Window, int] | None:
    """Takes the older half off the longest window that is being read, for a worker that has nothing to do.

    Returns it and its overlap; None if no window has more than two pages left, so that a split would only cost a
    request. The window itself shrinks; the page that is on its way for it may show more than it needs.
    """
    window = max(flying, key=lambda w: w.left or 0, default=None)
    if window is None or window.left is None or window.hi is None or window.left <= 2 * page:
        return None
    kept = page + (window.left - page) // 2
    middle = window.hi - int(kept * window.per_pin)
    if window.lo is not None and middle <= window.lo:
        middle = (window.lo + window.hi) // 2
    span = window.left * window.per_pin
    reach = max(overlap(span, quantum), SECOND)
    if span < SPLIT_AT_LEAST * reach or (window.lo is not None and middle - reach <= window.lo + reach):
        return None
    older = Window(lo=window.lo, hi=middle + reach, left=window.left - kept, per_pin=window.per_pin)
    window.lo, window.left = middle - reach, kept
    return older, reach
