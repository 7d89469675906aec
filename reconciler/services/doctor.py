"""What a service really does, found out with throw-away pins, which are gone when it is over.

1.  clear up what an earlier run left
2.  add a few pins, of content that the CID itself carries where the service takes that
3.  list and filter them; read what came back of them
4.  add a CID a second time; replace with the same CID, with another, with what is none
5.  take everything away again, and look

The steps are separate: one that cannot be finished says why its fields are not known, and the next one goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from reconciler import __version__
from reconciler.core.cid import CidError, parse
from reconciler.core.errors import ServiceError
from reconciler.core.instant import SECOND, parse_instant
from reconciler.core.learned import Value
from reconciler.core.manifest import Service
from reconciler.core.model import PINNED, PinStatus
from reconciler.core.presets import PRESETS
from reconciler.core.profile import PROFILES, Profile
from reconciler.services.examination import FIELDS, Examination, Finding, Leftover, Notes
from reconciler.services.leftovers import clean_up
from reconciler.services.lookup import look_up
from reconciler.services.meanings import meaning
from reconciler.services.probes import adds, echo, filters, listing, manners, replaces
from reconciler.services.probes.bench import Bench
from reconciler.services.tape import Taped

#: Pins that a listing is judged by, and how many are added before time is let pass.
PINS: Final = 8
GROUP: Final = 3
#: Of these so many are of content that nobody has: some pin that is not pinned must be there.
UNFINDABLE: Final = 2
#: Seconds until the next pins, so that they are stamped otherwise where seconds are whole.
NEXT_SECOND: Final = 1.05
#: Seconds that taking the pins away may take, whatever else.
CLEARING: Final = 60.0


class Doctor:
    """One examination. `known` are runs of this machine that were begun and are not at work any more.

    `began` is called with the id of the run before its first pin is made.
    """

    def __init__(
        self,
        service: Service,
        taped: Taped,
        *,
        cids: Sequence[str] = (),
        read_only: bool = False,
        known: Collection[str] = (),
        began: Callable[[str], None] = lambda _run: None,
        say: Callable[[str], None] = lambda _text: None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.service = service
        self.taped = taped
        self.cids = cids
        self.read_only = read_only
        self.known = known
        self.began = began
        self.say = say
        self.sleep = sleep
        self.notes = Notes()
        self.bench = Bench(taped.service, taped.tape, service.profile)
        self.cleaned = 0
        self.left: list[Leftover] = []

    async def examine(self, *, timeout: float, stop: asyncio.Event) -> Examination:
        """Raises ServiceError if nothing can be found out at all: not reached, or the key is refused.

        After `timeout` seconds, or when `stop` is set, what was found so far is the result; the pins are taken
        away in any case.
        """
        clock = asyncio.get_running_loop().time
        start = clock()
        stopped = ""
        work = asyncio.ensure_future(self._probe())
        waiter = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((work, waiter), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                stopped = "interrupted" if stop.is_set() else f"not done within {timeout:g} s (--timeout)"
        finally:
            waiter.cancel()
            work.cancel()
            await asyncio.gather(work, waiter, return_exceptions=True)
            await self._clear()
        if not work.cancelled() and (error := work.exception()) is not None:
            told = self.notes.values or self.left
            if not isinstance(error, ServiceError) or not told:
                raise error
            stopped = stopped or error.message
        self.notes.missed(FIELDS, self._why_not(stopped))
        manners.summary(self.taped.tape, self.notes)
        return Examination(
            pinrec=__version__,
            service=self.service.name,
            date=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            preset=self.service.preset,
            read_only=self.read_only,
            findings=findings(self.service, self.notes),
            observations=tuple(dict.fromkeys(self.notes.observations)),
            stopped=stopped,
            cleaned=self.cleaned,
            leftovers=tuple(self.left),
            requests=self.taped.tape.requests + self.taped.stranger.requests,
            seconds=round(clock() - start, 1),
        )

    def _why_not(self, stopped: str) -> str:
        if stopped:
            return f"not probed: {stopped}"
        return "reading alone does not tell" if self.read_only else "not probed"

    # --- the steps ------------------------------------------------------------------------------------------------

    async def _probe(self) -> None:
        if self.read_only:
            await listing.probe(self.bench, self.notes)
            await manners.probe(self.taped, self.notes, read_only=True)
            return
        self.say("looking for what an earlier run left")
        cleaned = await clean_up(self.taped.service, self.service.profile, known=self.known)
        self.cleaned = cleaned.removed
        self.left.extend(cleaned.left)
        if cleaned.elsewhere:
            self.notes.saw(
                "leftovers",
                f"{cleaned.elsewhere} throw-away pins of another run are younger than ten minutes: it may be at work "
                "elsewhere, so they are left alone",
            )
        await self._choose()
        self.began(self.bench.run)
        self.say("adding throw-away pins")
        pins = await self._add()
        if pins:
            await self._step(echo.FIELDS, echo.probe(self.bench, self.notes, pins[0], _label(0)))
            self.say("listing and filtering them")
        await self._step(listing.FIELDS, listing.probe(self.bench, self.notes))
        await self._step(filters.FIELDS, filters.probe(self.bench, self.notes, pins))
        for pin in pins:
            await self._step((), self.bench.drop(pin.requestid))
        if pins:
            self.say("adding a CID a second time, and replacing")
            await self._step((), echo.spellings(self.bench, self.notes))
            await self._step((), echo.unnamed(self.bench, self.notes))
            await self._step(adds.FIELDS, adds.probe(self.bench, self.notes))
            await self._step(("sameCidReplace",), replaces.same_cid(self.bench, self.notes))
            await self._step(("modify",), replaces.other_cid(self.bench, self.notes))
        nobody = self.bench.unfindable() if self.notes.value("idIsCid") else manners.NOBODY
        await manners.probe(self.taped, self.notes, nobody=nobody, read_only=False)

    async def _step(self, fields: Sequence[str], step: Awaitable[None]) -> None:
        """A probe that fails leaves its fields unknown; what is about the service as a whole ends all."""
        try:
            await step
        except ServiceError as error:
            self.notes.missed(fields, error.message.removeprefix(f"{self.service.name}: "))
            if error.ends_lane:
                raise

    async def _choose(self) -> None:
        """Content that was given and is there already is nobody's to probe with."""
        free = []
        for text in self.cids:
            cid = parse(text)
            looked = await look_up(self.taped.service, self.service.profile, cid)
            if looked.pins or not looked.complete:
                why = "is there already" if looked.pins else "may be there already"
                self.notes.saw("--cid", f"{text} {why}, so it is not used")
            else:
                free.append(text)
        self.bench = Bench(self.taped.service, self.taped.tape, self.service.profile, given=free)

    async def _add(self) -> list[PinStatus]:
        """The pins that the listing is judged by, in groups that whole seconds tell apart."""
        pins: list[PinStatus] = []
        in_seconds = await self._try_inline(pins)
        while len(pins) < PINS:
            if len(pins) % GROUP == 0 and in_seconds:
                await self.sleep(NEXT_SECOND)
            n = len(pins)
            findable = n < PINS - UNFINDABLE and self.bench.inline
            cid = self.bench.pinnable() if findable else self.bench.unfindable()
            try:
                pins.append(await self.bench.add(cid, _label(n)))
            except ServiceError as error:
                if error.ends_lane and not pins:
                    raise
                self.notes.saw("add", f"pin {n + 1} was refused: {error.message}", ok=False)
                break
        return pins

    async def _try_inline(self, pins: list[PinStatus]) -> bool:
        """The first pin, of content that its CID carries; where that is refused or not pinned, of other content.

        Returns whether it is stamped with a whole second, as it is read: the answer to an add may say more.
        """
        try:
            first = await self.bench.add(self.bench.pinnable(), _label(0))
        except ServiceError as error:
            if error.ends_lane:
                raise
            self.bench.inline = False
            self.notes.saw(
                "CID", f"CIDs that carry their content (identity) are refused: HTTP {error.status}"
            )
            first = await self.bench.add(self.bench.unfindable(), _label(0))
            settled = await self.bench.get(first.requestid)
        else:
            settled = await self.bench.settled(first.requestid, adds.PATIENCE)
            self.bench.inline = settled is not None and settled.status == PINNED
            if not self.bench.inline:
                status = settled.status if settled else "gone"
                self.notes.saw("CID", f"CIDs that carry their content (identity) are {status}, not pinned")
        pins.append(first)
        try:
            return settled is not None and parse_instant(settled.created) % SECOND == 0
        except ValueError:
            return False

    async def _clear(self) -> None:
        """Also when the run was cancelled: only a second signal, or time, ends this."""
        if self.read_only:
            return
        self.say("taking the pins away")
        try:
            async with asyncio.timeout(CLEARING):
                self.left.extend(await self.bench.clear())
        except TimeoutError:
            self.left.extend(
                Leftover(requestid=i, name=p.pin.name or "", why="there was no time to delete it")
                for i, p in self.bench.pins.items()
            )


def findings(service: Service, notes: Notes) -> tuple[Finding, ...]:
    """Every field of the profile: as the API says, as the preset says, as it was found, and what holds."""
    spec = values(PROFILES["spec"])
    preset = values(PROFILES[PRESETS[service.preset].profile] if service.preset else Profile())
    declared = values(service.profile)
    found = []
    for field in FIELDS:
        observed, how = notes.values.get(field, (None, "not probed"))
        by_hand = field in service.profile_declared
        found.append(
            Finding(
                field=field,
                spec=spec[field],
                preset=preset[field],
                observed=observed,
                how=how,
                means=meaning(field, spec[field], observed),
                holds=declared[field] if by_hand or observed is None else observed,
                by="manifest" if by_hand else "preset" if observed is None else "doctor",
            )
        )
    return tuple(found)


def values(profile: Profile) -> dict[str, Value]:
    """The fields of a profile as a manifest names them."""
    return msgspec.convert(msgspec.to_builtins(profile), dict[str, Value])


def valid_cid(text: str) -> str:
    """`text` if it is a CID. Raises ValueError with a reason."""
    try:
        parse(text)
    except CidError as error:
        raise ValueError(str(error)) from error
    return text


def _label(number: int) -> str:
    return f"list-{number}"
