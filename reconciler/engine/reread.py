"""Read many pins of ours again without asking for each, and without reading the whole account for a few.

What a run made is the newest there is, so one page of "created after" usually shows all of it. What that page does
not show is looked for in a whole listing: a filter that is ignored or cut may hide pins, but it makes none up.
"""

from collections.abc import Iterable, Sequence

from reconciler.core.instant import SECOND, format_instant, parse_instant
from reconciler.core.manifest import Service
from reconciler.core.model import PINNING, QUEUED, STATUSES, PinStatus, Remote
from reconciler.engine.run import Run
from reconciler.services.listing import sweep, workers
from reconciler.services.protocol import Query

#: Up to so many pins are read one by one.
ONE_BY_ONE = 10
PAGE = 1000


async def reread(run: Run, service: Service, ids: Iterable[str]) -> dict[str, Remote | None] | None:
    """What is there now of `ids`: None for one that is gone; None for all if that cannot be known.

    Raises ServiceError.
    """
    wanted = set(ids)
    if len(wanted) <= ONE_BY_ONE:
        return {i: await run.read(service.name, i) for i in sorted(wanted)}
    seen = await _newest(run, service, wanted)
    missing = wanted - seen.keys()
    if len(missing) > ONE_BY_ONE:
        whole = await _listed(run, service, missing)
        if whole is None:
            return None
        seen |= whole
        missing -= whole.keys()
    now: dict[str, Remote | None] = dict(seen)
    for i in sorted(missing)[:PAGE]:
        now[i] = await run.read(service.name, i)
    return now


async def still_waiting(run: Run, service: Service, ids: set[str]) -> set[str] | None:
    """Those of `ids` that a page of waiting pins shows; None if the page does not tell about the others."""
    page = await run.ctx.services[service.name].pins(Query(status=(QUEUED, PINNING), limit=PAGE))
    obeyed = all(p.status in (QUEUED, PINNING) for p in page.results)
    if not obeyed or len(page.results) >= PAGE or page.count > len(page.results):
        return None
    waiting = [p for p in page.results if p.requestid in ids]
    for pin in waiting:
        run.dialler.seen(service.name, pin)
    return {p.requestid for p in waiting}


async def _newest(run: Run, service: Service, ids: set[str]) -> dict[str, Remote]:
    created = [p.created for i in ids if (p := run.evidence.get(service.name, i)) is not None]
    try:
        # Replies and listings round differently: two seconds cover every way that was seen.
        after = format_instant(min(parse_instant(c) for c in created) - 2 * SECOND)
    except ValueError:
        return {}
    page = await run.ctx.services[service.name].pins(Query(status=STATUSES, after=after, limit=PAGE))
    return _kept(run, service, ids, page.results)


async def _listed(run: Run, service: Service, ids: set[str]) -> dict[str, Remote] | None:
    seen: dict[str, Remote] = {}

    def sink(pins: Sequence[PinStatus]) -> None:
        seen.update(_kept(run, service, ids, pins))

    client = run.ctx.services[service.name]
    swept = await sweep(client, service.profile, sink, concurrency=workers(service.limits))
    return seen if swept.complete else None


def _kept(run: Run, service: Service, ids: set[str], pins: Iterable[PinStatus]) -> dict[str, Remote]:
    return {p.requestid: run.saw(service.name, p) for p in pins if p.requestid in ids}
