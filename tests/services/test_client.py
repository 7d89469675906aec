"""The operations of API v1.0.0 over a socket: what is sent, and what is made of what comes back."""

import asyncio
import json
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reconciler.core.errors import (
    AuthError,
    FundsError,
    LostAnswerError,
    NotFoundError,
    PinrecError,
    ProtocolError,
    RateLimitedError,
    RejectedError,
    SecretError,
    ServerFaultError,
    ServiceError,
)
from reconciler.core.manifest import Limits, SecretRef, Service
from reconciler.core.model import PinRequest, PinStatus
from reconciler.core.profile import PROFILES
from reconciler.services.client import encode_query, open_services
from reconciler.services.protocol import Page, PinningService, Query

CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
STATUS = {
    "requestid": "r1",
    "status": "queued",
    "created": "2026-01-01T00:00:00.000Z",
    "pin": {"cid": CID, "name": "n", "origins": [], "meta": {"a": "b"}},
    "delegates": ["/dnsaddr/x"],
    "info": {},
}


def ask(connect: Any, fake: Any, call: Callable[[PinningService], Awaitable[Any]], **more: Any) -> Any:
    async def main() -> Any:
        async with connect(fake.endpoint, **more) as service:
            return await call(service)

    return asyncio.run(main())


def says(status: int, body: bytes | dict[str, Any] | list[Any] | str, **headers: str) -> Any:
    raw = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    return lambda *_: (status, headers, raw)


def refused(connect: Any, fake: Any, call: Callable[[PinningService], Awaitable[Any]]) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        ask(connect, fake, call)
    assert caught.value.service == "svc"
    assert caught.value.message.startswith("svc: ")
    return caught.value


def add(service: PinningService) -> Awaitable[PinStatus]:
    return service.add(PinRequest(cid=CID, name="n"))


def listing(service: PinningService) -> Awaitable[Page]:
    return service.pins(Query())


# --- what is sent ------------------------------------------------------------------------------------------------


def test_every_filter_is_sent_once_and_encoded() -> None:
    query = Query(
        cid=("a", "b"),
        name="x & y/ü",
        match="ipartial",
        status=("queued", "failed"),
        before="2026-01-01T00:00:00.000Z",
        after="2025-01-01T00:00:00.000Z",
        limit=1000,
        meta={"team": "wéb"},
    )
    assert encode_query(query) == (
        "cid=a%2Cb&name=x%20%26%20y%2F%C3%BC&match=ipartial&status=queued%2Cfailed"
        "&before=2026-01-01T00%3A00%3A00.000Z&after=2025-01-01T00%3A00%3A00.000Z&limit=1000"
        "&meta=%7B%22team%22%3A%22w%5Cu00e9b%22%7D"
    )
    assert encode_query(Query()) == ""
    with pytest.raises(ValueError, match="10"):
        encode_query(Query(cid=("x",) * 11))


def test_an_add_sends_the_pin_and_nothing_else(connect: Any, fake: Any, key: str) -> None:
    fake.hook = says(202, STATUS)
    pin = PinRequest(cid=CID, name="n", origins=("/ip4/1.2.3.4/tcp/1",), meta={"a": "b"})
    assert ask(connect, fake, lambda s: s.add(pin)).requestid == "r1"
    method, target, headers, body = fake.seen[0]
    assert (method, target) == ("POST", "/pins")
    assert json.loads(body) == {
        "cid": CID,
        "name": "n",
        "origins": ["/ip4/1.2.3.4/tcp/1"],
        "meta": {"a": "b"},
    }
    assert headers["authorization"] == f"Bearer {key}"
    assert headers["content-type"] == "application/json"
    ask(connect, fake, lambda s: s.add(PinRequest(cid=CID)))
    assert json.loads(fake.seen[1][3]) == {"cid": CID}


@pytest.mark.parametrize(
    ("requestid", "path"),
    [
        ("r1", "/pins/r1"),
        ("a/b?c#d%2F=+ ", "/pins/a%2Fb%3Fc%23d%252F%3D%2B%20"),
        ("..", "/pins/%2E%2E"),
        ("ü", "/pins/%C3%BC"),
    ],
)
def test_a_requestid_is_opaque(connect: Any, fake: Any, requestid: str, path: str) -> None:
    targets: list[bytes] = []

    async def main() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            targets.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
            writer.write(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server, connect(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as service:
            assert await service.get(requestid) is None
            assert await service.delete(requestid) is False

    asyncio.run(main())
    assert targets == [path.encode()] * 2


# --- what is accepted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_is_a_success(connect: Any, fake: Any, status: int) -> None:
    fake.hook = says(status, STATUS)

    async def all_of_them(service: PinningService) -> list[Any]:
        pin = PinRequest(cid=CID)
        return [
            await service.add(pin),
            await service.get("r1"),
            await service.replace("r1", pin),
            await service.delete("r1"),
        ]

    added, got, replaced, deleted = ask(connect, fake, all_of_them)
    assert added == got == replaced
    assert (added.pin.cid, added.pin.meta, added.status, deleted) == (CID, {"a": "b"}, "queued", True)


@pytest.mark.parametrize("body", [b"", b"OK", b"{}", b"\x00"])
def test_a_delete_needs_no_body(connect: Any, fake: Any, body: bytes) -> None:
    fake.hook = says(202, body)
    assert ask(connect, fake, lambda s: s.delete("r1")) is True


def test_a_replace_may_be_accepted_without_a_body(connect: Any, fake: Any) -> None:
    fake.hook = says(202, b"")
    assert ask(connect, fake, lambda s: s.replace("r1", PinRequest(cid=CID))) is None


@pytest.mark.parametrize("body", [b"", b"{}", b"OK", b'{"requestid":"x"', b"<html></html>", b"[]", b"\xff"])
def test_an_add_without_a_readable_answer_may_have_happened(connect: Any, fake: Any, body: bytes) -> None:
    fake.hook = says(200, body)
    error = refused(connect, fake, add)
    assert type(error) is LostAnswerError
    assert error.maybe_done
    assert fake.calls == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {
                "pin": {"cid": CID, "name": None, "meta": None, "origins": None},
                "info": None,
                "delegates": None,
            },
            {},
        ),
        ({"pin": {"cid": CID}, "content": {"x": 1}}, {}),
        ({"requestid": 17}, {"requestid": "17"}),
        ({"requestid": None, "requestId": "r9"}, {"requestid": "r9"}),
        ({"status": "Pinned"}, {"status": "pinned"}),
        ({"status": "expired"}, {"status": "queued"}),
        ({"status": None}, {"status": "queued"}),
        ({"created": None}, {"created": ""}),
        ({"info": {"tries": 3, "why": "x"}}, {"info": {"why": "x"}}),
        ({"pin": {"cid": "no cid", "name": "n", "meta": {"a": "b", "n": 1}}}, {}),
    ],
)
def test_what_services_make_of_a_pin_status(
    connect: Any, fake: Any, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    raw = {
        key: value for key, value in {**STATUS, **change}.items() if key != "requestid" or value is not None
    }
    fake.hook = says(200, raw)
    got = ask(connect, fake, lambda s: s.get("r1"))
    fake.hook = says(200, {"count": 1, "results": [raw, {**STATUS, "requestid": "other"}]})
    page = ask(connect, fake, listing)
    assert page.results[0] == got
    assert got.pin.cid == raw["pin"]["cid"]
    assert not (got.pin.meta or {}).get("n")
    for field, value in expected.items():
        assert getattr(got, field) == value


@pytest.mark.parametrize("count", ['"2"', "2", "null", "true"])
def test_a_count_that_is_no_number(connect: Any, fake: Any, count: str) -> None:
    one = json.dumps(STATUS)
    fake.hook = says(200, f'{{"count":{count},"results":[{one},{one}]}}')
    assert ask(connect, fake, listing).count == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"count":1}',
      b'{"count":1,"results":[{"status":"pinned"}]}', b'{"count":1,"results":', b"<p>",
     b'{"count":1,"results":[{"requestid":"","pin":{"cid":"x"}}]}', b'{"count":1,"results":[7]}', b"[" * 100_000],
)  # fmt: skip
def test_a_list_that_is_none_is_an_error(connect: Any, fake: Any, body: bytes) -> None:
    fake.hook = says(200, body)
    assert type(refused(connect, fake, listing)) is ProtocolError


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "maybe_done", "ends_lane"),
    [
        (400, RejectedError, True, False),
        (401, AuthError, False, True),
        (403, AuthError, False, True),
        (402, FundsError, False, True),
        (409, FundsError, False, True),
        (404, NotFoundError, False, False),
        (418, RejectedError, True, False),
        (307, ProtocolError, True, False),
        (500, ServerFaultError, True, False),
        (599, ServerFaultError, True, False),
    ],
)
def test_what_a_status_means(
    connect: Any, fake: Any, status: int, kind: type, maybe_done: bool, ends_lane: bool
) -> None:
    fake.hook = says(status, {"error": {"reason": "WHY", "details": "so"}})
    error = refused(connect, fake, add)
    assert type(error) is kind
    assert (error.status, error.reason, error.details) == (status, "WHY", "so")
    assert (error.maybe_done, error.ends_lane) == (maybe_done, ends_lane)
    assert fake.calls == 1


def test_a_rate_limit_that_does_not_end(connect: Any, fake: Any) -> None:
    fake.hook = says(429, b"", **{"retry-after": "3600"})
    error = refused(connect, fake, add)
    assert type(error) is RateLimitedError
    assert error.retry_after == 3600
    assert not error.maybe_done


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": {"reason": "BAD", "details": "the CID"}}, "BAD: the CID"),
        ({"error": {"reason": "BAD"}}, "BAD"),
        ({"error": {"reason": "", "details": "d"}}, "d"),
        ({"error": {"details": "no reason"}}, "no reason"),
        ({"error": "as text"}, "as text"),
        ({"Error": "Invalid Signature"}, "Invalid Signature"),
        ({"error": None}, ""),
        ({"error": [{"message": "in a list"}]}, "in a list"),
        ({"message": "m"}, "m"),
        ([{"message": "bare list"}], "bare list"),
        ([], ""),
        ("7", "7"),
        (b"", ""),
        (b"Bad Request", "Bad Request"),
        (b"{not json", "{not json"),
        (b'{"error":{"reason":"ERROR","details":"first"}}\n{"requestid":"x"}', "ERROR: first"),
        (b"<html><head><title>502 Bad &amp; Gateway</title></head><body>x</body></html>", "502 Bad & Gateway"),
        (b"<!doctype html><style>p{}</style><p>no <b>title</b>", "no title"),
        (b"\x1b[31mred\x07\r\n::error::x\xff", "[31mred ::error::x"),
        ("\u202eabc\u2066", "abc"),
        (b"x" * 5000, "x" * 199 + "…"),
        (b"[" * 20_000, "[" * 199 + "…"),
    ],
)  # fmt: skip
def test_every_shape_of_an_error_is_one_safe_line(connect: Any, fake: Any, body: Any, shown: str) -> None:
    fake.hook = says(400, body)
    error = refused(connect, fake, add)
    head, _, words = error.message.partition("HTTP 400 Bad Request")
    assert head == "svc: add: "
    assert words.removeprefix(": ").replace("\ufffd", "").strip() == shown
    assert error.message.isprintable()
    assert len(error.message) < 500


def test_a_wrong_endpoint_is_no_empty_account(connect: Any, fake: Any) -> None:
    fake.hook = says(404, b"<html><title>404 Not Found</title></html>")
    assert "without /pins" in refused(connect, fake, listing).hint
    fake.hook = says(404, {"error": {"reason": "NOT_FOUND"}})
    assert list(ask(connect, fake, listing).results) == []
    assert "without /pins" in refused(connect, fake, add).hint


def test_a_redirect_says_where_to(connect: Any, fake: Any) -> None:
    fake.hook = says(301, b"", location="https://elsewhere.example/psa/pins")
    error = refused(connect, fake, listing)
    assert "it points elsewhere" in error.message
    assert "elsewhere.example" not in error.message + error.hint, "both are in plans, which hold no address"
    assert error.details == "https://elsewhere.example/psa/pins"
    assert "set the endpoint" in error.hint


@pytest.mark.parametrize(
    ("seconds", "told"), [("301", "in 5 min"), ("3600", "in 60 min"), ("86400", "in 24 h")]
)
def test_a_pause_too_long_to_be_waited_for_is_told(connect: Any, fake: Any, seconds: str, told: str) -> None:
    fake.hook = says(429, {"error": {"reason": "TOO_MANY"}}, **{"retry-after": seconds})
    error = refused(connect, fake, listing)
    assert error.message.endswith(f"TOO_MANY; it asks to come again {told}")
    assert fake.calls == 1


# --- the key -------------------------------------------------------------------------------------------------------


def test_a_key_that_a_service_echoes_is_not_shown(
    connect: Any, fake: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for body in (
        f"bad token {key}",
        {"error": {"reason": key, "details": f"<{key}>"}},
        f"<title>{key}</title>",
    ):
        fake.hook = says(401, body, location=f"/{key}")
        error = refused(connect, fake, add)
        text = "".join(traceback.format_exception(error)) + repr(vars(error)) + caplog.text
        assert key not in text
        assert "***" in error.message
    assert "HTTP Request: POST" in caplog.text


def test_every_key_is_resolved_before_any_request() -> None:
    def spec(name: str) -> Service:
        ref = SecretRef(kind="env", value=(name,))
        return Service(name=name, endpoint="http://127.0.0.1:1", key=ref, profile=PROFILES["unknown"])

    async def main() -> None:
        async with open_services({n: spec(n) for n in ("A", "B")}, environ={"A": "x"}):
            raise AssertionError

    with pytest.raises(
        SecretError, match="the key of service B is not set: there is no environment variable B"
    ):
        asyncio.run(main())


def test_services_are_opened_and_counted_each_for_itself(fake: Any) -> None:
    fake.hook = says(200, {"count": 0, "results": []})

    async def main() -> None:
        ref = SecretRef(kind="env", value=("K",))
        specs = {
            name: Service(
                name=name,
                endpoint=fake.endpoint,
                key=ref,
                profile=PROFILES["unknown"],
                limits=Limits(concurrency=concurrency),
            )
            for name, concurrency in (("a", 1), ("b", 20))
        }
        async with open_services(specs, environ={"K": "x"}) as services:
            assert [s.name for s in services.values()] == ["a", "b"]
            await asyncio.gather(*(services["b"].pins(Query()) for _ in range(40)))
            assert [s.requests for s in services.values()] == [0, 40]

    asyncio.run(main())


def test_all_that_is_raised_is_ours(connect: Any, fake: Any) -> None:
    fake.hook = says(204, b"")
    with pytest.raises(PinrecError):
        ask(connect, fake, listing)
