"""A pin of somebody else that holds what is wanted: it stands for ours, or is in its way."""

from collections.abc import Sequence

from reconciler.core.local import LOCAL
from reconciler.core.model import PINNED, Desired, Owner, Remote
from reconciler.core.plan import Blocked, Keep


def in_the_way(service: str, foreign: Sequence[Remote]) -> Remote | None:
    """Where a CID exists once: the pin over which nothing may be sent, or None if they stand for ours.

    On the node whoever pinned it holds it as well as we would, but for who pinned the root alone.
    """
    if service == LOCAL:
        return None if any(p.status == PINNED for p in foreign) else foreign[0]
    return next((p for p in foreign if p.status != PINNED or p.owner is not Owner.UNMARKED), None)


def blocked_by(service: str, name: str, entry: Desired, whose: Remote) -> Blocked:
    """One pin per CID, and somebody else's is there: a POST would overwrite its name and meta."""
    key = whose.listed_name or whose.name
    if service == LOCAL:
        reason = f"its root alone is pinned there, by a direct pin ({key}) that ours would take the place of"
        resolve = f"ipfs pin rm {whose.requestid}, or `local: false`"
    else:
        by = "another owner" if whose.owner is Owner.OTHER else f"a pin that is {whose.status}"
        reason = f"the CID is held by {by} ({key}), and this service has one pin per CID"
        resolve = f"adopt: [{key}] in the manifest" if whose.owner is Owner.UNMARKED else ""
    return Blocked(
        service=service,
        name=name,
        cid=entry.cid.text,
        origin=entry.origin,
        whence=entry.whence,
        would="add",
        guard="foreign-owner" if service != LOCAL and whose.owner is Owner.OTHER else "held",
        reason=reason,
        resolve=resolve,
    )


def held_by(service: str, name: str, entry: Desired, theirs: Remote) -> Keep:
    """Noted: it counts as no copy of ours."""
    called = theirs.listed_name or "an unnamed pin"
    if theirs.name == name:
        detail = f"{called}; to take it over: adopt: [{theirs.name}]"
    else:
        detail = (
            f"{called}; to take it over: adopt: [{{match: {theirs.name}, prune: true}}], which renames it"
        )
    return Keep(
        service=service,
        name=name,
        cid=entry.cid.text,
        origin=entry.origin,
        whence=entry.whence,
        reason="held",
        detail=detail,
    )
