"""The parts of the loop by themselves: what waits, what is new, what is written down, who is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.looping import FakeService, play, root

from reconciler.cli.render.log import log_line
from reconciler.core.errors import LockedError, PinrecError, SecretError
from reconciler.core.manifest import SecretRef, Webhook
from reconciler.core.profile import PROFILES
from reconciler.daemon.lease import Lease
from reconciler.daemon.log import Line, Log
from reconciler.daemon.news import News
from reconciler.daemon.pending import Pending, Waiting
from reconciler.daemon.state import LoopState, Paused, StateFiles
from reconciler.daemon.webhook import Change, Hook, check_url, sender, worded
from reconciler.engine.lock import Lock
from reconciler.transport.post import PostError

NOW = datetime(2027, 1, 1, 12, 0, tzinfo=UTC)


# --- pins that wait -------------------------------------------------------------------------------------------------


def test_few_are_read_one_by_one_and_a_failure_is_looked_at_twice() -> None:
    async def story() -> None:
        service = FakeService("s", delay=3.0)
        service.unfindable.add(root(2))
        pending = Pending(asyncio.get_running_loop().time, lambda _pin: None)
        ids = [service.put(root(n), f"n{n}", status="queued") for n in (1, 2)]
        gone = service.put(root(3), "n3", status="queued")
        service.pins_.pop(gone)
        pending.add(Waiting(requestid=i, name="n") for i in (*ids, gone))
        assert [(d.waiting.requestid, d.status) for d in await pending.look(service)] == [(gone, None)]
        await asyncio.sleep(3)
        [pinned] = await pending.look(service)
        assert pinned.waiting.requestid == ids[0]
        assert len(pending) == 1
        await asyncio.sleep(6)
        [failed] = await pending.look(service)
        assert failed.status is not None
        assert failed.status.status == "failed"
        assert len(pending) == 0
        assert pending.due == float("inf")

    play(story)


def test_looks_become_rarer_and_something_new_brings_them_near() -> None:
    async def story() -> None:
        service = FakeService("s", delay=10_000.0)
        pending = Pending(asyncio.get_running_loop().time, lambda _pin: None)
        pending.add([Waiting(requestid=service.put(root(1), "n", status="queued"), name="n")])
        for _ in range(30):
            await pending.look(service)
        assert pending.due - asyncio.get_running_loop().time() == pytest.approx(60.0, abs=0.1)
        pending.add([Waiting(requestid=service.put(root(2), "m", status="queued"), name="m")])
        assert pending.due - asyncio.get_running_loop().time() == pytest.approx(1.0, abs=0.1)

    play(story)


def test_of_many_a_page_is_read_and_no_more_than_a_few_of_the_others() -> None:
    async def story() -> None:
        service = FakeService("s", delay=100.0)
        pending = Pending(asyncio.get_running_loop().time, lambda _pin: None)
        pending.add(
            Waiting(requestid=service.put(root(n), f"n{n}", status="queued"), name="n") for n in range(500)
        )
        before = service.requests
        assert await pending.look(service) == []
        assert service.requests - before == 1
        await asyncio.sleep(200)
        before = service.requests
        assert len(await pending.look(service)) == 10
        assert service.requests - before == 11
        # So many at once are better seen in a listing.
        assert pending.crowd

    play(story)


# --- what is new ----------------------------------------------------------------------------------------------------


def test_only_what_was_not_known_is_new() -> None:
    async def story() -> None:
        service = FakeService("s")
        news = News(PROFILES["spec"])
        service.put(root(1), "old")
        assert (await news.look(service)).pins == ()
        await asyncio.sleep(60)
        assert (await news.look(service)).pins == ()
        made = service.put(root(2), "ours")
        news.made(made, "ours")
        service.put(root(3), "theirs")
        assert [p.pin.name for p in (await news.look(service)).pins] == ["theirs"]
        assert (await news.look(service)).pins == ()

    play(story)


def test_more_than_a_page_of_news_is_said_to_be_more() -> None:
    async def story() -> None:
        service = FakeService("s")
        news = News(PROFILES["spec"])
        service.put(root(0), "old")
        await news.look(service)
        await news.look(service)
        await asyncio.sleep(60)
        for n in range(1, 1500):
            service.put(root(n), f"n{n}")
        assert not (await news.look(service)).all_seen
        await asyncio.sleep(60)
        assert (await news.look(service)).all_seen

    play(story)


def test_a_service_that_ignores_after_is_not_asked_again() -> None:
    async def story() -> None:
        class Ignores(FakeService):
            async def pins(self, query: Any) -> Any:
                return await super().pins(type(query)(status=query.status, limit=query.limit))

        service = Ignores("s")
        news = News(PROFILES["spec"])
        service.put(root(1), "old")
        await asyncio.sleep(7200)
        service.put(root(2), "new")
        await news.look(service)
        await news.look(service)
        assert not news.works
        before = service.requests
        assert (await news.look(service)).pins == ()
        assert service.requests == before

    play(story)


# --- what is written down -------------------------------------------------------------------------------------------


def test_the_state_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    files = StateFiles(tmp_path / "state", "me")
    assert files.read_loop() is None
    assert files.read_paused() == Paused()
    state = LoopState(pinrec="1", owner="me", manifest="m", pid=1, host="h", since=NOW, written=NOW)
    files.write_loop(state)
    assert files.read_loop() == state
    assert files.loop.stat().st_mode & 0o077 == 0
    files.loop.write_text('{"pinrec": ')
    assert files.read_loop() is None
    files.write_paused(Paused(services=("a",)))
    assert files.read_paused().covers("a")
    assert not files.read_paused().covers("b")
    files.write_paused(Paused(everything=True))
    assert files.read_paused().covers("b")
    files.write_paused(Paused())
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == ["me.loop.json"]


def test_a_state_directory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PinrecError, match="cannot be written"):
        StateFiles(tmp_path / "file", "me").write_paused(Paused(everything=True))


def test_a_second_loop_is_told_who_has_the_lease_and_a_person_is_let_in(tmp_path: Path) -> None:
    lease = Lease(tmp_path, "me")
    assert lease.holder() is None
    assert not lease.is_ours()
    with lease.hold():
        assert lease.is_ours()
        with (
            pytest.raises(LockedError, match=r"a loop of me runs already: pid \d+ of .*, pinrec run since"),
            Lease(tmp_path, "me").hold(),
        ):
            pass
        assert lease.person() is None
        with Lock(tmp_path, "me").hold(what="apply"):
            person = lease.person()
            assert person is not None
            assert person.what == "apply"
        with Lease(tmp_path, "other").hold():
            pass
    assert not lease.is_ours()
    with lease.hold():
        pass


# --- the log --------------------------------------------------------------------------------------------------------

LINE = Line(
    time=NOW,
    level="info",
    event="cycle",
    fields={
        "service": "a",
        "why": 'a "b" c',
        "evil": "x\x1b[31m\nlevel=error ::error::",
        "n": 3,
        "s": 0.25,
        "ok": True,
    },
)


def test_a_line_is_one_line_whatever_it_holds() -> None:
    text = log_line(LINE, "text")
    assert text == (
        'time=2027-01-01T12:00:00.000Z level=info event=cycle service=a why="a \\"b\\" c" '
        'evil="x\\\\x1b[31m\\\\x0alevel=error ::error::" n=3 s=0.25 ok=true'
    ).replace("\\\\x", "\\x")
    assert text.isprintable()
    found = json.loads(log_line(LINE, "json"))
    assert found["evil"] == LINE.fields["evil"]
    assert found["n"] == 3
    assert log_line(LINE, "json").isprintable()


def test_fields_without_a_value_are_left_out() -> None:
    lines: list[Line] = []
    Log(lines.append, lambda: NOW)("info", "x", a=None, b="", c=0, d=False)
    assert lines[0].fields == {"c": 0, "d": False}


# --- the webhook ----------------------------------------------------------------------------------------------------


def change(standing: Any = "drift", was: Any = "converged") -> Change:
    return worded(
        Change(time="", owner="me", manifest="m", service="a", standing=standing, was=was, why="1 add"),
        now=NOW,
    )


@asynccontextmanager
async def listener(answers: list[int]) -> AsyncIterator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """A web server that answers with these codes, the last one for ever."""
    seen: list[tuple[dict[str, str], Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        seen.append(({"": head[0], **headers}, json.loads(body)))
        code = answers.pop(0) if len(answers) > 1 else answers[0]
        writer.write(
            f"HTTP/1.1 {code} X\r\ncontent-length: 0\r\nlocation: http://127.0.0.1:1/\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?key=abc", seen


def _told(answers: list[int], changes: list[Change], **webhook: Any) -> tuple[list[Any], Hook, list[Line]]:
    lines: list[Line] = []

    async def main() -> tuple[list[Any], Hook]:
        async with listener(answers) as (url, seen):
            declared = Webhook(url=SecretRef(kind="env", value=("HOOK",)), **webhook)
            send = sender(declared, environ={"HOOK": url, "TOKEN": "s3cret-token"})

            async def soon(_seconds: float) -> None:
                await asyncio.sleep(0)

            hook = Hook(send, log=Log(lines.append, lambda: NOW), sleep=soon)
            for one in changes:
                hook.tell(one)
            await hook.drain(30)
            return seen, hook

    seen, hook = asyncio.run(main())
    return seen, hook, lines


def test_a_change_is_posted_with_its_secret() -> None:
    seen, hook, _ = _told([204], [change()], secret=SecretRef(kind="env", value=("TOKEN",)))
    [(headers, body)] = seen
    assert headers[""] == "POST /hook?key=abc HTTP/1.1"
    assert headers["authorization"] == "Bearer s3cret-token"
    assert headers["content-type"] == "application/json"
    assert body["standing"] == "drift"
    assert body["was"] == "converged"
    assert body["text"] == "pinrec me/a is drift (was converged): 1 add"
    assert body["time"] == "2027-01-01T12:00:00Z"
    assert hook.error == ""


def test_it_is_tried_again_and_then_given_up() -> None:
    seen, hook, _ = _told([500, 503, 200], [change()])
    assert len(seen) == 3
    assert hook.error == ""
    seen, hook, lines = _told([500], [change(), change("failed")])
    assert len(seen) == 6
    assert hook.error == "HTTP 500"
    assert [line.event for line in lines] == ["webhook", "webhook"]
    # The address may be a secret: nothing shows it.
    assert not any("127.0.0.1" in str(line) or "abc" in str(line) for line in lines)


def test_no_redirect_is_followed() -> None:
    seen, hook, _ = _told([302], [change()], secret=SecretRef(kind="env", value=("TOKEN",)))
    assert len(seen) == 3
    assert hook.error == "HTTP 302"


def test_an_address_that_cannot_be_is_refused_at_the_start_and_not_shown() -> None:
    with pytest.raises(SecretError):
        sender(Webhook(url=SecretRef(kind="env", value=("HOOK",))), environ={})
    for url in ("ftp://example.com/x", "example.com", "http://example.com/k3y", "https://", "https://a b"):
        with pytest.raises(PinrecError) as caught:
            check_url(url, insecure=False)
        assert "k3y" not in str(caught.value)
    check_url("http://example.com/x", insecure=True)
    check_url("https://example.com/x", insecure=False)


def test_what_cannot_be_sent_fails_nothing() -> None:
    async def main(send: Callable[[bytes], Any]) -> str:
        lines: list[Line] = []

        async def soon(_seconds: float) -> None:
            await asyncio.sleep(0)

        hook = Hook(send, log=Log(lines.append, lambda: NOW), sleep=soon)
        task = asyncio.create_task(hook.run())
        hook.tell(change())
        while not hook.error or not lines:
            await asyncio.sleep(0.01)
        task.cancel()
        return hook.error

    refused = sender(Webhook(url="http://127.0.0.1:1/x"), environ={})
    assert asyncio.run(main(refused)) == "ConnectError"


def test_what_is_being_told_when_the_manifest_changes_or_the_loop_ends_is_told_once() -> None:
    sent: list[str] = []

    async def story() -> None:
        async def slow(body: bytes) -> None:
            await asyncio.sleep(2)
            sent.append(f"slow {json.loads(body)['standing']}")

        async def fails(_body: bytes) -> None:
            raise PostError("HTTP 500")

        async def well(body: bytes) -> None:
            sent.append(f"well {json.loads(body)['standing']}")

        hook = Hook(slow, log=Log(lambda _line: None, lambda: NOW), sleep=asyncio.sleep)
        task = asyncio.create_task(hook.run())
        hook.tell(change())
        hook.tell(change("failed"))
        await asyncio.sleep(1)
        hook.use(well)
        await asyncio.sleep(3)
        assert sent == ["slow drift", "well failed"]
        hook.use(fails)
        hook.tell(change("blocked"))
        await asyncio.sleep(1)
        hook.use(slow)
        await hook.drain(30)
        assert sent == ["slow drift", "well failed", "slow blocked"]
        hook.tell(change("unknown"))
        await asyncio.sleep(0)
        await hook.drain(1)
        assert hook.error == "not told before the end"
        task.cancel()

    play(story)
