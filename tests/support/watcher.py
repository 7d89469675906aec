"""Stands before a sandbox and all that goes wrong there, and holds what was there against what is there now."""

import threading
from collections.abc import Iterable

from reconciler.core.cid import canonical
from reconciler.sandbox import Answer, Fault, Received, Sandbox, Stored
from reconciler.sandbox.documents import flat


def is_ours(pin: Stored) -> bool:
    return pin.meta.get("pinrec") == "me" or (pin.name or "").startswith("pinrec/me/")


def name_of(pin: Stored) -> str:
    return (pin.name or "").removeprefix("pinrec/me/")


def is_pinned(pin: Stored) -> bool:
    return is_ours(pin) and pin.status == "pinned"


def others(pins: Iterable[Stored]) -> list[tuple[str, str, str | None, str]]:
    return sorted((p.requestid, p.cid, p.name, str(p.meta)) for p in pins if not is_ours(p))


class World:
    """What all services of a history hold together: `wrong` is what must never have happened.

    `desired` are the canonical CIDs that any key wants. Every change that a request makes is looked at, wherever;
    what the history itself does to pins it tells by `look_anew`.
    """

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self.wrong: list[str] = []
        self.desired: set[str] = set()
        self._held: set[str] = set()
        self._lock = threading.RLock()

    def look_anew(self) -> None:
        with self._lock:
            for watcher in self.watchers:
                watcher.last = watcher.pins()
            self._held = self._holds()

    def check(self, watcher: "Watcher", did: str) -> None:
        with self._lock:
            for other in self.watchers:
                # What a copy rests on may have become pinned elsewhere meanwhile.
                other.check(did if other is watcher else f"{other.service}, {did}")
            holds = self._holds()
            self.wrong += [f"last copy: {cid}: {did}" for cid in (self._held - holds) & self.desired]
            self._held = holds

    def _holds(self) -> set[str]:
        return {canonical(p.cid) for w in self.watchers for p in w.last if p.requestid in w.held}


class Watcher:
    """One service of a `World`. `wanted` are the names that are wanted here, with their CIDs.

    foreign   a pin that is not ours is gone, or has another name or other meta
    lost      a name that is wanted here had a pinned copy, of its CID or under its name, and its content is gone
    """

    def __init__(self, world: World, service: str) -> None:
        self.world, self.service = world, service
        self.sandbox: Sandbox | None = None
        self.down = False
        self.wanted: dict[str, str] = {}
        self.last: list[Stored] = []
        #: ids of ours whose content is held: an overwritten pin is queued for a moment and keeps it all the same
        self.held: set[str] = set()
        world.watchers.append(self)

    def before(self, request: Received) -> Fault | None:
        if request.method != "GET":
            self.world.check(self, "between requests")
        return None

    def after(self, request: Received, answer: Answer) -> Fault | None:
        if request.method != "GET":
            body = request.json or ""
            self.world.check(self, f"{self.service}: {request.method} {request.path} {body}: {answer.status}")
        return None

    def pins(self) -> list[Stored]:
        """What is really there: a pin that only seems to have failed is pinned."""
        assert self.sandbox
        store = self.sandbox.store
        sql = (
            "SELECT json, CASE WHEN status = 3 AND due IS NOT NULL THEN outcome ELSE status END, info"
            " FROM pin WHERE account = ? ORDER BY created"
        )
        found = [flat(*row) for row in store.read(sql, (store.account("token"),))]
        kept = {p.requestid for p in found if is_ours(p) and p.status != "failed"} & self.held
        self.held = kept | {p.requestid for p in found if is_pinned(p)}
        return found

    def check(self, did: str) -> None:
        had, held = self.last, self.held
        self.last = has = self.pins()
        if others(had) != others(has):
            self.world.wrong.append(f"foreign: {did}")
        # What another name shares, or takes over by a rename, is there as much as before.
        holds = {canonical(p.cid) for p in has if p.requestid in self.held}
        for name, cid in self.wanted.items():
            wanted = canonical(cid)
            stood = {
                canonical(p.cid)
                for p in had
                if p.requestid in held and (name_of(p) == name or canonical(p.cid) == wanted)
            }
            if stood and not holds & {*stood, wanted}:
                self.world.wrong.append(f"lost: {name}: {did}")
