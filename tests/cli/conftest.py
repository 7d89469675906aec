"""The command line against a sandbox on a real socket, in a directory of its own."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.main import run
from reconciler.sandbox.lifecycle import Lifecycle
from reconciler.sandbox.server import Sandbox

KEY = "canary-key-0123456789"
A = "bafybeiaysi4s6lnjev27ln5icwm6tueaw2vdykrtjkwiphwekaywqhcjze"
B = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
C = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class World:
    """A directory with a manifest, a sandbox, and the command."""

    place: Path
    sandbox: Sandbox
    capture: pytest.CaptureFixture[str]
    pins: list[str] = field(default_factory=list)

    def manifest(self, *pins: str, extra: str = "", services: str = "") -> None:
        """Write pinrec.yaml with `pins`, each the inside of a flow mapping."""
        listed = "".join(f"  - {{{pin}}}\n" for pin in pins)
        (self.place / "pinrec.yaml").write_text(
            "version: 1\nname: acme\nservices:\n"
            f"  box: {{preset: sandbox, endpoint: '{self.sandbox.url}', key: {{env: BOX_KEY}}}}\n{services}"
            f"defaults: {{services: [box]}}\npins:{' []' if not pins else ''}\n{listed}{extra}"
        )

    def run(self, *args: str) -> Result:
        self.capture.readouterr()
        code = run(args)
        out, err = self.capture.readouterr()
        assert KEY not in out + err
        assert "Traceback" not in err
        return Result(code, out, err)

    def api(self, method: str, path: str, body: object = None) -> Any:
        """A request to the sandbox as another program would make it."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.sandbox.url + path, data=data, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def foreign(self, name: str, cid: str = C) -> str:
        pin = self.api("POST", "/pins", {"cid": cid, "name": name})
        return str(pin["requestid"])

    def there(self) -> dict[str, str]:
        """Name → CID of everything that the sandbox holds."""
        status = "queued,pinning,pinned,failed"
        listed = self.api("GET", f"/pins?limit=1000&status={status}")["results"]
        return {p["pin"].get("name", ""): p["pin"]["cid"] for p in listed}

    def process(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        """The command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler.cli.main", *args],
            cwd=self.place,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options},
        )


@pytest.fixture
def delay() -> float:
    """Seconds that the sandbox takes to pin; tests override it with parametrize."""
    return 0.0


@pytest.fixture
def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], delay: float
) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOX_KEY", KEY)
    monkeypatch.setenv("PYTHONPATH", os.fspath(Path(__file__).parents[2]))
    with Sandbox((KEY,), lifecycle=Lifecycle(pinning=delay)) as sandbox:
        yield World(tmp_path, sandbox, capsys)
