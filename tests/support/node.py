"""A sandbox node for tests of the engine and the loop: real HTTP on a free port, no Kubo needed.

    async with sandbox_node() as node:
        node.api                              # http://127.0.0.1:PORT, for a manifest
        node.write("/photos/a.jpg", b"...")   # changes MFS; the CID of the new root, as `node.root`
        node.faults.stat_seconds = 0.3        # see `NodeFaults`
        node.stop(); node.start()             # down, and up again on the same port with the same content
        node.set_peer_id("another")           # another node answers there

Everything is a plain call, from a test's thread or loop alike: the node lives in a thread of its own.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from reconciler.sandbox.network import Network
from reconciler.sandbox.node import NodeFaults, SandboxNode
from reconciler.sandbox.node.server import SWARM


@asynccontextmanager
async def sandbox_node(
    *,
    network: Network | None = None,
    seed: str = "sandbox",
    token: str = "",
    port: int = 0,
    swarm: Sequence[str] = SWARM,
    dialable: bool = True,
    faults: NodeFaults | None = None,
) -> AsyncIterator[SandboxNode]:
    """`network` is what a `Sandbox(network=...)` that is to fetch from the node shares with it; `swarm` the node's own
    addresses, without its peer id."""
    with SandboxNode(
        network=network, seed=seed, token=token, port=port, swarm=swarm, dialable=dialable, faults=faults
    ) as node:
        yield node
