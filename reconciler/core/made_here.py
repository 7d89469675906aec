"""Content that is made where pinrec runs, and that nobody can get before a node has it."""

from collections.abc import Callable, Mapping

from reconciler.core.cid import canonical
from reconciler.core.desire import Desire
from reconciler.core.manifest import Manifest
from reconciler.core.model import PINNED
from reconciler.core.plan import Change, Delete
from reconciler.core.service_diff import ServiceDiff

REASON = "nobody has this content yet: it needs a node to import it, and the manifest has none"


def unavailable(
    manifest: Manifest, desire: Desire, diffs: Mapping[str, ServiceDiff]
) -> Callable[[Change], bool]:
    """Whether a change asks for what would be looked for in vain: no node is declared, and no service has it."""
    made: set[str] = set()
    if manifest.node is None:
        made = {w.cid.canonical for wants in desire.wants.values() for w in wants if w.made_here}
    if made:
        made -= {p.cid.canonical for d in diffs.values() for p in d.listing.remotes if p.status == PINNED}
    return lambda action: bool(made) and not isinstance(action, Delete) and canonical(action.cid) in made
