"""Changes to `pins:` of a manifest that a command makes: one entry, in the file where it stands.

Each is made in the text (`splice`, `lines`), the manifest is read with the new text in the place of the old one, and
only if it is valid as a whole the file is replaced.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote
from typing import Any, Literal  # Any: a YAML value is whatever was written

from msgspec import Struct

from reconciler.core.cid import Cid, CidError, parse, spells
from reconciler.core.errors import UsageError
from reconciler.core.globs import Globs
from reconciler.core.manifest import CidRef, Entry, Manifest, Replicas, Service
from reconciler.manifest import lines
from reconciler.manifest.change import change_lines, change_yaml
from reconciler.manifest.names import Names
from reconciler.manifest.problems import did_you_mean, shown
from reconciler.manifest.read import load_manifest
from reconciler.manifest.splice import Yaml

#: Above so many names the nearest one is not looked for.
_MAX_NEAR = 20_000


class Edit(Struct, frozen=True, kw_only=True):
    """What was done. `manifest` is as it is now, `file` where the entry stands, `old` what it said before."""

    manifest: Manifest
    what: Literal["added", "extended", "changed", "removed", "unchanged"]
    file: str
    name: str
    services: tuple[str, ...] = ()
    old: str = ""


# --- pins ---------------------------------------------------------------------------------------------------------


def add_pin(
    path: str,
    *,
    cid: Cid,
    name: str = "",
    services: Sequence[str] = (),
    meta: Mapping[str, str] | None = None,
    origins: Sequence[str] = (),
    check_only: bool = False,
) -> Edit:
    """Want `cid` on `services`, or where the manifest pins by default. Raises UsageError, ManifestError.

    With `check_only` nothing is written.
    """
    manifest = load_manifest(path)
    for service in services:
        known_service(manifest, service)
    name = "" if name and spells(name, cid) else name
    if name and (wrong := Names(manifest.owner, Globs(manifest.ignore)).check(name)) is not None:
        raise UsageError(wrong[0], hint=wrong[1])
    key = name or cid.canonical
    there = find(manifest, key)
    result: Literal["added", "extended", "unchanged"] = "added"
    where: tuple[str, ...] = ()
    file = path

    def change(yaml: Yaml) -> None:
        nonlocal result, where
        where = tuple(services) or _default_services(yaml, manifest)
        missing = _missing(there, cid, where, key)
        if there and (meta or origins):
            _same_or_refuse(there, meta or {}, tuple(origins), key)
        if not missing and (there or where):
            result = "unchanged"
            return
        partner = _extensible(yaml, there, key, cid)
        if partner is not None and not (meta or origins):
            result = "extended"
            for service in missing:
                yaml.add_item((*partner, "services"), service)
            return
        item: dict[str, Any] = {"name": name} if name else {}
        item["cid"] = cid.text
        if services or there:
            item["services"] = list(missing)
        if meta:
            item["meta"] = dict(meta)
        if origins:
            item["origins"] = list(origins)
        yaml.add_item(("pins",), item)

    manifest = change_yaml(path, path, change, manifest, check_only=check_only)
    return Edit(manifest=manifest, what=result, file=file, name=key, services=where)


def set_cid(path: str, name: str, cid: Cid) -> Edit:
    """Let every entry of `name` hold `cid`. Idempotent. Raises UsageError, ManifestError."""
    manifest = load_manifest(path)
    entries = _found(manifest, name)
    if any(not e.name for e in entries):
        raise UsageError(
            f"{shown(name)} has no name: its CID is what it is",
            hint="`pinrec pin rm` it, and `pinrec pin add`",
        )
    for entry in entries:
        if isinstance(entry.cid, CidRef):
            raise UsageError(
                f"{shown(name)} takes its CID from {entry.cid} ({_place(entry)}), so there is nothing to set here",
                hint=f"{_how(entry.cid)}; or write a CID in its place by hand first",
            )
    old = ", ".join(dict.fromkeys(str(e.cid) for e in entries))
    services = _services(entries)
    if all(e.cid == cid for e in entries):
        return Edit(
            manifest=manifest,
            what="unchanged",
            file=entries[0].spec.file,
            name=name,
            services=services,
            old=old,
        )
    file = _one_file(entries, name)
    if entries[0].spec.source:
        lines.editable(file)
        prefixes = _prefixes(manifest, entries[0].spec.source)
        manifest = change_lines(
            path, file, lambda text: lines.set_cid(text, name, cid.text, prefixes=prefixes), manifest
        )
    else:

        def change(yaml: Yaml) -> None:
            for i in _items(yaml, name):
                yaml.set(("pins", i, "cid"), cid.text)

        manifest = change_yaml(path, file, change, manifest)
    if not all(e.cid == cid for e in find(manifest, name)):
        raise UsageError(f"{shown(name)} is wanted elsewhere too", hint="`pinrec validate` shows where")
    return Edit(manifest=manifest, what="changed", file=file, name=name, services=services, old=old)


def remove_pin(path: str, name: str, services: Sequence[str] = ()) -> Edit:
    """No longer want `name`, or not on `services`. Raises UsageError, ManifestError."""
    manifest = load_manifest(path)
    for service in services:
        known_service(manifest, service)
    entries = _found(manifest, name)
    key = name if entries[0].name else _canonical(name)
    all_services = _services(entries)
    if services:
        entries = [e for e in entries if set(services) & set(services_of(e))]
        if not entries:
            raise UsageError(f"{shown(name)} is not wanted on {', '.join(services)}")
    file = _one_file(entries, name)
    if entries[0].spec.source:
        if services:
            raise UsageError(
                f"{shown(name)} stands in {file}, all of whose pins go to the same services",
                hint="remove it there, and `pinrec pin add` it for the services that keep it",
            )
        lines.editable(file)
        prefixes = _prefixes(manifest, entries[0].spec.source)
        unnamed = not entries[0].name
        manifest = change_lines(
            path,
            file,
            lambda text: lines.remove(text, key, prefixes=prefixes, canonical=unnamed),
            manifest,
        )
    else:

        def change(yaml: Yaml) -> None:
            # From the last one on, since what stands behind it moves up.
            for i in reversed(_items(yaml, key)):
                if services:
                    _leave(yaml, i, services, manifest)
                else:
                    yaml.remove(("pins", i))

        manifest = change_yaml(path, file, change, manifest)
    gone = tuple(services) or all_services
    for entry in find(manifest, key):
        if set(gone) & set(services_of(entry)):
            raise UsageError(
                f"{shown(name)} was written twice; it still stands at {_place(entry)}", hint="run it again"
            )
    return Edit(manifest=manifest, what="removed", file=file, name=key, services=gone)


def find(manifest: Manifest, name: str) -> list[Entry]:
    """The entries of a name; those of a CID without a name if `name` is one."""
    found = [e for e in manifest.entries if e.name == name]
    if not found and (cid := _canonical(name)):
        found = [
            e for e in manifest.entries if not e.name and isinstance(e.cid, Cid) and e.cid.canonical == cid
        ]
    return found


# --- finding things -----------------------------------------------------------------------------------------------


def _found(manifest: Manifest, name: str) -> list[Entry]:
    entries = find(manifest, name)
    if not entries:
        names = [e.name for e in manifest.entries if e.name]
        hint = did_you_mean(name, names) if len(names) <= _MAX_NEAR else ""
        raise UsageError(
            f"{manifest.path} has no pin {shown(name)}",
            hint=hint or "`pinrec pin add CID --name NAME` adds one",
        )
    return entries


def _items(yaml: Yaml, name: str) -> list[int]:
    """Where in `pins:` the entries of a name stand, those that repeat one another too."""
    cid = _canonical(name)
    return [i for i, item in enumerate(yaml.value.get("pins") or ()) if _is(item, name, cid)]


def _is(item: Any, name: str, cid: str) -> bool:
    if not isinstance(item, dict) or not ("cid" in item or "path" in item):
        return False
    if item.get("name", "") == name:
        return True
    text = item.get("cid")
    if not cid or not isinstance(text, str) or _canonical(text) != cid:
        return False
    return not item.get("name") or spells(item["name"], parse(text))


def _leave(yaml: Yaml, index: int, services: Sequence[str], manifest: Manifest) -> None:
    """Take services out of an entry; an entry that is left without any goes."""
    item = yaml.value["pins"][index]
    written = item.get("services")
    current = written if written is not None else list(_default_services(yaml, manifest))
    if isinstance(current, dict) or not current:
        raise UsageError(
            f"{shown(item.get('name', ''))} is pinned on as many services as `replicas` says, not on each",
            hint="edit `services:` by hand",
        )
    rest = [s for s in current if s not in services]
    if rest == list(current):
        return
    if not rest:
        yaml.remove(("pins", index))
    elif written is None:
        yaml.add_key(("pins", index), "services", rest)
    else:
        for i in reversed(range(len(current))):
            if current[i] in services:
                yaml.remove(("pins", index, "services", i))


def _default_services(yaml: Yaml, manifest: Manifest) -> tuple[str, ...]:
    """Where an entry without `services:` is pinned; () for `replicas`. Raises UsageError if nothing says so."""
    raw = (yaml.value.get("defaults") or {}).get("services")
    if isinstance(raw, list):
        return tuple(raw)
    if isinstance(raw, dict):
        return ()
    if len(manifest.services) == 1:
        return tuple(manifest.services)
    known = ", ".join(manifest.services)
    raise UsageError(
        "where shall it be pinned? The manifest has no `defaults: services:`",
        hint=f"--service NAME; it has: {known}" if known else "`pinrec service add` declares a service",
    )


def _missing(there: Sequence[Entry], cid: Cid, where: Sequence[str], name: str) -> tuple[str, ...]:
    """The services on which the pin is not wanted yet. Raises UsageError where the name wants another CID."""
    for entry in there:
        common = set(services_of(entry)) & set(where) if where else set(services_of(entry))
        if common and entry.cid != cid:
            raise UsageError(
                f"{shown(name)} is wanted on {', '.join(sorted(common))} with another CID ({_place(entry)})",
                hint=f"`pinrec pin set {quote(name)} {cid.text}` changes it"
                if isinstance(entry.cid, Cid)
                else f"it takes its CID from {entry.cid}",
            )
    return tuple(s for s in where if not any(s in services_of(e) for e in there))


def _same_or_refuse(
    there: Iterable[Entry], meta: Mapping[str, str], origins: tuple[str, ...], name: str
) -> None:
    for entry in there:
        if any(entry.spec.meta.get(k) != v for k, v in meta.items()) or (
            origins and entry.spec.origins != origins
        ):
            raise UsageError(
                f"{shown(name)} is there already with other meta or origins ({_place(entry)})",
                hint="change them there by hand",
            )


def _extensible(yaml: Yaml, there: Sequence[Entry], name: str, cid: Cid) -> tuple[str, int] | None:
    """An entry of this file that has a list of services of its own and nothing that differs."""
    if not there:
        return None
    for i in _items(yaml, name):
        item = yaml.value["pins"][i]
        if isinstance(item.get("services"), list) and _canonical(str(item.get("cid"))) == cid.canonical:
            return "pins", i
    return None


def _one_file(entries: Sequence[Entry], name: str) -> str:
    files = list(dict.fromkeys(e.spec.file for e in entries))
    if len(files) > 1:
        places = " and ".join(_place(e) for e in entries)
        raise UsageError(f"{shown(name)} stands in several files: {places}", hint="edit them by hand")
    return files[0]


def known_service(manifest: Manifest, name: str) -> Service:
    """Raises UsageError if the manifest has none of that name."""
    if name not in manifest.services:
        hint = did_you_mean(name, list(manifest.services))
        raise UsageError(
            f"the manifest has no service {shown(name)}", hint=hint or "`pinrec service ls` lists them"
        )
    return manifest.services[name]


def _prefixes(manifest: Manifest, source: str) -> list[str]:
    return [s.name_prefix for s in manifest.sources if s.name == source]


def _services(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s for e in entries for s in services_of(e)))


def services_of(entry: Entry) -> tuple[str, ...]:
    """The services that an entry may be pinned on."""
    services = entry.spec.services
    return services.of if isinstance(services, Replicas) else services


def _place(entry: Entry) -> str:
    return f"{entry.spec.file}:{entry.line}" if entry.line else entry.spec.file


def _how(ref: CidRef) -> str:
    if ref.kind == "path":
        return "`pinrec apply` follows it"
    how = (
        f"export {ref.value}=…" if ref.kind == "env" else f"write the CID into {os.path.normpath(ref.value)}"
    )
    return f"{how}, then `pinrec apply`"


def _canonical(text: str) -> str:
    try:
        return parse(text).canonical
    except CidError:
        return ""
