"""From the command line to the loop: its settings, its log, its signals."""

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from reconciler.cli import declared, interrupt
from reconciler.cli.options import Options
from reconciler.cli.render.log import LogFormat, log_line
from reconciler.core.errors import EXIT_OK, UsageError, worst_exit

if TYPE_CHECKING:
    from reconciler.core.manifest import Loop as Settings
    from reconciler.core.manifest import Manifest, Service
    from reconciler.core.manifest import Node as NodeSpec
    from reconciler.daemon.log import Line, Log
    from reconciler.engine.journal import Journal
    from reconciler.node.protocol import Node
    from reconciler.services.protocol import PinningService

#: Pins above which memory that is free should be given back, though it takes a plan a little longer.
LARGE = 20_000


def run_loop(
    options: Options,
    *,
    interval: float | None,
    cron: str | None,
    once: bool,
    plan_only: bool,
    log_format: LogFormat,
) -> int:
    """Returns the exit code. Raises PinrecError."""
    from reconciler.daemon.files import kept_of
    from reconciler.daemon.lease import Lease

    if options.file == "-" and not once:
        raise UsageError(
            "-f - cannot be read again when it changes", hint="name it with -f FILE, or give --once"
        )
    _import_first()
    kept = kept_of(_load(options), os.environ)
    if kept.packed.count > LARGE and not once:
        _begin_anew_with_another_allocator()
    lease = Lease(options.state_dir, kept.head.owner)

    def override(settings: "Settings") -> "Settings":
        from msgspec.structs import replace

        if interval is not None:
            settings = replace(settings, interval=interval, cron="")
        if cron is not None:
            settings = replace(settings, cron=cron)
        return replace(settings, plan_only=settings.plan_only or plan_only)

    async def main(interrupted: interrupt.Interrupt) -> int:
        from reconciler.daemon.loop import Doors, Loop
        from reconciler.daemon.shared import Given

        with contextlib.ExitStack() as stack:
            journal = stack.enter_context(_journal(options))
            given = Given(
                new_id=lambda: secrets.token_hex(8),
                log=_log(options, log_format),
                lease=lease,
                environ=os.environ,
                journal=journal,
                stop=interrupted.stop,
                signal_exit=lambda: interrupted.code,
            )
            doors = Doors(
                load=lambda: _load(options),
                open_services=_open_services,
                open_node=_open_node,
                state_dir=options.state_dir,
                override=override,
            )
            loop = Loop(kept, given, doors)
            with interrupted.graceful():
                if once:
                    return await loop.once()
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, loop.poke)
                await loop.run()
                return EXIT_OK

    with lease.hold():
        return worst_exit(interrupt.run(main))


def _begin_anew_with_another_allocator() -> None:
    """Python's own allocator gives memory back by the megabyte, and only where all of it is free: after a plan of
    100,000 pins 108 MB stay, with that of the C library 74 MB (measured, CPython 3.11 on Linux). It can only be
    chosen before Python starts. The process stays the same one, and nothing has been begun yet."""
    if "PYTHONMALLOC" in os.environ or not sys.platform.startswith("linux"):
        return
    # What it was started as, by itself.
    os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONMALLOC": "malloc"})  # noqa: S606  # no shell is meant


def _import_first() -> None:
    """All that stays for good is made before the manifest and its plans, which go again.

    What stays in the midst of what goes keeps it from being given back: 30 MB after 100,000 pins, measured.
    """
    import reconciler.daemon.loop
    import reconciler.engine.journal
    import reconciler.node.open
    import reconciler.services.client  # noqa: F401  # imported to be there
    from reconciler.daemon.schedule import Calendar
    from reconciler.manifest.schema import errors

    Calendar().stop()
    # The validator and its schema are made by their first use.
    list(errors({"version": 1, "name": "none"}, main=True))


def _load(options: Options) -> "Manifest":
    """The manifest, which is to be let go of again."""
    manifest = declared.load(options)
    gc.unfreeze()
    return manifest


def _journal(options: Options) -> "Journal":
    from reconciler.cli.output import say
    from reconciler.engine.journal import Journal

    journal = Journal.open(options.state_dir)
    for note in journal.notes:
        say(options, f"pinrec: {note}")
    return journal


def _open_node(spec: "NodeSpec") -> "AbstractAsyncContextManager[Node]":
    from reconciler.node.open import open_node

    return open_node(spec, environ=os.environ)


def _open_services(
    services: "Mapping[str, Service]",
) -> "AbstractAsyncContextManager[Mapping[str, PinningService]]":
    from reconciler.services.client import open_services

    return open_services(services, environ=os.environ)


def _log(options: Options, form: LogFormat) -> "Log":
    from datetime import UTC, datetime

    from reconciler.daemon.log import Log

    shown = (
        {"warning", "error"}
        | (set() if options.quiet else {"info"})
        | ({"debug"} if options.verbose else set())
    )

    def write(line: "Line") -> None:
        if line.level in shown:
            # A log that nobody reads any more ends no loop.
            with contextlib.suppress(OSError):
                sys.stderr.write(log_line(line, form) + "\n")
                sys.stderr.flush()

    return Log(write, lambda: datetime.now(UTC))
