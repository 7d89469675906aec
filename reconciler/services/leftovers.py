"""Throw-away pins of earlier examinations that were cut short, and their removal."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from reconciler.core.errors import ServiceError
from reconciler.core.instant import SECOND, parse_instant
from reconciler.core.model import STATUSES, PinStatus
from reconciler.core.profile import Profile
from reconciler.services.examination import Leftover
from reconciler.services.listing import sweep
from reconciler.services.probes import throwaway
from reconciler.services.protocol import PinningService, Query

#: Longer accounts are not read as a whole for this.
LONGEST_READ: Final = 10_000
#: Seconds for which pins of a run that this machine does not know may be of one that is at work elsewhere.
AT_WORK: Final = 600.0


class Cleaned(Struct, frozen=True, kw_only=True):
    """`elsewhere`: pins left alone, since another examination may be making them just now."""

    removed: int = 0
    left: tuple[Leftover, ...] = ()
    elsewhere: int = 0


class _TooLongError(Exception):
    pass


async def clean_up(
    service: PinningService, profile: Profile, *, known: Collection[str], now: float | None = None
) -> Cleaned:
    """Delete what earlier runs left. `known` are runs that this machine began and nobody works at any more.

    Raises ServiceError if the account cannot be read.
    """
    removed, elsewhere, left = 0, 0, []
    for pin in await _leftovers(service, profile):
        run = throwaway.run_of(pin)
        if run not in known and _is_fresh(pin, datetime.now(UTC).timestamp() if now is None else now):
            elsewhere += 1
            continue
        try:
            again = await service.get(pin.requestid)
            if again is None:
                continue
            if throwaway.run_of(again) != run:
                continue
            await service.delete(pin.requestid)
            removed += 1
        except ServiceError as error:
            left.append(Leftover(requestid=pin.requestid, name=pin.pin.name or "", why=error.message))
    return Cleaned(removed=removed, left=tuple(left), elsewhere=elsewhere)


def _is_fresh(pin: PinStatus, now: float) -> bool:
    try:
        age = now - parse_instant(pin.created) / SECOND
    except ValueError:
        return False
    return -AT_WORK < age < AT_WORK


async def _leftovers(service: PinningService, profile: Profile) -> list[PinStatus]:
    found: dict[str, PinStatus] = {}
    read = 0

    def keep(pins: Sequence[PinStatus]) -> None:
        found.update((pin.requestid, pin) for pin in pins if throwaway.run_of(pin) is not None)

    def sink(pins: Sequence[PinStatus]) -> None:
        nonlocal read
        keep(pins)
        read += len(pins)
        if read > LONGEST_READ:
            raise _TooLongError

    try:
        await sweep(service, profile, sink, concurrency=1)
    except _TooLongError:
        # By its beginning, where that is obeyed; a filter that is not shows the newest pins, which is as good.
        page = await service.pins(Query(name=throwaway.ROOT, match="partial", status=STATUSES, limit=1000))
        keep(page.results)
    return list(found.values())
