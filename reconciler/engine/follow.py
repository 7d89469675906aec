"""Verb 6, wait: follow accepted pins until they are pinned or failed.

A few are read by requestid; many are read in pages of a listing, never by one request a pin. The interval between
two looks grows. A failure is believed after a second look.
"""

from collections.abc import AsyncIterator, Sequence

from reconciler.core.errors import ServiceError
from reconciler.core.manifest import Service
from reconciler.core.model import FAILED, PINNED, PinStatus, Remote
from reconciler.core.ownership import record
from reconciler.engine.run import Run
from reconciler.services.listing import sweep, workers

#: Up to so many pins are read one by one.
ONE_BY_ONE = 10


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
    """What is seen of the pending pins now; one that a page did not show is left out, unless read and gone."""
    if len(pending) <= ONE_BY_ONE:
        return {requestid: await run.read(service.name, requestid) for requestid in sorted(pending)}
    seen: dict[str, Remote | None] = {}

    def sink(pins: Sequence[PinStatus]) -> None:
        for pin in pins:
            if pin.requestid in pending:
                seen[pin.requestid] = record(run.rules, pin)

    client = run.ctx.services[service.name]
    swept = await sweep(client, service.profile, sink, concurrency=workers(service.limits))
    for pin in seen.values():
        if pin is not None:
            run.evidence.record(service.name, pin, new=False)
    if swept.complete:
        for requestid in sorted(pending - seen.keys())[:ONE_BY_ONE]:
            seen[requestid] = await run.read(service.name, requestid)
    return seen
