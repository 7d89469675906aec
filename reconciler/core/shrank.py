"""The guard `shrank`: a source that became empty, or much smaller than what is pinned of it, is more likely broken
than meant.

  source          | compared                                              | what is held back
  ----------------+-------------------------------------------------------+------------------------------------
  a list file     | its entries with our names of it                      | names that would leave
  a policy        | the names it wants with our names of it               | names that would leave
                  | size of its root with that of the pinned one; empty;  | the change of its pins
                  | a local folder without a file, whatever is pinned     | the same
                  | the node is another than the one that gave the name   | and names given by another node

The size that is pinned is `meta.pinrec.size`, else what the node knows of the old root; where neither is known, only
emptiness and the node are compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set

from msgspec import Struct

from reconciler.core.desire import Desire
from reconciler.core.globs import Globs
from reconciler.core.local import LOCAL
from reconciler.core.manifest import Manifest, Source
from reconciler.core.model import META_SIZE, META_SOURCE, PINNED, Owner, Remote
from reconciler.core.ownership import marked_by, marked_node
from reconciler.core.plan import Change, Delete, Replace
from reconciler.core.policy import Policy
from reconciler.core.retention import families, plain_of
from reconciler.core.service_diff import ServiceDiff
from reconciler.core.wanting import Want

#: A root below this part of the size that is pinned has shrunk.
LEAST = 0.5


class Shrunk(Struct, frozen=True, kw_only=True):
    """A source that shrank at a service: what is held back for it, and why."""

    source: str
    which: Callable[[Change], bool]
    reason: str


def shrunk(
    manifest: Manifest, desire: Desire, diff: ServiceDiff, sizes: Mapping[str, int]
) -> Iterator[Shrunk]:
    """Every source that shrank, as far as this service can tell. `sizes` are bytes of pinned roots, by canonical
    CID, where the node knows them."""
    marked = diff.service.profile.meta == "kept" or diff.listing.mark_seen
    for source in manifest.sources:
        yield from _list_file(source, diff, marked=marked)
    here = diff.service.name
    used = [
        (policy, wants)
        for name, wants in desire.wants.items()
        if here in (policy := manifest.policies[name]).uses or (policy.local and here == LOCAL)
    ]
    if not used:
        return
    # One pass for all of them: a policy may want thousands of names.
    kin = families({w.name for _, wants in used for w in wants}, diff.listing.remotes)
    names = {plain: {plain, *there} for plain, there in kin.items()}
    for name in diff.wanted:
        if (plain := plain_of(name, names)) is not None:
            names[plain].add(name)
    for policy, wants in used:
        kept = {n for w in wants for n in kin[w.name] if n != w.name}
        yield from _fewer(policy, wants, kept, diff, marked=marked)
        for want in wants:
            family = [p for pins in kin[want.name].values() for p in pins]
            yield from _policy(policy, want, family, names[want.name], diff, sizes, marked=marked)


# --- list files -------------------------------------------------------------------------------------------------


def _list_file(source: Source, diff: ServiceDiff, *, marked: bool) -> Iterator[Shrunk]:
    of_source = {
        p.name
        for p in diff.listing.remotes
        if p.owner is Owner.OURS and p.meta.get(META_SOURCE) == source.name
    }
    if of_source and source.entries < len(of_source) * LEAST:
        yield Shrunk(
            source=source.name,
            which=lambda a: isinstance(a, Delete) and a.leaves and a.name in of_source,
            reason=f"{source.name} has {source.entries} entries, and {len(of_source)} names here are from it",
        )
    elif not of_source and source.entries == 0 and (source.name_prefix or not marked):
        # Where marks are kept, pins without the mark of a list that gives names no prefix are not from it. Without
        # marks nobody knows which names a list gave: those with its prefix, or any.
        prefix = source.name_prefix
        yield Shrunk(
            source=source.name,
            which=lambda a: isinstance(a, Delete) and a.leaves and a.name.startswith(prefix),
            reason=f"{source.name} became empty",
        )


# --- policies ---------------------------------------------------------------------------------------------------


def _fewer(
    policy: Policy, wants: Sequence[Want], kept: Set[str], diff: ServiceDiff, *, marked: bool
) -> Iterator[Shrunk]:
    """A policy that wants far fewer names than are here from it. Roots that are `kept` are no names of their own."""
    of_policy = {
        p.name
        for p in diff.listing.remotes
        if p.owner is Owner.OURS and marked_by(p, policy.origin) and p.name not in kept
    }
    if len(of_policy) > 1 and len(wants) < len(of_policy) * LEAST:
        yield Shrunk(
            source=policy.name,
            which=lambda a: isinstance(a, Delete) and a.leaves and a.name in of_policy,
            reason=f"{policy.origin} wants {len(wants)} names, and {len(of_policy)} here are from it",
        )
    elif not wants and not marked:
        diff.notes.append(
            f"{policy.origin} wants nothing, and without meta nobody knows what is from it here"
        )


def _policy(
    policy: Policy,
    want: Want,
    family: Sequence[Remote],
    names: Set[str],
    diff: ServiceDiff,
    sizes: Mapping[str, int],
    *,
    marked: bool,
) -> Iterator[Shrunk]:
    """`family` are our pins of it here, `names` theirs and those to come."""
    former = _former(policy, want, diff.listing.remotes, names, marked=marked)
    if former:
        others = frozenset(former)
        new = not family
        yield Shrunk(
            source=policy.name,
            which=lambda a: (
                (isinstance(a, Delete) and a.name in others)
                or (new and a.name in names)
                or (isinstance(a, Replace) and a.was in others)
            ),
            reason=f"the node is another: {policy.origin} gave {min(others)} before, and {want.name} now",
        )
    pinned = [p for p in family if p.status == PINNED]
    stand = max(pinned, key=lambda p: p.age, default=None)
    if stand is None and want.barren:
        # It is what a build made, and is not published for the first time either.
        yield Shrunk(
            source=policy.name,
            which=lambda a: a.name in names,
            reason=f"{policy.origin}: {want.whence} is empty",
        )
    if stand is None or stand.cid == want.cid:
        return
    before = _size(stand, sizes)
    if want.node and (node := marked_node(stand)) not in ("", want.node):
        yield Shrunk(
            source=policy.name,
            which=lambda a: a.name in names,
            reason=f"the node is another: {policy.origin} pinned this from {node}, and {want.node} answers now",
        )
    elif why := _smaller(policy, want, before):
        yield Shrunk(
            source=policy.name,
            which=lambda a: a.name in names,
            reason=why,
        )
    elif before is None:
        diff.notes.append(
            f"{policy.origin}: the size of what is pinned is not known; only emptiness is checked this time"
        )


def _smaller(policy: Policy, want: Want, before: int | None) -> str:
    if want.empty:
        return f"{policy.origin}: {want.whence or 'its source'} became empty"
    if before is not None and want.size is not None and want.size < before * LEAST:
        return f"{policy.origin}: {want.whence or 'its source'} has {want.size:,} bytes, and {before:,} are pinned"
    return ""


def _former(
    policy: Policy, want: Want, remotes: Sequence[Remote], names: Set[str], *, marked: bool
) -> set[str]:
    """Names that the policy gave for another node. Where marks are kept, only those that bear its own count."""
    if not want.former:
        return set()
    globs = Globs((want.former, want.former + "@*"))
    return {
        p.name
        for p in remotes
        if p.name not in names
        and p.owner is Owner.OURS
        and globs.match(p.name) is not None
        and (not marked or marked_by(p, policy.origin))
    }


def _size(pin: Remote, sizes: Mapping[str, int]) -> int | None:
    text = pin.meta.get(META_SIZE, "")
    if text.isascii() and text.isdigit():
        return int(text)
    return sizes.get(pin.cid.canonical)
