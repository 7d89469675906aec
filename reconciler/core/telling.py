"""What a plan says once a service: what its profile or state changes in what is done there."""

from reconciler.core.local import LOCAL
from reconciler.core.model import META_PROTECT, PINNED
from reconciler.core.plan import Keep, Replace, Retry
from reconciler.core.service_diff import ServiceDiff
from reconciler.core.verified import Doubts


def tell(diff: ServiceDiff, doubts: Doubts) -> None:
    """What the profile changed in what is done here, once per service and not per pin."""
    service, profile, notes = diff.service, diff.service.profile, diff.notes
    if service.name == LOCAL:
        # A node is no service that promised anything: there is nothing to tell of what it does not keep.
        return
    kept = profile.meta == "kept" or diff.listing.mark_seen
    wanted = diff.wanted.values()
    notes.extend(service.profile_notes)
    if diff.listing.absent:
        notes.append("the listing was answered with 404: the account is empty, or the endpoint is wrong")
    if diff.listing.against:
        shown = "; ".join(f"{c} ({c.consequence})" for c in diff.listing.against)
        notes.append(f"the listing contradicted the profile: {shown}")
    if service.state == "suspended":
        notes.append("suspended: observed, never changed")
    if service.state == "retiring":
        left = len(diff.ours)
        notes.append(
            f"retiring: names of ours still here: {left}" if left else "retiring: nothing of ours is left"
        )
    if doubts and (doubted := _doubted(diff, doubts)):
        notes.append(doubted)
    if not service.prune:
        notes.append("prune: false: nothing is ever deleted here")
    if profile.second_add == "same" and any(isinstance(a, Retry) for a in diff.actions):
        notes.append(
            "an add is answered with the pin that is there: what failed is deleted, then added again"
        )
    if any(isinstance(a, Keep) and a.reason == "satisfied" for a in diff.actions):
        notes.append("one pin per CID: names that want the same CID share a pin")
    if profile.modify == "loses" and any(d.spec.replace == "modify" for d in wanted):
        notes.append(f"replace: modify loses data at {profile.name}; safe is used")
    if profile.modify == "unknown" and any(
        isinstance(a, Replace) and a.how == "modify" for a in diff.actions
    ):
        notes.append("replace: modify as the manifest asks; whether it keeps the old pin here is not known")
    if not kept and any(d.spec.meta for d in wanted):
        notes.append(
            f"meta is {'not kept' if profile.meta == 'dropped' else 'not known to be kept'} here and not compared"
        )
    if not kept and any(d.spec.protect for d in wanted):
        notes.append("without meta, protect: true ends with its line; `protected: [...]` lasts")
    if kept and (unmarked := _unmarked(diff)):
        notes.append(
            f"protect: true is not yet marked on {unmarked} pinned before it was said; "
            "it ends with its line there, `protected: [...]` lasts"
        )
    if not kept and any(d.spec.source and not d.spec.policy for d in wanted):
        notes.append("without meta, list files are only checked for emptiness")


def _doubted(diff: ServiceDiff, doubts: Doubts) -> str:
    """What `verify` found of pins that the listing shows as pinned."""
    service = diff.service.name
    found = [
        d
        for p in diff.listing.remotes
        if p.mine
        and p.status == PINNED
        and (d := doubts.of(service, p.requestid, p.cid.canonical)) is not None
    ]
    if not found:
        return ""
    since = min(d.since for d in found)
    one = len(found) == 1
    return (
        f"{len(found)} pinned here {'was' if one else 'were'} found unretrievable, since {since:%Y-%m-%d}: "
        f"{'it counts' if one else 'they count'} as no copy; `pinrec verify` looks again"
    )


def _unmarked(diff: ServiceDiff) -> int:
    """Pins that entries protect and that were made before they said so: marks are written with an add only."""
    protected = {name for name, d in diff.wanted.items() if d.spec.protect}
    if not protected:
        return 0
    return sum(
        p.mine and p.status == PINNED and p.name in protected and p.meta.get(META_PROTECT) != "true"
        for p in diff.listing.remotes
    )
