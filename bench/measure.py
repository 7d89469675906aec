"""Interleaved samples of two commands in processes of their own, their medians, and the machine."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import world

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Seconds, peak MB, pins seen, requests sent, exit code of one run; the rest as in task.Done."""

    seconds: float
    rss: float
    bare: float = 0.0
    count: int = 0
    requests: int = 0
    refused: int = 0
    most: int = 0
    code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One comparison. `ratio` is `ours` against `reference` in the direction that `target` bounds.

    `target`: "<= 1.3x", ">= 5x", "<= 200 MB", or "" for what is only told.
    """

    group: str
    name: str
    ours: float
    reference: float
    unit: str
    target: str = ""
    ratio: float | None = None
    repeats: int = 1
    note: str = ""

    @property
    def measured(self) -> float:
        return self.ours if self.ratio is None else self.ratio

    @property
    def ok(self) -> bool | None:
        if not self.target:
            return None
        sign, bound = self.target.rstrip("xMB ").split()
        return self.measured <= float(bound) if sign == "<=" else self.measured >= float(bound)

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "ok": self.ok}


def process(*command: str, environ: dict[str, str] | None = None) -> Sample:
    """A whole program: its wall time and its peak, as a person who runs it has them."""
    told = _run([sys.executable, str(HERE / "launch.py"), *command], environ)
    assert told["code"] == 0, f"{' '.join(command)} exited with {told['code']}"
    return Sample(**told)


def task(module: str, *arguments: object) -> Sample:
    """A task of `ours` or `reference` in a fresh interpreter: the seconds of what counts, the peak of it all."""
    return Sample(**_run([sys.executable, str(HERE / f"{module}.py"), *map(str, arguments)], None))


def watched(*arguments: object) -> dict[str, float]:
    """A task of `looping`, which watches a `pinrec run` from outside."""
    return _run([sys.executable, str(HERE / "looping.py"), *map(str, arguments)], None)


def _run(command: list[str], environ: dict[str, str] | None) -> dict[str, float]:
    done = subprocess.run(
        command, env={**os.environ, **(environ or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def interleaved(repeat: int, *sides: Callable[[], Sample]) -> list[Sample]:
    """Each side `repeat` times, A B A B, so that what disturbs the machine disturbs all; medians of each."""
    samples: list[list[Sample]] = [[] for _ in sides]
    for _ in range(repeat):
        for side, taken in zip(sides, samples, strict=True):
            taken.append(side())
    return [
        Sample(
            seconds=median(s.seconds for s in taken),
            rss=median(s.rss for s in taken),
            count=taken[-1].count,
            requests=taken[-1].requests,
        )
        for taken in samples
    ]


@contextmanager
def server(*options: object) -> Iterator[str]:
    """bench/server.py with these options; yields its endpoint."""
    command = [sys.executable, str(HERE / "server.py"), *map(str, options)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            endpoint = running.stdout.readline().strip()
            assert endpoint, "the server did not start"
            yield endpoint
        finally:
            running.communicate()


def pinrec() -> tuple[str, ...]:
    """The installed command: what a user types."""
    beside = Path(sys.executable).parent / "pinrec"
    return (str(beside),) if beside.exists() else (sys.executable, "-m", "reconciler.cli.main")


def key(token: str = "token-0") -> dict[str, str]:
    return {world.KEY_VARIABLE: token}


def machine() -> dict[str, str]:
    packages = ("httpx", "httpcore", "h11", "msgspec", "ruamel.yaml", "uvicorn")
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"
    return {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "load": load,
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: version(name) for name in ("pinrec", *packages)},
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
