"""`policies:` of documents that fit the schema, and the services that use them.

What the kinds are, and the settings that only one of them has, is read from the schema: `definitions.policy-KIND` is
all that this layer knows of a kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.manifest import Node, Note
from reconciler.core.policy import Policy, PolicyUse, Retain, Setting
from reconciler.manifest.durations import seconds
from reconciler.manifest.places import Path
from reconciler.manifest.problems import Document, Problems, Raw, did_you_mean, shown
from reconciler.manifest.schema import definitions

MANUAL = "manual"
#: Policies that need not be declared: what a manifest says of one of them is added to this.
BUILT_IN: Final[Mapping[str, Raw]] = {
    "all-in-mfs": {"kind": "mfs", "path": "/", "pinName": "policy/{peer_id}/mfs"}
}
#: What all kinds have; every other key of a branch is a setting of its kind.
COMMON = frozenset(
    ("kind", "enabled", "pinName", "repinInterval", "settle", "retain", "replace", "protect", "local", "meta")
)
#: A change that is not quiet for so long counts anyway, so that more quiet than this never comes to matter.
MAX_SETTLE = 5.0


class Kind(Struct, frozen=True, kw_only=True):
    """A branch of the schema. `settings` are its own keys, with their defaults; None where there is none.

    `pin_name` is the default of the kind's own pinName, or "" where names follow from those of the policies; `local`
    that of its `local`.
    """

    settings: Mapping[str, Setting | None]
    pin_name: str
    #: The setting whose value, without `/ipns/`, is the default of pinName; "" if none is.
    pin_name_from: str
    needs_node: bool
    local: bool


class Use(Struct, frozen=True, kw_only=True):
    """A service that names a policy, and where it does."""

    policy: str
    service: str
    settings: PolicyUse
    document: Document
    path: Path
    line: int


class Declared(Struct, frozen=True, kw_only=True):
    """A policy as it is written. `good`: it fits the schema."""

    document: Document
    raw: Raw
    line: int
    good: bool


@cache
def kinds() -> Mapping[str, Kind]:
    """The kinds that the schema has a branch for."""
    return {
        name.removeprefix("policy-"): Kind(
            settings={
                key: _setting(prop["default"]) if "default" in prop else None
                for key, prop in branch["properties"].items()
                if key not in COMMON
            },
            pin_name=branch["properties"]["pinName"].get("default", ""),
            pin_name_from=branch.get("pinNameFrom", ""),
            needs_node=branch.get("needsNode", False),
            local=branch["properties"].get("local", {}).get("default", False),
        )
        for name, branch in definitions().items()
        if name.startswith("policy-")
    }


def declared_policies(
    documents: Sequence[Document], bad: Sequence[set[tuple[str | int, ...]]], problems: Problems
) -> dict[str, Declared]:
    """All policies that the files declare, those that do not fit the schema too."""
    found: dict[str, Declared] = {}
    for document, wrong in zip(documents, bad, strict=True):
        raws = document.value.get("policies")
        for i, (name, raw) in enumerate(raws.items() if isinstance(raws, dict) else ()):
            if name in found:
                first = found[name]
                problems.at(
                    document,
                    ("policies", name),
                    f"the policy {shown(name)} is declared at {first.document.file}:{first.line} too",
                    at_key=True,
                )
                continue
            good = isinstance(raw, dict) and ("policies", name) not in wrong
            found[name] = Declared(document=document, raw=raw, line=document.policy_lines[i], good=good)
    return found


def uses_of(service: str, raw: Raw, *, document: Document, line: int, problems: Problems) -> list[Use]:
    """The policies that a service names, `manual` aside. The service fits the schema."""
    uses: dict[str, Use] = {}
    for i, item in enumerate(raw.get("policies", ())):
        path: Path = ("services", service, "policies", i)
        [(name, changes)] = item.items() if isinstance(item, dict) else [(item, {})]
        if name == MANUAL:
            if isinstance(item, dict):
                problems.at(
                    document,
                    path,
                    "manual has no settings: it stands for the list under `pins`",
                    hint="give them to its entries, or under `defaults`",
                )
            continue
        if name in uses:
            problems.at(document, path, f"the policy {shown(name)} is named twice", hint="remove one")
            continue
        interval = changes.get("repinInterval")
        uses[name] = Use(
            policy=name,
            service=service,
            settings=PolicyUse(
                repin_interval=None if interval is None else seconds(interval), replace=changes.get("replace")
            ),
            document=document,
            path=path,
            line=line,
        )
    return list(uses.values())


def build_policies(
    declared: Mapping[str, Declared],
    uses: Iterable[Use],
    *,
    node: Node | None,
    unsure: bool,
    problems: Problems,
) -> dict[str, Policy]:
    """The policies by name: those that are declared, then the built-in ones that are used.

    `unsure`: there may be policies, or a node, in a file that could not be read.
    """
    policies = {
        name: policy
        for name, d in declared.items()
        if d.good and (policy := _policy(name, d.raw, d, problems)) is not None
    }
    for use in uses:
        name = use.policy
        if name not in declared and name not in BUILT_IN:
            if not unsure:
                _no_such(use, [*declared, *(b for b in BUILT_IN if b not in declared), MANUAL], problems)
            continue
        policy = policies.get(name)
        if policy is None and name in declared:
            continue
        if policy is None:
            policy = replace(_built(name, {}), file=use.document.file, line=use.line)
        policies[name] = replace(policy, uses={**policy.uses, use.service: use.settings})
        if node is None and not unsure and kinds()[policy.kind].needs_node:
            problems.at(
                use.document,
                use.path,
                f"the policy {name} needs a node, and the manifest has none",
                hint='add `node: {api: "http://127.0.0.1:5001"}`, or `node: {}` for the one that $IPFS_PATH/api names',
            )
    return policies


def unused(policies: Mapping[str, Policy]) -> list[Note]:
    """A note for each policy that is declared for nothing."""
    return [
        Note(
            file=p.file,
            line=p.line,
            message=f"no service uses the policy {p.name}: `policies: [{p.name}]` at a service does",
        )
        for p in policies.values()
        if not p.uses
    ]


def _no_such(use: Use, known: list[str], problems: Problems) -> None:
    hint = did_you_mean(use.policy, known)
    if not hint.startswith("did"):
        hint = "declare it under `policies`" + (f"; {hint}" if hint else "")
    problems.at(use.document, use.path, f"there is no policy {shown(use.policy)}", hint=hint)


def _policy(name: str, raw: Raw, at: Declared, problems: Problems) -> Policy | None:
    policy = replace(_built(name, raw), file=at.document.file, line=at.line, base=at.document.base)
    if policy.settle > MAX_SETTLE:
        problems.at(
            at.document,
            ("policies", name, "settle"),
            f"`settle` must be at most {MAX_SETTLE:g}s",
            hint="a change that goes on for longer counts anyway; `repinInterval` spaces requests",
        )
        return None
    return policy


def _built(name: str, raw: Raw) -> Policy:
    whole = {**BUILT_IN.get(name, {}), **raw}
    kind = whole["kind"]
    branch = kinds()[kind]
    settings = {
        key: _setting(whole[key]) if key in whole else default
        for key, default in branch.settings.items()
        if key in whole or default is not None
    }
    default = Policy(name=name, kind=kind)
    # Names of policies hold no slash, so that no two of these are alike.
    named = str(whole[branch.pin_name_from]).removeprefix("/ipns/") if branch.pin_name_from else ""
    pin_name = (
        named or branch.pin_name or (f"policy/{{peer_id}}/{kind}/{name}" if branch.needs_node else name)
    )
    return Policy(
        name=name,
        kind=kind,
        settings={key: value for key, value in settings.items() if value is not None},
        pin_name=whole.get("pinName", pin_name),
        repin_interval=seconds(whole["repinInterval"])
        if "repinInterval" in whole
        else default.repin_interval,
        settle=seconds(whole["settle"]) if "settle" in whole else default.settle,
        enabled=whole.get("enabled", default.enabled),
        replace=whole.get("replace", default.replace),
        retain=_retain(whole["retain"]) if "retain" in whole else None,
        protect=whole.get("protect", default.protect),
        local=whole.get("local", branch.local),
        meta=dict(whole.get("meta", {})),
    )


def _retain(raw: str | float) -> Retain:
    return Retain(age=seconds(raw)) if isinstance(raw, str) else Retain(count=int(raw))


def _setting(raw: Setting | list[str]) -> Setting:
    return tuple(raw) if isinstance(raw, list) else raw
