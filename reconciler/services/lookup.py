"""Finding the pins of one CID, or of one name, right before or after a request that depends on it.

The filters of the API are a help and no proof: services ignore `cid` (Helia's server, Scaleway), compare it as
text, or break `match`. So what comes back is filtered here again, by canonical CID and exact name, and anything
in it that was not asked for shows that the filter was ignored. Then the account is read, if it is not too long.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from reconciler.core.cid import Cid, CidError, canonical, spellings
from reconciler.core.model import STATUSES, PinStatus
from reconciler.core.profile import Profile
from reconciler.services.listing import sweep
from reconciler.services.protocol import Page, PinningService, Query
from reconciler.services.reader import SMALLEST_CAP

LIMIT: Final = 100
#: Longer accounts are not read for one pin: 20 pages.
LONGEST_READ: Final = 20_000


class LookUp(Struct, frozen=True, kw_only=True):
    """`pins` hold the CID or the name asked for. Absence is evidence only if `complete`."""

    pins: tuple[PinStatus, ...]
    complete: bool


class _TooLongError(Exception):
    pass


async def look_up(service: PinningService, profile: Profile, cid: Cid, name: str | None = None) -> LookUp:
    """Pins in any status with `cid` in any spelling, or listed under exactly `name`. Raises ServiceError.

    An empty answer is taken for an obeyed filter: a service that ignores it shows the other pins of the account.
    """
    found = _Found(cid, name)
    asked = [Query(cid=spellings(cid), status=STATUSES, limit=LIMIT)]
    if name is not None:
        asked.append(Query(name=name, match="exact", status=STATUSES, limit=LIMIT))
    whole = True
    for query in asked:
        page = await service.pins(query)
        strangers = found.keep(page.results)
        if strangers and profile.count == "total" and page.count == len(page.results):
            # The filter is ignored, and the page is the whole account: nothing more to ask.
            return found.result(complete=True)
        whole = whole and not strangers and _is_all(page, profile)
    return found.result(complete=True) if whole else await _read(service, profile, found)


async def _read(service: PinningService, profile: Profile, found: "_Found") -> LookUp:
    read = 0

    def sink(pins: Sequence[PinStatus]) -> None:
        nonlocal read
        found.keep(pins)
        read += len(pins)
        if read > LONGEST_READ:
            raise _TooLongError

    try:
        result = await sweep(service, profile, sink, concurrency=1)
    except _TooLongError:
        return found.result(complete=False)
    return found.result(complete=result.complete)


def _is_all(page: Page, profile: Profile) -> bool:
    """Whether a filtered page holds all that match, by the same doubts about `count` as in a listing."""
    shown = len(page.results)
    if page.count > shown:
        return False
    return shown < SMALLEST_CAP or (profile.count in ("total", "plus1") and shown < LIMIT)


class _Found:
    """The pins that match, each once, as they were seen last."""

    def __init__(self, cid: Cid, name: str | None) -> None:
        self._cid = cid.canonical
        self._spellings = frozenset(spellings(cid))
        self._name = name
        self._pins: dict[str, PinStatus] = {}

    def keep(self, pins: Sequence[PinStatus]) -> int:
        """Keeps what matches; returns how many did not."""
        matching = [pin for pin in pins if self._has_name(pin.pin.name) or self._has_cid(pin.pin.cid)]
        self._pins.update((pin.requestid, pin) for pin in matching)
        return len(pins) - len(matching)

    def _has_name(self, name: str | None) -> bool:
        return self._name is not None and name == self._name

    def _has_cid(self, text: str) -> bool:
        if text in self._spellings:
            return True
        try:
            return canonical(text) == self._cid
        except CidError:
            return False

    def result(self, *, complete: bool) -> LookUp:
        return LookUp(pins=tuple(self._pins.values()), complete=complete)
