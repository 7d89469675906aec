"""pinrec on a real ipfs-cluster over a real Kubo: one pin per CID, whole seconds, unsorted, lossy replace."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.main import run

pytestmark = pytest.mark.cluster


class Person:
    """Somebody with a manifest and a terminal."""

    def __init__(
        self, directory: Path, endpoint: str, capsys: pytest.CaptureFixture[str], extra: str = ""
    ) -> None:
        self.directory, self.endpoint, self.capsys, self.extra = directory, endpoint, capsys, extra

    def wants(self, pins: str) -> None:
        services = (
            f"services: {{c: {{preset: ipfs-cluster, endpoint: {self.endpoint!r}, key: {{env: KEY}}}}}}"
        )
        text = f"version: 1\nname: acme\n{services}\n{self.extra}\npins:\n{pins or '  []'}\n"
        (self.directory / "pinrec.yaml").write_text(text)

    def __call__(self, *argv: str) -> tuple[int, str]:
        code = run(list(argv))
        out = self.capsys.readouterr()
        return code, out.out + out.err

    def converged(self) -> None:
        code, text = self("plan", "--detailed-exitcode")
        assert code == 0, text

    def pins(self) -> dict[str, tuple[str, str]]:
        """requestid → name and status, as the service says."""
        url = f"{self.endpoint}/pins?limit=1000&status=queued,pinning,pinned,failed"
        with urllib.request.urlopen(url) as answer:
            return {p["requestid"]: (p["pin"]["name"], p["status"]) for p in json.load(answer)["results"]}

    def foreign(self, cid: str, name: str) -> None:
        body = json.dumps({"cid": cid, "name": name}).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"{self.endpoint}/pins", data=body, method="POST")
        ).close()


@pytest.fixture
def person(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Person:
    monkeypatch.setenv("KEY", "any")
    monkeypatch.chdir(tmp_path)
    return Person(tmp_path, cluster.endpoint, capsys)


def test_the_life_of_a_site(person: Person, cluster: Any) -> None:
    a, b, c, v0 = cluster.add("a", "1"), cluster.add("b", "1"), cluster.add("c", "1"), cluster.add("v0", "0")
    person.foreign(c, "theirs")
    person.wants(
        f"  - {{name: website, cid: {a}}}\n  - {{name: old, cid: {v0}}}\n  - {{name: held, cid: {c}}}"
    )
    assert person("apply", "--yes")[0] == 0
    person.converged()
    person.wants(
        f"  - {{name: website, cid: {b}}}\n  - {{name: renamed, cid: {v0}}}\n  - {{name: held, cid: {c}}}"
    )
    assert person("apply", "--yes")[0] == 0
    person.converged()
    assert person.pins() == {
        b: ("website", "pinned"),
        v0: ("renamed", "pinned"),
        c: ("theirs", "pinned"),
    }
    person.wants("")
    assert person("apply", "--yes")[0] == 4, "an emptied manifest deletes nothing"
    assert person("destroy", "--yes")[0] == 0
    assert person.pins() == {c: ("theirs", "pinned")}


def test_content_that_cannot_be_found_keeps_the_old_pin(person: Person, cluster: Any) -> None:
    a = cluster.add("a", "1")
    nowhere = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    person.wants(f"  - {{name: website, cid: {a}}}")
    assert person("apply", "--yes")[0] == 0
    person.wants(f"  - {{name: website, cid: {nowhere}}}")
    code, text = person("apply", "--yes", "--timeout", "3s")
    assert code == 3, text
    assert person.pins()[a] == ("website", "pinned")
    person.wants(f"  - {{name: website, cid: {a}}}")
    assert person("apply", "--yes", "--timeout", "20s")[0] == 0
    person.converged()
    assert person.pins() == {a: ("website", "pinned")}


def test_two_names_share_a_pin_and_either_may_go(person: Person, cluster: Any) -> None:
    a = cluster.add("a", "1")
    both = f"  - {{name: one, cid: {a}}}\n  - {{name: two, cid: {a}}}"
    for pins, name in ((both, "one"), (f"  - {{name: two, cid: {a}}}", "two"), (both, "one")):
        person.wants(pins)
        assert person("apply", "--yes")[0] == 0
        person.converged()
        assert person.pins() == {a: (name, "pinned")}


def test_more_pins_in_a_second_than_a_page_holds(person: Person, cluster: Any) -> None:
    cids = [cluster.add(str(i), "1") for i in range(3)]
    lines = [cluster_cid(i) for i in range(1500)]
    (person.directory / "list.txt").write_text("\n".join([*lines, *cids]))
    person.wants("  - from: list.txt")
    code, text = person("apply", "--yes", "--wait", "none")
    assert code == 0, text
    _, text = person("plan")
    # Nobody has the content, so most will have failed; but every pin is seen, and none is taken for absent.
    assert "0 to add, 0 to replace, 0 to delete" in text, text[-1000:]
    assert "1,503 pins there" in text, text[:1000]


def cluster_cid(i: int) -> str:
    """A CID of raw bytes that are nowhere."""
    import base64
    from hashlib import sha256

    data = bytes([1, 0x55, 0x12, 0x20]) + sha256(f"nowhere {i}".encode()).digest()
    return "b" + base64.b32encode(data).decode().lower().rstrip("=")
