"""Progress: calm lines without a terminal, a live one on it, nothing hostile on either."""

import io

from reconciler.cli.options import Options
from reconciler.cli.render.progress import Live, Plain, make_progress
from reconciler.core.report import Outcome
from reconciler.engine.progress import Silent

FAILED = Outcome(service="s", name="x\x1b[2J", action="add", result="failed", cid="bafy", why="no\nway")
DONE = Outcome(service="s", name="fine", action="add", result="done", cid="bafy")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_come_every_ten_seconds_and_failures_at_once() -> None:
    now = [0.0]
    lines: list[str] = []
    plain = Plain(lines.append, clock=lambda: now[0])
    plain.applying(100)
    for i in range(100):
        now[0] = i * 0.25
        plain.outcome(FAILED if i == 50 else DONE)
    assert lines == [
        "applying 100 changes",
        "41 of 100 done, 4.1/s, about 14 s left",
        r"s: add x\x1b[2J failed: no\x0away",
        "81 of 100 done, 4.0/s, about 5 s left",
    ]


def test_what_is_skipped_for_one_reason_is_summed_up() -> None:
    lines: list[str] = []
    plain = Plain(lines.append, clock=lambda: 0.0)
    plain.applying(1000)
    for i in range(500):
        for service in ("s", "t"):
            plain.outcome(
                Outcome(
                    service=service,
                    name=f"n{i}",
                    action="add",
                    result="skipped",
                    cid="bafy",
                    why="interrupted",
                )
            )
    plain.outcome(FAILED)
    assert len([line for line in lines if "skipped" in line]) == 2 * (5 + 1)
    assert lines[-1].startswith("s: add x")


def test_a_quick_listing_is_not_worth_a_line_and_a_slow_one_is() -> None:
    now = [0.0]
    lines: list[str] = []
    plain = Plain(lines.append, clock=lambda: now[0])
    plain.listing("quick", 10, done=False)
    plain.listing("quick", 20, done=True)
    now[0] = 11.0
    plain.listing("slow", 5000, done=False)
    plain.listing("slow", 5001, done=True)
    assert lines == ["slow: 5,000 pins listed so far", "slow: 5,001 pins listed"]


def test_waiting_says_for_how_long_at_most() -> None:
    now = [0.0]
    lines: list[str] = []
    plain = Plain(lines.append, clock=lambda: now[0])
    plain.applying(0)
    plain.waiting(3, 600.0)
    now[0] = 10.0
    plain.waiting(3, 590.0)
    assert lines == ["waiting for 3 pins to be pinned, for at most 10 min more"]


def test_live_shows_and_clears_without_obeying_names() -> None:
    stream = Terminal()
    live = Live(stream, color=False)
    live.listing("s", 5, done=False)
    live.listing("s", 9, done=True)
    live.applying(2)
    live.accepted("s", "[bold]x\x1b]0;t\x07[/bold]", "add")
    live.waiting(1, 30.0)
    live.note("s", "slow \x1b[2J down")
    live.outcome(FAILED)
    live.outcome(DONE)
    live.close()
    live.close()
    text = stream.getvalue()
    assert r"slow \x1b[2J down" in text
    assert "\x1b]0;" not in text
    assert "no\\x0away" in text


def test_who_gets_which() -> None:
    with make_progress(Options(quiet=True), {}, Terminal()) as progress:
        assert isinstance(progress, Silent)
    with make_progress(Options(), {}, Terminal()) as progress:
        assert isinstance(progress, Live)
    with make_progress(Options(), {"TERM": "dumb"}, Terminal()) as progress:
        assert isinstance(progress, Plain)
    with make_progress(Options(), {}, io.StringIO()) as progress:
        assert isinstance(progress, Plain)
