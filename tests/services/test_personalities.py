"""The real client's listing over a socket, against the sandbox in each personality and with each misbehaviour."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from reconciler.core.cid import parse
from reconciler.core.profile import PROFILES
from reconciler.sandbox import PERSONALITIES, Sandbox, with_quirks
from reconciler.services.listing import Sweep, sweep
from reconciler.services.lookup import LookUp, look_up

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "c4n4ry-0f-th3-t3sts"


def cid_of(n: int) -> str:
    return "b" + base64.b32encode(b"\x01\x55\x12\x20" + sha256(b"%d" % n).digest()).decode().lower().rstrip(
        "="
    )


def fill(sandbox: Sandbox, n: int, *, rate: float) -> set[str]:
    """`n` pins, `rate` a second, evenly. Ids as the store makes them: what they look like is no matter here."""
    step = timedelta(seconds=1 / rate)
    with sandbox.store.transaction():
        for i in range(n):
            requestid = cid_of(i) if sandbox_has_cids(sandbox) else ""
            sandbox.store.put(KEY, cid_of(i), name=f"pin-{i}", created=START + i * step, requestid=requestid)
    return {pin.requestid for pin in sandbox.store.all(KEY)}


def sandbox_has_cids(sandbox: Sandbox) -> bool:
    return sandbox.personality.requestid == "cid"


def run(connect: Any, sandbox: Sandbox, profile: str) -> tuple[Sweep, set[str]]:
    seen: list[str] = []

    async def main() -> Sweep:
        async with connect(sandbox.url) as service:
            return await sweep(
                service, PROFILES[profile], lambda pins: seen.extend(p.requestid for p in pins), concurrency=1
            )

    result = asyncio.run(main())
    assert len(seen) == len(set(seen)) == result.seen
    assert len(sandbox.requests) == result.requests
    return result, set(seen)


# what it is, quirks, pins, pins per second, most requests (None: it must say that it is not whole)
CASES: list[tuple[str, list[str], int, float, int | None]] = [
    ("ideal", [], 4000, 5, 8),
    ("whole seconds, 5 a second", ["precision=s"], 4000, 5, 8),
    ("whole seconds, 300 a second", ["precision=s"], 4000, 300, 12),
    ("whole seconds, 900 a second", ["precision=s"], 4000, 900, 18),
    ("before inclusive", ["edges=before-inclusive"], 4000, 5, 8),
    ("inclusive and whole seconds", ["edges=inclusive", "precision=s"], 4000, 5, 8),
    ("results + 1", ["count=plus1"], 4000, 5, 8),
    ("count is the page", ["count=page"], 4000, 5, 9),
    ("10 a page", ["page-cap=10"], 1000, 5, 120),
    ("100 a page", ["page-cap=100"], 4000, 5, 46),
    ("10 a page, which it counts", ["page-cap=10", "count=page"], 1000, 5, 120),
    ("unsorted", ["order=unsorted", "edges=inclusive", "precision=s"], 4000, 5, 22),
    ("oldest first", ["order=oldest"], 4000, 5, 10),
    ("oldest first, count is the page", ["order=oldest", "count=page"], 4000, 5, 10),
    ("milliseconds, edges cut to seconds", ["truncate-filter=s"], 4000, 5, 10),
    ("10 a page, whole seconds, 20 a second", ["page-cap=10", "precision=s"], 1000, 20, None),
    ("10 a page, whole seconds, all of one", ["page-cap=10", "precision=s"], 1000, 2000, None),
    # and what the reference has beyond these
    ("microseconds", ["precision=us", "created=shared"], 4000, 50_000, 10),
    ("nanoseconds", ["precision=ns", "created=shared"], 4000, 50_000, 10),
    ("an offset, no zeros", ["created-offset=-05:00", "created-zeros=stripped"], 4000, 7, 8),
    ("whole seconds with .000 and an offset", ["precision=s", "created-zeros=padded", "created-offset=+05:30"],
     4000, 5, 8),
    ("all that there are counted", ["count=unfiltered"], 4000, 5, 10),
    ("no default limit", ["default-limit=none"], 4000, 5, 8),
    ("null for nothing", ["empty-list=null"], 4000, 5, 8),
    ("404 for nothing", ["empty-list=404"], 4000, 5, 8),
    ("before ignored", ["ignore-filter=before"], 4000, 5, None),
    ("limit ignored", ["ignore-filter=limit"], 200, 5, 26),
    ("status ignored", ["ignore-filter=status"], 4000, 5, 8),
    ("numbers for ids", ["requestid=number", "request-id-casing=requestId", "extra-members=yes"], 4000, 5, 8),
    ("null for what is absent", ["absent=null", "delegates=none"], 4000, 5, 8),
]  # fmt: skip


@pytest.mark.parametrize(("quirks", "n", "rate", "most"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_listing_is_whole_or_says_that_it_is_not(
    connect: Any, quirks: list[str], n: int, rate: float, most: int | None
) -> None:
    with Sandbox([KEY], personality=with_quirks(PERSONALITIES["spec"], quirks)) as sandbox:
        there = fill(sandbox, n, rate=rate)
        result, seen = run(connect, sandbox, "unknown")
        if most is None:
            assert not result.complete
            assert result.why
            assert result.requests < n
            return
        assert result.complete, result.why
        assert seen == there
        assert result.requests <= most


@pytest.mark.parametrize("profile", ["own", "unknown"])
@pytest.mark.parametrize("name", PERSONALITIES)
def test_each_personality_is_read_whole(connect: Any, name: str, profile: str) -> None:
    known = name if profile == "own" and name in PROFILES else "unknown"
    with Sandbox([KEY], personality=PERSONALITIES[name]) as sandbox:
        there = fill(sandbox, 2500, rate=5)
        result, seen = run(connect, sandbox, known)
        assert result.complete, result.why
        assert seen == there
        assert result.requests <= (3 if known == "ipfs-cluster" else 16)


@pytest.mark.parametrize(("name", "complete"), [("ipfs-cluster", True), ("filebase", False)])
@pytest.mark.parametrize("profile", ["own", "unknown"])
def test_1600_pins_of_one_second(connect: Any, name: str, complete: bool, profile: str) -> None:
    """Time cannot tell them apart: a larger limit can, where the service has one; else the listing says so."""
    with Sandbox([KEY], personality=PERSONALITIES[name]) as sandbox:
        there = fill(sandbox, 1600, rate=2000)
        result, seen = run(connect, sandbox, name if profile == "own" else "unknown")
        assert result.complete is complete, result.why
        assert result.requests <= 12
        if complete:
            assert seen == there
        else:
            assert "one instant" in result.why


@pytest.mark.parametrize(
    "quirks",
    [
        [], ["ignore-filter=cid"], ["ignore-filter=name"], ["ignore-filter=cid,name,match,meta,status"],
        ["match=broken"], ["match=exact"], ["cid-filter=text"], ["cid-filter=alone"], ["cid-echo=v1"],
        ["cid-echo=base32"], ["default-status=required"], ["default-status=all"], ["empty-list=404"],
        ["empty-list=null"], ["count=page"], ["count=unfiltered"], ["order=unsorted"], ["page-cap=10"],
    ],
    ids=str,
)  # fmt: skip
def test_a_look_up_finds_a_pin_or_says_that_it_cannot_tell(connect: Any, quirks: list[str]) -> None:
    v0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"

    async def main(url: str, name: str) -> LookUp:
        async with connect(url) as service:
            return await look_up(service, PROFILES["unknown"], parse(v0), name)

    with Sandbox([KEY], personality=with_quirks(PERSONALITIES["spec"], quirks)) as sandbox:
        fill(sandbox, 150, rate=5)
        kept = (
            "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi" if "cid-echo=v1" in quirks else v0
        )
        wanted = sandbox.store.put(KEY, kept, name="it", created=START, status="queued")
        found = asyncio.run(main(sandbox.url, "it"))
        assert wanted in {pin.requestid for pin in found.pins} or not found.complete
        if found.complete:
            assert {pin.requestid for pin in found.pins} == {wanted}
