"""`pinrec run` beside a real Kubo: MFS is seen as it changes, and no service is asked more often than it is said."""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.process import done, start

from reconciler.sandbox import Sandbox

#: Seconds between two requests for a policy to one service, and of restlessness.
INTERVAL, RESTLESS = 2.0, 20.0


def write(folder: Path, api: str, endpoint: str, *, preset: str = "sandbox") -> None:
    (folder / "pinrec.yaml").write_text(
        f"version: 1\nname: acme\nnode: {{api: '{api}'}}\nservices:\n"
        f"  s: {{preset: {preset}, endpoint: '{endpoint}', key: {{env: KEY}}, policies: [all-in-mfs]}}\n"
        f"policies:\n  all-in-mfs: {{repinInterval: {INTERVAL:g}s}}\n"
    )


def put(api: str, name: str, content: bytes) -> None:
    """`files/write`, without a program to start for each."""
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    request = urllib.request.Request(
        f"{api}/api/v0/files/write?arg=/{name}&create=true&truncate=true",
        data=head + content + b"\r\n--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    with urllib.request.urlopen(request) as answer:
        answer.read()


def until(what: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(folder, "run")
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            code, said = done(process)
            assert code == 143, said
            assert "Traceback" not in said


@pytest.mark.kubo
def test_of_a_root_that_never_rests_the_last_one_wins(tmp_path: Path, kubo: Any) -> None:
    node = kubo("node").start()
    with Sandbox() as box:
        write(tmp_path, node.api, box.url)

        def pinned() -> list[tuple[str, str]]:
            return [(p.cid, p.status) for p in box.store.all("token")]

        def root() -> str:
            return str(node.ipfs("files", "stat", "--hash", "/"))

        with running(tmp_path):
            until(lambda: pinned() == [(root(), "pinned")], "the first root")
            began = time.monotonic()
            for i in range(int(RESTLESS / 0.2)):
                put(node.api, f"f{i % 7}", os.urandom(100))
                time.sleep(0.2)
            took = time.monotonic() - began
            until(lambda: pinned() == [(root(), "pinned")], "the last root")
        posts = sum(r.method == "POST" for r in box.requests)
        assert 2 <= posts <= took / INTERVAL + 3


@pytest.mark.cluster
def test_changes_arrive_by_themselves_and_through_restarts(tmp_path: Path, pair: Any) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write(home, pair.node.api, pair.endpoint, preset="ipfs-cluster")

    def arrived() -> bool:
        return bool(pair.far.has(pair.node.ipfs("files", "stat", "--hash", "/")))

    with running(home):
        put(pair.node.api, "a", os.urandom(300_000))
        until(arrived, "the first change")
        pair.node.stop()
        pair.node.start()
        put(pair.node.api, "b", os.urandom(300_000))
        until(arrived, "a change after the node came back")
    with running(home):
        put(pair.node.api, "c", os.urandom(300_000))
        until(arrived, "a change after the loop came back")
