"""From a command line to the engine: CIDs from outside, services, journal, progress."""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from reconciler.cli.declared import check_services
from reconciler.cli.interrupt import Interrupt
from reconciler.cli.options import Options
from reconciler.core.errors import EXIT_ERROR, NodeError, PinrecError
from reconciler.core.local import with_local
from reconciler.core.manifest import Manifest
from reconciler.core.plan import Overrides, Plan

if TYPE_CHECKING:
    from reconciler.engine.context import Context
    from reconciler.engine.cycle import Planned
    from reconciler.engine.events import Events
    from reconciler.engine.journal import Journal
    from reconciler.engine.progress import Progress
    from reconciler.node.protocol import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a command that talks to services works with."""

    options: Options
    manifest: Manifest
    context: "Context"
    resolved: Mapping[str, str]
    #: Where `--events` writes, if anywhere.
    events: "Events | None"
    #: Takes a live progress display off the terminal, to make room for a result or a question.
    settle: Callable[[], None]

    async def plan(
        self, overrides: Overrides, *, tell: bool = True, named: datetime | None = None
    ) -> "Planned":
        """`tell`: this is the plan that counts, and no saved one. `named`: see `engine.cycle.make_plan`."""
        from reconciler.engine.cycle import make_plan

        check_services(overrides.services, with_local(self.manifest))
        try:
            planned = await make_plan(
                self.manifest, overrides, self.context, resolved=dict(self.resolved), named=named
            )
            planned = await self._with_node_note(planned)
        finally:
            self.settle()
        if tell:
            self.tell(planned.plan)
        return planned

    async def _with_node_note(self, planned: "Planned") -> "Planned":
        if self.context.node is None:
            return planned
        from msgspec.structs import replace

        from reconciler.engine.dial import plan_note

        note = await plan_note(self.context, planned.plan)
        if not note:
            return planned
        return replace(planned, plan=replace(planned.plan, notes=(*planned.plan.notes, note)))

    def tell(self, plan: Plan) -> None:
        """The plan as an event."""
        if self.events is not None:
            from msgspec.structs import asdict

            from reconciler.cli.render.words import count

            self.events.planned(plan, asdict(count(plan.actions, plan.services)))


@asynccontextmanager
async def opened(
    options: Options,
    manifest: Manifest,
    interrupt: Interrupt,
    *,
    needs_journal: bool = False,
    resolved: Mapping[str, str] | None = None,
    wait: Literal["pinned", "none"] = "pinned",
    timeout: float = 600.0,
) -> AsyncIterator[Run]:
    """Everything open, and closed at the end. Nothing is sent to a service before every key is resolved.

    `resolved` are the CIDs that a saved plan carries. Without `needs_journal` one that cannot be opened is done
    without: a plan needs no memory. Raises PinrecError.
    """
    from reconciler.cli.render.progress import make_progress
    from reconciler.engine.context import Context, Settings
    from reconciler.engine.cycle import resolve_cids
    from reconciler.engine.local import with_node
    from reconciler.services.client import open_services

    environ = os.environ
    with ExitStack() as stack:
        events = stack.enter_context(_events(options, manifest)) if options.events else None
        cids = dict(resolved) if resolved is not None else resolve_cids(manifest, environ)
        journal = _journal(options, required=needs_journal, keep=stack.enter_context)
        progress: Progress = stack.enter_context(make_progress(options, environ, sys.stderr))
        if events is not None:
            progress = events.tee(progress)
        async with (
            open_services(manifest.services, environ=environ) as services,
            _node(manifest, environ) as node,
        ):
            context = Context(
                now=datetime.now(UTC),
                new_id=lambda: secrets.token_hex(8),
                environ=environ,
                services=with_node(services, node, stop=interrupt.stop, patience=timeout, progress=progress),
                node=node,
                journal=journal,
                progress=progress,
                settings=Settings(wait=wait, timeout=timeout),
                stop=interrupt.stop,
                signal_exit=lambda: interrupt.code,
            )
            yield Run(
                options=options,
                manifest=manifest,
                context=context,
                resolved=cids,
                events=events,
                settle=getattr(progress, "close", lambda: None),
            )


@asynccontextmanager
async def _node(manifest: Manifest, environ: Mapping[str, str]) -> "AsyncIterator[Node | None]":
    """The node of the manifest. One whose address cannot even be found out is as good as one that is down."""
    if manifest.node is None:
        yield None
        return
    from reconciler.node.absent import AbsentNode
    from reconciler.node.open import open_node

    async with AsyncExitStack() as stack:
        try:
            node: Node = await stack.enter_async_context(open_node(manifest.node, environ=environ))
        except NodeError as error:
            node = AbsentNode(error)
        yield node


@contextmanager
def _events(options: Options, manifest: Manifest) -> "Iterator[Events]":
    """The file of `--events`, with its first line; an error that ends the run is its last."""
    from reconciler import __version__
    from reconciler.engine.events import Events, open_events

    events = Events(open_events(options.events))
    events.begin(pinrec=__version__, command=options.command, owner=manifest.owner, manifest=manifest.path)
    try:
        yield events
    except PinrecError as error:
        events.error(error.message, error.exit_code)
        raise
    except BaseException as error:
        events.error(type(error).__name__, EXIT_ERROR)
        raise
    finally:
        events.end()


def _journal(options: Options, *, required: bool, keep: "Callable[[Journal], Journal]") -> "Journal | None":
    from reconciler.cli.output import say
    from reconciler.engine.journal import Journal

    try:
        journal = keep(Journal.open(options.state_dir))
    except PinrecError as error:
        if required:
            raise PinrecError(
                error.message, hint=error.hint or "name a directory that can be written with --state-dir"
            ) from error
        if options.verbose:
            say(options, f"pinrec: planning without a journal: {error.message}")
        return None
    for note in journal.notes:
        say(options, f"pinrec: {note}")
    return journal
