"""pinrec sandbox --node, as a person starts it: what it says, and a whole story with nothing installed."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest


class Started:
    """A running `pinrec sandbox --node`, and what it said when it started."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            (
                sys.executable,
                "-m",
                "reconciler",
                "sandbox",
                "--node",
                "--port",
                "0",
                "--node-port",
                "0",
                *words,
            ),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        self.said = "".join(lines)
        self.service, self.node = re.findall(r"running at (\S+)", self.said)

    def ask(self, url: str, *, method: str = "POST", data: bytes | None = None) -> bytes:
        headers = {"Authorization": "Bearer sandbox-token", "Content-Type": "application/json"}
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request) as answer:
            body: bytes = answer.read()
        return body

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@pytest.fixture
def started() -> Iterator[Started]:
    running = Started()
    yield running
    running.stop()


def test_it_says_what_it_is_for_and_how_to_use_it(started: Started) -> None:
    assert "for trying out and testing" in started.said
    assert "its content is in memory" in started.said
    assert f"node: {{api: {started.node}}}" in started.said
    assert "policies: [all-in-mfs]" in started.said
    assert started.stop() == 143


def test_a_change_in_mfs_is_pinned_remotely(started: Started) -> None:
    """By hand, as pinrec does it: the root, a pin of it with the node's addresses as origins, and there it is."""
    api = f"{started.node}/api/v0"
    started.ask(f"{api}/files/mkdir?arg=/photos&parents=true")
    root = json.loads(started.ask(f"{api}/files/stat?arg=/"))["Hash"]
    addresses = json.loads(started.ask(f"{api}/id"))["Addresses"]
    body = json.dumps({"cid": root, "name": "mfs"}).encode()
    pin = json.loads(started.ask(f"{started.service}/pins", data=body))
    assert pin["status"] in ("queued", "pinning")
    for address in pin["delegates"]:
        started.ask(f"{api}/swarm/connect?arg={address}")
    while (
        json.loads(started.ask(f"{started.service}/pins/{pin['requestid']}", method="GET"))["status"]
        != "pinned"
    ):
        time.sleep(0.02)
    started.ask(f"{api}/files/mkdir?arg=/more")
    root = json.loads(started.ask(f"{api}/files/stat?arg=/"))["Hash"]
    body = json.dumps({"cid": root, "name": "mfs", "origins": addresses}).encode()
    assert (
        json.loads(started.ask(f"{started.service}/pins/{pin['requestid']}", data=body))["status"] == "pinned"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--node", "--node-fault", "stats=1s"), "there is no such fault"),
        (("--node", "--node-fault", "stat"), "stat takes a value, stat=DURATION"),
        (("--node", "--node-fault", "mute=1"), "mute takes no value"),
        (("--node-fault", "mute"), "--node is missing"),
    ],
)
def test_what_cannot_be_done_is_said(words: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "reconciler", "sandbox", "--port", "0", *words), capture_output=True, text=True
    )
    assert (done.returncode, message in done.stderr) == (64, True), done.stderr


def test_a_port_that_is_taken(started: Started) -> None:
    port = started.node.rpartition(":")[2]
    done = subprocess.run(
        (sys.executable, "-m", "reconciler", "sandbox", "--node", "--port", "0", "--node-port", port),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "--node-port 0 takes a free one" in done.stderr


def test_a_fault_from_the_command_line() -> None:
    running = Started("--node-fault", "error=files/stat")
    try:
        with pytest.raises(urllib.error.HTTPError) as failed:
            running.ask(f"{running.node}/api/v0/files/stat?arg=/")
        with failed.value as answer:
            assert answer.code == 500
    finally:
        running.stop()
