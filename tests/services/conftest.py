"""A pinning service with settable habits, on a real socket, and without a line of our own client in it."""

import asyncio
import bisect
import contextlib
import json
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
import uvicorn

from reconciler.core.manifest import Limits, SecretRef, Service
from reconciler.core.profile import PROFILES
from reconciler.services.client import open_services
from reconciler.services.protocol import PinningService

KEY = "c4n4ry-0f-th3-t3sts"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
B32 = "abcdefghijklmnopqrstuvwxyz234567"


def text_of(ms: int) -> str:
    at = EPOCH + timedelta(milliseconds=ms)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def ms_of(text: str) -> int:
    assert text.endswith("Z"), "edges are sent in UTC with Z"
    return int((datetime.fromisoformat(text) - EPOCH) / timedelta(milliseconds=1))


@dataclass
class Habits:
    """What a listing does. The defaults are the standard's."""

    quantum: int = 1
    before_inclusive: bool = False
    after_inclusive: bool = False
    before_cut_to: int = 1
    after_cut_to: int = 1
    ignores_before: bool = False
    count: str = "total"
    cap: int = 1000
    large_limit: bool = False
    refuses_above: int = 0
    order: str = "newest"
    render: Callable[[int], str] = text_of
    filters: tuple[str, ...] = ("cid", "name", "meta", "status")
    empty_is_404: bool = False
    latency: float = 0.0


@dataclass
class Fake:
    """Pins as (created ms, number); `calls` counts requests; `hook` may answer instead, or change the pins."""

    habits: Habits = field(default_factory=Habits)
    pins: list[tuple[int, int]] = field(default_factory=list)
    extra: dict[int, dict[str, Any]] = field(default_factory=dict)
    calls: int = 0
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    hook: (
        Callable[["Fake", str, str, dict[str, list[str]]], tuple[int, dict[str, str], bytes] | None] | None
    ) = None
    endpoint: str = ""

    def fill(self, n: int, *, rate: float = 5, seed: int = 1, start: int = 1_600_000_000_000) -> None:
        """`n` pins, `rate` a second on average, stamped in steps of the quantum."""
        rnd = random.Random(seed)
        t = start
        pins = []
        for i in range(n):
            t += int(rnd.expovariate(rate / 1000)) + 1
            pins.append((t - t % self.habits.quantum, i))
        self.pins = sorted(pins)

    def pin(self, created: int, number: int) -> dict[str, Any]:
        status = {
            "requestid": f"id-{number}",
            "status": "pinned",
            "created": self.habits.render(created),
            "pin": {"cid": cid_of(number), "name": f"part-{number}", "meta": {}, "origins": []},
            "delegates": ["/dnsaddr/node.example"],
            "info": {},
        }
        over = self.extra.get(number, {})
        return {**status, **over, "pin": {**status["pin"], **over.get("pin", {})}}

    def listed(self, query: dict[str, list[str]]) -> dict[str, Any]:
        habits = self.habits
        one = {key: values[0] for key, values in query.items()}
        pins = self.pins
        keys = [created for created, _ in pins]
        low, high = 0, len(pins)
        if "before" in one and not habits.ignores_before:
            at = ms_of(one["before"])
            at -= at % habits.before_cut_to
            high = (bisect.bisect_right if habits.before_inclusive else bisect.bisect_left)(keys, at)
        if "after" in one:
            at = ms_of(one["after"])
            at -= at % habits.after_cut_to
            low = (bisect.bisect_left if habits.after_inclusive else bisect.bisect_right)(keys, at)
        rows = pins[low:high] if high > low else []
        wanted = [self.pin(*row) for row in rows] if set(one) & {"cid", "name", "meta"} else None
        if wanted is not None:
            if "cid" in one and "cid" in habits.filters:
                wanted = [p for p in wanted if p["pin"]["cid"] in one["cid"].split(",")]
            if "name" in one and "name" in habits.filters:
                wanted = [p for p in wanted if p["pin"]["name"] == one["name"]]
            if "meta" in one and "meta" in habits.filters:
                meta = json.loads(one["meta"]).items()
                wanted = [p for p in wanted if meta <= p["pin"]["meta"].items()]
            wanted.reverse()
        total = len(rows) if wanted is None else len(wanted)
        limit = min(int(one.get("limit", 10)), 10**9 if habits.large_limit else habits.cap)
        if wanted is None:
            if habits.order == "newest":
                rows = rows[max(0, len(rows) - limit) :][::-1]
            elif habits.order == "oldest":
                rows = rows[:limit]
            else:
                # Another choice and another order each time.
                rows = random.Random(self.calls).sample(rows, min(limit, len(rows)))
            wanted = [self.pin(*row) for row in rows]
        else:
            wanted = wanted[:limit]
        shown = len(wanted)
        counts = {"total": total, "page": shown, "plus1": shown + (total > shown), "all": len(pins)}
        return {"count": counts[habits.count], "results": wanted}

    def answer(
        self, method: str, path: str, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        self.calls += 1
        if self.hook and (hooked := self.hook(self, method, path, query)) is not None:
            return hooked
        if method == "GET" and path == "/pins":
            limit = int(query.get("limit", ["10"])[0])
            if self.habits.refuses_above and limit > self.habits.refuses_above:
                return 400, {}, b'{"error":{"reason":"BAD_REQUEST","details":"limit"}}'
            page = self.listed(query)
            if self.habits.empty_is_404 and not page["results"]:
                return 404, {}, b'{"error":{"reason":"NOT_FOUND"}}'
            return 200, {}, json.dumps(page).encode()
        if method == "GET":
            for created, number in self.pins:
                if self.pin(created, number)["requestid"] == path.removeprefix("/pins/"):
                    return 200, {}, json.dumps(self.pin(created, number)).encode()
        return 404, {}, b'{"error":{"reason":"NOT_FOUND","details":"no such pin"}}'

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        target = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        self.seen.append((scope["method"], target, headers, body))
        if self.habits.latency:
            await asyncio.sleep(self.habits.latency)
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
        status, more, content = self.answer(scope["method"], unquote(scope["path"]), query)
        raw = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        raw = [(k, v) for k, v in raw if k.decode() not in more]
        raw += [(name.encode(), value.encode()) for name, value in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content})


def cid_of(number: int) -> str:
    rnd = random.Random(number)
    return "bafkrei" + rnd.choice("abcdefgh") + "".join(rnd.choices(B32, k=50)) + rnd.choice("aeimquy4")


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """`app` on a free port of 127.0.0.1, in a thread of its own; yields its endpoint."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", http="h11")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def fake() -> Iterator[Fake]:
    service = Fake()
    with serving(service) as endpoint:
        service.endpoint = endpoint
        yield service


@contextlib.asynccontextmanager
async def client(
    endpoint: str, *, limits: Limits | None = None, **more: Any
) -> AsyncIterator[PinningService]:
    """Our client for a service at `endpoint`, opened as the engine opens it."""
    spec = Service(
        name="svc",
        endpoint=endpoint,
        key=SecretRef(kind="env", value=("KEY",)),
        profile=PROFILES["unknown"],
        limits=limits or Limits(),
    )
    async with open_services({"svc": spec}, environ={"KEY": KEY}, **more) as services:
        yield services["svc"]


@pytest.fixture
def connect() -> Callable[..., contextlib.AbstractAsyncContextManager[PinningService]]:
    return client


@pytest.fixture
def habits() -> type[Habits]:
    return Habits


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture(scope="session")
def make_fake() -> type[Fake]:
    return Fake


@pytest.fixture
def serve() -> Callable[[Any], contextlib.AbstractContextManager[str]]:
    return serving
