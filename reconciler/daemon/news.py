"""What is new at a service: pins that were created since the last look, in any status.

One request, however many pins the account holds. Deleted pins and pins that turned are not new; whoever lists all of
the account sees them. `created` is the service's own time and is compared with nothing but itself.
"""

from collections.abc import Iterable

from msgspec import Struct

from reconciler.core.instant import MICROSECOND, MILLISECOND, SECOND, format_instant, parse_instant
from reconciler.core.model import STATUSES, PinStatus, Remote
from reconciler.core.profile import Profile
from reconciler.services.protocol import PinningService, Query

PAGE = 1000
#: Replies and listings round differently: two seconds cover every way that was seen.
OVERLAP = 2 * SECOND
#: A page that shows pins older than asked for by more than this comes from a service that ignores `after`.
IGNORED = 3600 * SECOND


class Fresh(Struct, frozen=True, kw_only=True):
    """`pins` were not known. `all_seen`: whether there are no more of them."""

    pins: tuple[PinStatus, ...] = ()
    all_seen: bool = True


class News:
    """The watermark of one service, and the pins at its edge that are known already."""

    def __init__(self, profile: Profile, *, works: bool = True) -> None:
        self._overlap = max(OVERLAP, 2 * profile.precision_ms * MILLISECOND)
        self._mark: int | None = None
        #: Whether a look has found where the account's newest pin is: a listing tells of ours alone.
        self._primed = False
        #: Requestid → name and instant, of pins at the edge and of those that we made.
        self._known: dict[str, tuple[str, int]] = {}
        #: Whether the service tells what is new; where it does not, only listings do.
        self.works = works

    def listed(self, remotes: Iterable[Remote]) -> None:
        """All of the account was listed; of it, these were kept."""
        seen = [(p, _instant(p.created)) for p in remotes]
        newest = max((at for _, at in seen if at is not None), default=None)
        self._mark = max((m for m in (newest, self._mark) if m is not None), default=None)
        if self._mark is not None:
            edge = self._mark - self._overlap
            self._known |= {
                p.requestid: (p.listed_name, at) for p, at in seen if at is not None and at >= edge
            }

    def made(self, requestid: str, name: str) -> None:
        """We made this pin, so that it is no news."""
        self._known[requestid] = (name, self._mark or 0)

    async def look(self, service: PinningService) -> Fresh:
        """Raises ServiceError."""
        if not self.works:
            return Fresh()
        edge = None if self._mark is None else self._mark - self._overlap
        after = (
            None
            if edge is None
            else format_instant(max(edge, 0), MICROSECOND if edge % MILLISECOND else MILLISECOND)
        )
        page = await service.pins(Query(status=STATUSES, after=after, limit=PAGE))
        dated = [(pin, _instant(pin.created)) for pin in page.results]
        instants = [at for _, at in dated if at is not None]
        if edge is not None and instants and min(instants) < edge - IGNORED:
            self.works = False
            return Fresh()
        first, before = self._mark is None, self._mark
        fresh = tuple(p for p, at in dated if self._is_new(p, at))
        self._mark = max([*instants, *([self._mark] if self._mark is not None else [])], default=None)
        self._remember(dated)
        whole = page.count <= len(page.results) < PAGE
        if before is not None and instants and instants == sorted(instants, reverse=True):
            # The newest first: what the page does not show is older than what was seen before.
            whole = whole or instants[-1] <= before
        # The first look only finds the edge: what lies between it and ours was there when all was listed.
        primed, self._primed = self._primed, True
        return Fresh() if first else Fresh(pins=fresh, all_seen=whole or not primed)

    def _is_new(self, pin: PinStatus, at: int | None) -> bool:
        known = self._known.get(pin.requestid)
        return at is not None and (known is None or known[0] != (pin.pin.name or ""))

    def _remember(self, dated: list[tuple[PinStatus, int | None]]) -> None:
        assert self._mark is not None or not dated
        edge = (self._mark or 0) - self._overlap
        self._known.update({p.requestid: (p.pin.name or "", at) for p, at in dated if at is not None})
        self._known = {rid: known for rid, known in self._known.items() if known[1] >= edge}


def _instant(created: str) -> int | None:
    try:
        return parse_instant(created)
    except ValueError:
        return None
