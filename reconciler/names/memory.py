"""The best record seen of each name.

Anybody can serve an older record, which its owner did sign and which is valid to its end. Whoever has seen a newer
one is not led back by it, as no node of the network would be, until the newer one has expired.
"""

from reconciler.core.ipns import IpnsName
from reconciler.core.ipns_record import Record, best
from reconciler.core.question import Resolve, Resolved

#: A name that led elsewhere at so many looks in a row changes more often than it is asked.
RESTLESS = 5


class Memory:
    """Held by whoever asks more than once: a loop."""

    def __init__(self) -> None:
        self._records: dict[IpnsName, Record] = {}
        self._answers: dict[Resolve, tuple[float, Resolved]] = {}
        self._moves: dict[Resolve, int] = {}

    def answer(self, question: Resolve, *, within: float, now: float) -> Resolved | None:
        """The last answer, if it is no older than `within` seconds at `now` (of a clock that only goes on)."""
        at, answer = self._answers.get(question, (0.0, None))
        return answer if answer is not None and now - at < within else None

    def answered(self, question: Resolve, answer: Resolved, *, now: float) -> int:
        """Keeps an answer. How many times in a row it has been another than the one before."""
        before = self._answers.get(question)
        self._answers[question] = (now, answer)
        moved = before is not None and before[1].cid != answer.cid
        self._moves[question] = self._moves.get(question, 0) + 1 if moved else 0
        return self._moves[question]

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
