"""Starting and stopping the node: a thread of its own, on a socket that is bound before the thread starts."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Self, TypeVar

from msgspec import Struct

from reconciler.core.unixfs import address, file
from reconciler.core.unixfs.blocks import Buffer, Entry
from reconciler.sandbox.listener import listen
from reconciler.sandbox.network import Network
from reconciler.sandbox.node import rpc
from reconciler.sandbox.node.call import Arguments
from reconciler.sandbox.node.changes import put
from reconciler.sandbox.node.commands import COMMANDS
from reconciler.sandbox.node.faults import NodeFaults
from reconciler.sandbox.node.reply import Reply
from reconciler.sandbox.node.state import State
from reconciler.sandbox.node.upload import Upload
from reconciler.sandbox.node.wire import Connection, Exchange, GoneError
from reconciler.sandbox.peers import identity

T = TypeVar("T")
#: The Kubo whose answers are imitated.
VERSION = "0.44.0"
#: An address that a service outside could dial; nobody does (RFC 5737).
SWARM = ("/ip4/127.0.0.1/tcp/4001", "/ip4/203.0.113.7/tcp/4001")


class Request(Struct, frozen=True):
    """What the node was asked: `command` is the path below `/api/v0/`; `time` seconds since 1970."""

    command: str
    query: str
    time: float


class SandboxNode:
    """A small node like Kubo, for trying out and for tests: on a port of this machine, while the `with` block lasts.

    Its content, pins and names are in memory, and survive `stop` and `start`, which take the same port again.
    `network` is shared with a `Sandbox` that is to fetch from it. `swarm`: its own addresses, without the peer id.
    Nobody connects to a node that is not `dialable`. `seed` makes its peer id. `token`: what requests must carry.
    `faults` may be changed at any time. Entering raises OSError if the port cannot be had.
    """

    def __init__(
        self,
        *,
        network: Network | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: str = "sandbox",
        swarm: Sequence[str] = SWARM,
        dialable: bool = True,
        token: str = "",
        version: str = VERSION,
        faults: NodeFaults | None = None,
        log: int = 20_000,
    ) -> None:
        self.network = network or Network()
        self.faults = faults or NodeFaults()
        self.state = State(self.network, identity(seed), tuple(swarm), self.faults, version)
        self.state.token = token
        self._dialable = dialable
        self._address = (host, port)
        self._remembered = log
        self._requests: list[Request] = []
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- up and down ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Raises OSError if the port cannot be had."""
        if self._running is not None:
            return
        listener = listen(*self._address)
        self._address = (self._address[0], listener.getsockname()[1])
        api = f"/ip4/{self._address[0]}/tcp/{self._address[1]}"
        self.state.settings.set("Addresses.API", api)
        self.state.be(self.state.identity, self.state.swarm, dialable=self._dialable)
        self.network.join(self.state.peer)
        self._running = _Running(listener, self._serve)

    def stop(self) -> None:
        """Connections are cut, and those of its swarm lost."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()
            self.network.leave(self.state.identity.peer_id)

    def restart(self) -> None:
        self.stop()
        self.start()

    def set_peer_id(self, seed: str) -> None:
        """Another identity, as if another node answered at this address."""
        was_up = self._running is not None
        self.network.leave(self.state.identity.peer_id)
        self.state.be(identity(seed), self.state.swarm, dialable=self._dialable)
        if was_up:
            self.network.join(self.state.peer)

    @property
    def running(self) -> bool:
        return self._running is not None

    # --- what it is -------------------------------------------------------------------------------------------

    @property
    def api(self) -> str:
        """The API's address as a manifest has it, without `/api/v0`."""
        host, port = self._address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def multiaddr(self) -> str:
        """The same as a multiaddr, as `$IPFS_PATH/api` has it."""
        return f"/ip4/{self._address[0]}/tcp/{self._address[1]}"

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def peer_id(self) -> str:
        return self.state.identity.peer_id

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its swarm addresses, with the peer id."""
        return self.state.peer.addresses

    @property
    def root(self) -> str:
        """The CID of the MFS root."""
        return address.to_text(self.state.mfs.root.cid)

    @property
    def busy(self) -> tuple[str, ...]:
        """MFS directories that a lookup holds."""

        async def look() -> list[tuple[str, ...]]:
            return self.state.mfs.busy()

        return tuple("/" + "/".join(path) for path in self.call(look()))

    @property
    def requests(self) -> tuple[Request, ...]:
        return tuple(self._requests)

    def forget_requests(self) -> None:
        self._requests.clear()

    @property
    def dials(self) -> tuple[tuple[str, str], ...]:
        """What `swarm/connect` was asked for, with why it failed or ""."""
        return tuple(self.state.dials)

    @property
    def connections(self) -> tuple[str, ...]:
        """Peer ids, the oldest connection first."""
        return tuple(peer.peer_id for peer in self.network.connected(self.peer_id))

    # --- changing it without HTTP -----------------------------------------------------------------------------

    def write(self, path: str, content: bytes) -> str:
        """Puts a file into MFS, with all that is missing above it; whatever was there goes. The CID of the root."""
        self.call(put(self.state, path, self._file(content)))
        return self.root

    def mkdir(self, path: str) -> str:
        self.call(self._run("files/mkdir", path, parents=True))
        return self.root

    def cp(self, source: str, target: str) -> str:
        self.call(self._run("files/cp", source, target, parents=True))
        return self.root

    def rm(self, path: str) -> str:
        self.call(self._run("files/rm", path, force=True))
        return self.root

    def add(self, content: bytes) -> str:
        """A file into the block store, in no folder and not pinned. Its CID."""
        return address.to_text(self._file(content).cid)

    def put_block(self, cid: str, block: bytes) -> None:
        """A block under whatever CID it is said to have: a wrong one is not noticed."""
        self.state.blocks.put(address.from_text(cid), block)

    def forget(self, cid: str) -> None:
        """Takes a block out of the store, as if it had never come."""
        self.state.blocks.held.pop(address.multihash(address.from_text(cid)), None)

    def has(self, cid: str) -> bool:
        return self.state.blocks.has(address.from_text(cid))

    def set_name(self, name: str, path: str) -> None:
        """Publishes `path` under an IPNS name or a domain."""
        self.state.names[name] = path

    def call(self, work: Coroutine[object, object, T]) -> T:
        """Runs `work` where requests are answered. Raises RuntimeError when the node is down."""
        if self._running is None:
            work.close()
            raise RuntimeError("the node is down")
        return asyncio.run_coroutine_threadsafe(work, self._running.loop).result()

    # ----------------------------------------------------------------------------------------------------------

    def _file(self, content: Buffer) -> Entry:
        return file.build((content,), self.state.params(), self.state.blocks.put)

    async def _run(self, command: str, *given: str, **options: bool) -> Reply:
        call = Arguments(given=given, options=options)
        return await COMMANDS[command].run(self.state, call, Upload("", _nothing))

    async def _serve(self, exchange: Exchange) -> None:
        if self._remembered and exchange.path.startswith("/api/v0/"):
            command = exchange.path.removeprefix("/api/v0/")
            self._requests.append(Request(command, exchange.query, time.time()))
            del self._requests[: -self._remembered]
        if self.faults.mute:
            await asyncio.get_running_loop().create_future()
        await rpc.answer(exchange, self.state)


async def _nothing() -> bytes:
    return b""


class _Running:
    """A server in its thread."""

    def __init__(
        self, listener: socket.socket, serve: Callable[[Exchange], Coroutine[object, object, None]]
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self._listener = listener
        self._serve = serve
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pinrec-sandbox-node", daemon=True)
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._main())
        finally:
            self._started.set()  # whatever went wrong, nobody waits for ever

    async def _main(self) -> None:
        self._over = asyncio.Event()
        connections: set[Connection] = set()
        server = await self.loop.create_server(
            lambda: Connection(self._guarded, connections), sock=self._listener
        )
        self._started.set()
        await self._over.wait()
        server.close()
        for connection in list(connections):
            connection.abort()
        await asyncio.sleep(0)

    async def _guarded(self, exchange: Exchange) -> None:
        try:
            await self._serve(exchange)
        except GoneError:
            return
        except asyncio.CancelledError:
            return
        except BaseException:
            exchange.cut()
            raise
