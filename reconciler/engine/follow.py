"""Verb 6, wait: follow accepted pins until they are pinned or failed.

A few are read by requestid; of many, a page of what still waits is read, and then those that it does not show.
The interval between two looks grows. A failure is believed after a second look.
"""

from collections.abc import AsyncIterator

from reconciler.core.errors import ServiceError
from reconciler.core.manifest import Service
from reconciler.core.model import FAILED, PINNED, Remote
from reconciler.engine.reread import ONE_BY_ONE, reread, still_waiting
from reconciler.engine.run import Run


async def follow(run: Run, service: Service, pending: set[str]) -> AsyncIterator[tuple[str, Remote | None]]:
    """Yields each pin when it is decided: pinned, failed (twice seen), or None if it is gone.

    Ends when all are decided, time is up, or somebody asked to stop; what is not yielded is still waiting.
    """
    ctx = run.ctx
    interval, longest = ctx.settings.poll
    suspects: dict[str, float] = {}
    while pending and not run.stopped:
        left = run.deadline - ctx.monotonic()
        if left <= 0:
            return
        ctx.progress.waiting(len(pending), left)
        await ctx.pause(min(interval, left))
        interval = min(interval * 1.5, longest)
        try:
            seen = await _look(run, service, pending)
        except ServiceError as error:
            ctx.progress.note(service.name, f"cannot look at what is pending: {error.message}")
            if error.ends_lane:
                raise
            continue
        now = ctx.monotonic()
        for requestid in list(pending):
            if requestid not in seen:
                continue
            pin = seen[requestid]
            if pin is None or pin.status == PINNED:
                pending.discard(requestid)
                yield requestid, pin
            elif pin.status == FAILED:
                first = suspects.setdefault(requestid, now)
                if now - first >= ctx.settings.second_look:
                    pending.discard(requestid)
                    yield requestid, pin
            else:
                suspects.pop(requestid, None)
        if suspects:
            interval = min(interval, max(ctx.settings.second_look, 0.01))


async def _look(run: Run, service: Service, pending: set[str]) -> dict[str, Remote | None]:
    """What has become of pending pins; those of which nothing new is known are left out."""
    undecided: set[str] = set()
    if len(pending) > ONE_BY_ONE:
        undecided = await still_waiting(run, service, pending) or set()
    return await reread(run, service, pending - undecided) or {}
