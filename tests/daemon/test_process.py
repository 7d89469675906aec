"""`pinrec run` as a process: signals, the lease, a person beside it, pauses, and what it writes."""

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from support.process import done, start

from reconciler.sandbox import Sandbox, Stored
from reconciler.sandbox.node.server import SandboxNode

CIDS = [
    "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
    "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4",
]


def write(directory: Path, url: str, *, node: str = "", pins: int = 1, more: str = "") -> None:
    lines = [
        "version: 1",
        "name: acme",
        f'services: {{s: {{endpoint: "{url}", key: {{env: KEY}}, profile: spec'
        + (", policies: [{all-in-mfs: {repinInterval: 1s}}]}}" if node else "}}"),
        *([f'node: {{api: "{node}"}}'] if node else []),
        *([more] if more else []),
        "pins:",
        *(f"  - {{name: n{i}, cid: {cid}}}" for i, cid in enumerate(CIDS[:pins])),
    ]
    temporary = directory / "new.yaml"
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(directory / "pinrec.yaml")


def names(box: Sandbox) -> list[str]:
    return sorted((p.name or "") for p in box.store.all("token") if not (p.name or "").startswith("policy/"))


def until(what: Callable[[], bool], why: str) -> None:
    """A loaded machine is no failure, and nothing here depends on how long it takes."""
    deadline = time.monotonic() + 90
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


@contextmanager
def running(directory: Path, *argv: str) -> Iterator[subprocess.Popen[str]]:
    process = start(directory, "run", *argv)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def lines_of(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_it_keeps_and_is_told_and_ends(tmp_path: Path) -> None:
    with Sandbox() as box:
        write(tmp_path, box.url)
        with running(tmp_path, "--log-format", "json") as loop:
            until(lambda: names(box) == ["n0"], "the first pin")
            # A second one says who has the lease; a person is never locked out.
            code, said = done(start(tmp_path, "run"))
            assert code == 6
            assert f"a loop of acme runs already: pid {loop.pid}" in said
            code, said = done(start(tmp_path, "apply", "--yes"))
            assert code == 0, said
            # The manifest is watched, and one that is broken is not taken.
            write(tmp_path, box.url, pins=2)
            until(lambda: names(box) == ["n0", "n1"], "the second pin")
            (tmp_path / "pinrec.yaml").write_text("version: 1\nname: [\n")
            state = tmp_path / "state" / "acme.loop.json"
            until(lambda: bool(json.loads(state.read_text()).get("manifest_error")), "the error in the state")
            write(tmp_path, box.url, pins=2, more="guards: {maxDeletes: 3}")
            until(lambda: not json.loads(state.read_text()).get("manifest_error"), "the mended manifest")
            # Asked to look at everything now.
            before = len(box.requests)
            loop.send_signal(signal.SIGHUP)
            until(lambda: len(box.requests) > before, "a look after SIGHUP")
            code, said = done(start(tmp_path, "status"))
            assert code == 0, said
            assert f"Loop: running, pid {loop.pid}" in said
            loop.send_signal(signal.SIGTERM)
            code, said = done(loop)
        assert code == 143, said
        events = lines_of(said)
        assert events[0]["event"] == "start"
        assert events[-1]["event"] == "stop"
        cycles = [e for e in events if e["event"] == "cycle"]
        assert {"service", "why", "did", "seconds", "exit", "standing"} <= cycles[0].keys()
        assert [e["level"] for e in events if e["event"] == "manifest"].count("error") == 1
        assert "token" not in said
        code, said = done(start(tmp_path, "status"))
        assert "none is running" in said


def test_after_a_kill_nothing_is_sent_twice(tmp_path: Path) -> None:
    with Sandbox() as box, SandboxNode() as node:
        node.write("/a", b"one")
        write(tmp_path, box.url, node=node.api, pins=2)

        def roots() -> list[Stored]:
            return [p for p in box.store.all("token") if (p.name or "").startswith("policy/")]

        with running(tmp_path) as loop:
            until(lambda: len(box.store.all("token")) == 3, "all pins")
            loop.kill()
            done(loop)
        posts = sum(r.method == "POST" for r in box.requests)
        with running(tmp_path) as loop:
            state = tmp_path / "state" / "acme.loop.json"
            until(
                lambda: state.exists() and json.loads(state.read_text())["pid"] == loop.pid,
                "the state of the second",
            )
            until(lambda: "converged" in state.read_text(), "its first cycle")
            assert sum(r.method == "POST" for r in box.requests) == posts
            # And it goes on: a new root goes out, and the old one goes.
            node.write("/a", b"two")
            until(lambda: [p.cid for p in roots()] == [node.root], "the new root")
            loop.send_signal(signal.SIGINT)
            code, said = done(loop)
        assert code == 130, said


def test_paused_it_asks_nothing(tmp_path: Path) -> None:
    with Sandbox() as box:
        write(tmp_path, box.url)
        code, said = done(start(tmp_path, "pause", "--service", "s"))
        assert code == 0
        assert said == "Paused: s. No loop is running.\n"
        with running(tmp_path) as loop:
            state = tmp_path / "state" / "acme.loop.json"
            until(state.exists, "the state")
            assert box.requests == ()
            code, said = done(start(tmp_path, "status"))
            assert "paused" in said
            asked = len(box.requests)
            code, said = done(start(tmp_path, "resume"))
            assert said == "Nothing is paused.\n"
            until(lambda: names(box) == ["n0"], "the pin after it was resumed")
            assert len(box.requests) > asked
            loop.send_signal(signal.SIGTERM)
            assert done(loop)[0] == 143
        code, said = done(start(tmp_path, "pause", "--service", "x"))
        assert code == 64


def test_one_round(tmp_path: Path) -> None:
    with Sandbox() as box:
        write(tmp_path, box.url)
        code, said = done(start(tmp_path, "run", "--once"))
        assert (code, names(box)) == (0, ["n0"]), said
        for i in range(20):
            box.store.put("token", CIDS[1], name=f"old{i}", meta={"pinrec": "acme"})
        code, said = done(start(tmp_path, "run", "--once", "--plan-only"))
        assert code == 4, said
        code, said = done(start(tmp_path, "run", "--once"))
        assert code == 4, said
        assert len(names(box)) == 21
    code, said = done(start(tmp_path, "run", "--once"))
    assert code == 3, said


def test_what_it_is_told_wrongly(tmp_path: Path) -> None:
    write(tmp_path, "http://127.0.0.1:9")
    for argv, what in (
        (("--interval", "5m", "--cron", "* * * * *"), "two ways"),
        (("--interval", "0s"), "at least 1s"),
        (("--cron", ""), "unset variable"),
    ):
        code, said = done(start(tmp_path, "run", *argv))
        assert code == 64, said
        assert what in said
    code, said = done(start(tmp_path, "run", "--cron", "every day"))
    assert code == 64, said
    assert "no cron expression" in said


def test_a_key_that_is_rotated_while_the_manifest_is_broken_is_used_once_it_is_mended(tmp_path: Path) -> None:
    def accounts() -> tuple[int, int]:
        return len(list(box.store.all("one"))), len(list(box.store.all("two")))

    with Sandbox(tokens=("one", "two")) as box:
        key = tmp_path / "key"
        key.write_text("one")
        key.chmod(0o600)
        write(tmp_path, box.url)
        manifest = (tmp_path / "pinrec.yaml").read_text().replace("{env: KEY}", "{file: key}")
        (tmp_path / "pinrec.yaml").write_text(manifest)
        with running(tmp_path) as loop:
            state = tmp_path / "state" / "acme.loop.json"
            until(lambda: accounts() == (1, 0) and state.exists(), "the pin by the first key")
            (tmp_path / "pinrec.yaml").write_text("version: 1\nname: [\n")
            key.write_text("two")
            until(lambda: bool(json.loads(state.read_text()).get("manifest_error")), "the error in the state")
            (tmp_path / "pinrec.yaml").write_text(manifest + "\n")
            until(lambda: accounts() == (1, 1), "the pin by the second key")
            loop.send_signal(signal.SIGTERM)
            done(loop)


def test_one_round_tells_the_webhook_before_it_ends(tmp_path: Path) -> None:
    told: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(0.5)
            if not told:
                told.append(b"")
                self.send_error(503)
                return
            told.append(body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with Sandbox() as box, HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hook = f"loop: {{webhook: {{url: 'http://127.0.0.1:{server.server_port}/'}}}}"
        write(tmp_path, box.url, more=hook)
        code, said = done(start(tmp_path, "run", "--once", "--plan-only"))
        server.shutdown()
    assert code == 2, said
    assert [json.loads(body)["standing"] for body in told[1:]] == ["drift"], said


def test_one_round_does_not_wait_for_what_is_paused(tmp_path: Path) -> None:
    with Sandbox() as box:
        write(tmp_path, box.url)
        assert done(start(tmp_path, "pause"))[0] == 0
        code, said = done(start(tmp_path, "run", "--once"))
        assert code == 0, said
        assert "event=pause service=s" in said
        assert box.requests == ()


def test_a_state_directory_that_is_removed_ends_no_loop(tmp_path: Path) -> None:
    with Sandbox() as box:
        write(tmp_path, box.url)
        state = tmp_path / "state"
        with running(tmp_path) as loop:
            until(lambda: names(box) == ["n0"] and (state / "acme.loop.json").exists(), "the first pin")
            shutil.rmtree(state)
            until(lambda: loop.poll() is not None or (state / "acme.loop.lock").exists(), "the lease")
            code, said = done(start(tmp_path, "run"))
            assert code == 6, said
            assert f"pid {loop.pid}" in said
            write(tmp_path, box.url, pins=2)
            until(lambda: names(box) == ["n0", "n1"], "the second pin")
            loop.send_signal(signal.SIGTERM)
            code, said = done(loop)
            assert code == 143, said
            assert "event=lease" in said
