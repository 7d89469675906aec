"""Who can reach whom, and whose blocks: what stands for libp2p between the sandbox's node and its service.

Nothing of it touches a real network. A peer that is not in here refuses every connection.
"""

import threading
from collections.abc import Iterable, Mapping
from itertools import count

from msgspec import Struct

from reconciler.core.unixfs import address, walk


class DialError(Exception):
    """Why a peer was not reached; as libp2p words it."""


class Peer(Struct, eq=False, kw_only=True):
    """`addresses`: with the peer id at the end. `blocks`: by multihash, and the peer's own to fill.

    A peer that is not `dialable` (behind a NAT) connects to others, and nobody to it.
    """

    peer_id: str
    addresses: tuple[str, ...]
    blocks: Mapping[bytes, bytes]
    agent: str
    public_key: str = ""
    dialable: bool = True


class Network:
    """May be used from several threads: the node's, the service's and a test's."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._peers: dict[str, Peer] = {}
        self._links: dict[frozenset[str], int] = {}
        self._order = count()
        self._changes = 0

    def join(self, peer: Peer) -> None:
        with self._lock:
            self._changes += 1
            self._peers[peer.peer_id] = peer

    def leave(self, peer_id: str) -> None:
        """Its connections are lost with it."""
        with self._lock:
            self._changes += 1
            self._peers.pop(peer_id, None)
            self._links = {link: at for link, at in self._links.items() if peer_id not in link}

    def peer(self, peer_id: str) -> Peer | None:
        return self._peers.get(peer_id)

    def dial(self, who: str, peer_id: str, transport: str, *, refused: bool = False) -> None:
        """Connects `who` to a peer at `transport`, an address without its peer id. Raises DialError, always if it is
        to be `refused`."""
        if who == peer_id:
            raise DialError("dial to self attempted")
        with self._lock:
            if frozenset((who, peer_id)) in self._links:
                return
            peer = self._peers.get(peer_id)
            known = () if peer is None else peer.addresses
            if refused or peer is None or not peer.dialable or f"{transport}/p2p/{peer_id}" not in known:
                raise DialError(self._refusal(peer_id, transport))
            self._links[frozenset((who, peer_id))] = next(self._order)
            self._changes += 1

    def hang_up(self, who: str, peer_id: str) -> bool:
        """False if there was no connection."""
        with self._lock:
            return self._links.pop(frozenset((who, peer_id)), None) is not None

    def connected(self, who: str) -> list[Peer]:
        """The peers that `who` has a connection with, the oldest first."""
        with self._lock:
            links = sorted((at, link) for link, at in self._links.items() if who in link)
            found = (self._peers.get(next(iter(link - {who}))) for _, link in links)
            return [peer for peer in found if peer is not None]

    def holding(self, who: str, multihash: bytes) -> list[Peer]:
        """The connected peers that have a block."""
        return [peer for peer in self.connected(who) if multihash in peer.blocks]

    def stamp(self) -> tuple[int, int]:
        """Another one when a peer came or went, somebody connected, or blocks were added."""
        with self._lock:
            return self._changes, sum(len(peer.blocks) for peer in self._peers.values())

    def _refusal(self, peer_id: str, transport: str) -> str:
        parts = transport.strip("/").split("/")
        if parts[-1] == "quic":
            return "QUIC draft-29 has been removed, QUIC (RFC 9000) is accessible with /quic-v1"
        for other in self._peers.values():
            if other.dialable and f"{transport}/p2p/{other.peer_id}" in other.addresses:
                return (
                    "failed to negotiate security protocol: peer id mismatch: "
                    f"expected {peer_id}, but remote key matches {other.peer_id}"
                )
        if len(parts) >= 4 and parts[2] == "tcp":
            return f"dial tcp{parts[0][-1]} {parts[1]}:{parts[3]}: connect: connection refused"
        return "no transport for protocol"


class MissingError(Exception):
    """A block that nobody who can be asked has."""

    def __init__(self, cid: bytes) -> None:
        super().__init__(address.to_text(cid))
        self.cid = cid


def copy_dag(root: bytes, to: dict[bytes, bytes], sources: Iterable[Peer], whole: set[bytes]) -> bool:
    """Copies what is below `root`; False, with what could be had, if not all of it could.

    `whole`: multihashes of DAGs known to be complete in `to`. They are not looked at again, and `root` joins them: so
    a folder of which one file changed costs the blocks of its path.
    """
    peers = tuple(sources)
    done: list[bytes] = []
    stack, seen = [root], set[bytes]()
    missing = False
    while stack:
        cid = stack.pop()
        key = address.multihash(cid)
        if key in whole or key in seen:
            continue
        seen.add(key)
        block = address.identity(cid)
        if block is None:
            block = to.get(key)
        if block is None:
            block = next((found for p in peers if (found := p.blocks.get(key)) is not None), None)
            if block is None:
                missing = True
                continue
            to[key] = block
        done.append(key)
        stack += walk.children(cid, block)
    if not missing:
        whole.update(done)
    return not missing
