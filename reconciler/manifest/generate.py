"""The text of a new manifest for pins that are somewhere already, and of the list files beside it."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from reconciler.core.takeover import LeftOut, Takeover, Wanted
from reconciler.manifest.compose import flow, scalar
from reconciler.manifest.problems import Raw

#: Pins on the same services above which they go into a list file.
MAX_INLINE = 200
#: Lines about what was left out, for each reason; the rest is counted.
_MAX_TOLD = 50


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
) -> Generated:
    """`source` says where the pins are from; with `stem`, many on the same services go into files `STEM.….txt`.

    `proved`: they were read from the services themselves, so that a plan finds nothing to do.
    """
    groups: dict[tuple[str, ...], list[Wanted]] = {}
    for pin in found.wanted:
        groups.setdefault(pin.services, []).append(pin)
    usual = max(groups, key=lambda where: len(groups[where]), default=tuple(services))
    lists: dict[str, str] = {}
    lines = [f"# {text}" for text in _head(found, source, proved)]
    lines += ["version: 1", f"name: {scalar(owner)}"]
    lines += [f"previousOwners: {flow(list(previous))}"] if previous else []
    lines += ["", "services:"]
    lines += [f"  {scalar(name)}: {flow(raw)}" for name, raw in services.items()]
    lines += ["", "defaults:", f"  services: {flow(list(usual))}", ""]
    lines += ["pins:" if groups else "pins: []"]
    for where, pins in groups.items():
        also = {} if where == usual else {"services": list(where)}
        lines.append(f"  # on {', '.join(where)}: {len(pins):,}")
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
