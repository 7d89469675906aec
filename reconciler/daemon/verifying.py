"""Whether pins are really there, looked at slowly beside everything else: `loop: {verify: {interval, pins}}`.

Each time some pins of each service, those that nobody has looked at for longest, one after another. What was found is
in the journal, where every plan finds it: what is unretrievable is no copy for the guard of last copies.
"""

import asyncio
import secrets
from collections import Counter
from contextlib import suppress
from datetime import datetime

from reconciler.core.errors import PinrecError
from reconciler.core.learned import place_of
from reconciler.core.manifest import LoopVerify
from reconciler.core.verified import Target, Verified
from reconciler.daemon.shared import Shared
from reconciler.engine.journal import Journal
from reconciler.engine.verify_pins import next_to_verify, open_verifier, remember

#: Seconds after the start, or after a look that found nothing listed yet.
SOON = 30.0


class Verifying:
    """The looks of one loop. Without a journal there are none: nobody would know what was looked at."""

    def __init__(self, shared: Shared, *, soon: float = SOON) -> None:
        self._shared = shared
        self._soon = soon
        self._pace: LoopVerify | None = None
        self._task: asyncio.Task[None] | None = None

    def take(self, pace: LoopVerify | None) -> None:
        """How often and how much from now on; None for never."""
        if pace == self._pace:
            return
        self._pace = pace
        if self._task is not None:
            self._task.cancel()
            self._task = None
        journal = self._shared.given.journal
        if pace is None:
            return
        if journal is None:
            self._shared.given.log("warning", "verify", error="there is no journal, so nothing is verified")
            return
        self._task = asyncio.create_task(self._run(pace, journal), name="verify")

    async def end(self) -> None:
        """What is being looked at is given up: it is looked at first the next time."""
        task, self._task, self._pace = self._task, None, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, pace: LoopVerify, journal: Journal) -> None:
        given = self._shared.given
        wait = self._soon
        try:
            if (last := self._last(journal)) is not None:
                wait = max(wait, pace.interval - (given.now() - last).total_seconds())
        except PinrecError as error:
            given.log("warning", "verify", error=str(error))
        while not given.stop.is_set():
            await self._shared.context().pause(wait)
            wait = self._soon
            if given.stop.is_set() or not self._shared.holdings:
                continue
            wait = pace.interval
            try:
                await self._look(pace, journal)
            except PinrecError as error:
                given.log("warning", "verify", error=str(error))
            except Exception as error:  # noqa: BLE001  # the one place where a look ends: the loop goes on
                given.log("error", "verify", error=f"internal error: {type(error).__name__}: {error}")

    def _last(self, journal: Journal) -> datetime | None:
        head = self._shared.kept.head
        looks = [
            at
            for service in head.services.values()
            for at in journal.looked_at(head.owner, service.name, place=place_of(service.endpoint)).values()
        ]
        return max(looks, default=None)

    async def _look(self, pace: LoopVerify, journal: Journal) -> None:
        shared, given = self._shared, self._shared.given
        head = shared.kept.head
        counts: Counter[str] = Counter()
        seed = secrets.randbelow(2**31)
        targets = self._next(pace, journal)
        async with open_verifier(head, shared.context(), below=pace.sample, seed=seed) as verifier:
            for target in targets:
                if given.stop.is_set():
                    break
                found = await verifier.one(target)
                counts[found.verdict] += 1
                remember(journal, head.owner, head.services[found.service], found, given.now())
                self._tell(found)
        if targets:
            told = {verdict.replace("-", "_"): n for verdict, n in sorted(counts.items())}
            given.log("info", "verify", pins=counts.total(), **told)

    def _next(self, pace: LoopVerify, journal: Journal) -> list[Target]:
        shared = self._shared
        head = shared.kept.head
        targets: list[Target] = []
        for name, service in head.services.items():
            holding = shared.holdings.get(name)
            if holding is not None and not shared.paused.covers(name):
                pins = holding.whole().remotes
                targets += next_to_verify(journal, head.owner, service, pins, most=pace.pins)
        shared.tidy()
        return targets

    def _tell(self, found: Verified) -> None:
        lie = found.verdict == "unretrievable"
        self._shared.given.log(
            "warning" if lie else "debug",
            "verify",
            service=found.service,
            name=found.name,
            verdict=found.verdict,
            why=found.why,
        )
