"""How a loop stands, in lines for people: what `pinrec status` says below its table."""

from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.cli.render.escape import clip, terminal
from reconciler.cli.render.style import PLAIN, Style
from reconciler.cli.render.table import table
from reconciler.cli.render.words import plural
from reconciler.daemon.state import LoopState, ServiceState

_HEAD = ("SERVICE", "LOOP", "LAST CYCLE", "WHY", "NEXT TRY")
_POLICY_HEAD = ("POLICY", "SERVICE", "ROOT", "PIN")


def loop_text(state: LoopState, *, running: bool, now: datetime, style: Style = PLAIN) -> str:
    """`running`: whether its process is alive; if not, this is how it stood at its end."""
    return "\n".join(_lines(state, running=running, now=now, style=style)) + "\n"


def _lines(state: LoopState, *, running: bool, now: datetime, style: Style) -> Iterator[str]:
    if not running:
        yield f"Loop: none is running; the last one wrote this {_ago(state.written, now)}."
    else:
        next_at = "" if state.next is None else f", next at {_clock(state.next)}"
        where = f"pid {state.pid} on {terminal(state.host)}"
        yield f"Loop: running, {where}, since {_when(state.since)}{next_at}."
    if state.plan_only:
        yield "It only plans: nothing is changed."
    if not state.window_open:
        until = "" if state.window_changes is None else f" until {_when(state.window_changes)}"
        yield f"Outside of its windows{until}: it only plans."
    if state.manifest_error:
        yield f"The manifest as it is now is not in force, the one before is: {_clipped(state.manifest_error)}"
    if state.webhook_error:
        yield f"The webhook was not reached: {_clipped(state.webhook_error)}"
    yield ""
    rows = (_service(s, now) for s in state.services if s.last is not None or s.failures or s.paused)
    yield table(_HEAD, rows, style=style).rstrip("\n")
    for service in state.services:
        if service.error:
            yield f"{terminal(service.service)}: {_clipped(service.error)}"
    policies = [
        (p.policy, s.service, p.root, p.pin, p.why, p.held_until) for s in state.services for p in s.policies
    ]
    if policies:
        yield ""
        yield table(
            _POLICY_HEAD,
            (
                (terminal(policy), terminal(service), terminal(root) or "?", _pin(pin, why, held))
                for policy, service, root, pin, why, held in policies
            ),
            style=style,
        ).rstrip("\n")
    if state.watch is not None:
        yield ""
        for root in state.watch.roots:
            since = "" if root.since is None else f", since {_when(root.since)}"
            what = f"is {terminal(root.cid)}" if root.cid else f"is not known: {_clipped(root.why)}"
            yield f"MFS {terminal(root.path)} {what}{since}"
        if state.watch.bound:
            yield (
                f"A look at MFS takes {_span(state.watch.stat)}, so there is one every {_span(state.watch.interval)}: "
                "more would cost the node over 1 % of its time. `ipfs files flush /` may mend it."
            )


def _service(s: ServiceState, now: datetime) -> tuple[str, ...]:
    word: str = "paused" if s.paused else s.standing or "not yet known"
    if s.waiting:
        word += f", {s.waiting:,} waiting"
    last = "never" if s.last is None else f"{_ago(s.last.at, now)}: {terminal(clip(s.last.did, 60))}"
    why = "" if s.last is None else terminal(clip(s.last.why, 60))
    again = "" if s.again is None else f"{_clock(s.again)} after {plural(s.failures, 'failure')}"
    return terminal(s.service), word, last, why, again


def _pin(pin: str, why: str, held: datetime | None) -> str:
    if held is not None:
        return f"{pin}, a change is held until {_clock(held)}"
    return f"{pin}: {_clipped(why)}" if why else pin


def _clipped(text: str) -> str:
    return terminal(clip(" ".join(text.split()), 300))


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%SZ}"


def _ago(at: datetime, now: datetime) -> str:
    seconds = max(0, round((now - at).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"
