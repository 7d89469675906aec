"""A new pin has to be newer than the pins that yield to it.

Age decides which pin of a key stands, and every applier has to see the same order, or two of them could each delete
what the other keeps. Where `created` is in whole seconds (Filebase, ipfs-cluster) a pin that is made within the
second of an old one may come before it or after it, by its id: the next run would find it the older one and add it
again, until the second is over. So the second is waited for. Nobody's clocks are compared for that: what was listed
is a second old when a second has passed since.
"""

from collections.abc import Iterable

from reconciler.core.instant import SECOND, parse_instant
from reconciler.core.manifest import Service
from reconciler.core.plan import Replace
from reconciler.engine.run import Run

#: Old pins that the service's own `Date` puts so far back (ns) need no waiting.
LONG_AGO = 5 * SECOND


async def wait_to_be_newer(run: Run, service: Service, action: Replace) -> None:
    """Waits, at most one second from the start of the run, until a pin made now is newer than `action.olds`."""
    newest = _newest(old.ref.created for old in action.olds)
    if newest is None or newest % SECOND or _long_ago(run, service, newest):
        return
    await run.ctx.pause(run.started + 1.0 - run.ctx.monotonic())


def _newest(created: Iterable[str]) -> int | None:
    instants = []
    for text in created:
        try:
            instants.append(parse_instant(text))
        except ValueError:
            continue
    return max(instants, default=None)


def _long_ago(run: Run, service: Service, instant: int) -> bool:
    skew = run.planned.snapshot.listings[service.name].clock_skew
    if skew is None:
        return False
    return int((run.ctx.now.timestamp() + skew) * SECOND) - instant > LONG_AGO
