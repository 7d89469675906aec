"""`import --kubo`: what a node pins, at services and by itself, as a manifest.

Only `id`, `config/show`, `pin/ls`, `pin/remote/ls` and `pin/remote/service/ls` are asked, none of which shows a key.
A service whose key is in the environment under the name that the manifest gives it is asked itself: Kubo's own
listing is not always whole.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any  # raw manifests

import click
from msgspec import Struct
from msgspec.structs import replace

from reconciler.cli import accounts, interrupt, runtime
from reconciler.cli.options import Options
from reconciler.cli.output import say
from reconciler.cli.render.escape import clip, terminal
from reconciler.core.cid import CidError, parse
from reconciler.core.errors import NodeError, SecretError, ServiceError, UsageError
from reconciler.core.globs import Globs, escape
from reconciler.core.manifest import Manifest, SecretRef, Service
from reconciler.core.model import META_OWNER, PREFIX_ROOT, PinBody, PinStatus
from reconciler.core.node_address import AddressError, api_url, is_path
from reconciler.core.takeover import LeftOut, Takeover, take_over
from reconciler.manifest import load_manifest
from reconciler.manifest.compose import flow
from reconciler.manifest.from_kubo import Declared, Policies, declare, policies_for
from reconciler.manifest.generate import Side
from reconciler.manifest.names import Names
from reconciler.node.client import KuboNode
from reconciler.node.open import open_node
from reconciler.node.remote import RemotePin

#: Seconds that Kubo may take to ask every service for its counts.
_COUNTING = 30.0


class Imported(Struct, frozen=True, kw_only=True):
    """What the manifest is made of. `told` are lines for the person, `missing` services that could not be read."""

    found: Takeover
    where: str
    services: dict[str, Mapping[str, Any]]
    side: Side
    proved: bool
    told: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class _Node(Struct, frozen=True, kw_only=True):
    """What the node says of itself, and of the services that it was asked about."""

    peer_id: str
    where: str
    services: tuple[Declared, ...]
    #: CID and name of its own recursive pins.
    local: tuple[tuple[str, str], ...]
    listed: dict[str, tuple[RemotePin, ...]]
    counts: dict[str, int]
    failed: dict[str, str]


def read(
    options: Options,
    api: str,
    *,
    token: Mapping[str, str] | None,
    written: Callable[[Mapping[str, Any], SecretRef], Mapping[str, Any]],
    owner: str,
    local_pins: bool,
) -> Imported:
    """Everything there is to know. Raises NodeError, or ServiceError if no service can be read.

    `token` is a reference to the node's, `written` makes of one what stands in a file elsewhere.
    """
    address = _address(api)
    raw: dict[str, Any] = {**address, **({"token": token} if token else {})}
    spec = _load({"node": raw, "services": {}}, owner).node
    assert spec is not None
    node_raw = {**address, "token": written({"key": token}, spec.token)["key"]} if spec.token else address
    result: list[Imported] = []

    async def main(interrupted: interrupt.Interrupt) -> int:
        async with open_node(spec, environ=os.environ) as node:
            seen = await _ask(node, options)
        declared = [s for s in seen.services if not s.why]
        manifest = _load({"node": raw, "services": {s.name: s.raw for s in declared}}, owner)
        pins, failed = await _own_listings(options, manifest, interrupted, declared)
        failed |= seen.failed
        for s in declared:
            if s.name in seen.listed:
                pins[s.name] = _as_listed(seen.listed[s.name])
        if not pins:
            raise ServiceError(
                "no service of the node could be read: "
                + "; ".join([f"{name}: {why}" for name, why in failed.items()])
            )
        result.append(_made(seen, manifest, node_raw, pins, failed, local_pins=local_pins))
        return 0

    if code := interrupt.run(main):
        raise click.exceptions.Exit(code)
    return result[0]


def _load(raw: Mapping[str, Any], owner: str) -> Manifest:
    return load_manifest("-", stdin=StringIO(flow({"version": 1, "name": owner, **raw, "pins": []})))


def _address(api: str) -> dict[str, str]:
    """`node:` of a manifest for what was given: a URL, a multiaddr, an api file, or a repository."""
    if not api or api in ("$IPFS_PATH", "$IPFS_PATH/api"):
        return {}
    try:
        if not is_path(api):
            api_url(api)
            return {"api": api}
    except AddressError as error:
        raise UsageError(f"--kubo: {error.reason}", hint=error.hint) from None
    path = Path(api).expanduser()
    return {"api": str((path / "api" if path.is_dir() else path).absolute())}


# --- asking -------------------------------------------------------------------------------------------------------


async def _ask(node: KuboNode, options: Options) -> _Node:
    peer_id = (await node.identity()).peer_id
    services = declare(await node.remote_services())
    if not services:
        raise UsageError(
            f"the node at {node.where} has no remote pinning services, so there is nothing to import",
            hint="`pinrec init` writes a starter manifest",
        )
    asked = [s for s in services if not s.why and not _has_key(s)]
    if asked:
        names = ", ".join(s.name for s in asked)
        say(options, f"Asking Kubo for the pins of {names}, which it reads ten at a time.")
    told: dict[str, list[RemotePin]] = {}
    failed = {s.name: s.why for s in services if s.why}

    async def read_one(service: Declared) -> None:
        try:
            told[service.name] = [pin async for pin in node.remote_pins(service.kubo.name)]
        except NodeError as error:
            failed[service.name] = f"Kubo cannot list it: {clip(error.text or error.message)}"

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(_counts(node, any_asked=bool(asked)))
        for service in asked:
            group.create_task(read_one(service))
    counts = counting.result()
    return _Node(
        peer_id=peer_id,
        where=node.where,
        services=services,
        local=tuple([(pin.cid, pin.name) async for pin in node.pins()]),
        listed={s.name: _once(told[s.name], counts.get(s.kubo.name)) for s in asked if s.name in told},
        counts=counts,
        failed=failed,
    )


def _has_key(service: Declared) -> bool:
    return bool(os.environ.get(service.variable))


async def _counts(node: KuboNode, *, any_asked: bool) -> dict[str, int]:
    try:
        return await node.remote_counts(deadline=_COUNTING) if any_asked else {}
    except NodeError:
        return {}


async def _own_listings(
    options: Options, manifest: Manifest, interrupted: interrupt.Interrupt, declared: Sequence[Declared]
) -> tuple[dict[str, list[PinStatus]], dict[str, str]]:
    """What the services themselves list whose keys are there, and why the others of these do not."""
    pins: dict[str, list[PinStatus]] = {}
    failed: dict[str, str] = {}
    keyed = {s.name: manifest.services[s.name] for s in declared if _has_key(s)}
    if not keyed:
        return pins, failed

    async with runtime.opened(
        options, replace(manifest, node=None, services=keyed), interrupted, resolved={}
    ) as run:

        async def read_one(service: Service) -> None:
            try:
                pins[service.name] = await accounts.whole(run.context, service)
            except (ServiceError, SecretError) as error:
                failed[service.name] = clip(error.message.removeprefix(f"{service.name}: "))

        async with asyncio.TaskGroup() as group:
            for service in keyed.values():
                group.create_task(read_one(service))
    return pins, failed


def _once(pins: Sequence[RemotePin], count: int | None) -> tuple[RemotePin, ...]:
    """Without what was told twice, which pages that overlap do. Where as many came as there are, none of them is."""
    return tuple(pins if len(pins) == count else dict.fromkeys(pins))


def _as_listed(pins: Sequence[RemotePin]) -> list[PinStatus]:
    """What Kubo told, as if the service had: without what Kubo leaves out, in the same order."""
    newest = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        PinStatus(
            requestid=f"kubo-{i}",
            status=pin.status,
            created=f"{newest - timedelta(seconds=i):%Y-%m-%dT%H:%M:%SZ}",
            pin=PinBody(pin.cid, pin.name or None, None, None),
        )
        for i, pin in enumerate(pins)
    ]


# --- making a manifest of it --------------------------------------------------------------------------------------


def _made(
    seen: _Node,
    manifest: Manifest,
    node: Mapping[str, Any],
    pins: Mapping[str, list[PinStatus]],
    failed: Mapping[str, str],
    *,
    local_pins: bool,
) -> Imported:
    here = {s.name: s for s in seen.services if s.name in pins}
    check = Names(manifest.owner, Globs(())).check
    held = {name: Counter(p.pin.name or "" for p in listed) for name, listed in pins.items()}
    policies = policies_for(
        seen.services,
        held,
        peer_id=seen.peer_id,
        check=check,
        ours=frozenset(
            name
            for name, listed in pins.items()
            if any((p.pin.meta or {}).get(META_OWNER) == manifest.owner and _is_mfs(p, seen) for p in listed)
        ),
    )
    found = take_over(
        manifest.owner,
        {name: manifest.services[name] for name in here},
        {name: [p for p in pins[name] if (p.pin.name or "") not in policies.taken[name]] for name in here},
        check=check,
        now=datetime.now(UTC),
    )
    found = _with_policies(found, policies, held)
    whole = [name for name in here if name not in seen.listed]
    local = frozenset(c for cid, _ in seen.local if (c := _canonical(cid)))
    return Imported(
        found=found,
        where=seen.where,
        services={
            name: {**s.raw, **({"policies": policies.uses[name]} if name in policies.uses else {})}
            for name, s in here.items()
        },
        side=Side(
            node=node,
            local=local,
            policies=policies.raws,
            head=_head(seen, policies, whole=len(whole) == len(here)),
            at={name: (*_notes(s, seen), *policies.at.get(name, ())) for name, s in here.items()},
            absent={s.name: (s.raw, failed[s.name]) for s in seen.services if s.name in failed},
            notes=_policy_notes(policies),
            spare=_spare(seen) if local_pins else {},
        ),
        proved=len(whole) == len(here) and not policies.off,
        told=_told(seen, here, policies, failed),
        missing=tuple(failed),
    )


def _with_policies(found: Takeover, policies: Policies, held: Mapping[str, Mapping[str, int]]) -> Takeover:
    """What a policy goes on with, and what the node of somebody else does, is no matter of entries."""
    adopt = [escape(name) for name in policies.adopt] if "*" not in found.adopt else []
    others = [
        LeftOut(
            name=name,
            services=tuple(service for service, names in held.items() if name in names),
            why="the MFS policy of another node keeps it",
        )
        for name in policies.foreign
    ]
    return replace(
        found,
        adopt=tuple(dict.fromkeys((*found.adopt, *adopt))),
        ignore=(*found.ignore, *(escape(name) for name in policies.foreign)),
        left_out=(*found.left_out, *others),
    )


def _is_mfs(pin: PinStatus, seen: _Node) -> bool:
    return pin.pin.name == f"policy/{seen.peer_id}/mfs"


def _canonical(cid: str) -> str:
    try:
        return parse(cid).canonical
    except CidError:
        return ""


# --- telling ------------------------------------------------------------------------------------------------------


def _head(seen: _Node, policies: Policies, *, whole: bool) -> tuple[str, ...]:
    lines = [f"The node is {seen.peer_id}."]
    if policies.off or not whole:
        once = " once Kubo's own MFS policy is off" if policies.off else ""
        lines.append(f"A plan of it says that there is nothing to do{once}. From here on this file decides.")
    if not whole:
        lines.append("What Kubo did not list is not in here, and not touched.")
    return tuple(lines)


def _notes(service: Declared, seen: _Node) -> tuple[str, ...]:
    """What is known of a service, and what its listing is worth: Kubo pages by `created` and loses what shares one,
    which counting shows."""
    notes = service.notes
    if "preset" not in service.raw:
        notes += (f"`pinrec doctor {service.name}` finds out how this one behaves.",)
    if service.name not in seen.listed:
        return notes
    got, count = len(seen.listed[service.name]), seen.counts.get(service.kubo.name)
    if got == count:
        return (*notes, f"Listed through Kubo, and the service counts as many: {got:,}.")
    if count is not None and got > count:
        odd = f"Listed through Kubo: {got:,}, more than the {count:,} that the service counts: one is not right."
    else:
        of = "" if count is None else f" ({got:,} of {count:,})"
        odd = f"Listed through Kubo, which does not list all pins{of}: it loses what was made at one instant, and more."
    return (*notes, odd, f"With {service.variable} set, `pinrec import --kubo` asks the service itself.")


def _policy_notes(policies: Policies) -> tuple[str, ...]:
    if not policies.off:
        return ()
    return (
        "Kubo keeps MFS pinned by itself. pinrec does not fight it: these wait until it is switched off, and then",
        "go on with the pins that are there:",
        *(f"  {line}" for line in policies.off),
    )


def _spare(seen: _Node) -> dict[str, tuple[Mapping[str, Any], tuple[str, ...]]]:
    named = sum(bool(name) and not name.startswith(PREFIX_ROOT) for _, name in seen.local)
    why = (
        f"The node's own pins that have a name ({named:,} now), pinned at services, too: uncomment this, and add",
        "`keep` to the `policies` of a service. `ipfs pin add --name NAME CID` names one.",
    )
    return {"keep": ({"kind": "local-pins", "match": "*"}, why)}


def _told(
    seen: _Node, here: Mapping[str, Declared], policies: Policies, failed: Mapping[str, str]
) -> tuple[str, ...]:
    lines = [f"{name} could not be read, and is commented out: {why}" for name, why in failed.items()]
    keyless = [s for name, s in here.items() if name in seen.listed]
    if keyless:
        lines.append("Keys stay in Kubo: pinrec asks for none. Put them where the manifest looks for them:")
        lines += [
            f"  {s.variable}  Pinning.RemoteServices.{s.kubo.name}.API.Key of the node's configuration file"
            for s in keyless
        ]
    counted = [(s.name, len(seen.listed[s.name]), seen.counts.get(s.kubo.name)) for s in keyless]
    if more := [name for name, got, count in counted if count is not None and got > count]:
        lines.append(
            f"Kubo lists more pins of {', '.join(more)} than are counted there: set the keys and import again."
        )
    if short := [name for name, got, count in counted if count is not None and got < count]:
        lines.append(
            f"Kubo did not list all pins of {', '.join(short)}: set the keys and import again, before all else."
        )
    if policies.off:
        lines.append("Kubo keeps MFS pinned by itself. Before pinrec goes on with it, switch that off:")
        lines += [f"  {command}" for command in policies.off]
    # Names of services and texts of errors are anybody's.
    return tuple(terminal(line) for line in lines)
