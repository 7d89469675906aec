"""What is known of our pins while a run changes them, and whether a pin is still what it was."""

from collections.abc import Iterable, Iterator, Mapping

from reconciler.core.model import PINNED, Remote
from reconciler.core.ownership import listed_cid
from reconciler.core.plan import PinRef


class Evidence:
    """Our pins by service: as they were listed, plus what this run added, less what it deleted.

    Evidence says where to look; nothing is deleted on evidence alone.
    """

    def __init__(self, remotes: Mapping[str, Iterable[Remote]]) -> None:
        self._pins: dict[str, dict[str, Remote]] = {
            service: {p.requestid: p for p in pins} for service, pins in remotes.items()
        }
        self._by_cid: dict[str, dict[str, dict[str, Remote]]] = {}
        for service, pins in self._pins.items():
            index = self._by_cid.setdefault(service, {})
            for pin in pins.values():
                if pin.mine:
                    index.setdefault(pin.cid.canonical, {})[pin.requestid] = pin
        #: ids that a service returned in this run: never deleted in it
        self.returned: dict[str, set[str]] = {}

    def known(self, service: str, requestid: str) -> bool:
        return requestid in self._pins.get(service, ())

    def get(self, service: str, requestid: str) -> Remote | None:
        return self._pins.get(service, {}).get(requestid)

    def record(self, service: str, pin: Remote, *, new: bool) -> None:
        """A pin of ours was read, or returned by an add (`new`)."""
        self.forget(service, pin.requestid)
        self._pins.setdefault(service, {})[pin.requestid] = pin
        index = self._by_cid.setdefault(service, {})
        index.setdefault(pin.cid.canonical, {})[pin.requestid] = pin
        if new:
            self.returned.setdefault(service, set()).add(pin.requestid)

    def forget(self, service: str, requestid: str) -> None:
        pin = self._pins.get(service, {}).pop(requestid, None)
        if pin is not None:
            self._by_cid[service].get(pin.cid.canonical, {}).pop(requestid, None)

    def deleted(self, service: str, requestid: str) -> None:
        """We deleted it, so that an add which returned its id made no pin of that id."""
        self.forget(service, requestid)
        self.returned.get(service, set()).discard(requestid)

    def pinned(self, service: str, cid: str, name: str | None) -> Iterator[Remote]:
        """Pinned pins of ours of a canonical CID, newest first; of a key if `name` is given."""
        pins = self._by_cid.get(service, {}).get(cid, {}).values()
        own = [p for p in pins if p.status == PINNED and (name is None or p.name == name)]
        return iter(sorted(own, key=lambda p: p.age, reverse=True))


def difference(then: PinRef, now: Remote | None) -> str:
    """What has changed of a pin since it was seen: "" if nothing, "gone" if it is not there."""
    if now is None:
        return "gone"
    if now.cid != listed_cid(then.cid):
        return "its CID changed"
    if now.listed_name != then.name:
        return "its name changed"
    if now.owner.value != then.owner:
        return f"it is {now.owner.value} now"
    if now.status != then.status:
        return f"it is {now.status} now"
    if not _same_created(then.created, now.created):
        return "it was made anew"
    return ""


def _same_created(a: str, b: str) -> bool:
    """Whether two texts may be one instant: services cut fractions differently from one endpoint to the next."""
    if a == b:
        return True
    short, long = sorted((a, b), key=lambda t: t.find("Z") if "Z" in t else len(t))
    digits = short.rstrip("Zz")
    return "." in long and (long.startswith(digits + ".") or ("." in short and long.startswith(digits)))
