"""The wanted pins of a manifest as they gather: each name once for each service."""

from collections.abc import Mapping
from typing import Any  # a YAML value is whatever was written

import msgspec

from reconciler.core.cid import Cid, spells
from reconciler.core.manifest import CidRef, Entry, Note, Replicas, Spec
from reconciler.manifest.names import Names
from reconciler.manifest.problems import shown

#: Fields of a spec that say what is wanted, not where it was written.
_WANTED = ("meta", "origins", "protect", "expires", "replace")


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why an entry was not taken. `field` is what to point at: "name", "cid", or "" for the entry."""

    message: str
    hint: str = ""
    field: str = ""


class Entries:
    """Entries in the order of the file. `add` runs a million times."""

    def __init__(self, names: Names) -> None:
        self.all: list[Entry] = []
        self._names = names
        #: The first entry of each key, and the further ones where a name is wanted at other services too.
        self._first: dict[str, Entry] = {}
        self._further: dict[str, list[Entry]] = {}
        #: By file: how many lines were folded, and the first of them.
        self._folded: dict[str, tuple[int, int]] = {}

    def add(self, name: str, cid: Cid | CidRef, spec: Spec, line: int) -> Refusal | None:
        """Take an entry, or say why not. An entry that is there already is folded into it."""
        if name:
            wrong = self._names.check(name)
            if wrong is not None:
                return Refusal(message=wrong[0], hint=wrong[1], field="name")
        if type(cid) is not Cid:
            if not name:
                # Which pin this is shows only when the CID is known.
                self.all.append(Entry(name, cid, spec, line))
                return None
            key = name
        elif name and not spells(name, cid):
            key = name
        else:
            # A pin whose name is its own CID cannot be told from an unnamed one.
            name, key = "", cid.canonical
            wrong = self._names.check(key)
            if wrong is not None:
                return Refusal(
                    message=f"without a name the pin goes by its CID: {wrong[0]}", hint=wrong[1], field="cid"
                )
        entry = Entry(name, cid, spec, line)
        if self._first.setdefault(key, entry) is entry:
            self.all.append(entry)
            return None
        return self._again(key, entry)

    def notes(self) -> list[Note]:
        """One for each file in which lines were folded."""
        return [
            Note(
                file=file,
                line=line,
                message="1 line repeats an earlier one and was folded into it"
                if count == 1
                else f"{count} lines repeat earlier ones and were folded into them, the first here",
            )
            for file, (count, line) in self._folded.items()
        ]

    def _again(self, key: str, entry: Entry) -> Refusal | None:
        """A second entry of one name: at other services, the same again, or a contradiction."""
        further = self._further.get(key, [])
        for earlier in (self._first[key], *further):
            common = _services(earlier.spec) & _services(entry.spec)
            if not common:
                continue
            where = f"{earlier.spec.file}:{earlier.line}" if earlier.line else earlier.spec.file
            what = f"{shown(key)} at {', '.join(sorted(common))}"
            if earlier.cid != entry.cid:
                return Refusal(
                    message=f"{what} is wanted with two CIDs: {_cid(entry)} here, {_cid(earlier)} at {where}",
                    hint="one name holds one CID at a service; rename one or remove one",
                    field="cid",
                )
            differ = [f for f in _WANTED if getattr(earlier.spec, f) != getattr(entry.spec, f)]
            if differ:
                return Refusal(
                    message=f"{what} is wanted twice, and {' and '.join(differ)} is not the same at {where}",
                    hint="remove one",
                    field="name" if entry.name else "cid",
                )
            within = (
                common == _services(entry.spec) and not _chooses(earlier.spec) and not _chooses(entry.spec)
            )
            if within or earlier.spec.services == entry.spec.services:
                count, line = self._folded.get(entry.spec.file, (0, entry.line))
                self._folded[entry.spec.file] = (count + 1, line)
                return None
            if _chooses(earlier.spec) or isinstance(entry.spec.services, Replicas):
                return Refusal(
                    message=f"{what} is wanted twice, by other replicas at {where}",
                    hint="remove one",
                    field="name" if entry.name else "cid",
                )
            rest = tuple(s for s in entry.spec.services if s not in common)
            entry = Entry(
                entry.name, entry.cid, msgspec.structs.replace(entry.spec, services=rest), entry.line
            )
        self._further.setdefault(key, []).append(entry)
        self.all.append(entry)
        return None


def _services(spec: Spec) -> frozenset[str]:
    return frozenset(spec.services.of if isinstance(spec.services, Replicas) else spec.services)


def _chooses(spec: Spec) -> bool:
    return isinstance(spec.services, Replicas)


def _cid(entry: Entry) -> str:
    return shown(str(entry.cid), 80).strip('"')


def spec_key(raw: Mapping[str, Any]) -> tuple[object, ...]:
    """What tells the specs of two items apart, as something that can be hashed."""
    services, meta = raw.get("services"), raw.get("meta")
    where: object = services
    if type(services) is list:
        where = tuple(services)
    elif services is not None:
        where = ("replicas", services["replicas"], tuple(services["of"]))
    if where is not None and len(raw) == 3 and "name" in raw and "cid" in raw:
        return (where,)
    return (
        where,
        None if meta is None else tuple(sorted(meta.items())),
        tuple(raw.get("origins", ())),
        raw.get("protect"),
        raw.get("local"),
        raw.get("expires"),
        raw.get("replace"),
        raw.get("from"),
    )
