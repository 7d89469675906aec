"""The command as a process of its own, for what only a process can suffer: a kill, a full disk, a rival."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from reconciler.sandbox import Stored


def start(
    directory: Path, *argv: str, state: Path | None = None, first: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """`pinrec ARGV` in `directory`, what it says in one stream. `first` is done in the process before it begins."""
    environ = {**os.environ, "KEY": "token", "PINREC_STATE_DIR": str(state or directory / "state")}
    if first is not None:
        # A process that may write no file must not be asked to write down which of its lines ran.
        environ = {name: value for name, value in environ.items() if not name.startswith("COVERAGE")}
    return subprocess.Popen(
        [sys.executable, "-m", "reconciler.cli.main", *argv],
        cwd=directory,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=first,
    )


def done(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and all that it said."""
    text, _ = process.communicate(timeout=120)
    return process.returncode, text


def manifest(url: str, pins: dict[str, str], *more: str) -> str:
    """A manifest of owner acme: names and CIDs, and further lines for its end."""
    lines = [
        "version: 1",
        "name: acme",
        f'services: {{s: {{endpoint: "{url}", key: {{env: KEY}}, profile: spec}}}}',
        "pins:",
        *(f"  - {{name: {name}, cid: {cid}}}" for name, cid in pins.items()),
        *more,
    ]
    return "\n".join(lines) + "\n"


def is_ours(pin: Stored) -> bool:
    return pin.meta.get("pinrec") == "acme"


def ours(pins: list[Stored]) -> list[tuple[str, str, str]]:
    return sorted((p.name or "", p.cid, p.status) for p in pins if is_ours(p))


def foreign(pins: list[Stored]) -> list[Stored]:
    return [p for p in pins if not is_ours(p)]
