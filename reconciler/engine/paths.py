"""Paths that lead to content, followed once a cycle: through the node, or without one by DNS and gateways."""

import asyncio
from collections.abc import Collection, Mapping

from msgspec import Struct

from reconciler.core.content_path import PathError, parse_path
from reconciler.core.errors import NodeError
from reconciler.core.manifest import CidRef, Manifest
from reconciler.core.question import Answer, Facts, NotKnown, Question, Resolve, Resolved
from reconciler.engine.context import Context
from reconciler.names.memory import RESTLESS
from reconciler.node.protocol import Node

#: Seconds for a path: finding a record in the DHT takes its time.
DEADLINE = 60.0
#: Paths that a node follows at once.
AT_ONCE = 16


class Led(Struct, frozen=True, kw_only=True):
    """Where the paths of `pins:` lead, by `str(CidRef)`: a CID, or why none is known."""

    cids: Mapping[str, str]
    nowhere: Mapping[str, NotKnown]


async def lead(manifest: Manifest, ctx: Context, *, resolved: Mapping[str, str], facts: Facts) -> Led:
    """Where the paths of `pins:` lead. What `resolved` (a saved plan's) or `facts` hold is not asked again."""
    cids = dict(resolved)
    nowhere: dict[str, NotKnown] = {}
    refs = {e.cid for e in manifest.entries if isinstance(e.cid, CidRef) and e.cid.kind == "path"}
    questions = {ref: Resolve(ref.value) for ref in refs if str(ref) not in cids}
    answers = await follow({q for q in questions.values() if q not in facts.answers}, manifest, ctx)
    for ref, question in questions.items():
        answer = answers.get(question) or facts[question]
        if isinstance(answer, Resolved):
            cids[str(ref)] = answer.cid.text
        else:
            nowhere[str(ref)] = answer if isinstance(answer, NotKnown) else NotKnown(why="no answer")
    return Led(cids=cids, nowhere=nowhere)


async def follow(
    questions: Collection[Question],
    manifest: Manifest,
    ctx: Context,
    *,
    within: Mapping[Question, float] | None = None,
) -> dict[Question, Answer]:
    """Those of the questions that ask for a path, answered, each on its own.

    `within`: seconds for which an answer that is remembered is good enough.
    """
    now = ctx.monotonic()
    known: dict[Question, Answer] = {}
    paths = []
    for question in questions:
        if isinstance(question, Resolve):
            old = ctx.names.answer(question, within=(within or {}).get(question, 0.0), now=now)
            if old is None:
                paths.append(question)
            else:
                known[question] = old
    for question, answer in (await _followed(paths, manifest, ctx)).items():
        known[question] = answer
        if isinstance(answer, Resolved):
            moves = ctx.names.answered(question, answer, now=now)
            if moves and moves % RESTLESS == 0:
                ctx.progress.note("", f"{question.path} led elsewhere at each of the last {moves} looks")
    return known


async def _followed(
    paths: Collection[Resolve], manifest: Manifest, ctx: Context
) -> dict[Resolve, Resolved | NotKnown]:
    if not paths:
        return {}
    if ctx.node is not None:
        places = asyncio.Semaphore(AT_ONCE)
        node = ctx.node
        answers = await asyncio.gather(*(_by_node(node, q.path, places) for q in paths))
        return dict(zip(paths, answers, strict=True))
    # Here, since it imports httpx, which a manifest without paths need not wait for.
    from reconciler.names.resolver import open_resolver

    async with open_resolver(manifest.names, environ=ctx.environ, memory=ctx.names) as resolver:
        answers = await asyncio.gather(*(resolver.resolve(q.path) for q in paths))
    return dict(zip(paths, answers, strict=True))


async def _by_node(node: Node, path: str, places: asyncio.Semaphore) -> Resolved | NotKnown:
    try:
        async with places:
            cid = await node.resolve_name(str(parse_path(path)), fresh=True, deadline=DEADLINE)
    except PathError as error:
        return NotKnown(why=f"{path} is no path: {error}")
    except NodeError as error:
        return NotKnown(why=f"{path} is not known: {error.message}", hint=error.hint)
    return Resolved(cid=cid, via="the node")
