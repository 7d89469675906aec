"""What a page of a listing tells about time: its ends, its order, and how finely it is stamped."""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from reconciler.core.instant import MICROSECOND, MILLISECOND, SECOND, parse_instant
from reconciler.core.model import PinStatus

MINUTE: Final = 60 * SECOND
_LENGTH_OF_MILLISECONDS: Final = len("2026-01-01T00:00:00.000Z")


class View(Struct, frozen=True, kw_only=True):
    """Instants in ns. `order` is None where all pins have one instant, which fits every order."""

    newest: int
    newest_id: str
    oldest: int
    oldest_id: str
    order: Literal["newest", "oldest", "unsorted"] | None


def view(results: Sequence[PinStatus]) -> View | None:
    """The view of a page; None if not one `created` of it can be read."""
    texts = [pin.created for pin in results]
    if len(set(map(len, texts))) != 1 or {text[-1:] for text in texts} != {"Z"}:
        return _view_of_any(results)
    # All of one shape and in UTC: the texts sort as the instants do, and only the ends are parsed.
    down = sorted(texts, reverse=True)
    try:
        newest, oldest = parse_instant(down[0]), parse_instant(down[-1])
    except ValueError:
        return _view_of_any(results)
    order: Literal["newest", "oldest", "unsorted"] | None
    if down == texts:
        order = None if newest == oldest else "newest"
        newest_at, oldest_at = 0, len(texts) - 1
    else:
        down.reverse()
        order = "oldest" if down == texts else "unsorted"
        newest_at, oldest_at = texts.index(down[-1]), texts.index(down[0])
    return View(
        newest=newest,
        newest_id=results[newest_at].requestid,
        oldest=oldest,
        oldest_id=results[oldest_at].requestid,
        order=order,
    )


def _view_of_any(results: Sequence[PinStatus]) -> View | None:
    """The same from parsed instants: offsets, and fractions of varying length. Unreadable ones are passed over."""
    dated: list[tuple[int, str]] = []
    for pin in results:
        try:
            dated.append((parse_instant(pin.created), pin.requestid))
        except ValueError:
            continue
    if not dated:
        return None
    instants = [instant for instant, _ in dated]
    up = sorted(instants)
    newest, oldest = max(dated), min(dated)
    order: Literal["newest", "oldest", "unsorted"] | None = "unsorted"
    if up[0] == up[-1]:
        order = None
    elif instants == up[::-1]:
        order = "newest"
    elif instants == up:
        order = "oldest"
    return View(newest=newest[0], newest_id=newest[1], oldest=oldest[0], oldest_id=oldest[1], order=order)


def resolution(results: Sequence[PinStatus]) -> int:
    """The coarsest of 1 s, 1 ms, 1 us that all `created` of a page are multiples of."""
    found = SECOND
    for pin in results:
        try:
            instant = parse_instant(pin.created)
        except ValueError:
            continue
        if instant % MILLISECOND:
            return MICROSECOND
        if instant % SECOND:
            if len(pin.created) <= _LENGTH_OF_MILLISECONDS:
                return MILLISECOND
            found = MILLISECOND
    return found
