"""A scenario is data: a manifest, a remote state, the plan text, the requests, and the state after.

Services are sandboxes on real sockets; commands run through `reconciler.cli.main.run`, as a person's would. Short
names stand for CIDs: `$A` … `$Z` in manifests, `A` … `Z` elsewhere; `$Dv0` and `$Dv1` are two spellings of one.
"""

import base64
import contextlib
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml import YAML

from reconciler.cli.main import run
from reconciler.core.cid import canonical, parse, spellings
from reconciler.sandbox import CLUSTER, HELIA, SPEC, Personality, Sandbox

PERSONALITIES: dict[str, Personality] = {
    "spec": SPEC,
    "cluster": CLUSTER,
    "helia": HELIA,
    "no-meta": msgspec.structs.replace(SPEC, meta="dropped"),
    "same": msgspec.structs.replace(SPEC, second_add="same"),
    "page-of-ten": msgspec.structs.replace(SPEC, page_cap=10, count="page", precision="s", unique=False),
}
OWNER = "acme"


def _cid(codec: int, text: str) -> str:
    data = bytes([1, codec, 0x12, 0x20]) + sha256(text.encode()).digest()
    return "b" + base64.b32encode(data).decode().lower().rstrip("=")


LETTERS = {letter: _cid(0x55, letter) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_DAG = parse(_cid(0x70, "dag"))
SPELLED = {
    "Dv1": _DAG.canonical,
    "Dv0": next(s for s in spellings(_DAG) if s.startswith("Qm")),
}
TOKENS = {**SPELLED, **LETTERS}
_BY_TEXT = {text: token for token, text in reversed(TOKENS.items())}
_SHORT = {text[-8:]: token for token, text in reversed(TOKENS.items())}


def cid_of(token: str) -> str:
    return TOKENS[token]


def filled(text: str) -> str:
    """`$A` becomes a CID."""
    return re.sub(r"\$(Dv[01]|[A-Z])\b", lambda m: TOKENS[m[1]], text)


def named(text: str) -> str:
    """CIDs, whole or shortened, become `<A>`; what differs from run to run goes."""
    text = re.sub(
        r"\b(?:baf[a-z2-7]{56}|Qm[1-9A-Za-z]{44})\b", lambda m: f"<{_BY_TEXT.get(m[0], m[0])}>", text
    )
    text = re.sub(r"\b(?:baf|Qm)\w*…(\w{8})\b", lambda m: f"<{_SHORT.get(m[1], m[1])}>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\dZ", "TIME", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"\b\d+(\.\d+)? ?(ms|s)\b(?! later)", "N s", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class Stage:
    """The services of one scenario, a directory with its manifest, and what is done in it."""

    def __init__(self, data: dict[str, Any], directory: Path, monkeypatch: Any, capsys: Any) -> None:
        self.data, self.directory, self.capsys = data, directory, capsys
        self.services: dict[str, dict[str, Any]] = data.get("services") or {"s": {}}
        self.sandboxes: dict[str, Sandbox] = {}
        monkeypatch.chdir(directory)
        monkeypatch.setenv("PINREC_STATE_DIR", str(directory / "state"))
        monkeypatch.setenv("SCENARIO_KEY", "token")
        monkeypatch.setenv("COLUMNS", "100")
        for name, value in (data.get("env") or {}).items():
            monkeypatch.setenv(name, filled(value))

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for name, options in self.services.items():
                personality = PERSONALITIES[options.get("personality", "spec")]
                self.sandboxes[name] = stack.enter_context(Sandbox(("token",), personality=personality))
            for line in self.data.get("remote") or []:
                self._put(*line.split(" "))
            for name, count in (self.data.get("crowd") or {}).items():
                for i in range(count):
                    # All in one second: where pages are short, time cannot tell them apart.
                    created = f"2026-01-01T00:00:59.{i:06d}Z"
                    self.sandboxes[name].store.put(
                        "token", _cid(0x55, f"crowd {i}"), name=f"crowd-{i}", created=created
                    )
            for name, text in (self.data.get("files") or {}).items():
                (self.directory / name).write_text(filled(text))
            self.write_manifest(self.data["manifest"])
            yield

    def _put(
        self, service: str, name: str, cid: str, status: str = "pinned", owner: str = "ours", *meta: str
    ) -> None:
        marks = dict(m.split("=", 1) for m in meta)
        if owner != "unmarked":
            marks["pinrec"] = OWNER if owner == "ours" else owner
        shown = None if name == "-" else name
        requestid = cid_of(cid) if self.services[service].get("personality") == "cluster" else ""
        second = len(self.sandboxes[service].store.all("token")) % 60
        self.sandboxes[service].store.put(
            "token",
            cid_of(cid),
            name=shown,
            meta=marks,
            status=status,  # type: ignore[arg-type]  # scenarios name the four
            requestid=requestid,
            created=f"2026-01-01T00:00:{second:02d}.{second + 1:03d}Z",
        )

    def write_manifest(self, rest: str) -> None:
        lines = ["version: 1", f"name: {self.data.get('owner', OWNER)}", "services:"]
        for name, options in self.services.items():
            port = self.sandboxes[name].port if not options.get("down") else 1
            lines += [f"  {name}:", f"    endpoint: http://127.0.0.1:{port}", "    key: {env: SCENARIO_KEY}"]
            extra = options.get("yaml", "profile: spec")
            lines += [f"    {line}" for line in extra.splitlines()]
        (self.directory / "pinrec.yaml").write_text("\n".join([*lines, filled(rest)]))

    def pinrec(self, *argv: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = run(list(argv))
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def changes(self) -> list[str]:
        """Every request that could change something, sorted within a service."""
        seen = []
        for name, box in self.sandboxes.items():
            pins = {}
            for record in box.requests:
                body = record.json if record.method == "POST" else None
                pin = (
                    f" {named(str(body.get('cid')))[1:-1]} {body.get('name', '-')}"
                    if isinstance(body, dict)
                    else ""
                )
                one = record.path.count("/") == 2
                if record.method == "POST":
                    seen.append(f"{name} {'REPLACE' if one else 'POST'}{pin}")
                elif record.method == "DELETE":
                    seen.append(f"{name} DELETE")
                pins[record.path] = pin
        return sorted(named(s) for s in seen)

    def state(self) -> list[str]:
        lines = []
        for name, box in self.sandboxes.items():
            for pin in box.store.all("token"):
                if (pin.name or "").startswith("crowd-"):
                    continue
                owner = pin.meta.get("pinrec")
                whose = "unmarked" if owner is None else "ours" if owner == OWNER else owner
                rest = [f"{k}={v}" for k, v in sorted(pin.meta.items()) if k != "pinrec"]
                cid = _BY_TEXT.get(pin.cid, canonical(pin.cid))
                shown = named(pin.name) if pin.name else "-"
                lines.append(" ".join([name, shown, cid, pin.status, whose, *rest]))
        return sorted(lines)


def load(path: Path) -> dict[str, Any]:
    data = YAML(typ="safe", pure=True).load(path.read_text())
    assert isinstance(data, dict)
    return data
