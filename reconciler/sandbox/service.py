"""What the service does with pins: the API's five operations over a store, with the habits of a personality."""

import base64
from collections.abc import Callable
from uuid import uuid4

import msgspec
from msgspec import Struct

from reconciler.core import cid as cids
from reconciler.sandbox import listing
from reconciler.sandbox.content import Content
from reconciler.sandbox.echo import Echo
from reconciler.sandbox.failure import FailureError, bad_request, not_found
from reconciler.sandbox.faults import Happen
from reconciler.sandbox.fetching import Fetcher
from reconciler.sandbox.lifecycle import End, Lifecycle
from reconciler.sandbox.personality import STEPS, Personality
from reconciler.sandbox.pin import (
    FAILED,
    PINNED,
    PINNING,
    QUEUED,
    STATUSES,
    Pin,
    compared,
    spelled,
)
from reconciler.sandbox.query import Query
from reconciler.sandbox.store import Fate, Row, Store


class _Returning(Struct, frozen=True):
    """A pin that comes back at `at` if it was deleted."""

    at: int
    account: int
    row: Row


class _Awaited(Struct, frozen=True):
    """A pin whose content is not here. It is pinned at `soonest` at the earliest, and given up after `latest`."""

    pin: Pin
    soonest: int
    latest: int | None


#: Microseconds after which what is awaited is tried again though nothing seems to have changed.
_RETRY = 1_000_000


class Service:
    """Operations return the JSON to answer with, and raise FailureError. Each is one transaction.

    `clock` gives seconds since 1970; pins turn when it passes their time, seen at the next operation.
    """

    def __init__(
        self,
        store: Store,
        habits: Personality,
        lifecycle: Lifecycle,
        clock: Callable[[], float],
        fetcher: Fetcher | None = None,
        content: Content | None = None,
    ) -> None:
        self._store = store
        self._habits = habits
        self._lifecycle = lifecycle
        self._clock = clock
        self._fetcher = fetcher
        self.content = content or Content(habits.serves)
        self._echo = Echo(habits, fetcher.peer.addresses if fetcher else ())
        self._awaited: dict[tuple[int, str], _Awaited] = {}
        self._tried: tuple[tuple[int, int], int] = ((-1, -1), 0)
        self._turn = 0
        self._returning: list[_Returning] = []
        # Where `created` is not unique, microseconds that are not shown keep pins apart.
        self._step = STEPS[habits.precision] if habits.unique else 1
        if fetcher:
            for account, created, requestid, pin in store.pending():
                self._await(account, requestid, pin, created)

    def pins(self, account: int, query: Query) -> bytes:
        now = self._now()
        self._turn += 1
        if self._habits.visible_after:
            seen = now - round(self._habits.visible_after * 1_000_000)
            query = msgspec.structs.replace(query, until=min(query.until, seen))
        page = listing.answer(self._store, account, query, self._habits, self._turn)
        if self._habits.empty_list == "404" and page.endswith(b'"results":[]}'):
            raise not_found("There are no pins", shape=self._habits.missing_errors)
        return self._echo.page(page)

    def allowance(self) -> dict[str, str]:
        """Headers of a limit that nobody comes to: how much is left jumps, as it does where many nodes answer."""
        now = int(self._clock())
        return {
            "X-RateLimit-Limit": "30",
            "X-RateLimit-Remaining": str(29 - self._turn * 11 % 29),
            "X-RateLimit-Reset": str(now + 60 - now % 60),
        }

    def get(self, account: int, requestid: str) -> bytes:
        self._now()
        return self._echo.one(self._find(account, requestid).answer)

    def add(self, account: int, pin: Pin | None) -> bytes:
        if pin is None:
            return self._without_cid()
        self._check_origins(pin)
        with self._store.transaction():
            row = self._add(account, self._kept(pin), self._now())
            return self._written(row, pin)

    def replace(self, account: int, requestid: str, pin: Pin | None) -> bytes:
        """The answer; b"" where the service gives none."""
        habits = self._habits
        if habits.replace == "refused":
            raise FailureError(501, "NOT_IMPLEMENTED", "Pins cannot be replaced here")
        if pin is None:
            return self._without_cid()
        self._check_origins(pin)
        if habits.strange_id == "pins":
            self._pin_strangely(account, requestid, pin)
        with self._store.transaction():
            row = self._replace(account, requestid, pin, self._now())
            return b"" if habits.replace_body == "empty" else self._written(row, pin)

    def delete(self, account: int, requestid: str) -> None:
        if self._habits.strange_id == "pins":
            self._check_id(requestid)
        if not self._store.delete(account, requestid) and self._habits.missing_delete >= 300:
            raise FailureError(
                self._habits.missing_delete,
                "NOT_FOUND",
                f"There is no pin with requestid {requestid[:120]!r}",
                shape=self._habits.missing_errors,
            )

    def happen(self, event: Happen, account: int, requestid: str) -> None:
        """What nobody asked for, to the pin named or, without a name, to one that is pinned."""
        with self._store.transaction():
            now = self._now()
            self._turn += 1
            requestid = requestid or self._store.some_pinned(account, self._turn)
            until = now + round(event.seconds * 1_000_000)
            match event.what:
                case "fails":
                    self._store.turn(account, requestid, FAILED)
                case "seems-failed":
                    self._store.turn(account, requestid, FAILED, until=until)
                case "returns":
                    row = self._store.find(account, requestid)
                    if row is not None:
                        self._returning.append(_Returning(until, account, row))

    def tick(self) -> None:
        """What happens without a request: awaited content comes."""
        if self._awaited:
            self._now()

    # ----------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        now = int(self._clock() * 1_000_000)
        if self._awaited:
            self._collect(now)
        self._store.advance(now)
        if self._returning and min(r.at for r in self._returning) <= now:
            self._bring_back([r for r in self._returning if r.at <= now])
            self._returning = [r for r in self._returning if r.at > now]
        return now

    def _await(self, account: int, requestid: str, pin: Pin, created: int) -> None:
        lifecycle = self._lifecycle
        self._awaited[account, requestid] = _Awaited(
            pin,
            created + round((lifecycle.queued + lifecycle.pinning) * 1_000_000),
            None if lifecycle.patience is None else created + round(lifecycle.patience * 1_000_000),
        )

    def _collect(self, now: int) -> None:
        """Turns those whose content has come. Fetching goes on as long as the pin is there, and is not given up."""
        assert self._fetcher is not None
        stamp, last = self._fetcher.stamp(), self._tried[1]
        due = any(last < awaited.soonest <= now for awaited in self._awaited.values())
        if stamp == self._tried[0] and not due and 0 <= now - last < _RETRY:
            return
        for (account, requestid), awaited in list(self._awaited.items()):
            row = self._store.find(account, requestid)
            late = awaited.latest is not None and now >= awaited.latest
            if row is None or row.status == PINNED or late:
                del self._awaited[account, requestid]
            elif self._fetcher.fetch(awaited.pin.cid, awaited.pin.origins or ()) and now >= awaited.soonest:
                self._store.turn(account, requestid, PINNED)
                del self._awaited[account, requestid]
        # Fetching adds blocks and connections itself.
        self._tried = (self._fetcher.stamp(), now)

    def _bring_back(self, due: list[_Returning]) -> None:
        for back in due:
            row = back.row
            if self._store.find(back.account, row.requestid) is None and self._store.is_free(
                back.account, row.created
            ):
                fate = Fate(status=row.status, outcome=row.status)
                self._store.insert(back.account, row.created, row.pin, fate, requestid=row.requestid)

    def _find(self, account: int, requestid: str) -> Row:
        if self._habits.strange_id == "pins":
            self._check_id(requestid)
        row = self._store.find(account, requestid)
        if row is None:
            raise not_found(
                f"There is no pin with requestid {requestid[:120]!r}", shape=self._habits.missing_errors
            )
        return row

    def _without_cid(self) -> bytes:
        if self._habits.no_cid == "200-empty":
            return b""
        raise bad_request("The body has no cid")

    def _check_origins(self, pin: Pin) -> None:
        if self._habits.origins == "refused" and pin.origins:
            raise FailureError(400, "INVALID_ORIGINS", "An origin is no address that can be reached")

    def _check_id(self, requestid: str) -> None:
        try:
            cids.parse(requestid)
        except ValueError as e:
            raise bad_request(f"error decoding requestID: invalid cid: {e}") from None

    def _pin_strangely(self, account: int, requestid: str, pin: Pin) -> None:
        """What ipfs-cluster does with an id that is no CID: says so, and goes on to pin."""
        try:
            self._check_id(requestid)
        except FailureError as error:
            error.more = self.add(account, pin) + b"\n"
            raise

    def _add(self, account: int, pin: Pin, now: int, *, fate: Fate | None = None) -> Row:
        """
        second_add   the CID is there                     the CID is new
        new          another pin                          a new pin
        overwrite    a new pin in its place, same id      a new pin
        same         that pin, unchanged                  a new pin
        stuck        another pin, queued for ever if      a new pin
                     the one there is pinned
        refused      400                                  a new pin
        """
        fate = fate or self._fate(pin, now)
        by_cid = self._habits.requestid == "cid"
        requestid = pin.cid if by_cid else ""
        if self._habits.second_add != "new":
            there = (
                self._store.find(account, pin.cid)
                if by_cid
                else self._store.newest_of_cid(account, pin.cid, text=self._habits.same_cid == "text")
            )
            if there is not None:
                match self._habits.second_add:
                    case "same":
                        return there
                    case "refused":
                        raise bad_request("This CID is pinned already")
                    case "overwrite":
                        self._store.delete(account, there.requestid)
                        requestid = there.requestid
                        if there.status == PINNED:
                            # The content is held already, whatever the answer says.
                            fate = Fate()
                    case "stuck" if there.status == PINNED:
                        fate = Fate(status=QUEUED, outcome=QUEUED)
        return self._insert(account, pin, fate, requestid, now)

    def _replace(self, account: int, requestid: str, pin: Pin, now: int) -> Row:
        kept = self._kept(pin)
        if self._habits.same_cid_replace == "loses" and requestid == kept.cid:
            # Even where there was nothing: pinned, and then the pin that was to be replaced is unpinned.
            self._store.delete(account, requestid)
            gone = self._insert(account, kept, self._fate(kept, now), requestid, now)
            self._store.delete(account, requestid)
            return gone
        old = self._find(account, requestid)
        if self._same(old.pin.cid, pin.cid):
            return self._replace_same(account, old, kept, now)
        if self._habits.replace == "edits":
            self._store.delete(account, requestid)
            return self._insert(account, kept, self._fate(kept, now), requestid, now, created=old.created)
        self._store.delete(account, requestid)
        fate = self._fate(kept, now)
        if self._habits.failed_moment:
            until = now + round(self._habits.failed_moment * 1_000_000)
            outcome = PINNING if fate.awaits else fate.outcome
            fate = Fate(status=FAILED, due=until, outcome=outcome, awaits=fate.awaits)
        if self._habits.replace == "loses":
            kept = msgspec.structs.replace(kept, meta=old.pin.meta, origins=None)
            if not self._habits.failed_moment:
                fate = self._fate(pin, now, at_least_queued=True)
        return self._add(account, kept, now, fate=fate)

    def _replace_same(self, account: int, old: Row, pin: Pin, now: int) -> Row:
        match self._habits.same_cid_replace:
            case "newId":
                self._store.delete(account, old.requestid)
                requestid = pin.cid if self._habits.requestid == "cid" else ""
                return self._insert(account, pin, self._fate(pin, now), requestid, now)
            case "inPlace":
                pin = Pin(
                    cid=old.pin.cid,
                    name=old.pin.name if pin.name is None else pin.name,
                    origins=old.pin.origins if pin.origins is None else pin.origins,
                    meta=old.pin.meta if pin.meta is None else pin.meta,
                )
                return self._store.edit(account, old, pin)
            case "loses":
                queued = self._store.edit(account, old, pin, status=QUEUED)
                self._store.delete(account, old.requestid)
                return queued

    def _fate(self, pin: Pin, now: int, *, at_least_queued: bool = False) -> Fate:
        if self._habits.starts == "by-name":
            for status in (PINNING, PINNED, FAILED):
                if (pin.name or "").startswith(f"{STATUSES[status]}-"):
                    return Fate(status=status, outcome=status)
            return Fate(status=QUEUED, outcome=QUEUED)
        lifecycle = self._lifecycle
        fate = lifecycle.fate(pin.cid, now, at_least_queued=at_least_queued)
        if self._fetcher is None or fate.outcome != PINNED or self._fetcher.fetch(pin.cid, pin.origins or ()):
            return fate
        looked_for = msgspec.structs.replace(lifecycle, ends=_not_found)
        fate = looked_for.fate(pin.cid, now, at_least_queued=at_least_queued)
        return msgspec.structs.replace(fate, awaits=True)

    def _insert(
        self, account: int, pin: Pin, fate: Fate, requestid: str, now: int, *, created: int | None = None
    ) -> Row:
        at = self._store.next_created(account, now, self._step) if created is None else created
        row = self._store.insert(account, at, pin, fate, requestid=requestid or self._new_id(at))
        self.content.pinned(pin.cid)
        if fate.awaits:
            self._await(account, row.requestid, pin, now)
        return row

    def _new_id(self, created: int) -> str:
        match self._habits.requestid:
            case "integer" | "number":
                return str(created)
            case "base64":
                # With the characters that have a meaning in a path.
                return base64.b64encode(b"\xff\xef\xbe" + uuid4().bytes).decode()
            case _:
                return str(uuid4())

    def _same(self, one: str, other: str) -> bool:
        if self._habits.requestid == "cid":
            return spelled(one, self._habits.cid_echo) == spelled(other, self._habits.cid_echo)
        if self._habits.same_cid == "text":
            return one == other
        return compared(one) == compared(other)

    def _kept(self, pin: Pin) -> Pin:
        """What of a pin this service keeps."""
        if self._habits.cid_echo != "sent":
            pin = msgspec.structs.replace(pin, cid=spelled(pin.cid, self._habits.cid_echo))
        if self._habits.meta != "kept" and pin.meta is not None:
            pin = msgspec.structs.replace(pin, meta={})
        if self._habits.name_is_cid and not pin.name:
            pin = msgspec.structs.replace(pin, name=pin.cid)
        return pin

    def _written(self, row: Row, sent: Pin) -> bytes:
        meta = None if sent.meta is None else dict(sent.meta)
        return self._echo.written(row.answer, row.created, meta)


def _not_found(_cid: str) -> End:
    return "pinning"
