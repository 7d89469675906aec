"""Starting and stopping: a uvicorn server in a thread, on a socket that is bound before the thread starts."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

import uvicorn

from reconciler.core.unixfs import address
from reconciler.sandbox import api
from reconciler.sandbox.content import Content
from reconciler.sandbox.documents import Status
from reconciler.sandbox.door import Door, Record, RequestLog
from reconciler.sandbox.faults import Faults, Happen, NoFaults
from reconciler.sandbox.fetching import Fetcher
from reconciler.sandbox.lifecycle import Lifecycle
from reconciler.sandbox.listener import listen
from reconciler.sandbox.network import Network
from reconciler.sandbox.peers import identity
from reconciler.sandbox.personalities import SPEC
from reconciler.sandbox.personality import Personality
from reconciler.sandbox.service import Service
from reconciler.sandbox.store import Store

_PINNED_AT_ONCE = Lifecycle()
#: Seconds between two looks for content that is awaited.
_TICK = 0.1


class Sandbox:
    """A pinning service on a port of this machine, for as long as the `with` block lasts.

    `tokens` are the keys that are let in, each for an account of its own. `store` is a file that outlives the
    sandbox; without it pins are kept in memory. `port` 0 takes a free one. `log` is how many requests are
    remembered. With a `network` a pin is pinned only when its content was fetched from a peer of that network; the
    service is a peer of it too, and its address stands in `delegates`. Entering raises OSError if the port cannot be
    had and `tables.StoreError` if the file cannot be used.
    """

    store: Store

    def __init__(
        self,
        tokens: Iterable[str] = ("token",),
        *,
        store: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        lifecycle: Lifecycle = _PINNED_AT_ONCE,
        personality: Personality = SPEC,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
        log: int = 20_000,
        network: Network | None = None,
    ) -> None:
        if isinstance(tokens, str):
            raise TypeError("tokens: a collection of texts is wanted, not one text")
        self.tokens = tuple(dict.fromkeys(tokens))
        if not self.tokens or not all(self.tokens):
            raise ValueError("tokens: at least one is needed, and none may be empty")
        self._path = store
        self._address = (host, port)
        self._lifecycle = lifecycle
        self._personality = personality
        self._faults = faults or NoFaults()
        self._clock = clock
        if personality.clock:
            self._clock = lambda: clock() + personality.clock
        self._log = RequestLog(log)
        self._content = Content(personality.serves)
        self._fetcher = (
            None if network is None else Fetcher(network, identity("pinrec sandbox service"), self._content)
        )

    def __enter__(self) -> Self:
        self.store = Store(self._path, precision=self._personality.precision, clock=self._clock)
        try:
            self._socket = listen(*self._address)
        except OSError:
            self.store.close()
            raise
        service = Service(
            self.store, self._personality, self._lifecycle, self._clock, self._fetcher, self._content
        )
        if self._fetcher:
            self._fetcher.start()
        accounts = {token: self.store.account(token) for token in self.tokens}

        def befall(event: Happen, authorization: str, requestid: str) -> None:
            account = api.account_of(authorization, accounts)
            if account is not None:
                service.happen(event, account, requestid)

        self._running = _Running(
            lambda abort: Door(
                api.build(service, self._personality, accounts),
                faults=self._faults,
                log=self._log,
                abort=abort,
                befall=befall,
                clock=self._clock,
            ),
            self._socket,
            service.tick if self._fetcher else None,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.stop()
        if self._fetcher:
            self._fetcher.stop()
        self.store.close()

    @property
    def url(self) -> str:
        """The endpoint, without `/pins` and without a slash at its end."""
        host = self._address[0]
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def personality(self) -> Personality:
        return self._personality

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def token(self) -> str:
        """The first of the tokens."""
        return self.tokens[0]

    @property
    def delegates(self) -> tuple[str, ...]:
        """Its addresses in the network that it was given."""
        return self._fetcher.peer.addresses if self._fetcher else ()

    def holds(self, cid: str) -> bool:
        """Whether it has fetched all of a CID. Without a network it holds pins, not content."""
        return self._fetcher is not None and self._fetcher.holds(cid)

    def give(self, blocks: Mapping[bytes, bytes]) -> None:
        """Blocks, by the bytes of their CIDs, that it holds from now on without having fetched them."""
        self._content.held.update({address.multihash(cid): block for cid, block in blocks.items()})

    def lose(self, cid: str) -> bool:
        """The block is not held any more, whatever the pins say. False if it was not."""
        return self._content.held.pop(address.multihash(address.from_text(cid)), None) is not None

    @property
    def requests(self) -> tuple[Record, ...]:
        """What was asked, oldest first, as far as it is remembered."""
        return self._log.read()

    def forget_requests(self) -> None:
        self._log.clear()

    def set_status(
        self,
        requestid: str,
        status: Status,
        *,
        token: str | None = None,
        info: Mapping[str, str] | None = None,
    ) -> None:
        """Puts a pin into a status, in which it then stays. Raises KeyError if it is not there."""
        self.store.set_status(token or self.token, requestid, status, info=info)


def serve(
    tokens: Iterable[str],
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    store: str | None = None,
    lifecycle: Lifecycle = _PINNED_AT_ONCE,
    personality: Personality = SPEC,
    faults: Faults | None = None,
    ready: Callable[[Sandbox], None] | None = None,
    network: Network | None = None,
) -> None:
    """Runs a sandbox until the main thread is interrupted: by Ctrl-C, or by what the caller's signal handlers raise.

    `ready` is called as soon as connections are taken. Whatever interrupts passes through when all is closed.
    """
    with Sandbox(
        tokens,
        store=store,
        host=host,
        port=port,
        lifecycle=lifecycle,
        personality=personality,
        faults=faults,
        log=0,
        network=network,
    ) as sandbox:
        if ready:
            ready(sandbox)
        threading.Event().wait()


class _Running:
    """A server in its thread. Stopping does not wait for clients: their connections are cut."""

    def __init__(
        self,
        make: Callable[[Callable[[tuple[str, int]], None]], Door],
        listener: socket.socket,
        tick: Callable[[], None] | None,
    ) -> None:
        self._listener = listener
        self._tick = tick
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._server = uvicorn.Server(
            uvicorn.Config(
                make(self._abort),
                loop="asyncio",
                lifespan="off",
                ws="none",
                interface="asgi3",
                log_config=None,
                # Its only complaints are about connections that a fault or `stop` cuts.
                log_level="critical",
                access_log=False,
                server_header=False,
                # The door sends it, by the service's clock.
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=60,
                callback_notify=self._notify,
                timeout_notify=3600,
            )
        )
        self._thread = threading.Thread(target=self._run, name="pinrec-sandbox", daemon=True)
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        finally:
            self._started.set()  # whatever went wrong, nobody waits for ever

    async def _serve(self) -> None:
        self._task = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        # Cancelled instead of asked to exit: uvicorn's own way out takes 100 to 200 ms, for each test.
        while not (await asyncio.wait([self._task], timeout=_TICK if self._tick else None))[0]:
            if self._tick:
                self._tick()
        for listener in self._server.servers:
            listener.close()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    async def _notify(self) -> None:
        self._started.set()

    def _abort(self, client: tuple[str, int]) -> None:
        for connection in list(self._server.server_state.connections):
            peer = connection.transport.get_extra_info("peername")
            if peer and peer[:2] == client:
                connection.transport.abort()
