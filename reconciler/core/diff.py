"""Verb 3, diff: what to do for each key of one service.

Ours are the pins that bear our mark or are adopted; all others are foreign and nothing is ever done to them. For a
key with name n and wanted CID A:

  W      our pins of A under n (where a CID can exist once: our pins of A under any name)
  O      our pins under n of another CID
  stand  the newest *pinned* pin of W and O. Whatever happens it stays until a newer one is pinned, and every other
         pinned pin of W and O yields to it. What waits in W and O is never deleted.

  W                                        | what is done
  -----------------------------------------+---------------------------------------------------------------
  holds the stand                          | keep; delete the other pinned ones, and what failed
  ... but a declared meta key differs      | replace, reason "meta" (where the service keeps meta)
  ... but under another name (one per CID) | replace, reason "rename"
  waits, newer than the stand if any       | keep; the stand stays; delete what failed
  there, but older than a pinned O         | replace, reason "revert"
  all failed                               | retry; the newest failure stays to be seen, older ones go
  none, and O none                         | add, unless a foreign pin holds A ("held") or a rename is seen
  none, and O some                         | replace, reason "cid": the stand stays until the new one is pinned

  not wanted                               | ours: delete, if justified; foreign: nothing, ever

Justified: each key at this service that wants the victim's CID has a pinned copy of its own other than the victim,
now or once this plan is done. What is not justified is not planned; the next run sees it again.

Where nobody knows what a second add of a CID does, or where it does not make the pin the newest, a pinned pin of A
counts as the stand although an older one: adding it again would never settle.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, TypedDict

from reconciler.core.explain import field_changes
from reconciler.core.held import blocked_by, held_by, in_the_way
from reconciler.core.listed import Index, age, ref, with_evidence
from reconciler.core.local import LOCAL
from reconciler.core.manifest import Service
from reconciler.core.model import FAILED, PINNED, Desired, Listing, Owner, Remote
from reconciler.core.ownership import meta_differs
from reconciler.core.plan import Action, Add, Blocked, Keep, Replace, Retry
from reconciler.core.retention import Retained
from reconciler.core.service_diff import ServiceDiff
from reconciler.core.yielding import Why, Yielding

_NONE: tuple[Remote, ...] = ()
#: Replaces whose fields are explained one by one; beyond it a plan says old and new CID only.
MAX_EXPLAINED = 1000

How = Literal["safe", "modify", "overwrite", "inPlace", "shared"]


class _Head(TypedDict):
    service: str
    name: str
    cid: str
    origin: str
    whence: str


class Differ:
    """Goes through the keys of one service. Use `diff_service`."""

    def __init__(self, found: ServiceDiff) -> None:
        self.found = found
        self.service = found.service
        self.profile = with_evidence(found.service.profile, found.listing)
        self.one = found.one = self.profile.one_pin_per_cid
        self.renews = self.profile.renews
        self.meta_kept = found.service.profile.meta == "kept" or found.listing.mark_seen
        self.index = Index.of(found.listing.remotes, found.wanted)
        self.yielding = Yielding(
            self.index,
            service=self.service.name,
            one=self.one,
            expired=found.expired,
            act=found.actions.append,
        )
        #: names whose pins are taken over by a rename
        self.renamed: set[str] = set()
        self.beside = Counter(p.name for p in found.listing.remotes if not p.mine)

    def run(self) -> None:
        found, by_name = self.found, self.index.by_name
        plain = self._plain
        for name, entry in found.wanted.items():
            if not plain(name, entry):
                self._key(name, entry)
        ours, wanted, mark = found.ours, found.wanted, Owner.OURS
        later = {p.name for roots in found.rotating.values() for p in roots}
        for name, pins in by_name.items():
            if pins[0].owner is mark or any(p.owner is mark for p in pins):
                ours.add(name)
            else:
                found.adopted += 1
            if name not in wanted and name not in self.renamed and name not in later:
                self._unwanted(name, pins)
        self.yielding.settle()

    def _plain(self, name: str, entry: Desired) -> bool:
        """The case of nearly every key: one pin of ours, pinned, alone with its name and its CID."""
        pins = self.index.by_name.get(name)
        if pins is None or len(pins) != 1:
            return False
        pin, cid = pins[0], entry.cid.canonical
        if pin.status != PINNED or pin.cid.canonical != cid or len(self.index.by_cid[cid]) != 1:
            return False
        if self.one and len(self.index.wanted_by[cid]) != 1:
            return False
        if entry.spec.meta and self.meta_kept and meta_differs(entry, pin):
            return False
        self.found.unchanged += 1
        return True

    # --- one wanted key -----------------------------------------------------------------------------------------

    def _key(self, name: str, entry: Desired) -> None:
        cid = entry.cid.canonical
        # Newest first: the order of a listing decides nothing.
        under = sorted(self.index.by_name.get(name, _NONE), key=age, reverse=True)
        same = sorted(self.index.by_cid.get(cid, _NONE), key=age, reverse=True)
        foreign = [p for p in same if not p.mine]
        w = [p for p in same if p.mine and (self.one or p.name == name)]
        o = [p for p in under if p.cid.canonical != cid]
        pinned_w = [p for p in w if p.status == PINNED]
        failed_w = [p for p in w if p.status == FAILED]
        waiting_w = [p for p in w if p.status not in (PINNED, FAILED)]
        pinned_o = [p for p in o if p.status == PINNED]
        self.yielding.stay.update(p.requestid for p in w + o if p.status not in (PINNED, FAILED))

        if self.one and foreign and not pinned_w and not waiting_w:
            if (theirs := in_the_way(self.service.name, foreign)) is not None:
                self._act(blocked_by(self.service.name, name, entry, theirs))
            else:
                self._held(name, entry, foreign)
            self.yielding.stay.update(p.requestid for p in w + o)
            return

        stand = max(pinned_w + pinned_o, key=age, default=None)
        if stand is not None and pinned_w and stand not in pinned_w and not self.renews:
            stand = max(pinned_w, key=age)
        if stand is not None:
            self.yielding.stay.add(stand.requestid)
            for p in sorted(pinned_w + pinned_o, key=age, reverse=True):
                if p is not stand:
                    self.yielding.doom(name, p, "duplicate" if p.cid == stand.cid else "superseded", stand)
        for p in o:
            if p.status == FAILED:
                self.yielding.doom(name, p, "failed")

        carrier = self.index.wanted_by[cid][0]
        if self.one and carrier != name:
            self._satisfied(name, entry, carrier, w, pinned_o, stand)
            return
        if pinned_w or waiting_w:
            for p in failed_w:
                self.yielding.doom(name, p, "failed")
        if stand is not None and stand in pinned_w:
            self._in_place(name, entry, stand)
            if under and under[0].status not in (PINNED, FAILED):
                self._newer(name, entry, under[0])
        elif waiting_w and (stand is None or age(waiting_w[0]) > age(stand)):
            self.found.waiting += 1
            kept = f"; {_short(stand.cid.text)} stays until it is pinned" if stand is not None else ""
            self._act(
                Keep(
                    **self._head(name, entry),
                    reason="waiting",
                    detail=waiting_w[0].status + kept,
                    requestid=waiting_w[0].requestid,
                )
            )
        elif pinned_w or waiting_w:
            self._replace(name, entry, "revert", "overwrite" if self.one else "safe", pinned_o + pinned_w)
        elif failed_w:
            self.yielding.coming.add(name)
            self.yielding.stay.add(failed_w[0].requestid)
            for p in failed_w[1:]:
                self.yielding.doom(name, p, "failed")
            self._act(
                Retry(**self._head(name, entry), reason="failed", failed=tuple(ref(p) for p in failed_w))
            )
        elif o:
            self._first_half(name, entry, pinned_o, o)
        elif not self._rename(name, entry):
            elsewhere_ours = any(p.mine for p in same)
            held = [p for p in foreign if p.status == PINNED and p.owner is Owner.UNMARKED]
            if held and not elsewhere_ours:
                self._held(name, entry, held)
            else:
                self._add(name, entry)

    def _held(self, name: str, entry: Desired, foreign: list[Remote]) -> None:
        self.found.held += 1
        if (
            self.service.name != LOCAL
        ):  # what the user of a node has pinned there is no news, and may be all of it
            self._act(held_by(self.service.name, name, entry, foreign[0]))

    def _in_place(self, name: str, entry: Desired, stand: Remote) -> None:
        if self.one and stand.name != name:
            self._rename_in_place(name, entry, stand)
        elif entry.spec.meta and self.meta_kept and meta_differs(entry, stand):
            how = self.profile.same_cid_way
            if how is None:
                self._left(name, entry, "meta differs; no safe way to change it is known at this service")
            else:
                self._replace(name, entry, "meta", how, [stand])
        else:
            self.found.unchanged += 1

    def _newer(self, name: str, entry: Desired, pin: Remote) -> None:
        """All is as wanted, and yet not for good: what waits under the name is newer, and nothing may delete it."""
        if name not in self.yielding.coming:
            detail = f"another one is {pin.status} under this name"
            self._act(Keep(**self._head(name, entry), reason="wait-second-half", detail=detail))

    def _rename_in_place(self, name: str, entry: Desired, stand: Remote) -> None:
        how = self.profile.same_cid_way
        if how is None or how == "safe":
            self._left(
                name, entry, f"pinned under the name {stand.name}; no safe rename is known at this service"
            )
        else:
            self._replace(name, entry, "rename", how, [stand], was=stand.name)

    def _left(self, name: str, entry: Desired, detail: str) -> None:
        self.found.unchanged += 1
        self._act(Keep(**self._head(name, entry), reason="left", detail=detail))

    def _satisfied(
        self,
        name: str,
        entry: Desired,
        carrier: str,
        w: list[Remote],
        pinned_o: list[Remote],
        stand: Remote | None,
    ) -> None:
        """One pin per CID: the first entry in manifest order carries it, the others are satisfied by it."""
        self.yielding.stay.update(p.requestid for p in w)
        if pinned_o and (not w or stand in pinned_o):
            self._replace(name, entry, "cid", "shared", pinned_o)
            return
        self.found.unchanged += 1
        self._act(Keep(**self._head(name, entry), reason="satisfied", detail=carrier))

    def _first_half(self, name: str, entry: Desired, pinned_o: list[Remote], o: list[Remote]) -> None:
        """Nothing of the wanted CID yet, another one under the name: a new pin, then the old one goes."""
        modify = self.profile.modify
        asked = entry.spec.replace == "modify" and modify != "loses"
        if (asked or (entry.spec.replace == "auto" and modify == "keeps")) and self.service.prune:
            waiting = [p for p in o if p.status not in (PINNED, FAILED)]
            if pinned_o and self.yielding.needs(pinned_o[0]) == ():
                self._replace(name, entry, "cid", "modify", pinned_o)
                return
            if not pinned_o and waiting and modify == "keeps":
                # What never reached `pinned` holds nothing that could be lost.
                self._replace(name, entry, "cid", "modify", [max(waiting, key=age)])
                return
        self._replace(name, entry, "cid", "safe", pinned_o, old=o[0])

    def _rename(self, name: str, entry: Desired) -> bool:
        """n2→A wanted and absent, n1→A ours and no longer wanted: one change, not an add and a delete."""
        if self.one:
            return False
        for pin in sorted(self.index.by_cid.get(entry.cid.canonical, _NONE), key=age, reverse=True):
            if not pin.mine or pin.name in self.found.wanted or pin.name in self.renamed:
                continue
            under = self.index.by_name[pin.name]
            if pin.status != PINNED or pin.owner is Owner.ADOPTED or any(p.cid != entry.cid for p in under):
                continue
            self.renamed.add(pin.name)
            pinned = sorted((p for p in under if p.status == PINNED), key=age, reverse=True)
            for p in under:
                if p.status == FAILED:
                    self.yielding.doom(pin.name, p, "failed")
            self._replace(name, entry, "rename", "safe", pinned, was=pin.name)
            return True
        return False

    # --- building actions ---------------------------------------------------------------------------------------

    def _head(self, name: str, entry: Desired) -> _Head:
        return {
            "service": self.service.name,
            "name": name,
            "cid": entry.cid.text,
            "origin": entry.origin,
            "whence": entry.whence,
        }

    def _act(self, action: Action) -> None:
        self.found.actions.append(action)

    def _add(self, name: str, entry: Desired) -> None:
        if later := self.found.rotating.get(name):
            self._replace(name, entry, "rotate", "safe", list(later))
            return
        self.yielding.coming.add(name)
        self._act(Add(**self._head(name, entry), reason="absent", beside=self.beside[name]))

    def _replace(
        self,
        name: str,
        entry: Desired,
        reason: Literal["cid", "meta", "rename", "revert", "rotate"],
        how: How,
        olds: list[Remote],
        *,
        was: str = "",
        old: Remote | None = None,
    ) -> None:
        """`olds` yield to the new pin, newest first; whether they may go is settled when all keys are decided."""
        self.yielding.coming.add(name)
        before = olds[0] if olds else old
        assert before is not None
        target = before if how in ("modify", "inPlace") else None
        if how in ("overwrite", "inPlace"):
            # An upsert or an edit touches the very pin: only other CIDs are left to delete.
            self.yielding.taken.update(p.requestid for p in olds if p.cid == entry.cid)
            olds = [p for p in olds if p.cid != entry.cid]
        olds = [p for p in olds if p is not target]
        explained = self.yielding.replaces < MAX_EXPLAINED
        action = Replace(
            **self._head(name, entry),
            reason=reason,
            how=how,
            old_cid=before.cid.text,
            was=was,
            changes=field_changes(entry, before, was=was) if explained else (),
        )
        self.yielding.replace(action, target, olds)

    def _stranded(self, name: str, entry: Desired, pins: list[Remote]) -> None:
        """The service retires, and the entry names no active one: it stays until somebody gives it another home."""
        self._act(
            Blocked(
                **self._head(name, entry),
                would="delete",
                guard="last-copy",
                reason=f"{self.service.name} is retiring, and the entry names no other active service",
                resolve=f"give it another service at {entry.origin}",
                leaves=True,
            )
        )
        self.yielding.stay.update(p.requestid for p in pins)

    def _unwanted(self, name: str, pins: list[Remote]) -> None:
        reason: Why = "expired" if name in self.found.expired else "undesired"
        if name in self.found.stranded:
            self._stranded(name, self.found.stranded[name], pins)
            return
        if name in self.found.released:
            reason = "released"
        stand = None
        if name in self.found.rotated:
            reason, stand = "rotated", self.found.rotated[name]
        pins = [p for p in pins if not (self.one and p.cid.canonical in self.index.wanted_by)]
        # A retention replaces what it adopted, like any change under a wanted name.
        pins = [p for p in pins if p.owner is not Owner.ADOPTED or reason == "rotated"]
        kept_failed = all(p.status == FAILED for p in pins)
        for p in pins:
            clean = p.status == FAILED and not kept_failed
            self.yielding.doom(name, p, "failed" if clean else reason, stand)


def diff_service(
    service: Service,
    wanted: Mapping[str, Desired],
    expired: Mapping[str, Desired],
    listing: Listing,
    *,
    released: frozenset[str] = frozenset(),
    stranded: Mapping[str, Desired] | None = None,
    roots: Retained | None = None,
) -> ServiceDiff:
    """What to do at one service so that it holds what is wanted. Pure; the guards come after it."""
    found = ServiceDiff(
        service=service,
        listing=listing,
        wanted=wanted,
        expired=expired,
        released=released,
        stranded=stranded or {},
        rotated=roots.rotated if roots is not None else {},
        rotating=roots.rotating if roots is not None else {},
        notes=[roots.note] if roots is not None and roots.note else [],
    )
    Differ(found).run()
    return found


def _short(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:6]}…{text[-8:]}"
