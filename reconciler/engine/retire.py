"""Delete one pin, if everything it rests on is still true.

The victim and all that justify its going are read again by requestid right before the request, and must be what
they were: CID, name, owner, status, `created`. If anything moved nothing happens, and the next run decides anew.
Where the requestid is the CID somebody else could overwrite the victim between two reads, so it is read last;
elsewhere the justifiers are.
"""

from reconciler.core.cid import Cid
from reconciler.core.errors import ServiceError
from reconciler.core.model import FAILED, PINNED
from reconciler.core.ownership import listed_cid
from reconciler.core.plan import Change, PinRef, Victim
from reconciler.engine.run import Run, why


class Moved(Exception):  # noqa: N818  # no error: what a deletion rested on is no longer so
    """Why a pin is not deleted now. `gone`: it was not there any more, which is what was wanted."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.gone = gone


async def retire(
    run: Run,
    action: Change,
    victim: Victim,
    *,
    stand: PinRef | None = None,
    carried: Cid | None = None,
) -> None:
    """`stand` is the pin that the victim yields to; `carried` the CID, where another key's pin stands for it.

    Raises Moved if the pin stays, ServiceError if the service did not answer."""
    service, ref = action.service, victim.ref
    if ref.requestid in run.evidence.returned.get(service, ()):
        now = run.evidence.get(service, ref.requestid)
        if run.planned.diffs[service].one and now is not None and now.listed_name != ref.name:
            # One pin for each CID: an add for another name took it over, so this name has given it up.
            raise Moved("it bears another name now", gone=True)
        raise Moved("its id was just given to a new pin")
    if ref.status == FAILED:
        # A failure is believed after a second look.
        await run.ctx.pause(run.started + run.ctx.settings.second_look - run.ctx.monotonic())
    diff = run.planned.diffs[service]
    if diff.one:
        await _justify(run, action, victim, stand, carried)
        await _unchanged(run, service, ref)
    else:
        await _unchanged(run, service, ref)
        await _justify(run, action, victim, stand, carried)
    if run.stopped:
        raise Moved("interrupted")
    seq = await run.intent(action, kind="delete", cid=ref.cid, requestid=ref.requestid)
    try:
        await run.ctx.services[service].delete(ref.requestid)
    except ServiceError as error:
        run.answered(seq, "failed", why=why(error))
        raise
    run.evidence.forget(service, ref.requestid)
    run.answered(seq, "done")


async def _unchanged(run: Run, service: str, ref: PinRef) -> None:
    moved = await run.moved(service, ref)
    if moved == "gone":
        raise Moved("it was gone already", gone=True)
    if moved:
        raise Moved(moved)


async def _justify(
    run: Run, action: Change, victim: Victim, stand: PinRef | None, carried: Cid | None
) -> None:
    service = action.service
    if carried is not None and not await _has_copy(run, service, carried.canonical, None, ""):
        raise Moved(f"{carried} is not pinned here yet")
    if stand is not None and (moved := await run.moved(service, stand)):
        raise Moved(f"the pin it yields to moved: {moved}")
    cid = listed_cid(victim.ref.cid).canonical
    one = run.planned.diffs[service].one
    for name in victim.needs:
        if not await _has_copy(run, service, cid, None if one else name, victim.ref.requestid):
            raise Moved(f"{name} has no pinned copy of its own yet")
    for at in victim.all_of:
        # What is wanted there now may be another CID than the one that goes.
        wanted = run.planned.desire.by_service[at].get(action.name)
        try:
            holds = await _has_copy(run, at, wanted.cid.canonical if wanted else cid, None, "")
        except ServiceError:
            holds = False
        if not holds:
            raise Moved(f"{at} does not hold a pinned copy yet")
    if victim.elsewhere:
        for at, name in victim.elsewhere:
            try:
                if await _has_copy(run, at, cid, name, ""):
                    return
            except ServiceError:
                continue
        raise Moved("no other service holds a pinned copy yet")


async def _has_copy(run: Run, service: str, cid: str, name: str | None, but: str) -> bool:
    """Whether a pinned pin of ours of the CID, other than the victim and all that is to go, is there right now."""
    for pin in list(run.evidence.pinned(service, cid, name)):
        if pin.requestid == but or (service, pin.requestid) in run.victims:
            continue
        if run.planned.doubts.of(service, pin.requestid, cid) is not None:
            continue
        now = await run.read(service, pin.requestid)
        if now is None or not now.mine or now.status != PINNED or now.cid.canonical != cid:
            continue
        if name is None or now.name == name:
            return True
    return False
