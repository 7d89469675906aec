"""The throw-away pins of one run: made, followed, and taken away again whatever happens.

Every pin is noted before its request is sent. What was answered is deleted by its id; what was not is looked for.
Nothing is deleted that does not say itself, read again right before, that it is of this run.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

from reconciler.core.cid import CidError, canonical
from reconciler.core.errors import RejectedError, ServiceError
from reconciler.core.model import FAILED, PINNED, STATUSES, PinRequest, PinStatus
from reconciler.core.profile import Profile
from reconciler.services.client import HttpPinningService
from reconciler.services.examination import Leftover
from reconciler.services.probes import throwaway
from reconciler.services.protocol import Query
from reconciler.services.tape import Reply, Tape

#: Throw-away pins at a time.
MOST: Final = 15
#: Seconds between two looks at a pin, first and longest.
POLL: Final = (0.1, 1.0)
#: Ways a delete may be asked for again before a pin is told as left.
ATTEMPTS: Final = 3
#: CIDs in one query, as the API allows.
_CIDS: Final = 10


class Bench:
    """`given` are CIDs of content that the service can find, each used once."""

    def __init__(
        self, service: HttpPinningService, tape: Tape, profile: Profile, *, given: Sequence[str] = ()
    ) -> None:
        self.service = service
        self.tape = tape
        self.profile = profile
        self.run = throwaway.new_run()
        #: pins that were answered and not deleted, by requestid
        self.pins: dict[str, PinStatus] = {}
        #: (name, CID) of requests of which no answer was seen
        self.unanswered: list[tuple[str, str]] = []
        self.cids: set[str] = set()
        #: whether CIDs that carry their content are pinned here; None: not tried
        self.inline: bool | None = None
        #: the longest that a pin took until it was pinned
        self.slowest = 0.0
        self._given = list(given)
        self._number = 0

    # --- content ------------------------------------------------------------------------------------------------

    def number(self) -> int:
        self._number += 1
        assert self._number < throwaway.NUMBERS, "a run needs no more CIDs than that"
        return self._number

    def unfindable(self) -> str:
        return throwaway.unfindable(self.run, self.number())

    def pinnable(self) -> str:
        """A CID that this service is most likely to pin: of its own content, else given, else of none."""
        if self.inline is not False:
            return throwaway.inline(self.run, self.number())
        return self._given.pop(0) if self._given else self.unfindable()

    # --- requests -----------------------------------------------------------------------------------------------

    async def ask(self, query: Query) -> Reply:
        return await self.tape.ask(query)

    async def everything(self) -> Reply:
        """A thousand pins in all statuses: the newest, if the service sorts."""
        return await self.tape.ask(Query(status=STATUSES, limit=1000))

    def request(self, cid: str, label: str, *, named: bool = True) -> PinRequest:
        meta = throwaway.meta_of(self.run, label)
        if not named:
            return PinRequest(cid=cid, meta=meta)
        return PinRequest(cid=cid, name=throwaway.name_of(self.run, label), meta=meta)

    async def add(self, cid: str, label: str, *, named: bool = True) -> PinStatus:
        """POST /pins. Raises ServiceError."""
        assert len(self.pins) < MOST, "too many throw-away pins at a time"
        note = self._noted(cid, label)
        answer = await self.service.add(self.request(cid, label, named=named))
        self.unanswered.remove(note)
        self.pins[answer.requestid] = answer
        return answer

    async def replace(self, requestid: str, cid: str, label: str) -> PinStatus | None:
        """POST /pins/{requestid}. Raises ServiceError."""
        note = self._noted(cid, label)
        answer = await self.service.replace(requestid, self.request(cid, label))
        self.unanswered.remove(note)
        if answer is not None:
            self.pins[answer.requestid] = answer
        return answer

    def _noted(self, cid: str, label: str) -> tuple[str, str]:
        note = throwaway.name_of(self.run, label), cid
        self.unanswered.append(note)
        with contextlib.suppress(CidError):
            self.cids.add(canonical(cid))
        return note

    async def get(self, requestid: str) -> PinStatus | None:
        return await self.service.get(requestid)

    async def settled(self, requestid: str, patience: float) -> PinStatus | None:
        """The pin when it is pinned or failed, or as it is after `patience` seconds; None if it is gone."""
        clock = asyncio.get_running_loop().time
        began, wait = clock(), POLL[0]
        while True:
            pin = await self.get(requestid)
            if pin is None or pin.status in (PINNED, FAILED):
                if pin is not None and pin.status == PINNED:
                    self.slowest = max(self.slowest, clock() - began)
                return pin
            if clock() - began + wait > patience:
                return pin
            await asyncio.sleep(wait)
            wait = min(2 * wait, POLL[1])

    # --- taking away --------------------------------------------------------------------------------------------

    def is_ours(self, pin: PinStatus) -> bool:
        """Whether a pin, read just now, is one that this run made."""
        if throwaway.claims(pin, self.run):
            return True
        # Neither name nor meta came back: an id that we were given, with a CID that only we have sent.
        return pin.requestid in self.pins and not pin.pin.name and self._sent(pin)

    def _sent(self, pin: PinStatus) -> bool:
        try:
            return canonical(pin.pin.cid) in self.cids
        except CidError:
            return any(pin.pin.cid == cid for _, cid in self.unanswered)

    async def drop(self, requestid: str) -> None:
        """Delete one pin of ours. Raises ServiceError."""
        pin = await self.get(requestid)
        if pin is not None and (self.is_ours(pin) or self._named_by_itself(pin)):
            await self.service.delete(requestid)
        self.pins.pop(requestid, None)

    def _named_by_itself(self, pin: PinStatus) -> bool:
        """A service that puts the CID where no name was sent, and drops meta."""
        return pin.requestid in self.pins and pin.pin.name == pin.pin.cid and self._sent(pin)

    async def clear(self) -> list[Leftover]:
        """Delete all that this run made, also what it was not told of, and look whether it is gone."""
        left: dict[str, Leftover] = {}
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(2.0**attempt)
            left = await self._clear()
            if not left:
                break
        return list(left.values())

    async def _clear(self) -> dict[str, Leftover]:
        left: dict[str, Leftover] = {}
        there, blind = await self._there()
        for requestid in {*self.pins, *there}:
            known = self.pins.get(requestid)
            name = (known.pin.name if known else "") or ""
            try:
                await self.drop(requestid)
                stays = await self.get(requestid)
            except ServiceError as error:
                left[requestid] = Leftover(requestid=requestid, name=name, why=error.message)
            else:
                if stays is not None and self.is_ours(stays):
                    why = "it is still there after it was deleted"
                    left[requestid] = Leftover(requestid=requestid, name=name, why=why)
        if blind:
            for name, _ in self.unanswered:
                left[name] = Leftover(requestid="", name=name, why=f"it may be there: {blind}")
        return left

    async def _there(self) -> tuple[set[str], str]:
        """Pins of this run as the service lists them, and why that may not be all: by CID, and by name where an
        answer is missing."""
        found: set[str] = set()
        blind = ""
        cids = sorted(self.cids)
        asked: list[Query] = [
            Query(cid=tuple(cids[i : i + _CIDS]), status=STATUSES, limit=100)
            for i in range(0, len(cids), _CIDS)
        ]
        asked += [Query(name=name, match="exact", status=STATUSES, limit=100) for name, _ in self.unanswered]
        if cids:
            # The newest page too: it holds what was just made, whatever the filters are worth.
            asked.append(Query(status=STATUSES, limit=1000))
        for query in asked:
            try:
                page = await self.service.pins(query)
            except RejectedError:  # a filter that is not had here
                continue
            except ServiceError as error:
                blind = error.message
            else:
                found.update(pin.requestid for pin in self.of_this_run(page.results))
        return found, blind

    def of_this_run(self, pins: Iterable[PinStatus]) -> list[PinStatus]:
        return [pin for pin in pins if throwaway.claims(pin, self.run)]
