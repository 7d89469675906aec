"""What policies must know: their questions, asked of the node once a cycle, each on its own deadline."""

import asyncio
from collections.abc import Iterable, Mapping, Set

from reconciler.core.desire import Desire
from reconciler.core.errors import NodeError
from reconciler.core.globs import Globs
from reconciler.core.manifest import Manifest
from reconciler.core.model import META_SIZE, PINNED, PREFIX_ROOT, Snapshot
from reconciler.core.ownership import listed_cid
from reconciler.core.question import (
    Answer,
    Facts,
    FolderOf,
    Identity,
    KuboPolicies,
    LocalPins,
    Missing,
    NamedPins,
    NotKnown,
    Question,
    Resolve,
    StatOf,
    WhoIsIt,
)
from reconciler.core.retention import plain_of
from reconciler.core.wanting import Wanted
from reconciler.engine.context import Context
from reconciler.engine.folders import folder, place_of
from reconciler.engine.paths import follow
from reconciler.manifest.durations import seconds
from reconciler.node.protocol import Node
from reconciler.policies import KINDS

#: Seconds for the size of an old root: it is a comfort, and no plan waits long for it.
SIZE_DEADLINE = 5.0
#: Sizes asked for at most in a cycle.
MAX_SIZES = 64


async def gather(manifest: Manifest, ctx: Context) -> Facts:
    """The answers to everything that the policies in use ask. What cannot be found out is `NotKnown`."""
    asked = {
        q for p in manifest.policies.values() if p.uses and p.enabled for q in KINDS[p.kind].questions(p)
    }
    paths = {q for q in asked if isinstance(q, Resolve)}
    local = {q for q in asked if isinstance(q, FolderOf)}
    followed, read, answered = await asyncio.gather(
        follow(paths, manifest, ctx, within=_good_for(manifest)),
        _read(local, ctx),
        _of_node(asked - paths - local, manifest, ctx),
    )
    return Facts({**answered, **followed, **read})


def _good_for(manifest: Manifest) -> dict[Question, float]:
    """Seconds for which what a name led to need not be asked again: the `interval` of its policy."""
    return {
        q: seconds(interval)
        for p in manifest.policies.values()
        if isinstance(interval := p.settings.get("interval"), str)
        for q in KINDS[p.kind].questions(p)
    }


async def _read(asked: Set[FolderOf], ctx: Context) -> dict[Question, Answer]:
    """What no node is needed for: one folder after the other, since they share a disk."""
    return {question: await folder(question, place=place_of(ctx)) for question in asked}


async def _of_node(asked: Set[Question], manifest: Manifest, ctx: Context) -> dict[Question, Answer]:
    """What only a node can answer."""
    if not asked:
        return {}
    if ctx.node is None:
        why = NotKnown(why="no node is declared", hint=f"add `node:` to {manifest.path}")
        return dict.fromkeys(asked, why)
    node = ctx.node
    answers = dict(zip(asked, await asyncio.gather(*(_answer(node, q) for q in asked)), strict=True))
    expected = manifest.node.peer_id if manifest.node is not None else ""
    who = answers.get(WhoIsIt())
    if expected and isinstance(who, Identity) and who.peer_id != expected:
        other = NotKnown(
            why=f"the node at {node.where} is {who.peer_id}, and the manifest names {expected}",
            hint="is this the right node? `node: {peerId: …}` says which is believed",
        )
        return dict.fromkeys(asked, other)
    return answers


def unseen(facts: Facts) -> tuple[str, ...]:
    """What a node that answers did not tell, where policies go on without it: sentences for the reader."""
    kubo = facts.answers.get(KuboPolicies())
    if not isinstance(kubo, NotKnown) or not isinstance(facts[WhoIsIt()], Identity):
        return ()
    return (f"not known whether Kubo itself pins MFS under one of our names: {kubo.why}",)


def said(manifest: Manifest, facts: Facts) -> dict[str, Wanted]:
    """What each policy in use wants, given the answers."""
    result: dict[str, Wanted] = {}
    for name, policy in manifest.policies.items():
        endpoints = {s: manifest.services[s].endpoint for s in policy.uses}
        if endpoints:
            result[name] = KINDS[policy.kind].wanted(policy, facts, endpoints)
    return result


async def sizes(desire: Desire, snapshot: Snapshot, ctx: Context) -> Mapping[str, int]:
    """Bytes of roots that are pinned and are to be replaced, as far as no mark tells and the node has them."""
    if ctx.node is None:
        return {}
    known: dict[str, int] = {}
    for cid in list(_unsized(desire, snapshot))[:MAX_SIZES]:
        try:
            size = await ctx.node.size_of(cid, deadline=SIZE_DEADLINE)
        except NodeError:
            break
        if size is not None:
            known[cid] = size
    return known


def _unsized(desire: Desire, snapshot: Snapshot) -> Iterable[str]:
    wanted = {w.name: w.cid for those in desire.wants.values() for w in those if not w.empty}
    if not wanted:
        return ()
    return {
        p.cid.canonical: None
        for listing in snapshot.listings.values()
        for p in listing.remotes
        if p.mine and p.status == PINNED and META_SIZE not in p.meta
        if (plain := plain_of(p.name, wanted)) is not None and p.cid != wanted[plain]
    }


async def _named(node: Node, match: str) -> LocalPins:
    """The pins of that name; those that pinrec made are no source of anything."""
    globs = Globs((match,))
    found = []
    async for pin in node.pins():
        if pin.name and not pin.name.startswith(PREFIX_ROOT) and globs.match(pin.name) is not None:
            found.append((pin.name, listed_cid(pin.cid)))  # noqa: PERF401  # an async generator in a condition
    return LocalPins(tuple(sorted(found, key=lambda p: (p[0], p[1].canonical))))


async def _answer(node: Node, question: Question) -> Answer:
    try:
        match question:
            case WhoIsIt():
                return await node.identity()
            case StatOf(path=path):
                stat = await node.stat(path)
                return Missing(path) if stat is None else stat
            case KuboPolicies():
                return await node.remote_services()
            case NamedPins(match=match):
                return await _named(node, match)
            case _:
                return NotKnown(why="nobody can answer this yet")
    except NodeError as error:
        return NotKnown(why=error.message, hint=error.hint)
