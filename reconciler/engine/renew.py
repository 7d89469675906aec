"""Try what has failed once more, also where a POST of a CID that is there is answered with the pin that is there.

At such a service (`secondAdd: same`) the failed pin itself would come back for ever. So it goes first, and the CID is
added when it is gone. It has failed and is ours, so its deletion needs no justification but the look right before:
it must be what it was. A service that nobody has measured is asked once, and what it answers is remembered.
"""

from reconciler.core.errors import ServiceError
from reconciler.core.learned import SAME, SECOND_ADD
from reconciler.core.manifest import Service
from reconciler.core.model import FAILED, PinRequest, Remote
from reconciler.core.plan import Retry
from reconciler.engine.evidence import difference
from reconciler.engine.learning import learn
from reconciler.engine.retire import Moved
from reconciler.engine.run import Run, why
from reconciler.engine.send import send_add

#: What a service is known or believed to do with a second add, where the failed pin may be its answer.
_MAY_BE_SAME = ("same", "unknown", "new")


async def add_again(run: Run, service: Service, action: Retry, request: PinRequest) -> Remote:
    """The pin that came of it, which may have failed again. Raises Moved if a failed pin is no longer that."""
    if service.profile.second_add == "same":
        await _clear(run, action)
        return await send_add(run, service, action, request)
    pin = await send_add(run, service, action, request)
    if not await _is_what_failed(run, service, action, pin):
        return pin
    tell = "an add is answered with the pin that has failed: it is deleted, and added once more"
    learn(run.ctx, service, SECOND_ADD, SAME, tell=tell)
    await _clear(run, action)
    return await send_add(run, service, action, request)


async def _is_what_failed(run: Run, service: Service, action: Retry, pin: Remote) -> bool:
    """Whether the answer was one of the pins that had failed, as it was: no new try was made."""
    then = next((f for f in action.failed if f.requestid == pin.requestid), None)
    if then is None or service.profile.second_add not in _MAY_BE_SAME:
        return False
    # Some services call every answer queued. One that was overwritten was made anew, and has another `created`.
    return difference(then, await run.read(service.name, pin.requestid)) == ""


async def _clear(run: Run, action: Retry) -> None:
    for then in action.failed:
        moved = difference(then, await run.read(action.service, then.requestid))
        if moved == "gone":
            continue
        if moved or then.status != FAILED:
            raise Moved(moved or "it has not failed")
        seq = await run.intent(action, kind="delete", cid=then.cid, requestid=then.requestid)
        try:
            await run.ctx.services[action.service].delete(then.requestid)
        except ServiceError as error:
            run.answered(seq, "failed", why=why(error))
            raise
        run.evidence.deleted(action.service, then.requestid)
        run.answered(seq, "done")
