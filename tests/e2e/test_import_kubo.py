"""`import --kubo` of a real Kubo whose pins are at a real ipfs-cluster: the manifest's plan has nothing to do, and once
Kubo's own policy is off pinrec goes on with the pin that it made."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

KEY = "key-of-the-cluster-0123"


class Home:
    """A folder, a Kubo with a remote service `mine`, and pinrec."""

    def __init__(self, folder: Path, pair: Any) -> None:
        self.folder, self.pair, self.node = folder, pair, pair.node
        self.name = f"policy/{self.node.ipfs('config', 'Identity.PeerID')}/mfs"
        folder.mkdir()
        self.node.ipfs("pin", "remote", "service", "add", "mine", pair.endpoint, KEY)

    def pinrec(self, *argv: str, key: bool = True) -> subprocess.CompletedProcess[str]:
        environ = {
            **os.environ,
            "IPFS_PATH": self.node.environ["IPFS_PATH"],
            "PINREC_STATE_DIR": str(self.folder / "state"),
            **({"MINE_KEY": KEY} if key else {}),
        }
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *argv],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert "Traceback" not in done.stderr
        assert KEY not in done.stdout + done.stderr
        return done

    def imported(self, *, key: bool) -> tuple[str, str]:
        done = self.pinrec("import", "--kubo", "--owner", "acme", "--out", "pinrec.yaml", "--force", key=key)
        assert done.returncode == 0, done.stderr
        return (self.folder / "pinrec.yaml").read_text(), done.stderr

    def nothing_to_do(self) -> None:
        done = self.pinrec("plan", "--detailed-exitcode")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1].startswith("No changes"), done.stdout

    def pins(self) -> dict[str, str]:
        with urllib.request.urlopen(f"{self.pair.endpoint}/pins?limit=1000") as answer:
            return {p["pin"]["name"]: p["pin"]["cid"] for p in json.load(answer)["results"]}

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end, self.pins()
            time.sleep(0.5)


@pytest.fixture
def home(tmp_path: Path, pair: Any) -> Home:
    return Home(tmp_path / "home", pair)


@pytest.mark.parametrize("key", [True, False], ids=["service", "kubo"])
def test_remote_and_local_pins_and_mfs(home: Home, key: bool) -> None:
    node = home.node
    site = node.ipfs("add", "-q", "--cid-version=1", text="site")
    docs = node.ipfs("add", "-q", "--cid-version=1", "--pin=false", text="docs")
    node.ipfs("add", "-q", text="only here")
    node.ipfs("pin", "remote", "add", "--service=mine", "--name=site", "--background", site)
    node.ipfs("pin", "remote", "add", "--service=mine", "--name=docs: #1", "--background", docs)
    node.ipfs("files", "write", "--create", "/a", text="a")
    root = node.ipfs("files", "stat", "--hash", "/")
    node.ipfs("config", "--json", "Pinning.RemoteServices.mine.Policies.MFS.Enable", "true")
    home.until(lambda: home.pins() == {"site": site, "docs: #1": docs, home.name: root})

    text, said = home.imported(key=key)
    switch = "ipfs config --json Pinning.RemoteServices.mine.Policies.MFS.Enable false"
    assert switch in text
    assert switch in said
    assert "node: {}" in text
    assert "  all-in-mfs: {repinInterval: 5m}" in text
    assert ("MINE_KEY" in said) != key
    assert home.pinrec("validate").returncode == 0
    assert home.pinrec("plan").returncode == 3
    assert home.pins() == {"site": site, "docs: #1": docs, home.name: root}

    node.ipfs(*switch.split()[1:])
    home.nothing_to_do()
    node.ipfs("files", "write", "--create", "/b", text="b")
    changed = node.ipfs("files", "stat", "--hash", "/")
    done = home.pinrec("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert home.pins() == {"site": site, "docs: #1": docs, home.name: changed}
    home.nothing_to_do()


def test_more_than_kubo_lists(home: Home) -> None:
    """ipfs-cluster answers in no order, and Kubo's paging loses some of it or goes in circles."""
    cids = home.node.ipfs(
        *("add", "-q", "--cid-version=1", "--pin=false"), *_files(home.folder, 40)
    ).splitlines()
    for i, cid in enumerate(cids):
        request = urllib.request.Request(
            f"{home.pair.endpoint}/pins",
            data=json.dumps({"cid": cid, "name": f"n{i}"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()
    home.until(lambda: len(home.pins()) == 40)
    done = home.pinrec("import", "--kubo", "--owner", "acme", "--out", "pinrec.yaml", key=False)
    text = (home.folder / "pinrec.yaml").read_text() if done.returncode == 0 else done.stderr
    assert (
        "With MINE_KEY set" in text
        or "Kubo goes in circles" in text
        or "as many as the service counts" in text
    )
    text, _ = home.imported(key=True)
    assert text.count("- {name: n") == 40
    home.nothing_to_do()


def _files(folder: Path, count: int) -> list[str]:
    made = []
    for i in range(count):
        path = folder / f"f{i}"
        path.write_text(f"content {i}")
        made.append(str(path))
    return made
