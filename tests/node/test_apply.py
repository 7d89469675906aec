"""pinrec on services that others wrote: apply, "No changes"; change, apply, "No changes"; prune.

Nothing foreign is touched on the way.
"""

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.scenario import LETTERS

from reconciler.cli.main import run

pytestmark = pytest.mark.node
ALL = "queued,pinning,pinned,failed"


class Person:
    """Somebody with a manifest, a terminal, and a second client to look with."""

    def __init__(self, service: Any, profile: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.service, self.profile, self.capsys = service, profile, capsys

    def ask(self, method: str, **options: Any) -> Any:
        url, key = f"{self.service.endpoint}/pins", {"Authorization": f"Bearer {self.service.token}"}
        return httpx.request(method, url, headers=key, trust_env=False, **options).json()

    def wants(self, **pins: str) -> None:
        lines = "".join(f"  - {{name: {name.replace('_', '-')}, cid: {cid}}}\n" for name, cid in pins.items())
        Path("pinrec.yaml").write_text(
            f"version: 1\nname: acme\nservices:\n  s:\n    endpoint: {self.service.endpoint}\n"
            f"    key: {{env: NODE_KEY}}\n{self.profile}pins:\n{lines or '  []'}\n"
        )

    def applies(self, code: int = 0) -> None:
        assert run(["apply", "--yes", "--timeout", "30s"]) == code, self.capsys.readouterr()
        assert run(["plan", "--detailed-exitcode"]) == code, self.capsys.readouterr()
        self.capsys.readouterr()

    def foreign(self, name: str, cid: str) -> str:
        return str(self.ask("POST", json={"cid": cid, "name": name})["requestid"])

    def pins(self) -> list[tuple[str, str, str]]:
        page = self.ask("GET", params={"status": ALL, "limit": 1000})
        return sorted((p["pin"].get("name", ""), p["pin"]["cid"], p["status"]) for p in page["results"])


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODE_KEY", "node-token")
    return tmp_path


@pytest.mark.parametrize(
    "profile", ["    preset: helia\n", "    profile: unknown\n"], ids=["preset", "unmeasured"]
)
def test_helia(helia: Any, profile: str, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    person, cids = Person(helia, profile, capsys), helia.cids
    person.foreign("theirs", cids[9])
    person.wants(website=cids[0], docs=cids[1], held=cids[9])
    person.applies()
    person.wants(website=cids[2], docs=cids[1], again=cids[1], held=cids[9])
    person.applies()
    person.wants(website=cids[0], docs=cids[1], held=cids[9])
    person.applies()
    person.wants(docs=cids[1])
    person.applies()
    assert person.pins() == [("docs", cids[1], "pinned"), ("theirs", cids[9], "pinned")]


def test_helia_rename_happens_in_place(
    helia: Any, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person, cids = Person(helia, "    preset: helia\n", capsys), helia.cids
    person.wants(old_name=cids[0])
    person.applies()
    person.wants(new_name=cids[0])
    person.applies()
    assert person.pins() == [("new-name", cids[0], "pinned")]


def test_helia_content_that_cannot_be_found_keeps_the_old_pin(
    helia: Any, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person, cids = Person(helia, "    preset: helia\n", capsys), helia.cids
    person.wants(website=cids[0])
    person.applies()
    person.wants(website=LETTERS["Z"])
    assert run(["apply", "--yes", "--timeout", "20s"]) == 3
    assert ("website", cids[0], "pinned") in person.pins()
    person.wants(website=cids[0])
    person.applies()
    assert person.pins() == [("website", cids[0], "pinned")]


@pytest.mark.parametrize(
    "profile",
    ["    profile: unknown\n", "    profile: {secondAdd: same, meta: kept, count: page, order: oldest}\n"],
    ids=["unmeasured", "measured"],
)
def test_mock(mock: Any, profile: str, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    person = Person(mock, profile, capsys)
    a, b, c, d = (LETTERS[x] for x in "ABCD")
    person.foreign("pinned-theirs", d)
    person.wants(pinned_website=a, pinned_docs=b)
    person.applies()
    person.wants(pinned_website=c, pinned_docs=b)
    person.applies()
    person.wants(pinned_website=a, pinned_docs=b)
    person.applies()
    person.wants(pinned_docs=b)
    person.applies()
    assert person.pins() == [("pinned-docs", b, "pinned"), ("pinned-theirs", d, "pinned")]
