"""What a page of 1000 costs the sandbox, against encoding the same page as JSON.

python tests/sandbox/page_cost.py [PINS...]     default: 1000 1000000
"""

import base64
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import httpx
import msgspec

from reconciler.sandbox import SPEC, Pin, Sandbox, listing, query

TOKEN = "t"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
ALL = "status=queued,pinning,pinned,failed&limit=1000"
META = "&meta=%7B%22pinrec%22%3A%22acme%22%7D"


@dataclass(frozen=True)
class PageCost:
    """Milliseconds, medians. `page` is query, rows and body; `http` the whole request by a bare client."""

    pins: int
    asked: str
    page: float
    http: float
    json_dumps: float
    msgspec_encode: float

    @property
    def ratio(self) -> float:
        """Against the standard library's JSON."""
        return self.page / self.json_dumps

    @property
    def ratio_fastest(self) -> float:
        """Against msgspec, the fastest encoder there is for Python."""
        return self.page / self.msgspec_encode


def page_costs(pins: int) -> list[PageCost]:
    """Fills an account and measures the newest page, the default filter, a page in the midst, and one by meta."""
    with Sandbox([TOKEN], log=0) as sandbox:
        seeds = (Pin(cid=_cid(n), name=f"data/file-{n:07}", meta={"pinrec": "acme"}) for n in range(pins))
        sandbox.store.fill(TOKEN, seeds, since=SINCE)
        midst = datetime.fromtimestamp(SINCE.timestamp() + max(pins / 2000, 1), UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
        asked = {"newest": ALL, "default": "limit=1000", "midst": f"{ALL}&before={midst}", "meta": ALL + META}
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False, timeout=60) as http:
            return [_cost(sandbox, http, pins, name, text) for name, text in asked.items()]


def _cost(sandbox: Sandbox, http: httpx.Client, pins: int, name: str, text: str) -> PageCost:
    account = sandbox.store.account(TOKEN)

    def page() -> bytes:
        return listing.answer(sandbox.store, account, query.parse(text.encode(), SPEC), SPEC, 1)

    decoded = json.loads(page())
    assert len(decoded["results"]) == min(1000, pins)
    assert decoded["count"] >= len(decoded["results"])
    return PageCost(
        pins=pins,
        asked=name,
        page=_milliseconds(page),
        http=_milliseconds(lambda: http.get(f"/pins?{text}")),
        json_dumps=_milliseconds(lambda: json.dumps(decoded)),
        msgspec_encode=_milliseconds(lambda: msgspec.json.encode(decoded)),
    )


def _milliseconds(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(31):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times) * 1000


def _cid(n: int) -> str:
    digest = hashlib.sha256(str(n).encode()).digest()
    return "b" + base64.b32encode(b"\x01\x55\x12\x20" + digest).decode().lower().rstrip("=")


if __name__ == "__main__":
    for number in map(int, sys.argv[1:] or ["1000", "1000000"]):
        began = time.perf_counter()
        for cost in page_costs(number):
            print(
                f"{cost.pins:>8} {cost.asked:8} page {cost.page:7.2f} ms  http {cost.http:7.2f} ms  "
                f"json.dumps {cost.json_dumps:5.2f} ms (x{cost.ratio:.2f})  "
                f"msgspec {cost.msgspec_encode:5.2f} ms (x{cost.ratio_fastest:.2f})"
            )
        print(f"{number:>8} in all {time.perf_counter() - began:.1f} s")
