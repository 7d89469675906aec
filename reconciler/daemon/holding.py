"""What one service is known to hold, between two looks at all of it."""

from collections.abc import Iterable

from msgspec.structs import replace

from reconciler.core.focus import Traces, cids_of
from reconciler.core.globs import Globs
from reconciler.core.model import Listing, Remote
from reconciler.daemon.packed import PackedPins


class Holding:
    """A listing of one service, kept small and kept up to date with what has been read since.

    `near` is what a change of a policy's root concerns, by requestid: pins under the names of policies. The rest is
    packed away; of it only traces of its CIDs are at hand.
    """

    def __init__(self, listing: Listing, names: Globs) -> None:
        self.near: dict[str, Remote] = {}
        rest: list[Remote] = []
        for pin in listing.remotes:
            if names and names.match(pin.name) is not None:
                self.near[pin.requestid] = pin
            else:
                rest.append(pin)
        self.names = names
        self.summary = replace(listing, remotes=())
        self._rest = PackedPins(tuple(rest))
        self._rest_cids = Traces(cids_of(rest))
        #: What was read again of the rest: None for a pin that is gone.
        self._since: dict[str, Remote | None] = {}
        #: What was read again of all, since somebody cleared it.
        self.recent: dict[str, Remote | None] = {}

    def elsewhere(self, cids: Iterable[str]) -> bool:
        """Whether one of these canonical CIDs may be held by a pin that is not near."""
        return any(cid in self._rest_cids for cid in cids) or any(
            pin is not None and pin.cid.canonical in cids for pin in self._since.values()
        )

    def nearby(self) -> Listing:
        """The listing of what is near. It says of the account as a whole what is true of it."""
        return replace(self.summary, remotes=tuple(self.near.values()), requests=0)

    def whole(self) -> Listing:
        """Everything."""
        pins = {p.requestid: p for p in self._rest.unpacked()}
        for requestid, pin in self._since.items():
            if pin is None:
                pins.pop(requestid, None)
            else:
                pins[requestid] = pin
        return replace(self.summary, remotes=(*pins.values(), *self.near.values()), requests=0)

    def update(self, requestid: str, pin: Remote | None) -> None:
        """A pin was read again; None if it is gone."""
        self.recent[requestid] = pin
        if pin is None:
            if self.near.pop(requestid, None) is None:
                self._since[requestid] = None
        elif self.names and self.names.match(pin.name) is not None:
            self.near[requestid] = pin
        else:
            self._since[requestid] = pin
