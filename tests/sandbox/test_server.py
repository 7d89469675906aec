"""Starting, stopping, faults, and the memory of requests."""

import socket
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from reconciler.sandbox import Answer, Delay, Drop, Fault, Latency, Pin, Received, Sandbox, serve

TOKEN = "first-token"
CidOf = Callable[[int], str]
Talk = Callable[..., httpx.Client]


class Script:
    """Faults from two functions."""

    def __init__(
        self,
        before: Callable[[Received], Fault | None] = lambda _: None,
        after: Callable[[Received, Answer], Fault | None] = lambda _, __: None,
    ) -> None:
        self.before = before
        self.after = after


def post_only(fault: Fault) -> Callable[..., Fault | None]:
    return lambda request, *_: fault if request.method == "POST" else None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_dropped_connection_gets_no_answer(talk: Talk, cid: CidOf, when: str) -> None:
    with Sandbox([TOKEN], faults=Script(**{when: post_only(Drop())})) as running, talk(running) as api:
        with pytest.raises(httpx.TransportError):
            api.post("/pins", json={"cid": cid(1)})
        assert api.get("/pins").json()["count"] == (1 if when == "after" else 0)
        assert [(r.method, r.status) for r in running.requests] == [("POST", 0), ("GET", 200)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_another_answer_in_place_of_the_service_s(talk: Talk, cid: CidOf, when: str) -> None:
    other = Answer(status=503, body=b"<html>busy", headers={"Content-Type": "text/html", "Retry-After": "7"})
    with Sandbox([TOKEN], faults=Script(**{when: post_only(other)})) as running, talk(running) as api:
        answer = api.post("/pins", json={"cid": cid(1)})
        assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "<html>busy", "7")
        assert api.get("/pins").json()["count"] == (1 if when == "after" else 0)


def test_a_fault_may_look_at_the_answer_and_change_it(talk: Talk, cid: CidOf) -> None:
    def shorter(request: Received, answer: Answer) -> Fault | None:
        return Answer(status=answer.status, body=answer.body[:-1], headers=answer.headers)

    with Sandbox([TOKEN], faults=Script(after=shorter)) as running, talk(running) as api:
        answer = api.get("/pins")
        assert answer.text == '{"count":0,"results":[]'
        assert answer.headers["content-type"] == "application/json"


def test_delays_do_not_hold_others_up(talk: Talk, cid: CidOf) -> None:
    waits = threading.Event()

    def before(request: Received) -> Fault | None:
        if request.method != "POST":
            return None
        waits.set()
        return Delay(seconds=3600)

    with ThreadPoolExecutor(1) as pool:
        with Sandbox([TOKEN], faults=Script(before=before)) as running:

            def slow() -> None:
                with talk(running) as api, pytest.raises(httpx.RemoteProtocolError):
                    api.post("/pins", json={"cid": cid(1)})

            waiting = pool.submit(slow)
            waits.wait()
            with talk(running) as api:
                assert api.get("/pins").json()["count"] == 0
            assert not waiting.done()
        # Leaving cuts who still waits.
        waiting.result()


def test_latency_lets_everything_pass(talk: Talk) -> None:
    with Sandbox([TOKEN], faults=Latency(0.001)) as running, talk(running) as api:
        assert api.get("/pins").status_code == 200


def test_requests_are_remembered_without_the_token(sandbox: Sandbox, api: httpx.Client, cid: CidOf) -> None:
    body = {"cid": cid(1), "name": "a"}
    api.post("/pins", json=body)
    api.get("/pins", params={"name": "a b"})
    api.delete("/pins/x%2Fy")
    seen = [(r.method, r.path, r.query, r.json, r.status) for r in sandbox.requests]
    assert seen == [
        ("POST", "/pins", "", body, 202),
        ("GET", "/pins", "name=a+b", None, 200),
        ("DELETE", "/pins/x/y", "", None, 404),
    ]
    assert [r.request.number for r in sandbox.requests] == [1, 2, 3]
    assert TOKEN not in repr(sandbox.requests)
    sandbox.forget_requests()
    assert sandbox.requests == ()


def test_memory_of_requests_is_bounded(talk: Talk) -> None:
    with Sandbox([TOKEN], log=3) as running, talk(running) as api:
        for n in range(5):
            api.post("/pins", content=b"x" * (n * 10_000))
        assert [r.request.number for r in running.requests] == [3, 4, 5]
        assert max(len(r.request.body) for r in running.requests) < 20_000


def test_a_date_comes_with_every_answer(api: httpx.Client) -> None:
    assert "date" in api.get("/pins").headers
    assert "date" in api.get("/nothing").headers


def test_it_listens_on_loopback_and_frees_its_port(talk: Talk) -> None:
    with Sandbox([TOKEN]) as running, talk(running) as api:
        assert running.url == f"http://127.0.0.1:{running.port}"
        assert api.get("/pins").status_code == 200
        port = running.port
        with pytest.raises(OSError, match="in use"):
            Sandbox([TOKEN], port=port).__enter__()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with Sandbox([TOKEN], port=port):
        pass


def test_two_run_side_by_side(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN]) as one, Sandbox([TOKEN]) as two, talk(one) as first, talk(two) as second:
        first.post("/pins", json={"cid": cid(1)})
        assert (first.get("/pins").json()["count"], second.get("/pins").json()["count"]) == (1, 0)


@pytest.mark.parametrize("tokens", [[], [""], ["a", ""]])
def test_tokens_must_be_some(tokens: list[str]) -> None:
    with pytest.raises(ValueError, match="tokens"):
        Sandbox(tokens)


def test_one_text_is_not_a_list_of_tokens() -> None:
    with pytest.raises(TypeError, match="tokens"):
        Sandbox("secret")


def test_serve_runs_until_it_is_interrupted_and_closes_everything(talk: Talk) -> None:
    ports = []

    class StopNow(BaseException):
        pass

    def ready(running: Sandbox) -> None:
        with talk(running) as api:
            assert api.get("/pins").status_code == 200
        ports.append(running.port)
        raise StopNow

    with pytest.raises(StopNow):
        serve([TOKEN], ready=ready)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]))


def test_no_thread_stays_behind() -> None:
    before = threading.active_count()
    with Sandbox([TOKEN]):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_a_defect_is_a_failure_too_and_is_logged(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    """So a test's own mistake in its faults does not look like the service's."""

    def broken(request: Received) -> Fault | None:
        raise ZeroDivisionError

    with Sandbox([TOKEN], faults=Script(before=broken)) as running, talk(running) as api:
        answer = api.get("/pins")
        assert answer.status_code == 500
        assert answer.json()["error"]["reason"] == "INTERNAL_SERVER_ERROR"
    assert "ZeroDivisionError" in caplog.text


def test_a_fill_that_cannot_be_done_changes_nothing(sandbox: Sandbox, api: httpx.Client, cid: CidOf) -> None:
    sandbox.store.put(TOKEN, cid(1), created="2026-01-01T00:00:00.003Z")
    before = sandbox.store.all(TOKEN)
    with pytest.raises(sqlite3.IntegrityError):
        sandbox.store.fill(TOKEN, [Pin(cid=cid(n)) for n in range(5)], since=datetime(2026, 1, 1, tzinfo=UTC))
    assert sandbox.store.all(TOKEN) == before
    api.post("/pins", json={"cid": cid(1), "meta": {"a": "b"}})
    for query in ({"limit": 1}, {"cid": cid(1), "limit": 1}):
        assert api.get("/pins", params=query).json()["count"] == 2


def test_created_is_the_clock_s(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], clock=lambda: 1_780_000_000.5) as running, talk(running) as api:
        assert api.post("/pins", json={"cid": cid(1)}).json()["created"] == "2026-05-28T20:26:40.500Z"
        running.store.put(TOKEN, cid(2))
        assert running.store.all(TOKEN)[0].created == "2026-05-28T20:26:40.501Z"
