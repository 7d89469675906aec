"""What the service does with pins: the API's five operations over a store, with the habits of a personality."""

from collections.abc import Callable

import msgspec

from reconciler.sandbox import listing
from reconciler.sandbox.failure import not_found
from reconciler.sandbox.lifecycle import Lifecycle
from reconciler.sandbox.personality import STEPS, Personality
from reconciler.sandbox.pin import PINNED, QUEUED, Pin, canonical
from reconciler.sandbox.query import Query
from reconciler.sandbox.store import Fate, Row, Store


class Service:
    """Operations return the JSON to answer with, and raise FailureError. Each is one transaction.

    `clock` gives seconds since 1970; pins turn when it passes their time, seen at the next operation.
    """

    def __init__(
        self, store: Store, habits: Personality, lifecycle: Lifecycle, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._habits = habits
        self._lifecycle = lifecycle
        self._clock = clock
        self._turn = 0
        # Where `created` is not unique, microseconds that are not shown keep pins apart.
        self._step = STEPS[habits.precision] if habits.unique else 1

    def pins(self, account: int, query: Query) -> bytes:
        self._now()
        self._turn += 1
        return listing.answer(self._store, account, query, self._habits, self._turn)

    def get(self, account: int, requestid: str) -> bytes:
        self._now()
        return self._find(account, requestid).answer

    def add(self, account: int, pin: Pin) -> bytes:
        with self._store.transaction():
            return self._add(account, self._kept(pin), self._now()).answer

    def replace(self, account: int, requestid: str, pin: Pin) -> bytes:
        with self._store.transaction():
            now = self._now()
            old = self._find(account, requestid)
            if self._same(old.pin.cid, pin.cid):
                return self._replace_same(account, old, self._kept(pin), now)
            self._store.delete(account, requestid)
            if self._habits.replace == "loses":
                pin = msgspec.structs.replace(pin, meta=old.pin.meta, origins=None)
                return self._add(account, self._kept(pin), now, queued=True).answer
            return self._add(account, self._kept(pin), now).answer

    def delete(self, account: int, requestid: str) -> None:
        if not self._store.delete(account, requestid):
            raise not_found(f"There is no pin with requestid {requestid[:120]!r}")

    # ----------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        now = int(self._clock() * 1_000_000)
        self._store.advance(now)
        return now

    def _find(self, account: int, requestid: str) -> Row:
        row = self._store.find(account, requestid)
        if row is None:
            raise not_found(f"There is no pin with requestid {requestid[:120]!r}")
        return row

    def _add(self, account: int, pin: Pin, now: int, *, queued: bool = False) -> Row:
        """
        second_add   the CID is there                     the CID is new
        new          another pin                          a new pin
        overwrite    a new pin in its place, same id      a new pin
        same         that pin, unchanged                  a new pin
        stuck        another pin, queued for ever if      a new pin
                     the one there is pinned
        """
        fate = self._lifecycle.fate(pin.cid, now, at_least_queued=queued)
        by_cid = self._habits.requestid == "cid"
        requestid = pin.cid if by_cid else ""
        if self._habits.second_add != "new":
            there = (
                self._store.find(account, pin.cid)
                if by_cid
                else self._store.newest_of_cid(account, canonical(pin.cid))
            )
            if there is not None:
                match self._habits.second_add:
                    case "same":
                        return there
                    case "overwrite":
                        self._store.delete(account, there.requestid)
                        requestid = there.requestid
                    case "stuck" if there.status == PINNED:
                        fate = Fate(status=QUEUED, outcome=QUEUED)
        return self._insert(account, pin, fate, requestid, now)

    def _replace_same(self, account: int, old: Row, pin: Pin, now: int) -> bytes:
        match self._habits.same_cid_replace:
            case "newId":
                self._store.delete(account, old.requestid)
                requestid = pin.cid if self._habits.requestid == "cid" else ""
                return self._insert(account, pin, self._lifecycle.fate(pin.cid, now), requestid, now).answer
            case "inPlace":
                pin = Pin(
                    cid=old.pin.cid,
                    name=old.pin.name if pin.name is None else pin.name,
                    origins=old.pin.origins if pin.origins is None else pin.origins,
                    meta=old.pin.meta if pin.meta is None else pin.meta,
                )
                return self._store.edit(account, old, pin).answer
            case "loses":
                queued = self._store.edit(account, old, pin, status=QUEUED).answer
                self._store.delete(account, old.requestid)
                return queued

    def _insert(self, account: int, pin: Pin, fate: Fate, requestid: str, now: int) -> Row:
        created = self._store.next_created(account, now, self._step)
        return self._store.insert(account, created, pin, fate, requestid=requestid)

    def _same(self, one: str, other: str) -> bool:
        if self._habits.requestid == "cid":
            return one == other
        return canonical(one) == canonical(other)

    def _kept(self, pin: Pin) -> Pin:
        """What of a pin this service keeps."""
        if self._habits.meta == "dropped" and pin.meta is not None:
            pin = msgspec.structs.replace(pin, meta={})
        if self._habits.name_is_cid and not pin.name:
            pin = msgspec.structs.replace(pin, name=pin.cid)
        return pin
