"""From a file to a `core.manifest.Manifest`: read, check against the schema, check what a schema cannot say.

1. **read** the file and those it includes (`loader`)
2. **check** each against the schema (`schema`, `wording`)
3. **build** the node, services, policies, then entries, checking as they gather (`node`, `services`, `policies`,
   `pins`, `entries`, `lists`, `pin_names`)

Problems are gathered through all three, and raised together.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TextIO  # Any: a YAML value is whatever was written

from reconciler.core.errors import ManifestError, Problem
from reconciler.core.globs import Globs
from reconciler.core.manifest import (
    Adopt,
    Entry,
    GuardLimits,
    Loop,
    Manifest,
    Node,
    Note,
    Percent,
    Replicas,
    Service,
)
from reconciler.core.policy import Policy
from reconciler.manifest.durations import seconds
from reconciler.manifest.entries import Entries
from reconciler.manifest.events import YamlSyntaxError
from reconciler.manifest.loader import Loaded, load
from reconciler.manifest.loop import build_loop
from reconciler.manifest.names import Names
from reconciler.manifest.node import build_node
from reconciler.manifest.pin_names import PinNames
from reconciler.manifest.pins import Pins
from reconciler.manifest.places import locate
from reconciler.manifest.policies import Use, build_policies, declared_policies, unused, uses_of
from reconciler.manifest.problems import Document, Problems, shown
from reconciler.manifest.resolving import build_names
from reconciler.manifest.schema import errors
from reconciler.manifest.services import build_service
from reconciler.manifest.wording import wordings

#: Keys of which an included file adds to the manifest's.
_LISTS = ("adopt", "ignore", "protected", "unprotect")


def load_manifest(
    path: str, *, stdin: TextIO | None = None, instead: Mapping[str, str] | None = None
) -> Manifest:
    """The manifest at `path`, with what it includes and the list files it names; "-" is `stdin`.

    `instead` holds texts by real path, for files that are about to be replaced by them.
    Resolves no key and no CID that is to be found elsewhere. Raises ManifestError with all problems at once.
    """
    return _Reading(instead or {}).manifest(path, stdin)


class _Reading:
    """One load. `bad` holds, by document, what does not fit the schema and is passed over from then on."""

    def __init__(self, instead: Mapping[str, str]) -> None:
        self.instead = instead
        self.problems = Problems()
        self.documents: list[Document] = []
        self.bad: list[set[tuple[str | int, ...]]] = []
        self.seen: dict[str, str] = {}
        #: Absolute paths of the YAML files that were read.
        self.files: list[str] = []
        #: The policies that services name.
        self.uses: list[Use] = []
        #: Something that was to be read was not.
        self.unsure = False

    def manifest(self, path: str, stdin: TextIO | None) -> Manifest:
        file = "stdin" if path == "-" else path
        text = self._text(path, file, stdin)
        self._document(text, file=file, base=os.path.dirname(os.path.abspath(path)), chain=())
        if not self.documents:
            self.problems.raise_if_any()
        main = self.documents[0]
        services, known = self._services()
        owner = self._good(0, "name", "")
        previous = tuple(self._good(0, "previousOwners", ()))
        if owner in previous:
            at = ("previousOwners", previous.index(owner))
            self.problems.at(main, at, "this is the manifest's present name", hint="list former names only")
        lists: dict[str, list[Any]] = {key: [] for key in _LISTS}
        for i in range(len(self.documents)):
            for key in _LISTS:
                lists[key] += self._good(i, key, ())
        names = Names(owner, Globs(lists["ignore"]))
        entries = Entries(names)
        pins = self._pins(entries, services, known)
        node, policies = self._policies(names, entries.all)
        loop = (
            None
            if self._is_bad(0, "loop")
            else build_loop(main.value.get("loop", {}), document=main, problems=self.problems)
        )
        raw_names = {} if self._is_bad(0, "names") else main.value.get("names", {})
        asked = build_names(raw_names, document=main, problems=self.problems)
        self.problems.raise_if_any()
        notes = (
            *pins.notes,
            *entries.notes(),
            *_idle(services, entries.all, policies),
            *unused(policies),
        )
        return Manifest(
            owner=owner,
            previous_owners=previous,
            services=services,
            entries=entries.all,
            sources=tuple(pins.sources),
            adopt=tuple(Adopt(match=a) if isinstance(a, str) else Adopt(**a) for a in lists["adopt"]),
            ignore=tuple(lists["ignore"]),
            protected=tuple(lists["protected"]),
            unprotect=tuple(lists["unprotect"]),
            guards=_guards(main.value.get("guards", {})),
            node=node,
            policies=policies,
            loop=loop or Loop(),
            names=asked,
            files=tuple(dict.fromkeys((*self.files, *pins.files))),
            notes=notes,
            path=file,
        )

    def _text(self, path: str, file: str, stdin: TextIO | None) -> str:
        if path != "-":
            self.files.append(os.path.abspath(path))
        new = self.instead.get(os.path.realpath(path)) if self.instead and path != "-" else None
        return _text(path, file, stdin) if new is None else new.removeprefix("\ufeff")

    # --- read and check against the schema ----------------------------------------------------------------

    def _document(self, text: str, *, file: str, base: str, chain: tuple[str, ...]) -> None:
        """Read one file, then what it includes. `chain` are the files that led here."""
        main = not chain
        self.problems.file(file)
        try:
            loaded = load(text)
        except YamlSyntaxError as error:
            p = error.problem
            self.unsure = True
            self.problems.add(
                Problem(file=file, line=p.line, column=p.column, message=p.message, hint=p.hint)
            )
            return
        for p in loaded.problems:
            self.problems.add(
                Problem(file=file, line=p.line, column=p.column, message=p.message, hint=p.hint)
            )
        if not isinstance(loaded.value, dict):
            self.unsure = True
            what = "is empty" if loaded.value is None else "must be a mapping (key: value)"
            hint = "`pinrec init` writes a manifest to start from" if main else ""
            self.problems.add(Problem(file=file, line=1, column=1, message=f"the file {what}", hint=hint))
            return
        document = Document(
            file=file,
            base=base,
            text=text,
            value=loaded.value,
            pin_lines=_lines(loaded, "pins", text),
            service_lines=_lines(loaded, "services", text),
            policy_lines=_lines(loaded, "policies", text),
            pure=loaded.pure,
        )
        bad: set[tuple[str | int, ...]] = set()
        for violation in errors(document.value, main=main):
            for w in wordings(violation):
                self.problems.at(document, w.path, w.message, hint=w.hint, at_key=w.at_key, quote=w.quote)
                bad.add(w.path[:2])
        self.documents.append(document)
        self.bad.append(bad)
        self._includes(document, len(self.documents) - 1, (*chain, file))

    def _includes(self, document: Document, index: int, chain: tuple[str, ...]) -> None:
        raw = document.value.get("include", [])
        self.unsure = self.unsure or self._is_bad(index, "include")
        for i, written in enumerate([raw] if isinstance(raw, str) else raw if isinstance(raw, list) else []):
            at = ("include",) if isinstance(raw, str) else ("include", i)
            if at in self.bad[index]:
                continue
            if written.startswith(("/", "~")):
                self.problems.at(
                    document, at, "an included file is named relative to the file that includes it"
                )
                continue
            path = os.path.normpath(os.path.join(document.base, written))
            file = os.path.normpath(os.path.join(os.path.dirname(document.file), written))
            if file in chain:
                ring = " → ".join([*chain[chain.index(file) :], file])
                self.problems.at(document, at, f"the files include each other: {ring}")
                continue
            if path in self.seen:
                self.problems.at(document, at, f"{file} is included by {self.seen[path]} already")
                continue
            self.seen[path] = document.file
            try:
                text = self._text(path, file, None)
            except ManifestError as error:
                self.unsure = True
                for problem in error.problems:
                    self.problems.at(document, at, f"{problem.file}: {problem.message}")
                continue
            self._document(text, file=file, base=os.path.dirname(path), chain=chain)

    def _good(self, index: int, key: str, default: Any) -> Any:
        """A top-level value if all of it fits the schema."""
        return default if self._is_bad(index, key) else self.documents[index].value.get(key, default)

    def _is_bad(self, index: int, key: str) -> bool:
        return any(path[:1] == (key,) for path in self.bad[index])

    # --- build ----------------------------------------------------------------------------------------------

    def _services(self) -> tuple[dict[str, Service], list[str]]:
        """The services that are whole, and the names of all that are declared."""
        services: dict[str, Service] = {}
        declared: dict[str, Document] = {}
        accounts: dict[tuple[object, ...], str] = {}
        for document, bad in zip(self.documents, self.bad, strict=True):
            raws = document.value.get("services")
            if not isinstance(raws, dict):
                self.unsure = self.unsure or raws is not None
                continue
            for i, (name, raw) in enumerate(raws.items()):
                if name in declared:
                    where = declared[name].file
                    self.problems.at(
                        document,
                        ("services", name),
                        f"the service {shown(name)} is declared in {where} too",
                        at_key=True,
                    )
                    continue
                declared[name] = document
                if ("services", name) in bad:
                    continue
                service = build_service(
                    name, raw, document=document, line=document.service_lines[i], problems=self.problems
                )
                if service is None:
                    continue
                account = (service.endpoint, service.key)
                other = accounts.setdefault(account, name)
                if other != name:
                    self.problems.at(
                        document,
                        ("services", name),
                        f"{name} has the endpoint and the key of {other}: one account under two names",
                        hint="each would take the other's pins for its own; remove one",
                        at_key=True,
                    )
                services[name] = service
                self.uses += uses_of(name, raw, document=document, line=service.line, problems=self.problems)
        return services, list(declared)

    def _node(self) -> Node | None:
        found: list[tuple[int, int]] = []
        for i, document in enumerate(self.documents):
            if "node" not in document.value:
                continue
            line = locate(document.text, {("node",)}, pure=document.pure)[("node",)].key_line
            if found:
                first, at = found[0]
                self.problems.at(
                    document,
                    ("node",),
                    f"the node is declared at {self.documents[first].file}:{at} too",
                    hint="a manifest has one node",
                    at_key=True,
                )
            found.append((i, line))
        if not found:
            return None
        index, line = found[0]
        if self._is_bad(index, "node"):
            self.unsure = True
            return None
        document = self.documents[index]
        node = build_node(
            document.value["node"], document=document, line=line, environ=os.environ, problems=self.problems
        )
        self.unsure = self.unsure or node is None
        return node

    def _policies(self, names: Names, entries: list[Entry]) -> tuple[Node | None, dict[str, Policy]]:
        node = self._node()
        self.unsure = self.unsure or any(
            not isinstance(d.value.get("policies", {}), dict) for d in self.documents
        )
        declared = declared_policies(self.documents, self.bad, self.problems)
        policies = build_policies(declared, self.uses, node=node, unsure=self.unsure, problems=self.problems)
        PinNames(policies, declared, self.uses, node=node, problems=self.problems).check(names, entries)
        return node, policies

    def _pins(self, entries: Entries, services: dict[str, Service], known: list[str]) -> Pins:
        defaults = self._good(0, "defaults", {})
        self.unsure = self.unsure or self._is_bad(0, "defaults")
        pins = Pins(
            entries=entries,
            services=services,
            known=known,
            defaults=defaults,
            unsure=self.unsure,
            problems=self.problems,
            node=any("node" in d.value for d in self.documents),
            instead=self.instead,
        )
        if "services" in defaults:
            pins.check_target(self.documents[0], ("defaults", "services"), defaults["services"])
        for document, bad in zip(self.documents, self.bad, strict=True):
            if isinstance(document.value.get("pins", []), list):
                pins.take(document, frozenset(p[1] for p in bad if len(p) == 2 and isinstance(p[1], int)))
        return pins


def _text(path: str, file: str, stdin: TextIO | None) -> str:
    """The text of a YAML file. Raises ManifestError."""
    try:
        if path == "-":
            return (stdin.read() if stdin is not None else "").removeprefix("\ufeff")
        with open(path, encoding="utf-8-sig") as stream:
            return stream.read()
    except FileNotFoundError:
        hint = "`pinrec init` writes one to start from, -f FILE names another"
        raise ManifestError([Problem(file=file, message="there is no such file", hint=hint)]) from None
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise ManifestError([Problem(file=file, message=why)]) from None
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        raise ManifestError([Problem(file=file, line=line, message="the file is not UTF-8")]) from None


def _lines(loaded: Loaded, key: str, text: str) -> Sequence[int]:
    """The lines of the items of a top-level list or mapping."""
    value, lines = loaded.value.get(key), loaded.lines.get(key, ())
    if not isinstance(value, list | dict) or len(lines) == len(value):
        return lines
    # Some came through an alias or a merge key: all go by the place of the whole.
    return [locate(text, {(key,)}, pure=loaded.pure)[(key,)].line] * len(value)


def _guards(raw: dict[str, Any]) -> GuardLimits:
    def amount(value: str | int | None) -> int | Percent | None:
        if value is None:
            return None
        return Percent(float(value.removesuffix("%"))) if isinstance(value, str) else int(value)

    return GuardLimits(
        max_deletes=amount(raw.get("maxDeletes")),
        max_replaces=amount(raw.get("maxReplaces")),
        delete_grace=seconds(raw.get("deleteGrace", 0)),
    )


def _idle(services: dict[str, Service], entries: list[Entry], policies: Mapping[str, Policy]) -> list[Note]:
    """A service that nothing is wanted on, in a manifest that wants something."""
    specs = {id(e.spec): e.spec for e in entries}
    used = {s for spec in specs.values() for s in _names(spec.services)}
    used.update(s for policy in policies.values() for s in policy.uses)
    if not used:
        return []
    return [
        Note(file=s.file, line=s.line, message=f"no pin is wanted on the service {name}")
        for name, s in services.items()
        if name not in used and s.state != "retiring"
    ]


def _names(services: tuple[str, ...] | Replicas) -> tuple[str, ...]:
    return services.of if isinstance(services, Replicas) else services
