"""Send one add or replace, and find out what became of it when the answer is lost.

POST is not idempotent and the API has no idempotency key. After an answer that was lost, or a refusal that may
have happened all the same, the pin is looked for by CID and name before anything is sent again.
"""

from collections.abc import Iterable

from reconciler.core.cid import parse
from reconciler.core.errors import LostAnswerError, RejectedError, ServerFaultError, ServiceError
from reconciler.core.learned import CONTRADICTED, ID_IS_CID, SECOND_ADD, SEEN
from reconciler.core.manifest import Service
from reconciler.core.model import META_OWNER, Desired, Owner, PinRequest, PinStatus, Remote
from reconciler.core.plan import Change, PinRef
from reconciler.engine.hints import without_origins
from reconciler.engine.learning import learn
from reconciler.engine.run import Run, why
from reconciler.services.lookup import look_up

#: How often an add is sent at most, if each time it is known that the one before did nothing.
ATTEMPTS = 3


async def send_add(run: Run, service: Service, action: Change, request: PinRequest) -> Remote:
    """POST /pins, at most once for each time that it is certain that nothing is there. Raises ServiceError."""
    client = run.ctx.services[service.name]
    request = await run.hints.request(service, request)
    last: ServiceError | None = None
    for _ in range(ATTEMPTS):
        seq = await run.intent(action)
        try:
            answer = await client.add(request)
        except ServiceError as error:
            run.answered(seq, "lost" if error.maybe_done else "failed", why=why(error))
            if not error.maybe_done:
                raise
            found, certain = await _find(run, service, request, patient=not isinstance(error, RejectedError))
            if found is not None:
                run.answered(seq, "found", requestid=found.requestid)
                return _taken(run, service, found)
            refused = run.hints.refused(service, request, error)
            again = refused or isinstance(error, LostAnswerError | ServerFaultError)
            if not certain or not again or run.stopped:
                raise
            if refused:
                request = without_origins(request)
            last = error
            continue
        run.dialler.accepted(service.name, answer)
        _notice(run, service, answer)
        pin = _accepted(run, service, answer, request)
        run.answered(seq, "accepted", requestid=pin.requestid)
        return pin
    assert last is not None
    raise last


async def send_replace(
    run: Run, service: Service, action: Change, target: PinRef, request: PinRequest
) -> Remote:
    """POST /pins/{requestid}, once; then both ids are read. Raises ServiceError, also if the answer was untrue.

    Twice only where the service refused the origins, and both ids show that it did nothing.
    """
    client = run.ctx.services[service.name]
    request = await run.hints.request(service, request)
    seq = await run.intent(action, requestid=target.requestid)
    new_id = target.requestid
    try:
        answer = await client.replace(target.requestid, request)
        if answer is not None:
            new_id = answer.requestid
            run.dialler.accepted(service.name, answer)
    except ServiceError as error:
        run.answered(seq, "lost" if error.maybe_done else "failed", why=why(error))
        if not error.maybe_done:
            raise
        if run.hints.refused(service, request, error) and await _certainly_not(run, service, target, request):
            return await send_replace(run, service, action, target, without_origins(request))
    wanted = parse(request.cid)
    now = await run.read(service.name, new_id)
    if now is None or now.cid != wanted:
        # An empty body, a lost answer, or an id that says something else: look for what came of it.
        found, _ = await _find(run, service, request, patient=True)
        if found is None:
            run.answered(seq, "failed", why="not there afterwards")
            raise ServiceError(f"{service.name} did not replace {target.requestid}", service=service.name)
        now = found
    if now.owner not in (Owner.OURS, Owner.ADOPTED, Owner.PRUNABLE):
        run.answered(seq, "failed", requestid=now.requestid, why="mark lost")
        raise ServiceError(
            f"{service.name} dropped our mark in the replace of {target.requestid}",
            service=service.name,
            hint="set `profile: {modify: loses}` for this service",
        )
    run.answered(seq, "accepted", requestid=now.requestid)
    return _taken(run, service, now)


def marks_kept(pin: Remote, request: PinRequest) -> bool:
    """Whether the owner's mark came back as it was sent."""
    sent = request.meta if isinstance(request.meta, dict) else {}
    return META_OWNER not in sent or pin.meta.get(META_OWNER) == sent[META_OWNER]


def _accepted(run: Run, service: Service, answer: PinStatus, request: PinRequest) -> Remote:
    pin = run.record(service.name, answer)
    if pin.cid != parse(request.cid):
        raise ServiceError(
            f"{service.name} answered an add of {request.cid} with {answer.pin.cid}", service=service.name
        )
    return _taken(run, service, pin)


def _notice(run: Run, service: Service, answer: PinStatus) -> None:
    """What an answer to an add says against the profile holds from then on, in this run too, and is told once."""
    diff, profile = run.planned.diffs[service.name], service.profile
    told = []
    known = run.evidence.known(service.name, answer.requestid)
    if profile.second_add == "new" and not diff.one and known:
        diff.one = True
        told.append((SECOND_ADD, CONTRADICTED, "an add returned a pin that was there before"))
    if not profile.id_is_cid and answer.requestid == answer.pin.cid and not diff.one:
        diff.one = True
        told.append((ID_IS_CID, SEEN, "the requestid is the CID"))
    for fact, value, what in told:
        tell = f"against the profile, {what}: one pin per CID is assumed here from now on"
        learn(run.ctx, service, fact, value, tell=tell)


def _taken(run: Run, service: Service, pin: Remote) -> Remote:
    run.evidence.record(service.name, pin, new=True)
    return pin


async def _certainly_not(run: Run, service: Service, target: PinRef, request: PinRequest) -> bool:
    """Whether a replace that was refused did nothing: nothing new is there, and the pin is what it was."""
    found, certain = await _find(run, service, request, patient=False)
    if found is not None:
        certain = found.requestid == target.requestid
    return certain and not run.stopped and not await run.moved(service.name, target)


async def _find(
    run: Run, service: Service, request: PinRequest, *, patient: bool
) -> tuple[Remote | None, bool]:
    """The pin that a request may have made, and whether its absence is certain."""
    certain = False
    cid = parse(request.cid)
    name = request.name if isinstance(request.name, str) else None
    client = run.ctx.services[service.name]
    for lag in run.ctx.settings.visibility if patient else (0.0,):
        await run.ctx.pause(lag)
        try:
            looked = await look_up(client, service.profile, cid, name)
        except ServiceError:
            certain = False
            continue
        certain = looked.complete
        if (found := _made_by(run, service, looked.pins, request)) is not None:
            return found, True
    return None, certain


def _made_by(run: Run, service: Service, pins: Iterable[PinStatus], request: PinRequest) -> Remote | None:
    one = run.planned.diffs[service.name].one
    found = []
    for status in pins:
        pin = run.record(service.name, status)
        known = run.evidence.known(service.name, pin.requestid)
        same = pin.owner is Owner.OURS and pin.listed_name == request.name and pin.cid == parse(request.cid)
        if same and (not known or one):
            found.append(pin)
            run.dialler.accepted(service.name, status)
    return max(found, key=lambda p: p.age, default=None)


async def in_the_way(
    run: Run, service: Service, wanted: Desired, request: PinRequest
) -> tuple[Remote | None, str]:
    """Right before a POST where it could overwrite or double something: what is there.

    Returns a pin of ours that already is what is wanted, or None; and why nothing may be sent, or "".
    """
    client = run.ctx.services[service.name]
    name = request.name if isinstance(request.name, str) else None
    looked = await look_up(client, service.profile, wanted.cid, name)
    one = run.planned.diffs[service.name].one
    pins = [run.record(service.name, p) for p in looked.pins]
    same = [p for p in pins if p.cid == wanted.cid]
    mine = [p for p in same if p.mine and p.status != "failed" and (one or p.name == wanted.name)]
    if one and (foreign := [p for p in same if not p.mine]):
        return (
            None,
            f"held by {foreign[0].listed_name or 'a pin'} that is not ours, and this service has one pin per CID",
        )
    if mine:
        return max(mine, key=lambda p: p.age), ""
    if not looked.complete:
        return None, "what is there cannot be seen: the listing is not whole, and the look-up neither"
    return None, ""
