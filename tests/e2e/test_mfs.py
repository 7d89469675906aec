"""MFS kept pinned at a real ipfs-cluster, from a real Kubo: two nodes that find each other by addresses alone."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster


class Home:
    """A folder with a manifest, and pinrec in it."""

    def __init__(self, folder: Path, pair: Any, policies: str = "all-in-mfs: {}") -> None:
        self.folder, self.pair = folder, pair
        self.name = f"policy/{pair.node.ipfs('config', 'Identity.PeerID')}/mfs"
        folder.mkdir()
        (folder / "pinrec.yaml").write_text(
            f"version: 1\nname: acme\nnode: {{api: '{pair.node.api}'}}\n"
            f"services:\n  far: {{preset: ipfs-cluster, endpoint: '{pair.endpoint}', key: {{env: KEY}}, "
            f"policies: [{policies.partition(':')[0]}]}}\n"
            f"policies:\n  {policies}\n"
        )

    def pinrec(self, *argv: str) -> tuple[int, str]:
        environ = {**os.environ, "KEY": "x", "PINREC_STATE_DIR": str(self.folder / "state")}
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
        return done.returncode, done.stdout + done.stderr

    def apply(self, *argv: str) -> None:
        code, text = self.pinrec("apply", "--yes", *argv)
        assert code == 0, text
        code, text = self.pinrec("plan", "--detailed-exitcode")
        assert code == 0, f"a second plan is not empty:\n{text}"

    def root(self) -> str:
        return self.pair.node.ipfs("files", "stat", "--hash", "/")

    def write(self, path: str, content: str | bytes) -> str:
        self.pair.node.ipfs("files", "write", "--create", "--parents", path, text=content)
        return self.root()

    def pins(self) -> dict[str, str]:
        """Name → CID of what the service holds."""
        with urllib.request.urlopen(f"{self.pair.endpoint}/pins?limit=1000") as answer:
            return {p["pin"]["name"]: p["pin"]["cid"] for p in json.load(answer)["results"]}


@pytest.fixture
def home(tmp_path: Path, pair: Any) -> Home:
    return Home(tmp_path / "home", pair)


def test_a_change_of_mfs_arrives_with_its_data_by_origins_alone(home: Home) -> None:
    root = home.write("/photos/a.jpg", os.urandom(3_000_000))
    home.apply()
    assert home.pins() == {home.name: root}
    assert home.pair.far.has(root)
    changed = home.write("/notes.txt", "hello")
    home.apply()
    assert home.pins() == {home.name: changed}
    assert home.pair.far.has(changed)


def test_with_the_node_down_the_last_pin_stays_and_comes_on_when_it_is_back(home: Home) -> None:
    root = home.write("/a", "a")
    home.apply()
    home.pair.node.stop()
    code, text = home.pinrec("apply", "--yes")
    assert code == 3
    assert "cannot be reached" in text
    assert home.pins() == {home.name: root}
    home.pair.node.start()
    changed = home.write("/b", "b")
    home.apply()
    assert home.pins() == {home.name: changed}


def test_an_emptied_mfs_is_not_taken_for_meant(home: Home) -> None:
    root = home.write("/a", os.urandom(100_000))
    home.apply()
    home.pair.node.ipfs("files", "rm", "-r", "/a")
    code, text = home.pinrec("apply", "--yes")
    assert code == 4
    assert "--allow-shrink all-in-mfs" in text
    assert home.pins() == {home.name: root}
    home.apply("--allow-shrink", "all-in-mfs")
    assert home.pins() == {home.name: home.root()}


def test_what_kubo_pinned_by_itself_is_taken_over_and_never_fought_for(home: Home) -> None:
    node = home.pair.node
    root = home.write("/a", "a")
    node.ipfs("pin", "remote", "service", "add", "mine", home.pair.endpoint, "secret-key")
    node.ipfs("config", "--json", "Pinning.RemoteServices.mine.Policies.MFS.Enable", "true")
    for _ in range(60):
        if home.pins() == {home.name: root}:
            break
        subprocess.run(["sleep", "0.5"], check=True)
    assert home.pins() == {home.name: root}, "Kubo's own policy did not pin"
    code, text = home.pinrec("apply", "--yes")
    assert code == 3
    assert "Pinning.RemoteServices.mine.Policies.MFS.Enable false" in text
    assert "secret-key" not in text
    node.ipfs("config", "--json", "Pinning.RemoteServices.mine.Policies.MFS.Enable", "false")
    changed = home.write("/b", "b")
    home.apply()
    assert home.pins() == {home.name: changed}


def test_earlier_roots_are_kept(tmp_path: Path, pair: Any) -> None:
    home = Home(tmp_path / "kept", pair, "photos: {kind: mfs, path: /photos, pinName: photos, retain: 2}")
    roots = []
    for text in ("one", "two", "three"):
        home.write("/photos/a", text)
        roots.append(pair.node.ipfs("files", "stat", "--hash", "/photos"))
        home.apply()
    assert sorted(home.pins().values()) == sorted(roots[1:])


def test_a_folder_of_100k_entries(home: Home, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for i in range(100_000):
        (many / f"{i:06d}").write_bytes(b"%d" % i)
    cid = home.pair.node.ipfs("add", "-r", "-Q", "--pin=false", str(many))
    home.pair.node.ipfs("files", "cp", f"/ipfs/{cid}", "/many")
    home.write("/many/new", "new")
    home.apply("--timeout", "3m")
    assert home.pins() == {home.name: home.root()}
    code, text = home.pinrec("doctor", "--node")
    assert code == 0, text
