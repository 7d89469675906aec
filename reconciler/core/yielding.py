"""Which pins go, decided when all keys of a service are: what must stay stays, and each delete is justified."""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec.structs import replace

from reconciler.core.listed import Index, ref
from reconciler.core.model import FAILED, PINNED, Desired, Remote
from reconciler.core.plan import Action, Delete, Keep, Replace, Victim

Why = Literal["undesired", "expired", "released", "rotated", "superseded", "duplicate", "failed"]


class Yielding:
    """Collects what is to go while the keys are gone through; `settle` says what may."""

    def __init__(
        self,
        index: Index,
        *,
        service: str,
        one: bool,
        expired: Mapping[str, Desired],
        act: Callable[[Action], None],
    ) -> None:
        self.index, self.service, self.one, self.expired, self.act = index, service, one, expired, act
        #: requestids that are not deleted whatever else is true
        self.stay: set[str] = set()
        #: those that this plan gives another name or other meta: no old pin of any name, either
        self.taken: set[str] = set()
        #: names that will have a pinned copy of their own once this plan is done
        self.coming: set[str] = set()
        self._doomed: list[tuple[str, Remote, Why, Remote | None]] = []
        self._replaces: list[tuple[Replace, Remote | None, list[Remote]]] = []

    def doom(self, name: str, pin: Remote, reason: Why, stand: Remote | None = None) -> None:
        """`pin` is to go, in favour of `stand` if there is one."""
        self._doomed.append((name, pin, reason, stand))

    def replace(self, action: Replace, target: Remote | None, olds: list[Remote]) -> None:
        """`olds` are to go once `action` is true; `target` is the pin it addresses."""
        self._replaces.append((action, target, olds))

    @property
    def replaces(self) -> int:
        return len(self._replaces)

    def needs(self, pin: Remote) -> tuple[str, ...] | None:
        """The keys here that want the pin's CID, or None if one of them has and will have no copy of its own."""
        names = self.index.wanted_by.get(pin.cid.canonical, ())
        for m in names:
            if m not in self.coming and not self._has_another(m, pin):
                return None
        return tuple(names)

    def _has_another(self, name: str, pin: Remote) -> bool:
        return any(
            q.mine and q.requestid != pin.requestid and q.status == PINNED and (self.one or q.name == name)
            for q in self.index.by_cid[pin.cid.canonical]
        )

    def settle(self) -> None:
        """Turn what yields into victims. Nothing that must stay is among them."""
        gone: set[str] = set()
        for action, target, olds in self._replaces:
            going = [p for p in olds if p.requestid not in self.taken]
            victims = tuple(v for p in going if (v := self._victim(p)) is not None)
            gone.update(v.ref.requestid for v in victims)
            aim = Victim(ref=ref(target)) if target is not None else None
            self.act(replace(action, olds=victims, target=aim))
        for name, pin, reason, stand in self._doomed:
            if pin.requestid in self.stay or pin.requestid in self.taken or pin.requestid in gone:
                continue
            victim = self._victim(pin)
            if victim is None:
                if reason in ("undesired", "expired", "released", "rotated"):
                    self.act(self._kept(name, pin))
                continue
            gone.add(pin.requestid)
            self.act(
                Delete(
                    service=self.service,
                    name=name,
                    cid=pin.cid.text,
                    origin=self.expired[name].origin if name in self.expired else "",
                    reason=reason,
                    victim=victim,
                    stand=ref(stand) if stand is not None else None,
                )
            )

    def _victim(self, pin: Remote) -> Victim | None:
        needs = () if pin.status == FAILED else self.needs(pin)
        return None if needs is None else Victim(ref=ref(pin), needs=needs)

    def _kept(self, name: str, pin: Remote) -> Keep:
        detail = "it stays until its CID is pinned under the other name that wants it"
        return Keep(
            service=self.service, name=name, cid=pin.cid.text, reason="wait-second-half", detail=detail
        )
