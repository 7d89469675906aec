"""`pinrec run` as a process, watched from outside: `python bench/looping.py TASK ARGUMENT...` prints JSON.

idle ENDPOINT SIZE SECONDS     processor time and memory with SIZE pins and a watched MFS where nothing happens
change ENDPOINT SIZE TIMES     seconds from a change of MFS to the request at a service, the median of TIMES
ticks TIMES                    MB that it grows by in TIMES rounds of 100 ms, after as many as a fifth of that
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import world

#: Seconds until whatever a loop begins with is over.
PATIENCE = 180


class _Arrivals:
    """A fault that befalls nobody: it notes when a POST came."""

    def __init__(self) -> None:
        self.posts: list[float] = []

    def before(self, request: object) -> None:
        if getattr(request, "method", "") == "POST":
            self.posts.append(time.monotonic())

    def after(self, _request: object, _answer: object) -> None: ...


@contextmanager
def loop(
    folder: Path, *, endpoint: str, near: str, node: str, size: int, more: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    pins = folder / "pins.txt"
    with pins.open("w") as file:
        file.writelines(f"{world.cid(n)} {world.name(n)}\n" for n in range(size))
    big = (
        f"  big: {{endpoint: {endpoint}, key: {{env: {world.KEY_VARIABLE}}}, preset: sandbox}}\n"
        if endpoint
        else ""
    )
    (folder / "pinrec.yaml").write_text(
        f"version: 1\nname: {world.OWNER}\nnode: {{api: {node}}}\nservices:\n{big}"
        f"  near: {{endpoint: {near}, key: {{env: {world.KEY_VARIABLE}}}, preset: sandbox, policies: [all-in-mfs]}}\n"
        f"policies: {{all-in-mfs: {{kind: mfs, path: /, repinInterval: 100ms}}}}\n"
        f"defaults: {{services: [{'big' if endpoint else 'near'}]}}\n"
        f"pins: [{{from: pins.txt}}]\n{more}"
    )
    environ = {**os.environ, world.KEY_VARIABLE: "token-0", "PINREC_STATE_DIR": str(folder / "state")}
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "run", "-q", "-f", str(folder / "pinrec.yaml")],
        env=environ,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _is_settled(folder / "state" / f"{world.OWNER}.loop.json"):
            assert time.monotonic() < deadline, "the loop does not settle"
            assert process.poll() is None, "the loop has ended"
            time.sleep(0.2)
        time.sleep(2)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _is_settled(state: Path) -> bool:
    try:
        services = {s["service"]: s for s in json.loads(state.read_text()).get("services", ())}
    except (OSError, ValueError):
        return False
    wanted = {"near", "big"} & services.keys()
    return bool(wanted) and all(services[s].get("standing") == "converged" for s in wanted)


def _used(pid: int) -> tuple[float, float]:
    """Seconds of processor time, and MB resident."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def _world() -> Iterator[tuple[object, object, _Arrivals]]:
    from reconciler.sandbox import Sandbox
    from reconciler.sandbox.node.server import SandboxNode

    arrivals = _Arrivals()
    with SandboxNode() as node, Sandbox(["token-0"], faults=arrivals, log=0) as near:
        node.write("/first", b"0")
        yield node, near, arrivals


def idle(endpoint: str, size: str, seconds: str) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory() as folder,
        _world() as (node, near, _),
        loop(Path(folder), endpoint=endpoint, near=near.url, node=node.api, size=int(size)) as process,
    ):
        time.sleep(3)
        before, _rss = _used(process.pid)
        time.sleep(float(seconds))
        after, rss = _used(process.pid)
    return {"share": (after - before) / float(seconds), "rss": rss}


def change(endpoint: str, size: str, times: str) -> dict[str, float]:
    took = []
    with (
        tempfile.TemporaryDirectory() as folder,
        _world() as (node, near, arrivals),
        loop(Path(folder), endpoint=endpoint, near=near.url, node=node.api, size=int(size)),
    ):
        for number in range(int(times)):
            # At any moment between two looks.
            time.sleep(2 + 0.37 * (number % 7))
            arrivals.posts.clear()
            began = time.monotonic()
            node.write("/first", b"%d" % (number + 1))
            while not arrivals.posts:
                assert time.monotonic() - began < 60, "no request came"
                time.sleep(0.005)
            took.append(arrivals.posts[0] - began)
    return {"p50": median(took), "most": max(took)}


def ticks(times: str) -> dict[str, float]:
    rounds = int(times)
    more = "loop: {interval: 100ms, incremental: 100ms, jitter: 0}\n"
    with (
        tempfile.TemporaryDirectory() as folder,
        _world() as (node, near, _),
        loop(Path(folder), endpoint="", near=near.url, node=node.api, size=50, more=more) as process,
    ):
        time.sleep(rounds / 5 * 0.1)
        _, before = _used(process.pid)
        stop = threading.Event()
        changes = threading.Thread(target=_restless, args=(node, stop), daemon=True)
        changes.start()
        time.sleep(rounds * 0.1)
        stop.set()
        changes.join()
        _, after = _used(process.pid)
    return {"growth": after - before, "rss": after}


def _restless(node: object, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(3):
        number += 1
        node.write("/first", b"%d" % number)


if __name__ == "__main__":
    task = {"idle": idle, "change": change, "ticks": ticks}[sys.argv[1]]
    print(json.dumps(task(*sys.argv[2:])))
