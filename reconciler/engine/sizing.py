"""How much a plan is about: bytes of what it adds, where the node knows them, and whether the node has room."""

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace

from reconciler.core.cid import canonical
from reconciler.core.errors import NodeError
from reconciler.core.local import LOCAL
from reconciler.core.ownership import listed_cid
from reconciler.core.plan import Action, Add, Replace, Retry
from reconciler.core.planning import Planned
from reconciler.engine.context import Context

#: CIDs asked about at most, and seconds for all of them: a size is a comfort, and no plan waits long for it.
MAX_ASKED = 64
PATIENCE = 2.0


async def with_sizes(planned: Planned, ctx: Context) -> Planned:
    """`planned` with the sizes of what is to be pinned, and a note where the node has no room for its part."""
    plan = planned.plan
    sent = [a for a in plan.actions if isinstance(a, Add | Replace | Retry)]
    if not sent:
        return planned
    known = _declared(planned)
    if ctx.node is not None:
        unknown = {cid for a in sent if (cid := listed_cid(a.cid).canonical) not in known}
        known |= await _asked(ctx, sorted(unknown)[:MAX_ASKED])
    sized = tuple(_sized(a, known) for a in plan.actions)
    notes = plan.notes
    if note := await _room(sized, ctx):
        notes = (*notes, note)
    return replace(planned, plan=replace(plan, actions=sized, notes=notes))


def _declared(planned: Planned) -> dict[str, int]:
    wants = (w for those in planned.desire.wants.values() for w in those)
    return {w.cid.canonical: w.size for w in wants if w.size is not None}


async def _asked(ctx: Context, cids: list[str]) -> dict[str, int]:
    assert ctx.node is not None
    known: dict[str, int] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            for cid in cids:
                size = await ctx.node.size_of(cid, deadline=PATIENCE)
                if size is not None:
                    known[cid] = size
    except (NodeError, TimeoutError):
        return known
    return known


def _sized(action: Action, known: Mapping[str, int]) -> Action:
    if not isinstance(action, Add | Replace | Retry):
        return action
    size = known.get(listed_cid(action.cid).canonical)
    return action if size is None else replace(action, size=size)


async def _room(actions: tuple[Action, ...], ctx: Context) -> str:
    """What to say if the node is to hold more than fits, as far as sizes are known."""
    more = {
        canonical(a.cid): a.size
        for a in actions
        if a.service == LOCAL and isinstance(a, Add | Replace) and a.size
    }
    if not more or ctx.node is None:
        return ""
    try:
        free = await ctx.node.free(deadline=PATIENCE)
    except NodeError:
        return ""
    total = sum(more.values())
    if free is None or total <= free:
        return ""
    return (
        f"{LOCAL}: {total:,} bytes are to be pinned on the node, and {max(0, free):,} are left below its StorageMax: "
        "raise Datastore.StorageMax, or say `local: false`"
    )
