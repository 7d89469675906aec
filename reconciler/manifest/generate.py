"""The text of a new manifest for pins that are somewhere already, and of the list files beside it."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from reconciler.core.cid import parse
from reconciler.core.takeover import LeftOut, Takeover, Wanted
from reconciler.manifest.compose import flow, scalar
from reconciler.manifest.problems import Raw

#: Pins on the same services above which they go into a list file.
MAX_INLINE = 200
#: Lines about what was left out, for each reason; the rest is counted.
_MAX_TOLD = 50


class Side(Struct, frozen=True, kw_only=True):
    """What stands beside the pins of a manifest with a node.

    `local` are canonical CIDs that the node holds itself. Lines of comment: `head` at the top, `at` above a service,
    `notes` above `policies:`. `spare` are policies that are commented out, `absent` services that could not be read;
    with the reasons.
    """

    node: Raw
    local: frozenset[str] = frozenset()
    policies: Mapping[str, Raw] = {}
    head: tuple[str, ...] = ()
    at: Mapping[str, tuple[str, ...]] = {}
    absent: Mapping[str, tuple[Raw, str]] = {}
    notes: tuple[str, ...] = ()
    spare: Mapping[str, tuple[Raw, tuple[str, ...]]] = {}


class Generated(Struct, frozen=True, kw_only=True):
    """`lists` are files beside the manifest, by name."""

    text: str
    lists: dict[str, str] = {}


def generate(
    found: Takeover,
    *,
    owner: str,
    services: Mapping[str, Raw],
    source: str,
    previous: tuple[str, ...] = (),
    stem: str = "",
    proved: bool = True,
    side: Side | None = None,
) -> Generated:
    """`source` says where the pins are from; with `stem`, many on the same services go into files `STEM.….txt`.

    `proved`: they were read from the services themselves, so that a plan finds nothing to do.
    """
    groups: dict[tuple[tuple[str, ...], bool], list[Wanted]] = {}
    for pin in found.wanted:
        groups.setdefault((pin.services, side is not None and _canonical(pin) in side.local), []).append(pin)
    counted: Counter[tuple[str, ...]] = Counter()
    locally = 0
    for (where, local), pins in groups.items():
        counted[where] += len(pins)
        locally += len(pins) if local else -len(pins)
    usual = max(counted, key=lambda where: counted[where], default=tuple(services))
    lists: dict[str, str] = {}
    lines = [f"# {text}" for text in (*_head(found, source, proved), *(side.head if side else ()))]
    lines += ["version: 1", f"name: {scalar(owner)}"]
    lines += [f"previousOwners: {flow(list(previous))}"] if previous else []
    lines += ["", f"node: {flow(side.node)}"] if side else []
    lines += ["", "services:"]
    for name, raw in services.items():
        lines += [f"  # {_comment(line)}" for line in (side.at.get(name, ()) if side else ())]
        lines.append(f"  {scalar(name)}: {flow(raw)}")
    if side:
        lines += _absent(side) + _policies(side)
    lines += ["", "defaults:", f"  services: {flow(list(usual))}"]
    # What is pinned here need not be there, and the other way round: as it is, not as it is by default.
    lines += [f"  local: {scalar(locally > 0)}"] if side and groups else []
    lines += ["", "pins:" if groups else "pins: []"]
    for (where, local), pins in groups.items():
        also: dict[str, object] = {} if where == usual else {"services": list(where)}
        if side and local != (locally > 0):
            also["local"] = local
        held = ", held by the node too" if local else ""
        lines.append(f"  # on {', '.join(where)}{held}: {len(pins):,}")
        if stem and len(pins) > MAX_INLINE:
            name = _list_name(stem, where, lists)
            lists[name] = "".join(f"{pin.cid} {pin.name}".rstrip(" ") + "\n" for pin in pins)
            lines.append(f"  - {flow({'from': name, **also})}")
            continue
        for pin in pins:
            item = {"name": pin.name} if pin.name else {}
            lines.append(f"  - {flow({**item, 'cid': pin.cid, **also})}")
    lines += _left_out(found.left_out, ignored=bool(found.ignore))
    lines += _claims(found)
    return Generated(text="\n".join(lines) + "\n", lists=lists)


def _head(found: Takeover, source: str, proved: bool) -> list[str]:
    lines = [f"Written by `pinrec import` from {source}."]
    if proved:
        lines.append("A plan of it says that there is nothing to do. From here on this file decides.")
    if found.waiting:
        lines.append(f"{_pins(found.waiting)} here had been accepted and not pinned yet.")
    if found.with_meta:
        lines.append(
            f"{_pins(found.with_meta)} had meta of other programs. It is not in here and stays as it is; what is "
            "replaced later has the meta of its entry."
        )
    for owner, count in found.foreign.items():
        lines.append(f"{_pins(count)} had the mark of the owner {scalar(owner)}, and were left out.")
    return lines


def _absent(side: Side) -> list[str]:
    lines = (
        []
        if not side.absent
        else ["  # Could not be read. What they hold is not in here, and nothing is done there."]
    )
    for name, (raw, why) in side.absent.items():
        lines.append(f"  # {scalar(name)}: {flow(raw)}   # {_comment(why)}")
    return lines


def _policies(side: Side) -> list[str]:
    if not side.policies and not side.spare:
        return []
    spare = [
        line
        for name, (raw, why) in side.spare.items()
        for line in (*why, f"{'' if side.policies else '  '}{scalar(name)}: {flow(raw)}")
    ]
    if not side.policies:
        *why, last = spare
        return ["", *(f"# {_comment(line)}" for line in (*why, "policies:", last))]
    return [
        "",
        *(f"# {_comment(line)}" for line in side.notes),
        "policies:",
        *(f"  {scalar(name)}: {flow(raw)}" for name, raw in side.policies.items()),
        *(f"  # {_comment(line)}" for line in spare),
    ]


def _canonical(pin: Wanted) -> str:
    return parse(pin.cid).canonical


def _left_out(left: tuple[LeftOut, ...], *, ignored: bool) -> list[str]:
    """Comments only: every text of a service is a quoted scalar in them, so none can leave its line."""
    if not left:
        return []
    lines = ["", "# Left out. Nothing is done about these, here or there."]
    told: Counter[str] = Counter()
    for pin in left:
        told[pin.why] += 1
        if told[pin.why] > _MAX_TOLD:
            continue
        item = {"name": pin.name, **({"cid": pin.cid} if pin.cid else {}), "services": list(pin.services)}
        lines.append(f"#  - {flow(item)}   # {_comment(pin.why)}")
    lines += [
        f"#  … and {count - _MAX_TOLD:,} more: {_comment(why)}"
        for why, count in told.items()
        if count > _MAX_TOLD
    ]
    if any(pin.cid for pin in left):
        lines += [
            "# To take over a name of several pins, uncomment it under `pins`, and name it under `adopt`"
            + (" (or take it" if ignored else ": the"),
            "# out of `ignore`): the pin shown stays, and the others of that name are deleted."
            if ignored
            else "# pin shown stays, and the others of that name are deleted.",
        ]
    return lines


def _claims(found: Takeover) -> list[str]:
    lines = []
    if found.adopt:
        lines += [
            "",
            "# These were made without pinrec. With this they count as ours where a name fits: kept, or replaced",
            "# when their entry changes. What has no entry is never deleted for it.",
            f"adopt: {flow(list(found.adopt))}",
        ]
    if found.ignore:
        lines += ["", "# Never touched, ours or not.", f"ignore: {flow(list(found.ignore))}"]
    return lines


def _list_name(stem: str, where: tuple[str, ...], taken: Mapping[str, str]) -> str:
    name = f"{stem}.{'+'.join(where)}.txt"
    if len(name) > 100 or name in taken:
        name = f"{stem}.{len(taken) + 1}.txt"
    return name


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _pins(count: int) -> str:
    return "1 pin" if count == 1 else f"{count:,} pins"
