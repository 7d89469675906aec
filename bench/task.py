"""One measured task in a process of its own: what it returns, and how it is printed."""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Seconds of the part that counts, without the start of the interpreter; pins or events seen; requests sent.

    `bare`: seconds of the reference, where both are timed in one process.
    Of a service with a limit: how many requests were refused, and the most that came within one window of it.
    """

    seconds: float
    bare: float = 0.0
    count: int = 0
    requests: int = 0
    refused: int = 0
    most: int = 0


def run(tasks: Iterable[Callable[..., Done]], arguments: list[str]) -> None:
    chosen = {function.__name__: function for function in tasks}[arguments[0]]
    done = chosen(*arguments[1:])
    print(json.dumps({**asdict(done), "rss": peak_mb()}))


def peak_mb() -> float:
    """Peak resident memory of this process, since it began to run this program."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            1 << 20 if sys.platform == "darwin" else 1 << 10
        )
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
