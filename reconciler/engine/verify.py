"""The last look: is what this run made still what it made? If not, somebody else writes here too."""

from collections.abc import Sequence

from reconciler.core.manifest import Service
from reconciler.core.model import PinStatus, Remote
from reconciler.core.ownership import meta_differs, record
from reconciler.core.plan import Add, Replace, Retry
from reconciler.engine.follow import ONE_BY_ONE
from reconciler.engine.run import Run
from reconciler.services.listing import sweep, workers


async def verify(run: Run, service: Service, made: Sequence[tuple[Add | Replace | Retry, Remote]]) -> bool:
    """Read what was made once more; what is not as it was made is told as a second writer's work.

    Returns whether declared meta came back other than it was sent, which a journal remembers of the service.
    """
    if not made or run.stopped:
        return False
    now = await _read(run, service, [pin.requestid for _, pin in made])
    if now is None:
        return False
    altered = False
    wanted = run.planned.desire.by_service[service.name]
    for action, pin in made:
        again = now.get(pin.requestid)
        if again is None or again.cid != pin.cid or not again.mine:
            run.wrote_second(service.name, action.name)
        elif service.profile.meta != "dropped" and meta_differs(wanted[action.name], again):
            altered = True
    if altered and run.ctx.journal is not None:
        run.ctx.journal.learn(service.name, "meta", "altered")
    return altered


async def _read(run: Run, service: Service, ids: list[str]) -> dict[str, Remote] | None:
    """What is there now of these requestids, or None where that cannot be known."""
    now: dict[str, Remote] = {}
    if len(ids) <= ONE_BY_ONE:
        for requestid in ids:
            if (pin := await run.read(service.name, requestid)) is not None:
                now[requestid] = pin
        return now
    made = set(ids)

    def sink(pins: Sequence[PinStatus]) -> None:
        now.update((pin.requestid, record(run.rules, pin)) for pin in pins if pin.requestid in made)

    client = run.ctx.services[service.name]
    swept = await sweep(client, service.profile, sink, concurrency=workers(service.limits))
    return now if swept.complete else None
