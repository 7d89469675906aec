"""Whose a pin is: marks, adoption and names as they are sent.

A pin is ours if every mark it bears is ours: `meta.pinrec = <owner>`, or a name `pinrec/<owner>/<name>`. Both are
read on every service whatever it writes, so that a change of `ownership` orphans nothing. A pin that bears another
owner's mark is never adopted; a pin that matches `ignore` is treated like one.
"""

from collections.abc import Callable, Mapping

from msgspec import UNSET, Struct

from reconciler.core.cid import Cid, CidError, parse, spells
from reconciler.core.globs import Globs
from reconciler.core.local import LOCAL
from reconciler.core.manifest import Manifest, Service
from reconciler.core.model import (
    META_OWNER,
    META_PROTECT,
    META_SIZE,
    META_SOURCE,
    PREFIX_ROOT,
    Desired,
    Owner,
    PinRequest,
    PinStatus,
    Remote,
)

_NO_META: dict[str, str] = {}


class Rules(Struct, frozen=True, kw_only=True):
    """Ownership as one manifest declares it."""

    owners: frozenset[str]
    ignore: Globs
    adopt: tuple[tuple[Globs, bool], ...]

    @classmethod
    def of(cls, manifest: Manifest) -> "Rules":
        return cls(
            owners=frozenset((manifest.owner, *manifest.previous_owners)),
            ignore=Globs(manifest.ignore),
            adopt=tuple((Globs((a.match,)), a.prune) for a in manifest.adopt),
        )

    def at(self, service: str) -> "Rules":
        """The rules at a service. At the node only what bears our name is ours: what its user pinned is not for us
        to take, whatever it is called."""
        return Rules(owners=self.owners, ignore=self.ignore, adopt=()) if service == LOCAL else self


def split_name(listed: str) -> tuple[str, str]:
    """The owner that a listed name is prefixed with, or "", and the rest of it."""
    if listed.startswith(PREFIX_ROOT):
        owner, slash, rest = listed[len(PREFIX_ROOT) :].partition("/")
        if slash and owner and rest:
            return owner, rest
    return "", listed


def key_name(rest: str, cid: Cid) -> str:
    """The name in the key: the canonical CID for a pin without a name or named by any spelling of its own CID."""
    return cid.canonical if not rest or spells(rest, cid) else rest


def listed_cid(text: str) -> Cid:
    """The CID of a listed pin. What is no CID is kept as an opaque value that equals nothing wanted."""
    try:
        return parse(text)
    except CidError:
        return Cid(text, text)


def owner_of(rules: Rules, *, prefix: str, name: str, meta: Mapping[str, str]) -> Owner:
    """Whose the pin `name` with this name prefix and meta is."""
    mark = meta.get(META_OWNER, "")
    if rules.ignore and rules.ignore.match(name) is not None:
        return Owner.OTHER
    if mark or prefix:
        ours = all(m in rules.owners for m in (mark, prefix) if m)
        return Owner.OURS if ours else Owner.OTHER
    for globs, prune in rules.adopt:
        if globs.match(name) is not None:
            return Owner.PRUNABLE if prune else Owner.ADOPTED
    return Owner.UNMARKED


def classifier(
    rules: Rules, wanted: Mapping[str, Desired], keep: Callable[[Remote], None]
) -> Callable[[PinStatus], None]:
    """A function that turns listed pins into records of those that matter: ours, and those in our way.

    Nothing is kept of a foreign pin whose name and CID nobody here wants. Records share what they can (the CID of
    what is wanted, equal meta), since a listing may hold a million pins.
    """
    cids = {d.cid.canonical: d.cid for d in wanted.values()}
    metas: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    known_cid, known_name, unmarked, owner_key = cids.get, wanted.get, not rules.adopt, META_OWNER
    plain_marks = frozenset() if rules.ignore else rules.owners
    marks = {owner: {owner_key: owner} for owner in rules.owners}

    def classify(pin: PinStatus) -> None:
        body = pin.pin
        listed = body.name or ""
        if body.meta is not None and len(body.meta) == 1 and body.meta.get(owner_key) in plain_marks:
            # Nearly every pin of a settled account: marked as ours and nothing else, under a wanted name.
            entry, cid = known_name(listed), known_cid(body.cid)
            if entry is not None and cid is not None and not listed.startswith(PREFIX_ROOT):
                keep(
                    Remote(
                        requestid=pin.requestid,
                        cid=cid,
                        name=entry.name,
                        listed_name=entry.name,
                        status=pin.status,
                        created=pin.created,
                        owner=Owner.OURS,
                        meta=marks[body.meta[owner_key]],
                        info=pin.info or _NO_META if pin.status == "failed" else _NO_META,
                    )
                )
                return
        meta = body.meta or _NO_META
        prefix, rest = split_name(listed)
        cid = known_cid(body.cid)
        if cid is None:
            cid = listed_cid(body.cid)
            shared = known_cid(cid.canonical)
            if unmarked and shared is None and not prefix and owner_key not in meta and rest not in wanted:
                return
        name = key_name(rest, cid)
        owner = owner_of(rules, prefix=prefix, name=name, meta=meta)
        if owner in (Owner.UNMARKED, Owner.OTHER):
            if prefix:
                name = listed or name
            if name not in wanted and cid.canonical not in cids:
                return
        if meta:
            content = tuple(sorted(meta.items()))
            meta = metas.setdefault(content, meta)
        entry = known_name(name)
        keep(
            Remote(
                requestid=pin.requestid,
                cid=cid,
                name=entry.name if entry is not None else name,
                listed_name=entry.name if entry is not None and listed == entry.name else listed,
                status=pin.status,
                created=pin.created,
                owner=owner,
                meta=meta,
                info=pin.info or _NO_META if pin.status == "failed" else _NO_META,
            )
        )

    return classify


def record(rules: Rules, pin: PinStatus) -> Remote:
    """A pin as it was read, with its key name and owner."""
    listed = pin.pin.name or ""
    meta = pin.pin.meta or _NO_META
    prefix, rest = split_name(listed)
    cid = listed_cid(pin.pin.cid)
    name = key_name(rest, cid)
    owner = owner_of(rules, prefix=prefix, name=name, meta=meta)
    if prefix and owner in (Owner.UNMARKED, Owner.OTHER):
        name = listed
    return Remote(
        requestid=pin.requestid,
        cid=cid,
        name=name,
        listed_name=listed,
        status=pin.status,
        created=pin.created,
        owner=owner,
        meta=meta,
        info=pin.info or _NO_META,
    )


def name_sent(name: str, service: Service, owner: str) -> str:
    """What a pin is called at a service: with our mark in front, where marks are in names."""
    return f"{PREFIX_ROOT}{owner}/{name}" if service.ownership == "prefix" else name


def request_for(desired: Desired, service: Service, owner: str) -> PinRequest:
    """What POST /pins is sent for a wanted pin at a service: name and meta with our marks in them."""
    spec = desired.spec
    meta = dict(spec.meta)
    if service.ownership != "prefix":
        meta[META_OWNER] = owner
    if spec.source:
        meta[META_SOURCE] = source_mark(spec.source, desired.node)
    if spec.protect:
        meta[META_PROTECT] = "true"
    if desired.size is not None:
        meta[META_SIZE] = str(desired.size)
    if service.profile.meta == "dropped" and service.ownership == "prefix":
        meta = {}
    return PinRequest(
        cid=desired.cid.text,
        name=name_sent(desired.name, service, owner),
        origins=spec.origins or UNSET,
        meta=meta or UNSET,
    )


def source_mark(source: str, node: str) -> str:
    """What `pinrec.source` says: the list file or policy, and the node it found something on."""
    return f"{source} of {node}" if node else source


def marked_by(pin: Remote, source: str) -> bool:
    """Whether a pin says that it comes from `source`, whatever the node."""
    mark = pin.meta.get(META_SOURCE, "")
    return mark == source or mark.startswith(f"{source} of ")


def marked_node(pin: Remote) -> str:
    """The node that a pin says it comes from, or ""."""
    return (
        pin.meta.get(META_SOURCE, "").rpartition(" of ")[2] if " of " in pin.meta.get(META_SOURCE, "") else ""
    )


def meta_differs(desired: Desired, remote: Remote) -> bool:
    """Whether a meta key that the manifest declares has another value there. Other keys are nobody's business."""
    return any(remote.meta.get(k) != v for k, v in desired.spec.meta.items())
