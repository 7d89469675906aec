"""POST /pins/{requestid}: with the same CID, with another, with content that nobody has, and with what is no CID.

What proves `modify`, and what refutes it:

refused        a replace that is refused leaves the old pin as it was, else refuted
name and meta  the new pin has those that were sent, else refuted: our mark would be lost
no content     a new pin that fails or is gone while the old one is gone, too: refuted
               a new pin that waits while the old one is gone: open, the API allows it, and nothing is pinned
               the old pin stays, or the new one is pinned: proven
"""

from typing import Final

from reconciler.core.cid import canonical
from reconciler.core.errors import ServiceError
from reconciler.core.model import FAILED, PINNED, PinStatus
from reconciler.services.examination import Notes
from reconciler.services.probes import throwaway
from reconciler.services.probes.adds import PATIENCE
from reconciler.services.probes.bench import Bench

FIELDS: Final = ("sameCidReplace", "modify")
NO_CID: Final = "not-a-cid"
#: Seconds in which a pin that is to be lost by a replace goes: ipfs-cluster unpins after it has answered.
LOST_WITHIN: Final = 2.0


async def same_cid(bench: Bench, notes: Notes) -> None:
    """Raises ServiceError."""
    cid = bench.pinnable()
    old = await bench.add(cid, "old-name")
    await bench.settled(old.requestid, PATIENCE)
    try:
        answer = await bench.replace(old.requestid, cid, "new-name")
    except ServiceError as error:
        if error.ends_lane:
            raise
        notes.unknown("sameCidReplace", f"a replace with the same CID is refused: HTTP {error.status}")
        await bench.drop(old.requestid)
        return
    new_id = answer.requestid if answer else old.requestid
    name = throwaway.name_of(bench.run, "new-name")
    await bench.settled(new_id, LOST_WITHIN)
    read = await bench.get(new_id)
    if read is None:
        gone = new_id == old.requestid or await bench.get(old.requestid) is None
        if gone:
            notes.found("sameCidReplace", "loses", "after a replace with the same CID the pin is gone")
        else:
            notes.unknown("sameCidReplace", "the id that a replace returned is not there; the old pin is")
    elif read.pin.name != name:
        notes.unknown(
            "sameCidReplace", "a replace with the same CID is accepted and does not change the name"
        )
    elif new_id == old.requestid:
        notes.found("sameCidReplace", "inPlace", "the pin was changed in place, under the same id")
    else:
        notes.found("sameCidReplace", "newId", "the pin has a new id, and the new name")
    for requestid in {old.requestid, new_id}:
        await bench.drop(requestid)


async def other_cid(bench: Bench, notes: Notes) -> None:
    """Raises ServiceError."""
    old = await bench.add(bench.pinnable(), "old-cid")
    before = await bench.settled(old.requestid, PATIENCE)
    if not await _refused(bench, notes, old):
        return
    wanted = bench.unfindable()
    try:
        answer = await bench.replace(old.requestid, wanted, "new-cid")
    except ServiceError as error:
        if error.ends_lane:
            raise
        notes.unknown("modify", f"a replace with another CID is refused: HTTP {error.status}")
        await bench.drop(old.requestid)
        return
    new_id = answer.requestid if answer else old.requestid
    old_stays = new_id != old.requestid and await bench.get(old.requestid) is not None
    new = await bench.settled(new_id, PATIENCE)
    if not old_stays and new is not None and new.status == FAILED:
        # Some put the old pin back when they give up; some say `failed` for a moment.
        old_stays = new_id != old.requestid and await bench.get(old.requestid) is not None
    _judge(bench, notes, before, new, wanted, old_stays=old_stays)
    for requestid in {old.requestid, new_id}:
        await bench.drop(requestid)


def _judge(
    bench: Bench, notes: Notes, before: PinStatus | None, new: PinStatus | None, cid: str, *, old_stays: bool
) -> None:
    if new is None:
        if old_stays:
            notes.unknown("modify", "the id that a replace returned is not there; the old pin is")
        else:
            notes.found("modify", "loses", "after a replace neither the old pin nor the new one is there")
        return
    kept = new.pin.meta or {}
    meta = throwaway.meta_of(bench.run, "new-cid")
    if _canonical(new.pin.cid) != cid:
        notes.unknown("modify", "the id that a replace returned still holds the old CID")
    elif new.pin.name != throwaway.name_of(bench.run, "new-cid"):
        notes.found("modify", "loses", "the new pin does not have the name that was sent")
    elif notes.value("meta") == "kept" and not kept.items() >= meta.items():
        notes.found("modify", "loses", "the new pin does not have the meta that was sent")
    elif old_stays:
        notes.found(
            "modify",
            "keeps",
            f"the old pin stays while the new one is {new.status}; name and meta are as sent",
        )
    elif new.status == FAILED:
        notes.found("modify", "loses", "the old pin went at once, and the new one failed: content nobody has")
    elif new.status != PINNED:
        notes.unknown(
            "modify",
            f"name and meta are as sent, but the old pin went at once while the new one is {new.status}: until that "
            "arrives nothing is pinned",
        )
    elif before is None or before.status != PINNED:
        notes.unknown("modify", "the old pin was not pinned, so there was nothing to keep")
    else:
        notes.found("modify", "keeps", "the new pin was pinned at once; name and meta are as sent")


async def _refused(bench: Bench, notes: Notes, old: PinStatus) -> bool:
    """Whether a replace that is refused leaves the old pin as it was."""
    try:
        answer = await bench.replace(old.requestid, NO_CID, "no-cid")
    except ServiceError as error:
        if error.ends_lane:
            raise
        now = await bench.get(old.requestid)
        if now is None or now.pin.cid != old.pin.cid or now.pin.name != old.pin.name:
            notes.found("modify", "loses", "a replace that was refused took the old pin with it")
            return False
        return True
    notes.saw("replace", "what is no CID is accepted", ok=False)
    made = answer.requestid if answer else old.requestid
    if await bench.get(old.requestid) is None or made == old.requestid:
        notes.found("modify", "loses", "a replace with what is no CID is accepted, and the old pin is gone")
        await bench.drop(made)
        return False
    await bench.drop(made)
    return True


def _canonical(text: str) -> str:
    try:
        return canonical(text)
    except ValueError:
        return text
