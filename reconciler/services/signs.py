"""What a listing shows of the service it is read from, held against the profile the service is declared with."""

from collections.abc import Sequence
from typing import Final, Literal

from reconciler.core.instant import MILLISECOND
from reconciler.core.learned import (
    COUNT,
    EDGES,
    ID_IS_CID,
    LARGE_LIMIT,
    LIMIT,
    ORDER,
    PRECISION_MS,
    SEEN,
    Contradiction,
)
from reconciler.core.model import PinStatus
from reconciler.core.profile import Profile
from reconciler.services.view import View, resolution

#: Of fewer pins on a page nothing is concluded about order and precision: a few are in any order by chance.
ENOUGH: Final = 4
#: Pages of which `count` was one more than they showed, before that is taken for what it counts.
PLUS_ONES: Final = 2

Order = Literal["newest", "oldest", "unsorted"]


class Signs:
    """Noted while an account is read. "", 0 and None: nothing was seen that says anything."""

    def __init__(self) -> None:
        self.count = ""
        self.order = ""
        self.edges = ""
        self.precision_ms = 0
        #: The longest page that was cut although more was asked for.
        self.cut_at = 0
        self.large_limit: bool | None = None
        self.id_is_cid = False
        self._plus_ones = 0
        self._more = False

    def page(
        self, results: Sequence[PinStatus], count: int, *, hi: int | None, limit: int, ends: View
    ) -> None:
        """A page that was asked for with this `before` (ns, None: none) and `limit` (0: none)."""
        shown = len(results)
        if count > shown and shown < limit:
            self.cut_at = max(self.cut_at, shown)
        self._more = self._more or count > shown + 1
        self._plus_ones += count == shown + 1
        if self._plus_ones >= PLUS_ONES and not self._more:
            self.count = "plus1"
        if shown >= ENOUGH:
            self._order(ends)
            if ends.newest != ends.oldest:
                self.precision_ms = max(resolution(results) // MILLISECOND, 1)
            self.id_is_cid = all(pin.requestid == pin.pin.cid for pin in results)
        # A pin beyond the edge says that the page is not what was asked for, and nothing of the edge.
        if hi is not None and ends.newest == hi:
            self.edges = "inclusive"

    def _order(self, ends: View) -> None:
        if ends.order and self.order != "unsorted":
            self.order = ends.order if self.order in ("", ends.order) else "unsorted"

    def counts_the_page(self) -> None:
        """Asked for one pin of many it counted one."""
        self.count = "page"

    def against(self, profile: Profile) -> tuple[Contradiction, ...]:
        """What of `profile` is not so. What nobody has measured, or declared, cannot be contradicted."""
        found = []
        for fact, said, seen in (
            (COUNT, profile.count, self.count),
            (ORDER, profile.order, self.order),
            (EDGES, profile.edges, self.edges),
        ):
            # A page without an order may well look as if it had one.
            if seen and said not in ("unknown", "unsorted", seen):
                found.append(Contradiction(fact=fact, said=said, seen=seen))
        if profile.precision_ms and self.precision_ms > profile.precision_ms:
            found.append(
                Contradiction(fact=PRECISION_MS, said=str(profile.precision_ms), seen=str(self.precision_ms))
            )
        if profile.name != "unknown" and 0 < self.cut_at < profile.limit:
            found.append(Contradiction(fact=LIMIT, said=str(profile.limit), seen=str(self.cut_at)))
        if profile.large_limit and self.large_limit is False:
            found.append(Contradiction(fact=LARGE_LIMIT, said="true", seen="false"))
        if profile.second_add == "new" and self.id_is_cid:
            found.append(Contradiction(fact=ID_IS_CID, said="false", seen=SEEN))
        return tuple(found)
