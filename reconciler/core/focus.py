"""The part of a manifest, and of what services hold, that a change of a policy's root concerns.

A root changes often, and a plan of a hundred thousand pins takes a second or two. What a policy's pins rest on is
only this: the pins under its names, and whoever else wants or holds their CIDs. Where nobody else does, which is nearly
always, a plan of the policies alone says the same about them as a plan of everything.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

from msgspec.structs import replace

from reconciler.core.cid import canonical
from reconciler.core.globs import Globs, escape
from reconciler.core.manifest import CidRef, Manifest
from reconciler.core.model import Remote


class Traces:
    """Whether a text may be one of many, in eight bytes for each. A yes may be wrong, a no is not."""

    __slots__ = ("_sorted",)

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._sorted = array("q", sorted(map(hash, texts)))

    def __contains__(self, text: object) -> bool:
        wanted = hash(text)
        at = bisect_left(self._sorted, wanted)
        return at < len(self._sorted) and self._sorted[at] == wanted

    def __len__(self) -> int:
        return len(self._sorted)


def policy_names(manifest: Manifest) -> Globs:
    """The names that policies of the manifest give: for any node, and with the time of a root that is kept."""
    globs: list[str] = []
    for policy in manifest.policies.values():
        if policy.uses:
            glob = escape(policy.pin_name).replace("{peer_id}", "*")
            globs += (glob, glob + "@*")
    return Globs(globs)


def without_entries(manifest: Manifest) -> Manifest:
    """The manifest with its policies and without its entries.

    A grace is left to plans of everything: one of the policies alone would take the other names for wanted again.
    """
    return replace(manifest, entries=[], sources=(), guards=replace(manifest.guards, delete_grace=0.0))


def entry_cids(manifest: Manifest, resolved: dict[str, str]) -> Traces:
    """The CIDs that entries want, canonical, but those that a path leads to."""
    return Traces(
        canonical(resolved[str(e.cid)]) if isinstance(e.cid, CidRef) else e.cid.canonical
        for e in manifest.entries
        if not isinstance(e.cid, CidRef) or e.cid.kind != "path"
    )


def entry_names(manifest: Manifest) -> Traces:
    """The names that entries want."""
    return Traces(e.name for e in manifest.entries if e.name)


def cids_of(remotes: Iterable[Remote]) -> set[str]:
    return {r.cid.canonical for r in remotes}
