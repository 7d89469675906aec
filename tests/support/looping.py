"""A loop in a world of its own: time that leaps to whatever is next, a node and services that do as they are told.

Nothing waits for real, and the order of everything that happens depends on nothing but the story that is told.
"""

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from reconciler.core.cid import canonical, parse
from reconciler.core.errors import LostAnswerError, NodeError, PinrecError, UnreachableError
from reconciler.core.instant import format_instant, parse_instant
from reconciler.core.manifest import Limits, Manifest, Node, SecretRef, Service
from reconciler.core.manifest import Loop as Settings
from reconciler.core.model import PinBody, PinRequest, PinStatus
from reconciler.core.policy import Policy, PolicyUse
from reconciler.core.profile import PROFILES
from reconciler.core.question import Identity, KuboServices, Stat
from reconciler.daemon.files import kept_of
from reconciler.daemon.log import Line, Log
from reconciler.daemon.loop import Doors, Loop
from reconciler.daemon.shared import Given
from reconciler.engine.context import Settings as EngineSettings
from reconciler.services.protocol import Page, Query

T = TypeVar("T")
PEER = "12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG"
NAME = "policy/mfs"
START = datetime(2027, 1, 1, tzinfo=UTC)


def root(number: int) -> str:
    """The CID of the number-th root."""
    import base64
    import hashlib

    digest = hashlib.sha256(str(number).encode()).digest()
    return "b" + base64.b32encode(b"\x01\x70\x12\x20" + digest).decode().lower().rstrip("=")


class _Leaping(selectors.DefaultSelector):
    """Does not wait: tells how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout is not None and timeout > 0:
            self.ahead += timeout
        elif not found and timeout is None:
            # Nothing is due; a thread may still be at work.
            found = super().select(10)
            assert found, "everybody waits for something that will not happen"
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.leaping = _Leaping()
        super().__init__(self.leaping)

    def time(self) -> float:
        return self.leaping.ahead

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        """At once: time would leap while a thread is at work."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # it is the caller's
            future.set_exception(error)
        return future


def play(story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The story, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story())


def clock() -> datetime:
    """The wall clock of virtual time."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


class FakeService:
    """A pinning service in memory: `PinningService`. Pins are pinned `delay` seconds after they are added."""

    def __init__(self, name: str, *, delay: float = 0.0) -> None:
        self.name = name
        self.requests = 0
        self.delay = delay
        self.pins_: dict[str, tuple[PinStatus, float]] = {}
        self.down = False
        self.hangs = False
        #: The next so many writes happen, and their answers are lost.
        self.lose = 0
        #: CIDs that cannot be found.
        self.unfindable: set[str] = set()
        #: When and what: POST and DELETE that arrived.
        self.writes: list[tuple[float, str, str]] = []
        self.asked: list[str] = []
        self._number = 0

    async def _arrive(self, what: str) -> None:
        self.requests += 1
        if self.hangs:
            await asyncio.sleep(60)
            raise LostAnswerError(f"{self.name}: no answer within 60 s", service=self.name)
        await asyncio.sleep(0.01)
        if self.down:
            raise UnreachableError(f"{self.name}: cannot be reached", service=self.name)
        self.asked.append(what)

    def _now(self, pin: PinStatus, added: float) -> PinStatus:
        if pin.status != "queued":
            return pin
        ready = asyncio.get_running_loop().time() >= added
        status = (
            "queued" if not ready else "failed" if canonical(pin.pin.cid) in self.unfindable else "pinned"
        )
        return PinStatus(pin.requestid, status, pin.created, pin.pin, [], {})

    def all(self) -> list[PinStatus]:
        return [self._now(pin, added) for pin, added in self.pins_.values()]

    def named(self, name: str = NAME) -> list[PinStatus]:
        return [p for p in self.all() if p.pin.name == name]

    def put(self, cid: str, name: str, *, owner: str = "", status: str = "pinned") -> str:
        self._number += 1
        now = asyncio.get_running_loop().time()
        instant = int((START.timestamp() + now) * 1000 + self._number) * 1_000_000
        pin = PinStatus(
            f"{self.name}-{self._number}",
            status,
            format_instant(instant),
            PinBody(cid, name, None, {"pinrec": owner} if owner else {}),
            [],
            {},
        )
        # When it is decided is settled now: a service that becomes slow later does not undo it.
        self.pins_[pin.requestid] = (pin, now + self.delay)
        return pin.requestid

    async def pins(self, query: Query) -> Page:
        await self._arrive("list" if query.after is None else "news")
        found = [p for p in self.all() if _matches(p, query)]
        found.sort(key=lambda p: p.created, reverse=True)
        return Page(count=len(found), results=found[: query.limit or 10], skew=0.0)

    async def get(self, requestid: str) -> PinStatus | None:
        await self._arrive("get")
        found = self.pins_.get(requestid)
        return None if found is None else self._now(*found)

    async def add(self, pin: PinRequest) -> PinStatus:
        await self._arrive("add")
        return self._write("POST", pin, None)

    async def replace(self, requestid: str, pin: PinRequest) -> PinStatus | None:
        await self._arrive("replace")
        return self._write("POST", pin, requestid)

    def _write(self, what: str, pin: PinRequest, instead: str | None) -> PinStatus:
        if instead is not None:
            self.pins_.pop(instead, None)
        owner = dict(pin.meta).get("pinrec", "") if isinstance(pin.meta, dict) else ""
        new = self.put(pin.cid, str(pin.name), owner=owner, status="queued")
        status, added = self.pins_[new]
        body = PinBody(
            status.pin.cid, status.pin.name, None, dict(pin.meta) if isinstance(pin.meta, dict) else {}
        )
        self.pins_[new] = (PinStatus(new, "queued", status.created, body, [], {}), added)
        self.writes.append((added - self.delay, what, str(pin.name)))
        self._maybe_lose()
        return self._now(*self.pins_[new])

    async def delete(self, requestid: str) -> bool:
        await self._arrive("delete")
        found = self.pins_.pop(requestid, None)
        self.writes.append((asyncio.get_running_loop().time(), "DELETE", requestid))
        self._maybe_lose()
        return found is not None

    def _maybe_lose(self) -> None:
        if self.lose:
            self.lose -= 1
            raise LostAnswerError(f"{self.name}: the answer was lost", service=self.name)


def _matches(pin: PinStatus, query: Query) -> bool:
    instant = parse_instant(pin.created)
    return (
        (not query.cid or canonical(pin.pin.cid) in {canonical(c) for c in query.cid})
        and (query.name is None or pin.pin.name == query.name)
        and pin.status in (query.status or ("pinned",))
        and (query.before is None or instant < parse_instant(query.before))
        and (query.after is None or instant > parse_instant(query.after))
    )


class FakeNode:
    """What of `node.protocol.Node` an MFS policy and the hints ask."""

    where = "http://127.0.0.1:5001"

    def __init__(self) -> None:
        self.root: int | None = 0
        self.down = False
        self.hangs = False
        #: Whether the file that names its API is not there.
        self.gone = False
        #: Whether its token may not look at its configuration.
        self.shut = False
        self.takes = 0.001
        self.peer = PEER
        self.requests = 0
        self.stats = 0

    async def _arrive(self) -> None:
        self.requests += 1
        await asyncio.sleep(30 if self.hangs else self.takes)
        if self.down or self.hangs:
            raise NodeError("the node does not answer", unreachable=self.down, late=self.hangs)

    async def identity(self) -> Identity:
        await self._arrive()
        return Identity(peer_id=self.peer)

    async def stat(self, path: str, *, deadline: float | None = None) -> Stat | None:
        self.stats += 1
        await self._arrive()
        return None if self.root is None else Stat(cid=parse(root(self.root)), size=1000, kind="directory")

    async def remote_services(self) -> KuboServices:
        await self._arrive()
        if self.shut:
            raise NodeError("config/show: Access Denied", status=403)
        return KuboServices()

    async def size_of(self, cid: str, *, deadline: float | None = None) -> int | None:
        await self._arrive()
        return 1000

    async def has(self, cid: str, *, deadline: float | None = None) -> bool:
        await self._arrive()
        return False

    async def pins(self, *, kind: str = "recursive") -> AsyncIterator[object]:
        await self._arrive()
        for nothing in ():
            yield nothing


class FakeLease:
    """`daemon.lease.Lease`, always ours; `at_work` is a person."""

    def __init__(self) -> None:
        self.ours = True
        self.at_work: object | None = None

    def is_ours(self) -> bool:
        return self.ours

    def again(self) -> bool:
        return False

    def holder(self) -> object | None:
        return "pid 1 of ann"

    def person(self) -> object | None:
        return self.at_work


class FakeSchedule:
    """`daemon.schedule.Schedule` by the event loop's time."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def every(self, name: str, seconds: float, due: Callable[[], None], *, jitter: float = 0.0) -> None:
        async def run() -> None:
            while True:
                await asyncio.sleep(seconds)
                due()

        if name in self._tasks:
            self._tasks[name].cancel()
        self._tasks[name] = asyncio.create_task(run())

    def cron(self, name: str, expression: str, due: Callable[[], None], **_: object) -> None:
        self.every(name, 3600, due)

    def start(self) -> None: ...
    def jumped(self) -> None: ...
    def next(self, name: str) -> datetime | None:
        return None

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()


def manifest(
    services: Mapping[str, str],
    *,
    interval: float = 30.0,
    node: bool = True,
    policy: bool = True,
    loop: Settings | None = None,
    **more: Any,
) -> Manifest:
    """Services with their profiles, all with one MFS policy."""
    wanted = Policy(
        name="mfs",
        kind="mfs",
        settings={"path": "/"},
        pin_name=NAME,
        repin_interval=interval,
        uses={name: PolicyUse() for name in services},
    )
    return Manifest(
        owner="me",
        services={
            name: Service(
                name=name,
                endpoint=f"http://{name}.example",
                key=SecretRef(kind="env", value=("KEY",)),
                profile=PROFILES[profile],
                limits=Limits(),
            )
            for name, profile in services.items()
        },
        entries=more.pop("entries", []),
        node=Node(api="http://127.0.0.1:5001") if node else None,
        policies={"mfs": wanted} if policy else {},
        loop=loop or Settings(),
        path="pinrec.yaml",
        **more,
    )


class Stage:
    """A loop that can be started, stopped and killed, and the world around it, which goes on meanwhile."""

    def __init__(self, declared: Manifest, services: Mapping[str, FakeService], state_dir: Path) -> None:
        self.manifest = declared
        self.services = services
        self.node = FakeNode()
        self.lease = FakeLease()
        self.lines: list[Line] = []
        self.state_dir = state_dir
        self.shift = timedelta()
        self.loop: Loop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop: asyncio.Event | None = None
        #: The nodes that were opened, and what opening one leads to instead.
        self.opened: list[Node] = []
        self.refuses: PinrecError | None = None
        #: When each incarnation began.
        self.begun: list[float] = []

    def now(self) -> datetime:
        return clock() + self.shift

    def load(self) -> Manifest:
        return self.manifest

    def make(self, *, override: Callable[[Settings], Settings] = lambda s: s) -> Loop:
        @asynccontextmanager
        async def open_services(specs: Mapping[str, Service]) -> AsyncIterator[Mapping[str, Any]]:
            yield {name: self.services[name] for name in specs}

        @asynccontextmanager
        async def open_node(spec: Node) -> AsyncIterator[Any]:
            self.opened.append(spec)
            if self.refuses is not None:
                raise self.refuses
            if self.node.gone:
                raise NodeError("there is no such file", unreachable=True)
            yield self.node

        number = iter(range(10**9))
        self._stop = asyncio.Event()
        given = Given(
            new_id=lambda: f"run{next(number)}",
            log=Log(self.lines.append, self.now),
            lease=self.lease,  # type: ignore[arg-type]
            settings=EngineSettings(wait="none", dial_grace=0.0),
            stop=self._stop,
            now=self.now,
        )
        return Loop(
            kept_of(self.manifest, {}),
            given,
            Doors(
                load=self.load,
                open_services=open_services,
                open_node=open_node,
                state_dir=self.state_dir,
                override=override,
                schedule=FakeSchedule,
            ),
        )

    def start(self, **options: Any) -> None:
        self.loop = self.make(**options)
        self.begun.append(asyncio.get_running_loop().time())
        self._task = asyncio.create_task(self.loop.run())

    async def stop(self) -> None:
        assert self._task is not None
        assert self._stop is not None
        self._stop.set()
        await self._task
        self._task = None

    async def kill(self) -> None:
        """It is gone in the middle of whatever it was doing."""
        before = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not before:
                task.cancel()
        await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        self._task = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def events(self, name: str) -> list[Mapping[str, Any]]:
        return [line.fields for line in self.lines if line.event == name]
