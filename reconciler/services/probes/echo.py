"""What comes back of what was sent: name, meta, and the spelling of a CID."""

from typing import Final

from reconciler.core.cid import canonical
from reconciler.core.errors import ServiceError
from reconciler.core.model import STATUSES, PinStatus
from reconciler.services.examination import Notes
from reconciler.services.probes import throwaway
from reconciler.services.probes.bench import Bench
from reconciler.services.protocol import Query

FIELDS: Final = ("meta", "idIsCid")


async def probe(bench: Bench, notes: Notes, pin: PinStatus, label: str) -> None:
    """`pin`: as POST answered it when it was added under `label`. Raises ServiceError."""
    notes.found(
        "idIsCid",
        pin.requestid == pin.pin.cid,
        "the requestid is the CID" if pin.requestid == pin.pin.cid else "the requestid is not the CID",
    )
    name, meta = throwaway.name_of(bench.run, label), throwaway.meta_of(bench.run, label)
    read = await bench.get(pin.requestid)
    if read is None:
        notes.missed(("meta",), "a pin that was just added is not there")
        notes.saw("add", "a pin that was just added is not there", ok=False)
        return
    if read.pin.name != name:
        notes.saw("name", f"comes back as {(read.pin.name or 'nothing')[:80]!r}", ok=False)
    back = read.pin.meta or {}
    if back.items() >= meta.items():
        notes.found("meta", "kept", "meta came back as it was sent")
        if set(back) - set(meta):
            notes.saw(
                "meta", f"the service adds keys of its own: {', '.join(sorted(set(back) - set(meta)))[:80]}"
            )
    elif not set(back) & set(meta):
        notes.found("meta", "dropped", "meta did not come back")
    else:
        notes.unknown("meta", "meta came back other than it was sent")
    if read.created != pin.created:
        notes.saw("created", "differs between the answer to an add and a later reading")


async def spellings(bench: Bench, notes: Notes) -> None:
    """CIDv0 and base36, sent once each. Raises ServiceError where the service is to be left alone."""
    for what, make in (("CIDv0", throwaway.unfindable_v0), ("base36", throwaway.unfindable_base36)):
        sent = make(bench.run, bench.number())
        try:
            pin = await bench.add(sent, f"spelling-{what.lower()}")
        except ServiceError as error:
            if error.ends_lane:
                raise
            notes.saw("CID", f"a CID in {what} is refused: HTTP {error.status}", ok=False)
            continue
        back = pin.pin.cid
        if back != sent:
            same = _canonical(back) == canonical(sent)
            notes.saw(
                "CID", f"{what} comes back {'spelled otherwise' if same else 'as another CID'}", ok=same
            )
        if notes.value("filters") is not None:
            other = canonical(sent) if back == sent else sent
            reply = await bench.ask(Query(cid=(other,), status=STATUSES, limit=100))
            shown = reply.page is not None and any(p.requestid == pin.requestid for p in reply.page.results)
            if not shown:
                notes.saw(
                    "cid", f"the filter compares texts: a pin sent in {what} is not found by another spelling"
                )
        await bench.drop(pin.requestid)


def _canonical(text: str) -> str:
    try:
        return canonical(text)
    except ValueError:
        return text


async def unnamed(bench: Bench, notes: Notes) -> None:
    """An add without a name. Only where meta is kept: else nothing would say whose the pin is."""
    if notes.value("meta") != "kept":
        return
    pin = await bench.add(bench.pinnable(), "unnamed", named=False)
    read = await bench.get(pin.requestid)
    if read is not None and read.pin.name:
        what = (
            "its CID" if _canonical(read.pin.name) == _canonical(read.pin.cid) else repr(read.pin.name[:40])
        )
        notes.saw("name", f"where none is sent it becomes {what}", ok=False)
    await bench.drop(pin.requestid)
