"""GET of what strangers serve: bounded, within a deadline, and never led to a place where it has no business."""

import asyncio
import gzip
import time
import traceback
from typing import Any

import pytest
from support.names import Gateway, free_port

from reconciler.transport.fetch import Fetch, Fetched, FetchError

Answer = tuple[int, dict[str, str], bytes]


def get(url: str, *, deadline: float = 10.0, max_body: int = 1000) -> Fetched:
    async def go() -> Fetched:
        async with Fetch(environ={}) as fetch:
            return await fetch.get(url, accept="text/x-wanted", max_body=max_body, deadline=deadline)

    return asyncio.run(go())


def served(*answers: Answer, **more: Any) -> Fetched:
    """The n-th request gets the n-th answer; the last one stays."""
    with Gateway() as gateway:
        gateway.answer = lambda _path: answers[min(len(gateway.asked), len(answers)) - 1]
        return get(f"{gateway.url}/start", **more)


def fails(*answers: Answer, **more: Any) -> str:
    with pytest.raises(FetchError) as caught:
        served(*answers, **more)
    return str(caught.value)


def test_an_answer_of_any_status_is_an_answer() -> None:
    assert served((200, {"content-type": "Text/Plain; charset=x"}, b"x")) == Fetched(200, "text/plain", b"x")
    assert served((404, {}, b"no")) == Fetched(404, "", b"no")
    assert served((500, {}, b"")).status == 500


def test_redirects_are_followed_and_counted() -> None:
    onward = (301, {"location": "/next"}, b"")
    assert served(onward, onward, onward, (200, {}, b"there")).body == b"there"
    assert "redirects again and again" in fails(onward)
    with Gateway() as first, Gateway() as second:
        first.answer = lambda path: (302, {"location": f"{second.url}{path}?x=1"}, b"")
        second.answer = lambda path: (200, {}, path.encode())
        assert get(f"{first.url}/a").body == b"/a?x=1"


def test_a_host_below_localhost_is_this_machine_whatever_the_resolver_knows() -> None:
    """Where Kubo's gateway at `localhost` sends a path."""
    with Gateway() as gateway:
        port = gateway.url.rpartition(":")[2]
        onward = (301, {"location": f"http://bafkqaaa.ipfs.localhost:{port}/?format=raw"}, b"")
        gateway.answer = lambda path: onward if path.startswith("/ipfs/") else (200, {}, path.encode())
        assert get(f"{gateway.url}/ipfs/bafkqaaa?format=raw").body == b"/?format=raw"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "//[", "http://", "gopher:x"])
def test_redirects_to_what_is_no_place_are_not_followed(target: str) -> None:
    why = fails((302, {"location": target}, b""))
    assert "127.0.0.1" in why
    assert "https to" not in why


@pytest.mark.parametrize(
    ("url", "target", "followed"),
    [
        ("https://gateway.example/a", "https://other.example/b", True),
        ("http://gateway.example/a", "https://other.example/b", True),
        ("https://gateway.example/a", "http://other.example/b", False),
        ("https://gateway.example/a", "https://127.0.0.1:5001/b", False),
        ("https://gateway.example/a", "https://[::1]/b", False),
        ("https://gateway.example/a", "https://10.0.0.1/b", False),
        ("https://gateway.example/a", "https://x.localhost/b", False),
        ("http://localhost:8080/a", "http://k51.ipns.localhost:8080/b", True),
    ],
)
def test_no_stranger_leads_us_inside(url: str, target: str, followed: bool) -> None:
    from reconciler.transport.fetch import _followed

    if followed:
        assert _followed(url, target) == target
    else:
        with pytest.raises(FetchError, match=r"gateway\.example redirects"):
            _followed(url, target)


def test_a_body_is_bounded_also_when_it_is_packed() -> None:
    assert len(served((200, {}, b"x" * 1000)).body) == 1000
    assert "longer than 1000 bytes" in fails((200, {}, b"x" * 1001))
    packed = gzip.compress(b"x" * 10_000_000)
    assert "longer than 1000 bytes" in fails((200, {"content-encoding": "gzip"}, packed))
    assert served((200, {"content-encoding": "gzip"}, gzip.compress(b"y"))).body == b"y"


def test_silence_and_closed_doors_say_which_host() -> None:
    def slow(_path: str) -> Answer:
        time.sleep(0.5)
        return 200, {}, b""

    with Gateway() as gateway:
        gateway.answer = slow
        with pytest.raises(FetchError, match=r"127\.0\.0\.1:[0-9]+ did not answer within 0\.1 s"):
            get(gateway.url, deadline=0.1)
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:[0-9]+ cannot be reached"):
        get(f"http://127.0.0.1:{free_port()}/")


@pytest.mark.parametrize(
    "proxy", ["socks5://me:canary-password@127.0.0.1:1", "gopher://me:canary-password@proxy"]
)
def test_a_proxy_that_cannot_be_used_is_named_as_the_reason(proxy: str) -> None:
    async def go() -> None:
        async with Fetch(environ={"HTTPS_PROXY": proxy}) as fetch:
            await fetch.get("https://gateway.example/x", accept="x", max_body=1, deadline=5.0)

    with pytest.raises(FetchError, match=r"gateway\.example cannot be reached: the proxy that") as caught:
        asyncio.run(go())
    assert "canary-password" not in "".join(traceback.format_exception(caught.value))
