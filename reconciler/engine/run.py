"""What the lanes of one apply share: the plan, the evidence, the journal, and the outcomes so far."""

import asyncio
from collections.abc import Iterable

from reconciler.core.errors import ServiceError
from reconciler.core.model import PinKey, PinStatus, Remote
from reconciler.core.ownership import Rules, record
from reconciler.core.plan import ActionBase, Add, Change, Delete, Keep, PinRef, Replace, Retry
from reconciler.core.planning import Planned
from reconciler.core.report import Outcome, Result, ServiceReport
from reconciler.engine.context import Context
from reconciler.engine.dial import Dialler
from reconciler.engine.evidence import Evidence, difference
from reconciler.engine.hints import Hints
from reconciler.engine.importing import Imports
from reconciler.engine.journal import Intent, Journal

KIND = {Add: "add", Replace: "replace", Retry: "retry", Delete: "delete", Keep: "wait"}


class Run:
    """One apply while it goes on. Lanes write here; nothing in it is decided."""

    def __init__(self, planned: Planned, ctx: Context, run_id: str) -> None:
        self.planned = planned
        self.ctx = ctx
        self.id = run_id
        self.rules = Rules.of(planned.manifest)
        self.evidence = Evidence({name: d.listing.remotes for name, d in planned.diffs.items()})
        self.hints = Hints(ctx, planned.manifest)
        self.imports = Imports(planned, ctx)
        self.dialler = Dialler(ctx)
        self.started = ctx.monotonic()
        self.deadline = self.started + ctx.settings.timeout
        self.outcomes: list[Outcome] = []
        self.reports: dict[str, ServiceReport] = {}
        self.second_writer: list[str] = []
        #: per service: set when its adds are as true as they will be in this run
        self.settled: dict[str, asyncio.Event] = {name: asyncio.Event() for name in planned.manifest.services}
        #: requestids that this plan deletes: no justification may rest on them
        self.victims: set[tuple[str, str]] = {
            (a.service, ref.requestid) for a in planned.plan.changes for ref in _victims(a)
        }
        self._journal_told = False
        #: the journal's number of each action's own request, for its final outcome
        self._intents: dict[int, int] = {}

    async def content_for(self, action: ActionBase) -> bool:
        """Whether what is to be pinned can be had, once it was waited for; if not, that is its outcome."""
        if not self.imports.concerns(action):
            return True
        refused = await self.imports.ready(action)
        # The time to wait for pins begins when there is something to pin.
        self.deadline = max(self.deadline, self.ctx.monotonic() + self.ctx.settings.timeout)
        if refused is None:
            return True
        result, reason = refused
        self.finish(action, result, why=reason)
        return False

    # --- reading ------------------------------------------------------------------------------------------------

    async def read(self, service: str, requestid: str) -> Remote | None:
        """The pin as it is now; what was read is remembered as evidence."""
        status = await self.ctx.services[service].get(requestid)
        if status is None:
            self.evidence.forget(service, requestid)
            return None
        return self.saw(service, status)

    def saw(self, service: str, status: PinStatus) -> Remote:
        """A pin that was just read: remembered as evidence, and its delegates are dialled while it waits."""
        pin = self.record(service, status)
        self.evidence.record(service, pin, new=False)
        if pin.mine:
            self.dialler.seen(service, status)
        return pin

    def record(self, service: str, status: PinStatus) -> Remote:
        """A pin as it was read at a service, with its key name and owner."""
        return record(self.rules.at(service), status)

    async def moved(self, service: str, then: PinRef) -> str:
        """What has changed of a pin since the plan was made; "" if nothing."""
        return difference(then, await self.read(service, then.requestid))

    # --- writing down -------------------------------------------------------------------------------------------

    async def intent(self, action: Change, *, kind: str = "", cid: str = "", requestid: str = "") -> int:
        """Durable before the request is sent. A journal that failed is told of once and does without."""
        journal = self.ctx.journal
        if journal is None or journal.failed is not None:
            return 0
        seq = await journal.intent(
            Intent(
                run=self.id,
                service=action.service,
                name=action.name,
                action=kind or KIND[type(action)],
                cid=cid or action.cid,
                requestid=requestid,
            )
        )
        self._tell_failed(journal)
        if not kind:
            self._intents[id(action)] = seq
        return seq

    def _tell_failed(self, journal: Journal) -> None:
        if journal.failed is not None and not self._journal_told:
            self._journal_told = True
            self.ctx.progress.note("", f"the journal is off for the rest of this run: {journal.failed}")

    def answered(self, seq: int, result: str, *, requestid: str = "", why: str = "") -> None:
        if self.ctx.journal is not None and seq:
            self.ctx.journal.outcome(seq, result, requestid=requestid, why=why)

    def finish(
        self, action: ActionBase, result: Result, *, requestid: str = "", why: str = "", cid: str = ""
    ) -> None:
        """The final outcome of an action."""
        outcome = Outcome(
            service=action.service,
            name=action.name,
            action=KIND[type(action)],  # type: ignore[arg-type]  # the values of KIND are the literals
            result=result,
            cid=cid or action.cid,
            requestid=requestid,
            why=why,
        )
        self.outcomes.append(outcome)
        journal = self.ctx.journal
        if seq := self._intents.get(id(action)):
            self.answered(seq, result, requestid=requestid, why=why)
        if journal is not None and result == "done" and not isinstance(action, Delete):
            journal.settled(self.planned.manifest.owner, action.service, action.name)
        self.ctx.progress.outcome(outcome)

    def wrote_second(self, service: str, name: str) -> None:
        self.second_writer.append(str(PinKey(service, name)))

    @property
    def stopped(self) -> bool:
        return self.ctx.stop.is_set()


def why(error: ServiceError) -> str:
    """The one line an outcome gives for an error."""
    return error.message


def _victims(action: Change) -> Iterable[PinRef]:
    if isinstance(action, Delete):
        yield action.victim.ref
    elif isinstance(action, Replace):
        if action.target is not None and action.how == "modify":
            yield action.target.ref
        for old in action.olds:
            yield old.ref
