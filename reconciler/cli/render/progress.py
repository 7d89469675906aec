"""Progress on stderr while the engine works: a live line on a terminal, calm plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from reconciler.cli.options import Options
from reconciler.cli.render.escape import clip, quoted, terminal
from reconciler.cli.render.words import duration, plural, short_cid
from reconciler.core.report import Outcome
from reconciler.engine.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

#: Seconds between two plain lines about the same thing.
CALM = 10.0
#: Plain lines about pins of one service with the same outcome for the same reason.
SAME = 5


@contextmanager
def make_progress(options: Options, environ: Mapping[str, str], stream: TextIO) -> Iterator[Progress]:
    """The listener that fits `stream`: none with --quiet, a live one on a terminal that is not dumb."""
    if options.quiet:
        yield Silent()
    elif stream.isatty() and environ.get("TERM") != "dumb":
        live = Live(stream, color=options.color != "never" and not environ.get("NO_COLOR"))
        try:
            yield live
        finally:
            live.close()
    else:
        yield Plain(lambda line: print(line, file=stream, flush=True), verbose=options.verbose)


class Plain:
    """One line at a time. Failures and notes at once, counts every ten seconds."""

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._verbose = verbose
        self._clock = clock
        self._last: dict[str, float] = {}
        self._told: set[str] = set()
        self._same: dict[tuple[str, str, str], int] = {}
        self._started = clock()
        self._total = self._done = 0

    def listing(self, service: str, pins: int, *, done: bool) -> None:
        if done and (self._verbose or service in self._told):
            self._write(f"{terminal(service)}: {plural(pins, 'pin')} listed")
        elif not done and self._due(f"list {service}"):
            self._told.add(service)
            self._write(f"{terminal(service)}: {plural(pins, 'pin')} listed so far")

    def applying(self, total: int) -> None:
        self._total = total
        self._started = self._last["apply"] = self._clock()
        if total:
            self._write(f"applying {plural(total, 'change')}")

    def accepted(self, service: str, name: str, action: str) -> None:
        if self._verbose:
            self._write(f"{terminal(service)}: {action} {quoted(name)} accepted")

    def waiting(self, pending: int, seconds_left: float) -> None:
        if self._due("wait"):
            self._write(
                f"waiting for {plural(pending, 'pin')} to be pinned, for at most {duration(seconds_left)} more"
            )

    def fetching(self, service: str, cid: str, nodes: int, size: int) -> None:
        if self._due(f"fetch {cid}"):
            self._write(f"{terminal(service)}: {_fetched(cid, nodes, size)}")

    def outcome(self, outcome: Outcome) -> None:
        self._done += 1
        if outcome.result not in ("done", "waiting") or self._verbose:
            self._tell(outcome)
        if self._due("apply"):
            self._write(
                f"{self._done:,} of {self._total:,} done{_left(self._done, self._total, self._elapsed)}"
            )

    def note(self, service: str, text: str) -> None:
        self._write(f"{terminal(service)}: {terminal(clip(text))}" if service else terminal(clip(text)))

    def _tell(self, outcome: Outcome) -> None:
        """A service that stops, or a signal, skips thousands for one reason: told a few times, then summed up."""
        why = (outcome.service, outcome.result, outcome.why)
        self._same[why] = times = self._same.get(why, 0) + 1
        if times <= SAME or self._verbose:
            self._write(_line(outcome))
        elif times == SAME + 1:
            self._write(
                f"{terminal(outcome.service)}: … and others {outcome.result} for the same reason, see the report"
            )

    @property
    def _elapsed(self) -> float:
        return self._clock() - self._started

    def _due(self, what: str) -> bool:
        """Whether ten seconds have passed since the last line about `what`; the first is due after ten, too."""
        now = self._clock()
        if now - self._last.setdefault(what, self._started) < CALM:
            return False
        self._last[what] = now
        return True


class Live:
    """A bar with counts, rate and time left. rich is imported when there is something to show."""

    def __init__(self, stream: TextIO = sys.stderr, *, color: bool = True) -> None:
        self._stream = stream
        self._color = color
        self._bars: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}

    def listing(self, service: str, pins: int, *, done: bool) -> None:
        total = pins if done else None
        self._update(f"list:{service}", f"listing {terminal(service)}", completed=pins, total=total)

    def applying(self, total: int) -> None:
        self._clear("list:")
        if total:
            self._update("apply", "applying", completed=0, total=total)

    def accepted(self, service: str, name: str, action: str) -> None:
        if "apply" in self._tasks:
            self._update("apply", f"{action} {terminal(service)} {clip(quoted(name), 40)}")

    def waiting(self, pending: int, seconds_left: float) -> None:
        if "apply" in self._tasks:
            text = f"waiting for {plural(pending, 'pin')}, {duration(seconds_left)} at most"
            self._update("apply", text)

    def fetching(self, service: str, cid: str, nodes: int, size: int) -> None:
        if "apply" in self._tasks:
            self._update("apply", f"{terminal(service)} {_fetched(cid, nodes, size)}")

    def outcome(self, outcome: Outcome) -> None:
        if outcome.result in ("failed", "moved"):
            self._print(_line(outcome))
        if self._bars is not None and "apply" in self._tasks:
            self._bars.advance(self._tasks["apply"])

    def note(self, service: str, text: str) -> None:
        self._print(f"{terminal(service)}: {terminal(clip(text))}" if service else terminal(clip(text)))

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def _clear(self, prefix: str) -> None:
        for key in [k for k in self._tasks if k.startswith(prefix)]:
            task = self._tasks.pop(key)
            if self._bars is not None:
                self._bars.remove_task(task)

    def _print(self, line: str) -> None:
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def _update(
        self, key: str, text: str, *, completed: float | None = None, total: float | None = None
    ) -> None:
        if self._bars is None:
            self._bars = _bars(self._stream, self._color)
            self._bars.start()
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(text, total=total, completed=int(completed or 0))
            return
        self._bars.update(self._tasks[key], description=text, completed=completed, total=total)


def _bars(stream: TextIO, color: bool) -> "RichProgress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.1f}/s" if task.speed else "", style="dim")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(file=stream, no_color=not color),
        transient=True,
    )


def _line(outcome: Outcome) -> str:
    why = f": {terminal(clip(outcome.why))}" if outcome.why else ""
    return f"{terminal(outcome.service)}: {outcome.action} {quoted(outcome.name)} {outcome.result}{why}"


def _fetched(cid: str, nodes: int, size: int) -> str:
    amount = f", {size / 1e6:,.1f} MB" if size else ""
    return f"fetching {short_cid(terminal(cid))}: {plural(nodes, 'block')}{amount}"


def _left(done: int, total: int, elapsed: float) -> str:
    if not done or done >= total or elapsed <= 0:
        return ""
    return f", {done / elapsed:,.1f}/s, about {duration((total - done) * elapsed / done)} left"
