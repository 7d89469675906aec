"""`pins:` of a document that fits the schema, and the list files it names."""

import datetime
import os
from collections.abc import Mapping, Sequence
from typing import Any  # a YAML value is whatever was written

from reconciler.core.cid import Cid, CidError, parse_content
from reconciler.core.content_path import PathError, parse_path
from reconciler.core.endpoint import host_of, is_private
from reconciler.core.manifest import MAX_ORIGINS, CidRef, Note, Replicas, Service, Source, Spec
from reconciler.manifest.entries import Entries, spec_key
from reconciler.manifest.lists import ListError, read_list
from reconciler.manifest.origins import is_private_origin, wrong_origin
from reconciler.manifest.places import Path
from reconciler.manifest.problems import Document, Problems, did_you_mean, shown
from reconciler.manifest.services import resolve_path


class Pins:
    """Turns the items of every document into entries.

    `services` are those that were built, `known` the names of all that are declared; `unsure` if there may be
    others, in a file that could not be read, say, so that what rests on them is no problem of its own.
    """

    def __init__(
        self,
        *,
        entries: Entries,
        services: Mapping[str, Service],
        known: Sequence[str],
        defaults: Mapping[str, Any],
        unsure: bool,
        problems: Problems,
        node: bool,
        instead: Mapping[str, str],
    ) -> None:
        self.sources: list[Source] = []
        self.notes: list[Note] = []
        #: Absolute paths of the list files that were read.
        self.files: list[str] = []
        self._entries = entries
        self._services = services
        self._known = list(known)
        self._defaults = defaults
        self._unsure = unsure
        self._node = node
        self._instead = instead
        self._problems = problems
        self._specs: dict[tuple[object, ...], Spec] = {}

    def take(self, document: Document, bad: frozenset[int]) -> None:
        """All items but the `bad` ones, which do not fit the schema. The list is emptied on the way."""
        items = document.value.get("pins", [])
        # A spec names its file.
        self._specs.clear()
        for i, item in enumerate(items):
            if i in bad:
                continue
            key = spec_key(item)
            spec = self._specs.get(key)
            if spec is None:
                spec = self._spec(document, ("pins", i), item)
                if spec is None:
                    continue
                self._specs[key] = spec
            if "from" in item:
                self._list(document, i, item, spec)
                continue
            raw = item.get("cid")
            cid: Cid | CidRef
            if raw is None:
                try:
                    cid = CidRef(kind="path", value=_path(item["path"]))
                except PathError as error:
                    self._problems.at(document, ("pins", i, "path"), f"this cannot be followed: {error}")
                    continue
            elif type(raw) is str:
                try:
                    cid = parse_content(raw)
                except CidError as error:
                    self._problems.at(document, ("pins", i, "cid"), str(error))
                    continue
            else:
                cid = _ref(raw, document.base)
            name = item.get("name", "")
            refusal = self._entries.add(name, cid, spec, document.pin_lines[i])
            if refusal is not None:
                path: Path = ("pins", i, refusal.field) if refusal.field else ("pins", i)
                self._problems.at(document, path, refusal.message, hint=refusal.hint)
            # Entries replace what was read one by one, so that both are never there in full.
            items[i] = None

    def check_target(self, document: Document, path: Path, target: list[str] | dict[str, Any]) -> bool:
        """Whether the services of a `services:` are known and enough; problems are noted."""
        if self._unsure:
            return True
        names: list[str] = target if isinstance(target, list) else target["of"]
        inner = path if isinstance(target, list) else (*path, "of")
        good = True
        for i, name in enumerate(names):
            if name not in self._known:
                good = False
                hint = did_you_mean(name, self._known) if self._known else "no services are declared"
                self._problems.at(document, (*inner, i), f"there is no service {shown(name)}", hint=hint)
        if isinstance(target, dict) and target["replicas"] > len(names):
            good = False
            self._problems.at(
                document,
                (*path, "replicas"),
                f"{target['replicas']} replicas are wanted, and `of` has {len(names)}",
            )
        return good

    def _spec(self, document: Document, path: Path, item: Mapping[str, Any]) -> Spec | None:
        services = self._target(document, path, item)
        origins = tuple(item.get("origins", ()))
        good = services is not None and self._check_origins(document, path, origins, services)
        expires = None
        if "expires" in item:
            try:
                expires = datetime.date.fromisoformat(item["expires"])
            except ValueError:
                self._problems.at(document, (*path, "expires"), f"there is no day {item['expires']}")
                return None
        if not good or services is None:
            return None
        return Spec(
            services=services,
            meta={**self._defaults.get("meta", {}), **item.get("meta", {})},
            origins=origins,
            protect=item.get("protect", False),
            expires=expires,
            replace=item.get("replace", self._defaults.get("replace", "safe")),
            local=self._local(document, path, item),
            source=item.get("from", ""),
            file=_list_file(document, item["from"]) if "from" in item else document.file,
        )

    def _local(self, document: Document, path: Path, item: Mapping[str, Any]) -> bool:
        """Whether the node is to hold it, too: as it is said, else wherever there is a node, but for list files."""
        said = item.get("local", self._defaults.get("local"))
        if said and not self._node and not self._unsure and "local" in item:
            self._problems.at(
                document,
                (*path, "local"),
                "there is no node to hold it locally",
                hint='add `node: {api: "http://127.0.0.1:5001"}`',
            )
        if said is None:
            said = "from" not in item
        return self._node and bool(said)

    def _target(
        self, document: Document, path: Path, item: Mapping[str, Any]
    ) -> tuple[str, ...] | Replicas | None:
        raw = item.get("services")
        if raw is not None:
            if not self.check_target(document, (*path, "services"), raw):
                return None
        else:
            raw = self._defaults.get("services")
            if raw is None and len(self._known) == 1:
                raw = self._known
            if raw is None and self._unsure:
                return None
            if raw is None:
                why = (
                    "say `services: […]` here or under `defaults`"
                    if self._known
                    else "no services are declared"
                )
                self._problems.at(document, path, "where shall this be pinned?", hint=why)
                return None
        if isinstance(raw, list):
            return tuple(raw)
        return Replicas(count=int(raw["replicas"]), of=tuple(raw["of"]))

    def _check_origins(
        self, document: Document, path: Path, origins: tuple[str, ...], services: tuple[str, ...] | Replicas
    ) -> bool:
        assert len(origins) <= MAX_ORIGINS
        good = True
        for i, origin in enumerate(origins):
            wrong = wrong_origin(origin)
            if wrong is not None:
                good = False
                self._problems.at(document, (*path, "origins", i), wrong[0], hint=wrong[1])
            elif is_private_origin(origin):
                names = services.of if isinstance(services, Replicas) else services
                far = [
                    n
                    for n in names
                    if n in self._services and not is_private(host_of(self._services[n].endpoint))
                ]
                if far:
                    index = path[1]
                    self.notes.append(
                        Note(
                            file=document.file,
                            line=document.pin_lines[index] if isinstance(index, int) else 0,
                            message=f"{', '.join(far)} cannot reach the private address {shown(origin, 100)}",
                        )
                    )
        return good

    def _list(self, document: Document, index: int, item: Mapping[str, Any], spec: Spec) -> None:
        prefix = item.get("namePrefix", "")
        before = len(self._entries.all)
        path = resolve_path(item["from"], document.base)
        self.files.append(path)
        try:
            read_list(
                path,
                file=spec.file,
                prefix=prefix,
                spec=spec,
                add=self._entries.add,
                problems=self._problems,
                instead=self._instead.get(os.path.realpath(path)) if self._instead else None,
            )
        except ListError as error:
            self._problems.at(document, ("pins", index, "from"), f"{shown(item['from'])}: {error}")
            return
        services = spec.services.of if isinstance(spec.services, Replicas) else spec.services
        self.sources.append(
            Source(
                name=item["from"],
                entries=len(self._entries.all) - before,
                name_prefix=prefix,
                services=services,
            )
        )


def _list_file(document: Document, written: str) -> str:
    """What messages call a list file: as a person at the manifest's place would."""
    folder = os.path.dirname(document.file)
    return os.path.normpath(os.path.join(folder, os.path.expanduser(written)))


def _path(text: str) -> str:
    """In one spelling. Raises PathError."""
    path = parse_path(text)
    if not path.mutable and not path.rest:
        raise PathError(f"it is a CID and nothing else; write `cid: {path.root}`")
    return str(path)


def _ref(raw: Mapping[str, str], base: str) -> CidRef:
    if "env" in raw:
        return CidRef(kind="env", value=raw["env"])
    return CidRef(kind="file", value=raw["file"], path=resolve_path(raw["file"], base))
