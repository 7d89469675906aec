"""Why: the fields in which a changed pin differs, and the whole story of one key."""

from msgspec import Struct

from reconciler.core.model import Desired, Remote
from reconciler.core.plan import Action, FieldChange, Finding


def field_changes(entry: Desired, before: Remote, *, was: str = "") -> tuple[FieldChange, ...]:
    """What changes when `entry` takes the place of `before`: CID, name, and the meta keys the manifest declares.

    Equal spellings of one CID are no change. The comparison is deepdiff's, over one pin at a time.
    """
    old: dict[str, object] = {"meta": {k: before.meta[k] for k in entry.spec.meta if k in before.meta}}
    new: dict[str, object] = {"meta": dict(entry.spec.meta)}
    if before.cid != entry.cid:
        old["cid"], new["cid"] = before.cid.text, entry.cid.text
    if was:
        old["name"], new["name"] = was, entry.name
    if not entry.spec.meta and len(old) == 2:
        # One scalar field: nothing is left to compare, and a plan may hold a hundred thousand of these.
        field = "cid" if "cid" in old else "name"
        return (FieldChange(path=field, old=str(old[field]), new=str(new[field])),)
    from deepdiff import DeepDiff

    tree = DeepDiff(old, new, view="tree", verbose_level=2)
    changes = []
    for kind in ("values_changed", "dictionary_item_added", "dictionary_item_removed"):
        for level in tree.get(kind, ()):
            path = ".".join(str(p) for p in level.path(output_format="list"))
            before_value = None if kind == "dictionary_item_added" else str(level.t1)
            after_value = None if kind == "dictionary_item_removed" else str(level.t2)
            changes.append(FieldChange(path=path, old=before_value, new=after_value))
    return tuple(sorted(changes, key=lambda c: c.path))


class Explanation(Struct, frozen=True, kw_only=True):
    """One key at one service: what is wanted, what is there, who owns it, and how that was decided."""

    service: str
    name: str
    desired: Desired | None
    remotes: tuple[Remote, ...]
    #: The rules that applied, in order, in words.
    steps: tuple[str, ...]
    actions: tuple[Action, ...]
    findings: tuple[Finding, ...] = ()
