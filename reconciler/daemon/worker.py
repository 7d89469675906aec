"""Keeps one service as the manifest says, at its own pace: a service that is slow or hangs delays no other.

What is due           | what is done
----------------------+--------------------------------------------------------------------------------------
`roots`               | a policy's root changed, or what held it back is over: a plan of the policies alone
pending pins          | those that wait are read again; what is decided leads to a plan where something is left to do
`news`                | what was created since the last look; if it concerns us, a plan of everything
`tick`                | everything, if the account is small, stands badly, or was not listed for long; else a light look
`all`                 | all of the account is listed, everything planned

A listing may take minutes, and everything else goes on meanwhile; what it made out of date is looked at again before
the plan is applied. Nothing is applied twice at a time.
"""

import asyncio
import random
from contextlib import suppress

from reconciler.core.errors import EXIT_PARTIAL, PinrecError, ServiceError, worst_exit
from reconciler.core.manifest import Service
from reconciler.core.plan import Retry
from reconciler.core.planning import Planned
from reconciler.core.question import Facts
from reconciler.daemon.chronicle import Chronicle
from reconciler.daemon.files import Kept
from reconciler.daemon.gate import Gate, policy_of
from reconciler.daemon.holding import Holding
from reconciler.daemon.reading import READ_AGAIN, Follows, Reading
from reconciler.daemon.shared import Shared
from reconciler.daemon.state import worse
from reconciler.daemon.turn import Turned, apply, plan_everything, plan_policies, without

#: What is due, the most urgent first.
KINDS = ("roots", "pending", "news", "tick", "all")
#: Seconds after a failure of the service as a whole, doubled with each in a row.
BACKOFF, LONGEST_BACKOFF = 5.0, 300.0
#: Seconds after a failure of a pin; the engine itself spaces what it sends.
RETRY, LONGEST_RETRY = 30.0, 900.0
#: Seconds after which a plan of everything is made to see whether all is well.
SOON = 30.0
#: Seconds after which a person's apply is looked for again.
POLITE = 10.0
#: An account that was listed with no more requests than this is listed at every tick.
SMALL = 10
#: Seconds after an apply of more changes than that, until all is looked at again.
AFTER_MANY = 60.0


class Worker:
    """One service's part of the loop."""

    def __init__(self, shared: Shared, service: Service, *, jitter: random.Random | None = None) -> None:
        self.shared = shared
        self.name = service.name
        self.spec = service
        self.chronicle = Chronicle(shared, service.name)
        self._monotonic = shared.given.monotonic
        self._random = jitter or random.Random()  # noqa: S311  # spreads attempts, guards nothing
        self._due: dict[str, tuple[float, str]] = {}
        self._woken = asyncio.Event()
        self._gate = Gate(service.name, self._monotonic)
        self._reading = Reading(shared, service)
        #: A plan of everything that is being made, what it was made of, and why.
        self._planning: asyncio.Task[Planned | None] | None = None
        self._planned_from: tuple[Kept, Facts, str] | None = None
        self._listed: float | None = None
        self._retries = 0
        self._no_sooner = 0.0
        self._ended = False
        #: Set once there has been a turn, or a reason why there was none.
        self.settled = asyncio.Event()

    # --- what is asked of it --------------------------------------------------------------------------------

    def ask(self, kind: str, why: str, delay: float = 0.0) -> None:
        """Something is due, in `delay` seconds. What is due sooner already stays."""
        at = self._monotonic() + delay
        if kind not in self._due or at < self._due[kind][0]:
            self._due[kind] = (at, why)
            self._woken.set()

    def wake(self) -> None:
        """Something outside has changed: paused, resumed, stopped."""
        self._woken.set()

    def end(self) -> None:
        """Finish what is being sent, and no more."""
        self._ended = True
        self._woken.set()

    def carry_over(self, old: "Worker") -> None:
        """What must survive a change of how the service is reached: when policies sent their last requests."""
        self._gate = old._gate

    async def run(self) -> None:
        """Until it is asked to end; what is being sent then is finished."""
        stop = self.shared.given.stop
        try:
            while not (self._ended or stop.is_set()):
                kind = self._ready()
                if kind is None:
                    await self._wait()
                    continue
                why = self._due.pop(kind, (0.0, kind))[1]
                await self._guarded(kind, why)
        finally:
            await self._abandon()
            await self._reading.close()

    # --- what is next -----------------------------------------------------------------------------------------

    def _ready(self) -> str | None:
        now = self._monotonic()
        self._woken.clear()
        self.chronicle.waiting = len(self._reading.pending)
        if self.shared.paused.covers(self.name) or now < self._no_sooner:
            return None
        if self._planning is not None and self._planning.done():
            return "planned"
        for kind in KINDS:
            if kind == "pending":
                if self._reading.pending.due <= now:
                    return kind
            elif kind in self._due and self._due[kind][0] <= now and not self._is_under_way(kind):
                return kind
        return None

    def _is_under_way(self, kind: str) -> bool:
        """Whether a plan of everything is being made, which is what this would begin; or roots before the first."""
        if kind in ("all", "tick"):
            return self._planning is not None
        return kind in ("roots", "news") and self.name not in self.shared.holdings

    async def _wait(self) -> None:
        now = self._monotonic()
        dues = [at for kind, (at, _) in self._due.items() if not self._is_under_way(kind)]
        at = max(min([*dues, self._reading.pending.due]), self._no_sooner)
        if self.shared.paused.covers(self.name):
            at = float("inf")
        waiters: set[asyncio.Future[object]] = {asyncio.ensure_future(self._woken.wait())}
        if self._planning is not None and now >= self._no_sooner:
            waiters.add(self._planning)  # type: ignore[arg-type]  # a task of anything is as good to wait for
        timeout = None if at == float("inf") else max(0.001, at - now)
        try:
            await asyncio.wait(waiters, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                if waiter is not self._planning:
                    waiter.cancel()

    async def _guarded(self, kind: str, why: str) -> None:
        """No failure ends a worker: it waits longer and tries again."""
        try:
            match kind:
                case "roots":
                    await self._roots(why)
                case "pending":
                    self._follow(await self._reading.waiting())
                case "news":
                    await self._look_for_news()
                case "tick":
                    await self._tick(why)
                case "all":
                    await self._begin(why)
                case _:
                    await self._finish()
                    self.shared.tidy()
        except ServiceError as error:
            self._failed(error.message, error.retry_after)
            self.ask(kind if kind in KINDS and kind != "pending" else "all", why)
        except PinrecError as error:
            self._failed(str(error), None)
            self.ask("all", why)
        except Exception as error:  # noqa: BLE001  # the one place where a worker's work ends: the loop goes on
            self._failed(f"internal error: {type(error).__name__}: {error}", None)
            self.ask("all", why)

    def _failed(self, why: str, retry_after: float | None) -> None:
        self.chronicle.failures += 1
        delay = min(BACKOFF * 2.0 ** min(self.chronicle.failures - 1, 10), LONGEST_BACKOFF)
        delay *= 0.5 + self._random.random() / 2
        delay = max(delay, retry_after or 0.0)
        self._no_sooner = self._monotonic() + delay
        self.chronicle.failed(why, delay)
        self.settled.set()

    def _succeeded(self) -> None:
        self.chronicle.failures, self.chronicle.again, self.chronicle.error = 0, None, ""

    # --- everything -------------------------------------------------------------------------------------------

    async def _tick(self, why: str) -> None:
        shared = self.shared
        holding = shared.holdings.get(self.name)
        now = self._monotonic()
        if (
            holding is None
            or holding.summary.requests <= SMALL
            or self.chronicle.standing not in ("", "converged")
            or not self._reading.news.works
            or self._listed is None
            or now - self._listed >= shared.loop.full_sweep
        ):
            await self._begin(why)
            return
        await self._look_for_news()
        moved = await self._reading.near()
        await self._roots("a policy's pin is not as it was" if moved else why)

    async def _begin(self, why: str) -> None:
        """A plan of everything begins, with a listing of the account."""
        shared = self.shared
        if (holding := shared.holdings.get(self.name)) is not None:
            holding.recent.clear()
        facts = await shared.facts()
        self._planned_from = (shared.kept, facts, why)
        self.chronicle.begin()
        self._planning = asyncio.create_task(plan_everything(shared, self.name, facts, listed=False))

    async def _finish(self) -> None:
        """The plan of everything is there: made anew if its evidence has moved, and applied."""
        shared, planning = self.shared, self._planning
        assert planning is not None
        assert self._planned_from is not None
        kept, facts, why = self._planned_from
        self._planning = self._planned_from = None
        planned = planning.result()
        del planning
        if planned is None:
            self._listed = self._monotonic()
            self._succeeded()
            self.settled.set()
            return
        if kept is not shared.kept:
            self.ask("all", "the manifest changed")
            return
        listing = planned.snapshot.listings[self.name]
        if not listing.reachable:
            self.chronicle.turned(self._unreachable(planned), why, everything=True)
            self._failed(listing.why, None)
            self.ask("all", why)
            return
        old = shared.holdings.get(self.name)
        recent = dict(old.recent) if old is not None else {}
        holding = Holding(listing, shared.names)
        for requestid, pin in recent.items():
            holding.update(requestid, pin)
        shared.holdings[self.name] = holding
        self._reading.listed(planned)
        self._listed = self._monotonic()
        self.chronicle.listed = shared.given.now()
        now = await shared.facts()
        if recent or now.answers != facts.answers:
            planned = await plan_everything(shared, self.name, now, listed=True) or planned
        await self._turn(planned, why, everything=True)

    def _unreachable(self, planned: Planned) -> Turned:
        return Turned(planned=planned, did="it cannot be reached", exit_code=3, standing="unknown")

    # --- what policies want -----------------------------------------------------------------------------------

    async def _roots(self, why: str) -> None:
        facts = await self.shared.facts()
        self.chronicle.begin()
        planned = await plan_policies(self.shared, self.name, facts)
        if planned is None:
            await self._everything_as_listed(facts, why)
            return
        await self._turn(planned, why, everything=False)

    async def _everything_as_listed(self, facts: Facts, why: str) -> None:
        """Others want what the policies want, too: a plan of everything, by what the service is known to hold."""
        planned = await plan_everything(self.shared, self.name, facts, listed=True)
        if planned is not None:
            await self._turn(planned, why, everything=True)

    # --- a turn -------------------------------------------------------------------------------------------------

    async def _turn(self, planned: Planned, why: str, *, everything: bool) -> None:
        held = self._gate.waiting(planned)
        turned = await apply(self.shared, self.name, without(planned, held), held, ended=lambda: self._ended)
        if any(isinstance(a, Retry) and a.name in held for a in planned.plan.actions):
            # That it is not tried again yet makes no failure good.
            turned.standing = worse(turned.standing, "failed")
            turned.exit_code = worst_exit(turned.exit_code, EXIT_PARTIAL)
        report = turned.report
        if report is not None:
            wanted = planned.diffs[self.name].wanted if self.name in planned.diffs else {}
            for outcome in report.outcomes:
                policy = policy_of(wanted, outcome.name)
                if policy and outcome.result != "skipped" and outcome.action in ("add", "replace", "retry"):
                    self._gate.sent(policy, retry=outcome.action == "retry")
        if held:
            self.ask("roots", "the interval is over", min(left for _, left in held.values()) + 0.01)
        stopped = ""
        if report is not None:
            stopped = next((s.stopped for s in report.services if s.stopped), "")
            try:
                if not await self._reading.take_in(turned):
                    self.ask("all", "to see what became of many changes", AFTER_MANY)
            except ServiceError as error:
                stopped = stopped or error.message
                self.ask("all", "to see what became of it")
        self.chronicle.turned(turned, why, everything=everything)
        if stopped:
            self._failed(stopped, None)
        else:
            self._succeeded()
        self._again(turned, everything=everything)
        self.settled.set()

    def _again(self, turned: Turned, *, everything: bool) -> None:
        """What of this turn is left for another one."""
        kind = "all" if everything else "roots"
        if turned.yielded:
            self.ask("all", "a person's apply was at work", POLITE)
        if turned.standing in ("failed", "drift") and turned.did == "applied":
            self._retries += 1
            delay = min(RETRY * 2.0 ** min(self._retries - 1, 10), LONGEST_RETRY)
            self.ask(kind, "again after a failure", delay)
        elif turned.standing == "converged":
            self._retries = 0
            if self.chronicle.standing in ("unknown", "failed"):
                self.ask("all", "what was amiss may be well again", SOON)

    # --- reading ------------------------------------------------------------------------------------------------

    async def _look_for_news(self) -> None:
        if await self._reading.fresh():
            self.ask("all", "something new concerns us")
        self._succeeded()

    def _follow(self, follows: set[Follows]) -> None:
        self._succeeded()
        if "all" in follows:
            many = len(self._reading.pending) >= READ_AGAIN
            self.ask("all", "pins were decided", AFTER_MANY if many else 0.0)
        if "roots" in follows:
            self.ask("roots", "a policy's pin was decided")

    async def _abandon(self) -> None:
        """A listing that goes on is given up: it changes nothing."""
        if self._planning is not None:
            self._planning.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._planning
            self._planning = None
