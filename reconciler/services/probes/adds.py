"""A second add of a CID that is there."""

from typing import Final

from reconciler.core.errors import ServiceError
from reconciler.core.model import PINNED
from reconciler.services.examination import Notes
from reconciler.services.probes import throwaway
from reconciler.services.probes.bench import Bench

FIELDS: Final = ("secondAdd",)
#: Seconds for a pin to be pinned: at least, and so many times what the slowest one took.
PATIENCE: Final = 3.0
TIMES: Final = 5.0


async def probe(bench: Bench, notes: Notes) -> None:
    """Raises ServiceError."""
    cid = bench.pinnable()
    first = await bench.add(cid, "first")
    before = await bench.settled(first.requestid, PATIENCE)
    was_pinned = before is not None and before.status == PINNED
    try:
        second = await bench.add(cid, "second")
    except ServiceError as error:
        if error.ends_lane and error.status not in (402, 409):
            raise
        notes.unknown("secondAdd", f"a second add of a CID is refused: HTTP {error.status}")
        notes.saw("second add", f"is refused: HTTP {error.status}", ok=False)
        await bench.drop(first.requestid)
        return
    if second.requestid == first.requestid:
        read = await bench.get(first.requestid)
        renamed = read is not None and read.pin.name == throwaway.name_of(bench.run, "second")
        if read is None:
            notes.unknown("secondAdd", "after a second add the pin is gone")
        elif renamed:
            notes.found(
                "secondAdd", "overwrite", "a second add gave the pin the new name and meta, with the same id"
            )
        else:
            notes.found("secondAdd", "same", "a second add returned the first pin, as it was")
    else:
        old = await bench.get(first.requestid)
        patience = max(PATIENCE, TIMES * bench.slowest)
        new = await bench.settled(second.requestid, patience if was_pinned else 0.0)
        if new is None:
            notes.unknown("secondAdd", "the pin of a second add was gone again")
        elif old is None:
            notes.found(
                "secondAdd", "overwrite", "a second add took the place of the first pin, under another id"
            )
        elif not was_pinned:
            notes.unknown(
                "secondAdd",
                "a second add makes a pin of its own; as nothing was pinned here it is not known whether that "
                "ever gets pinned (give --cid of content that the service can find)",
            )
        elif new.status == PINNED:
            notes.found("secondAdd", "new", "a second add made a pin of its own, and both are pinned")
        else:
            notes.found(
                "secondAdd",
                "stuck",
                f"a second add stayed {new.status} while other pins were pinned within {patience:.0f} s",
            )
        await bench.drop(second.requestid)
    await bench.drop(first.requestid)
