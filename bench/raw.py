"""The least that answers as a pinning service does, so that a server is not what limits a client.

POST /pins pins at once, GET /pins lists newest first with `before`, `after` and `limit`, GET /pins/{requestid}
finds one; no check of anything, one account for each Authorization header. No framework and no database.
With a limit it refuses what is beyond it as services do, and GET /figures tells how it was asked.
"""

import asyncio
import json
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

_HEAD = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Account:
    """Pins in the order of `created`, in milliseconds, no two of which are equal."""

    def __init__(self) -> None:
        self.created: list[int] = []
        self.texts: list[bytes] = []

    def add(self, pin: bytes) -> bytes:
        last = self.created[-1] if self.created else 0
        at = max(int(time.time() * 1000), last + 1)
        text = b'{"requestid":"%d","status":"pinned","created":"%s","pin":%s,"delegates":[],"info":{}}' % (
            at,
            _show(at),
            pin,
        )
        self.created.append(at)
        self.texts.append(text)
        return text

    def get(self, requestid: str) -> bytes:
        return self.texts[bisect_left(self.created, int(requestid))]

    def page(self, query: dict[str, list[str]]) -> bytes:
        low = bisect_right(self.created, _read(query["after"][0])) if "after" in query else 0
        high = bisect_left(self.created, _read(query["before"][0])) if "before" in query else len(self.texts)
        start = max(low, high - int(query.get("limit", ["10"])[0]))
        shown = b",".join(reversed(self.texts[start:high]))
        return b'{"count":%d,"results":[%s]}' % (max(0, high - low), shown)


def _show(ms: int) -> bytes:
    at = datetime.fromtimestamp(ms // 1000, UTC)
    return b"%s.%03dZ" % (at.strftime("%Y-%m-%dT%H:%M:%S").encode(), ms % 1000)


def _read(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class Gate:
    """So many requests in a second that begins with the first after the last one; none are refused without `rate`."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.times: list[float] = []
        self.last = self.refused = self.left = 0
        self.until = 0.0

    def passes(self, method: bytes) -> bool:
        if not self.rate:
            return True
        now = time.monotonic()
        self.times.append(now)
        if method == b"POST":
            self.last = len(self.times)
        if now >= self.until:
            self.until, self.left = now + 1, self.rate
        self.left -= 1
        self.refused += self.left < 0
        return self.left >= 0

    def figures(self) -> bytes:
        """Until the last POST: what comes after has no hurry."""
        times = self.times[: self.last]
        most = max(bisect_left(times, at + 1) - n for n, at in enumerate(times))
        told = {
            "seconds": times[-1] - times[0],
            "requests": len(times),
            "refused": self.refused,
            "most": most,
        }
        return json.dumps(told).encode()


class Connection(asyncio.Protocol):
    def __init__(self, accounts: dict[bytes, Account], latency: float, gate: Gate) -> None:
        self.accounts = accounts
        self.latency = latency
        self.gate = gate
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end]
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        fields = {key.lower(): value for key, value in fields.items()}
        whole = end + 4 + int(fields.get(b"content-length", b"0"))
        if len(self.buffer) < whole:
            return
        body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
        method, target = head.split(b" ", 2)[:2]
        account = self.accounts.setdefault(fields.get(b"authorization", b""), Account())
        if target == b"/figures":
            answer, status = self.gate.figures(), 200
        elif not self.gate.passes(method):
            answer, status = b'{"error":{"reason":"TOO_MANY_REQUESTS"}}', 429
        elif method == b"POST":
            answer, status = account.add(body), 202
        elif target.startswith(b"/pins/"):
            answer, status = account.get(target[6:].decode()), 200
        else:
            answer, status = account.page(parse_qs(urlsplit(target.decode()).query)), 200
        head = _HEAD % (status, len(answer))
        if status == 429:
            head = head[:-2] + b"retry-after: 1\r\n\r\n"
        answer = head + answer
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.write, answer)
        else:
            self.write(answer)

    def write(self, answer: bytes) -> None:
        self.transport.write(answer)


def serve(latency: float, ready: Callable[[str], None], rate: int = 0) -> None:
    """Answers until stdin ends, each request after `latency` seconds, no more than `rate` a second if that is not 0."""
    gate = Gate(rate)

    async def main() -> None:
        accounts: dict[bytes, Account] = {}
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(accounts, latency, gate), "127.0.0.1", 0, backlog=1024
        )
        ready(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await loop.run_in_executor(None, sys.stdin.read)
        server.close()

    asyncio.run(main())
