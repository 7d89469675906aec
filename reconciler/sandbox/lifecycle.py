"""How long a pin takes, and how it ends."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from reconciler.sandbox.pin import FAILED, PINNED, PINNING, QUEUED, STATUSES
from reconciler.sandbox.store import Fate

End = Literal["pinned", "failed", "pinning", "queued"]


def always_found(_cid: str) -> End:
    return "pinned"


class Lifecycle(Struct, frozen=True, kw_only=True):
    """Seconds in `queued`, then seconds in `pinning`, then the end that `ends` gives for the CID as it was sent.

    Both zero, the default: pinned at once. An end of "queued" or "pinning" means that content which cannot be
    found is looked for for ever, or until `patience` is over and it has failed. A pin's way is fixed when it is
    added, and survives a restart.
    """

    queued: float = 0
    pinning: float = 0
    ends: Callable[[str], End] = always_found
    patience: float | None = None

    def fate(self, cid: str, now: int, *, at_least_queued: bool = False) -> Fate:
        """The way of a pin that is added at `now` (microseconds since 1970)."""
        outcome = STATUSES.index(self.ends(cid))
        active = now + round(self.queued * 1_000_000)
        done = active + round(self.pinning * 1_000_000)
        if outcome in (QUEUED, PINNING) and self.patience is not None:
            done = now + round(self.patience * 1_000_000)
            if outcome == QUEUED:
                return Fate(status=QUEUED, due=done, done=done, outcome=FAILED)
            return Fate(status=QUEUED, due=min(active, done), done=done, outcome=FAILED)
        if outcome == QUEUED:
            return Fate(status=QUEUED, outcome=outcome)
        ends = outcome in (PINNED, FAILED)
        if self.queued > 0 or at_least_queued:
            return Fate(status=QUEUED, due=active, done=done if ends else None, outcome=outcome)
        if self.pinning > 0 or not ends:
            return Fate(
                status=PINNING, due=done if ends else None, done=done if ends else None, outcome=outcome
            )
        return Fate(status=outcome, outcome=outcome)
