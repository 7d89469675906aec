"""Live pins for `ls`: the API's filters, applied again here, over a listing that is whole or says that it is not.

A service is asked with filters only where its profile says that they are obeyed and one page holds the answer;
everything else is a complete listing, filtered on our side.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from reconciler.core.cid import CidError, canonical
from reconciler.core.instant import parse_instant
from reconciler.core.model import STATUSES, PinStatus
from reconciler.core.profile import Profile
from reconciler.services.protocol import Match, PinningService, Query

#: What one page is asked for, the most that API v1.0.0 allows.
PAGE = 1000
#: CIDs in one query at most (API v1.0.0).
_MAX_CIDS = 10


class Wanted(Struct, frozen=True, kw_only=True):
    """What to show. CIDs are canonical, instants in nanoseconds, exclusive as in the API; empty means any."""

    cids: frozenset[str] = frozenset()
    cid_texts: tuple[str, ...] = ()
    name: str | None = None
    match: Match = "exact"
    statuses: tuple[str, ...] = STATUSES
    before: int | None = None
    after: int | None = None
    meta: dict[str, str] = {}
    limit: int | None = None

    def fits(self, pin: PinStatus) -> bool:
        if pin.status not in self.statuses:
            return False
        if self.cids and _canonical(pin.pin.cid) not in self.cids:
            return False
        if self.name is not None and not _name_fits(pin.pin.name or "", self.name, self.match):
            return False
        if any((pin.pin.meta or {}).get(key) != value for key, value in self.meta.items()):
            return False
        return self._in_time(pin.created)

    def _in_time(self, created: str) -> bool:
        if self.before is None and self.after is None:
            return True
        try:
            instant = parse_instant(created)
        except ValueError:
            return False
        return (self.before is None or instant < self.before) and (self.after is None or instant > self.after)


class Told(Struct, frozen=True, kw_only=True):
    """How a listing ended: `shown` pins, and `why` it is not whole ("" if it is)."""

    shown: int
    why: str = ""


class _EnoughError(Exception):
    """Enough has been shown."""


async def live(
    service: PinningService, profile: Profile, wanted: Wanted, show: Callable[[Sequence[PinStatus]], bool]
) -> Told:
    """Give every pin that fits to `show`, page by page; it returns False when nobody listens any more.

    Raises ServiceError if nothing could be read.
    """
    from reconciler.services.listing import sweep

    shown = 0

    def sink(pins: Sequence[PinStatus]) -> None:
        nonlocal shown
        fitting = [pin for pin in pins if wanted.fits(pin)]
        if wanted.limit is not None:
            fitting = fitting[: wanted.limit - shown]
        shown += len(fitting)
        if (fitting and not show(fitting)) or shown == wanted.limit:
            raise _EnoughError

    why = ""
    try:
        if (page := await _one_page(service, profile, wanted)) is not None:
            sink(page)
        else:
            why = (await sweep(service, profile, sink)).why
    except* _EnoughError:
        pass
    return Told(shown=shown, why=why)


async def _one_page(service: PinningService, profile: Profile, wanted: Wanted) -> Sequence[PinStatus] | None:
    """The answer to one query with filters, or None if it would not be sure to be all of it."""
    trusted = profile.filters
    by_cid = bool(wanted.cids) and "cid" in trusted and len(wanted.cid_texts) <= _MAX_CIDS
    by_name = wanted.name is not None and wanted.match == "exact" and "name" in trusted
    few = wanted.limit is not None and wanted.limit <= PAGE
    plain = not (wanted.cids or wanted.name or wanted.meta or wanted.before or wanted.after)
    if not (by_cid or by_name or (few and plain and "status" in trusted)):
        return None
    query = Query(
        cid=wanted.cid_texts if by_cid else (),
        name=wanted.name if by_name else None,
        match="exact" if by_name else None,
        status=wanted.statuses,
        limit=PAGE if by_cid or by_name else wanted.limit,
    )
    page = await service.pins(query)
    whole = len(page.results) < PAGE and page.count <= len(page.results)
    return page.results if whole or (few and plain) else None


def _canonical(cid: str) -> str:
    try:
        return canonical(cid)
    except CidError:
        return cid


def _name_fits(name: str, wanted: str, match: Match) -> bool:
    if match in ("iexact", "ipartial"):
        name, wanted = name.casefold(), wanted.casefold()
    return name == wanted if match in ("exact", "iexact") else wanted in name
