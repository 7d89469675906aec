"""The service as a peer: it fetches what it is to pin, from peers that it is connected with, and keeps it.

A pin's origins are dialled; whoever holds the content may also connect to the service, whose addresses are the
`delegates` of every answer. Content that nobody reachable has is waited for.
"""

from collections.abc import Sequence

from reconciler.core.cid import CidError
from reconciler.core.unixfs import address
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.sandbox.content import Content, Given
from reconciler.sandbox.network import DialError, Network, Peer, copy_dag
from reconciler.sandbox.peers import Identity, peer_of, without_peer

#: Where the service is in the sandbox's network.
SWARM = ("/ip4/127.0.0.1/tcp/4101",)


class Fetcher:
    """`who` and `swarm`: its identity and its addresses, without the peer id. `content` is where it keeps blocks."""

    def __init__(
        self, network: Network, who: Identity, content: Content, swarm: Sequence[str] = SWARM
    ) -> None:
        self._network = network
        self._blocks = content.held
        self._whole: set[bytes] = set()
        self.peer = Peer(
            peer_id=who.peer_id,
            addresses=tuple(f"{transport}/p2p/{who.peer_id}" for transport in swarm),
            blocks=Given(content),
            agent="pinrec-sandbox",
            public_key=who.public_key,
        )

    def start(self) -> None:
        self._network.join(self.peer)

    def stop(self) -> None:
        self._network.leave(self.peer.peer_id)

    def stamp(self) -> tuple[int, int]:
        """The same one as before: to try again what failed is of no use."""
        return self._network.stamp()

    def holds(self, cid: str) -> bool:
        """Whether all of it is here."""
        return address.multihash(address.from_text(cid)) in self._whole

    def fetch(self, cid: str, origins: Sequence[str]) -> bool:
        """Fetches what can be had now; whether that is all of it. What is no content is never had."""
        try:
            root = address.from_text(cid)
        except CidError:
            return False
        if address.multihash(root) in self._whole:
            return True
        for origin in origins:
            self._dial(origin)
        try:
            return copy_dag(root, self._blocks, self._network.connected(self.peer.peer_id), self._whole)
        except UnixfsError:
            return False

    def _dial(self, origin: str) -> None:
        peer_id = peer_of(origin)
        if peer_id:
            try:
                self._network.dial(self.peer.peer_id, peer_id, without_peer(origin))
            except DialError:
                return
