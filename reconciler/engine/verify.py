"""The last look: is what this run made still what it made? If not, somebody else writes here too."""

from collections.abc import Sequence

from reconciler.core.learned import ALTERED, META
from reconciler.core.manifest import Service
from reconciler.core.model import Remote
from reconciler.core.ownership import meta_differs
from reconciler.core.plan import Add, Replace, Retry
from reconciler.engine.learning import learn
from reconciler.engine.reread import reread
from reconciler.engine.run import Run


async def verify(run: Run, service: Service, made: Sequence[tuple[Add | Replace | Retry, Remote]]) -> bool:
    """Read what was made once more; what is not as it was made is told as a second writer's work.

    Returns whether declared meta came back other than it was sent, which a journal remembers of the service.
    """
    if not made or run.stopped:
        return False
    now = await reread(run, service, (pin.requestid for _, pin in made))
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
    if altered:
        learn(run.ctx, service, META, ALTERED)
    return altered
