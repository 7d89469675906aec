"""The HTTP client against servers that misbehave on the wire."""

import asyncio
import gzip
import logging
import socket
import ssl
import traceback
from typing import Any

import pytest

from reconciler.core.errors import LostAnswerError, ProtocolError, ServiceError, UnreachableError
from reconciler.core.manifest import Limits, Rate
from reconciler.transport.http import ATTEMPTS, HttpClient, shared_tls
from reconciler.transport.secret import Secret


def fail(kit: Any, *scripts: Any, method: str = "GET", repeat: bool = False, **more: Any) -> tuple[Any, int]:
    """The error that a request ends in, and how often it was sent."""

    async def main() -> tuple[Any, int]:
        max_body = more.pop("max_body", 1000)
        async with kit.talk(*scripts, **more) as (client, server):
            with pytest.raises(ServiceError) as caught:
                await client.request(method, "/pins", repeat=repeat, max_body=max_body)
            return caught.value, len(server.requests)

    return asyncio.run(main())


def get(kit: Any, *scripts: Any, method: str = "GET", repeat: bool = True, **more: Any) -> tuple[Any, Any]:
    async def main() -> tuple[Any, Any]:
        async with kit.talk(*scripts, **more) as (client, server):
            return await client.request(method, "/pins?x=1", body=b"{}", repeat=repeat), server

    return asyncio.run(main())


def test_a_request_carries_the_key_and_says_who_asks(kit: Any) -> None:
    answer, server = get(kit, kit.answer(202, b'{"a":1}'))
    assert (answer.status, answer.body, answer.ok) == (202, b'{"a":1}', True)
    head = server.requests[0].lower()
    assert head.startswith(b"get /pins?x=1 http/1.1")
    assert b"authorization: bearer " + kit.key.encode() in head
    assert b"user-agent: pinrec/" in head
    assert b"accept-encoding: gzip\r\n" in head
    assert head.endswith(b"\r\n\r\n{}")


def test_gzip_is_read(kit: Any) -> None:
    answer, _ = get(kit, kit.answer(200, gzip.compress(b"x" * 500), content_encoding="gzip"))
    assert answer.body == b"x" * 500


CUT_SHORT = b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"count":'


async def _cut(writer: asyncio.StreamWriter) -> None:
    writer.write(CUT_SHORT)
    await writer.drain()


async def _trickle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(100):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


def test_what_may_have_been_sent_is_a_lost_answer(kit: Any) -> None:
    short = Limits(timeout=0.3)
    for script in (kit.reset, kit.silence, _cut, _trickle, b"what is this\r\n\r\n"):
        error, sent = fail(kit, script, method="POST", limits=short)
        assert type(error) is LostAnswerError
        assert error.maybe_done
        assert sent == 1


def test_what_is_safe_to_repeat_is_repeated_a_few_times(kit: Any) -> None:
    error, sent = fail(kit, kit.reset, repeat=True)
    assert isinstance(error, LostAnswerError)
    assert sent == ATTEMPTS
    answer, server = get(kit, kit.answer(503), kit.reset, kit.answer(200, b"ok"))
    assert answer.body == b"ok"
    assert len(server.requests) == 3
    answer, server = get(kit, kit.answer(500, b"no"))
    assert (answer.status, len(server.requests)) == (500, ATTEMPTS)


def test_a_post_is_repeated_only_after_429(kit: Any) -> None:
    answer, server = get(kit, kit.answer(500), method="POST", repeat=False)
    assert (answer.status, len(server.requests)) == (500, 1)
    answer, server = get(kit, kit.answer(429), kit.answer(429), kit.answer(202), method="POST", repeat=False)
    assert (answer.status, len(server.requests)) == (202, 3)


def test_a_refused_connection_is_unreachable_and_tried_again(kit: Any) -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
            clock = kit.clock()
            async with HttpClient(
                service="svc", endpoint=endpoint, key=Secret(kit.key), limits=Limits(), environ={}
            ) as client:
                client._seams = type(client._seams)(clock=clock, now=clock, sleep=clock.sleep)
                with pytest.raises(UnreachableError, match="svc: cannot be reached") as caught:
                    await client.request("POST", "/pins", body=b"{}", repeat=False)
        assert not caught.value.maybe_done
        assert caught.value.hint
        # It goes into plans, which hold no address.
        assert endpoint not in str(caught.value)
        assert client.requests == 3

    asyncio.run(main())


def test_after_five_failures_the_service_is_left_alone_and_tried_again_later(kit: Any) -> None:
    async def main() -> None:
        clock = kit.clock()
        async with kit.talk(*[kit.reset] * 5, kit.answer(200, b"up"), clock=clock) as (client, server):
            for _ in range(5):
                with pytest.raises(LostAnswerError):
                    await client.request("GET", "/pins", repeat=False)
            with pytest.raises(UnreachableError, match="5 times in a row"):
                await client.request("GET", "/pins", repeat=True)
            assert len(server.requests) == 5
            clock.time += 60
            assert (await client.request("GET", "/pins", repeat=False)).body == b"up"
            assert (await client.request("GET", "/pins", repeat=False)).body == b"up"

    asyncio.run(main())


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await writer.drain()


def test_a_body_is_read_up_to_its_bound_and_no_further(kit: Any) -> None:
    bomb = kit.answer(200, gzip.compress(bytes(50_000_000)), content_encoding="gzip")
    for script in (kit.answer(200, b"x" * 1001), _endless, bomb):
        error, sent = fail(kit, script, repeat=True)
        assert type(error) is ProtocolError
        assert "longer than 1000 bytes" in error.message
        assert sent == 1
    assert get(kit, kit.answer(200, b"x" * 1000))[0].body == b"x" * 1000


def test_an_encoding_that_is_not_what_it_says_is_no_answer(kit: Any) -> None:
    for body, encoding in ((b"plain", "gzip"), (gzip.compress(b"x" * 99)[:-9], "gzip"), (b"plain", "br")):
        error, _ = fail(kit, kit.answer(200, body, content_encoding=encoding))
        assert type(error) is ProtocolError


def test_a_redirect_is_an_answer_and_is_not_followed(kit: Any) -> None:
    async def main() -> None:
        async with kit.talk(kit.answer(200)) as (_, other):
            redirect = kit.answer(307, b"", location=f"{other.endpoint}/steal")
            async with kit.talk(redirect) as (client, _):
                for method in ("GET", "POST", "DELETE"):
                    assert (await client.request(method, "/pins", repeat=True)).status == 307
            assert other.requests == []

    asyncio.run(main())


def test_a_429_holds_back_everything_for_as_long_as_it_says(kit: Any) -> None:
    for headers, seconds in (
        ({"retry_after": "7"}, 7),
        ({"retry_after": "Thu, 01 Jan 1970 00:16:49 GMT"}, 9),
        ({"x_ratelimit_reset": "1700000005", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}, 5),
        ({"retry_after": "7", "x_ratelimit_reset": "1700000005"}, 7),
        ({"x_ratelimit_reset": "30"}, 30),
    ):
        clock = kit.clock()
        answer, _ = get(kit, kit.answer(429, b"", **headers), kit.answer(200), clock=clock)
        assert answer.status == 200
        assert clock.time == pytest.approx(1000 + seconds, abs=0.6)


def test_a_wait_that_is_too_long_is_reported_and_not_waited_for(kit: Any) -> None:
    clock = kit.clock()
    answer, server = get(kit, kit.answer(429, b"", retry_after="3600"), clock=clock)
    assert (answer.status, len(server.requests), clock.slept) == (429, 1, [])


def test_an_allowance_that_is_used_up_is_waited_for_beforehand(kit: Any) -> None:
    async def main() -> None:
        clock = kit.clock()
        used_up = kit.answer(200, x_ratelimit_remaining="0", x_ratelimit_reset="12")
        left = kit.answer(200, x_ratelimit_remaining="3", x_ratelimit_reset="12")
        async with kit.talk(left, used_up, left, clock=clock) as (client, _):
            await client.request("GET", "/pins", repeat=True)
            await client.request("GET", "/pins", repeat=True)
            assert clock.slept == []
            await client.request("GET", "/pins", repeat=True)
            assert clock.slept == [12]

    asyncio.run(main())


def test_a_limit_of_listings_holds_back_listings_alone(kit: Any) -> None:
    async def main() -> None:
        clock = kit.clock()
        limits = Limits(listing=Rate(1000, 1), requests=Rate(1000, 1))
        used_up = kit.answer(200, x_ratelimit_remaining="0", x_ratelimit_reset="12")
        async with kit.talk(used_up, kit.answer(200), limits=limits, clock=clock) as (client, _):
            await client.request("GET", "/pins", repeat=True, listing=True)
            await client.request("POST", "/pins", repeat=False)
            assert clock.slept == []
            await client.request("GET", "/pins", repeat=True, listing=True)
            assert clock.slept == [12]

    asyncio.run(main())


def test_no_more_requests_are_in_flight_than_allowed(kit: Any) -> None:
    flying = most = 0

    async def slow(writer: asyncio.StreamWriter) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.02)
        flying -= 1
        writer.write(kit.answer(200, connection="close"))
        await writer.drain()

    async def main() -> None:
        async with kit.talk(slow, limits=Limits(concurrency=20)) as (client, server):
            await asyncio.gather(*(client.request("GET", "/pins", repeat=False) for _ in range(60)))
            assert len(server.requests) == 60

    asyncio.run(main())
    assert most == 20


def test_the_key_is_in_no_error_log_repr_or_traceback(kit: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Also at DEBUG, where the HTTP libraries tell what they do."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    echo = kit.answer(401, f'{{"error":"bad token {kit.key}"}}'.encode(), x_token=kit.key)
    for script in (kit.reset, _cut, kit.silence, b"\xff\xfe\r\n\r\n", kit.answer(200, b"x" * 2000)):
        error, _ = fail(kit, script, limits=Limits(timeout=0.3))
        shown += [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
        assert error.__context__ is None
        assert error.__cause__ is None
    answer, _ = get(kit, echo)
    shown.append(Secret(kit.key).redact(answer.body.decode()))
    shown.append(caplog.text)
    assert "HTTP Request: GET" in caplog.text
    assert not [text for text in shown if kit.key in text]


def test_a_proxy_that_cannot_be_used_is_an_error_of_ours(kit: Any) -> None:
    async def main() -> None:
        environ = {"ALL_PROXY": f"gopher://me:{kit.key}@proxy"}
        client = HttpClient(
            service="svc", endpoint="http://a.example", key=Secret("k"), limits=Limits(), environ=environ
        )
        async with client:
            for _ in range(2):
                with pytest.raises(UnreachableError, match="the proxy that the environment names") as caught:
                    await client.request("GET", "/pins", repeat=True)
        assert kit.key not in "".join(traceback.format_exception(caught.value))

    asyncio.run(main())


def test_the_tls_context_is_made_once_and_only_when_asked_for() -> None:
    get_context = shared_tls()
    context = get_context()
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert get_context() is context
