"""A sandbox on a real socket, and a client that speaks to it."""

import base64
import hashlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from reconciler.sandbox import Sandbox

TOKEN = "first-token"
Api = Callable[..., httpx.Response]


class Clock:
    """Seconds since 1970 that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([TOKEN, "second-token"]) as running:
        yield running


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with talk(sandbox) as client:
        yield client


def talk(sandbox: Sandbox, token: str = TOKEN) -> httpx.Client:
    return httpx.Client(
        base_url=sandbox.url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=30
    )


@pytest.fixture(name="talk")
def talk_fixture() -> Callable[..., httpx.Client]:
    return talk


@pytest.fixture(scope="session")
def cid() -> Callable[[int], str]:
    """The n-th of an endless row of CIDs: raw, sha2-256, base32."""

    def make(n: int) -> str:
        digest = hashlib.sha256(str(n).encode()).digest()
        return "b" + base64.b32encode(b"\x01\x55\x12\x20" + digest).decode().lower().rstrip("=")

    return make


@pytest.fixture
def seeded(sandbox: Sandbox, cid: Callable[[int], str]) -> list[str]:
    """Thirty pins, one a second; the ids, newest first. Every third is queued, every fifth failed, the rest pinned."""
    ids = [
        sandbox.store.put(
            TOKEN,
            cid(n),
            name=f"pin-{n:02}",
            status="queued" if n % 3 == 0 else "failed" if n % 5 == 0 else "pinned",
            created=f"2026-01-01T00:00:{n:02}.000Z",
        )
        for n in range(30)
    ]
    return ids[::-1]
