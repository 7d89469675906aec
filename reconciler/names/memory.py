"""The best record seen of each name.

Anybody can serve an older record, which its owner did sign and which is valid to its end. Whoever has seen a newer
one is not led back by it, as no node of the network would be, until the newer one has expired.
"""

from reconciler.core.ipns import IpnsName
from reconciler.core.ipns_record import Record, best


class Memory:
    """Held by whoever asks more than once: a loop."""

    def __init__(self) -> None:
        self._records: dict[IpnsName, Record] = {}

    def best(self, name: IpnsName, found: list[Record], now: int) -> Record | None:
        """The record to go by at `now` (ns since 1970): the best of those found and the one remembered that have not
        expired; None if all have, or if none was found now: what was seen is no answer of today's."""
        if not found:
            return None
        seen = self._records.get(name)
        valid = [r for r in (*found, *((seen,) if seen is not None else ())) if not r.expired(now)]
        chosen = best(valid)
        if chosen is not None:
            self._records[name] = chosen
        return chosen
