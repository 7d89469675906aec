"""Content that is made here goes to the node before anybody is asked to pin it.

  the node has all of it                          nothing is sent
  some of it, from an import that was cut short   what it acknowledged is not sent again
  the folder is no longer what was planned        nothing is pinned: "changed since it was planned"
  no node, or it fails                            the pins of this folder fail, unless the content is pinned elsewhere

Large files are sent as they are, and laid out by the node (`adding`). All else, and all at the second try, is sent as
CAR files of some megabytes, whose blocks are laid out here: so they have the CIDs of the plan whatever the settings of
the node, and the node checks each. Between two requests its garbage collector may run and take what nothing pins yet;
so in the end it is asked for all of it, and what is to be pinned locally is pinned by the same request, which asks
nobody (`pin/add?offline=true`). Whatever is missing then is sent again, all of it, once. Without a local pin nothing
keeps the content at the node once a garbage collector runs: `local: false` is for nodes without one, or that are not
to keep it.

One folder at a time is imported. Other changes do not wait for it; those of the folder go last in each lane.
"""

import asyncio
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from reconciler.core.cid import Cid, CidError, canonical
from reconciler.core.errors import NodeError
from reconciler.core.local import LOCAL
from reconciler.core.model import PINNED
from reconciler.core.ownership import request_for
from reconciler.core.plan import ActionBase, Change, Delete, Keep, Replace
from reconciler.core.planning import Planned
from reconciler.core.question import Folder, FolderOf
from reconciler.core.report import Result
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.engine import folders
from reconciler.engine.acknowledged import Acknowledged
from reconciler.engine.adding import WIDTH, Claims, add_large
from reconciler.engine.context import Context
from reconciler.engine.disk import Cancelled, DiskError
from reconciler.engine.folder_memo import FolderMemo
from reconciler.engine.progress import Progress
from reconciler.engine.sections import Cutter, Section
from reconciler.node.protocol import Node
from reconciler.policies import KINDS

NO_NODE: Final = "nobody has this content yet: it needs a node to import it, and none is declared"


class Source(Struct, frozen=True, kw_only=True):
    """A folder that a policy wants pinned. `name` is that of its pin at the node, "" if it is to have none."""

    cid: Cid
    question: FolderOf
    origin: str
    name: str = ""
    #: Whether somebody else has all of it.
    elsewhere: bool = False


class Imports:
    """The folders of one apply. `start` it, ask `ready` before each request, and `close` it."""

    def __init__(self, planned: Planned, ctx: Context) -> None:
        self._ctx = ctx
        self._sources = {source.cid.canonical: source for source in _sources(planned)}
        self._tasks: dict[str, asyncio.Task[str]] = {}
        self._one = asyncio.Semaphore(1)

    def concerns(self, action: ActionBase) -> bool:
        """Whether it asks for content that is made here."""
        return (
            bool(self._sources) and not isinstance(action, Delete) and canonical(action.cid) in self._sources
        )

    def start(self, actions: Iterable[Change | Keep]) -> None:
        """Begins with the content that these ask for; what waits to be pinned may wait for it, too."""
        for action in actions:
            if self.concerns(action) and (cid := canonical(action.cid)) not in self._tasks:
                self._tasks[cid] = asyncio.create_task(self._bring(self._sources[cid]))

    async def ready(self, action: ActionBase) -> tuple[Result, str] | None:
        """None once the content can be had; else what becomes of the action, and why."""
        task = self._tasks.get(canonical(action.cid)) if self.concerns(action) else None
        if task is None:
            return None
        stop = asyncio.ensure_future(self._ctx.stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if not task.done() or task.cancelled():
            return "skipped", "interrupted"
        return ("failed", task.result()) if task.result() else None

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    # --- one folder ---------------------------------------------------------------------------------------------

    async def _bring(self, source: Source) -> str:
        """Why the content cannot be had; "" if it can."""
        async with self._one:
            try:
                why = await import_folder(source, self._ctx)
            except DiskError as error:
                why = f"{source.origin}: {error.why}"
            except NodeError as error:
                why = f"{source.origin}: {error.message}"
        if why and source.elsewhere:
            self._ctx.progress.note("", f"{why}; it is pinned elsewhere, and not imported")
            return ""
        return why


async def import_folder(source: Source, ctx: Context) -> str:
    """Brings all of it to the node of `ctx`: why it is not there now, or "". Raises DiskError and NodeError."""
    node = ctx.node
    if node is None:
        return NO_NODE
    if await _kept(node, source):
        return ""
    place = folders.place_of(ctx)
    what = f"{source.question.layout}\0{source.question.path}"
    peer_id = (await node.identity()).peer_id
    sections = Acknowledged(place, "sent", what=what, node=peer_id)
    pieces = Acknowledged(place, "added", what=what, node=peer_id, width=WIDTH)
    for by_add in (True, False):
        tally = _Tally(source, ctx.progress)
        claims = await _claims(node, source, pieces, tally) if by_add else Claims()
        now = await _send(node, source, sections, claims, tally)
        if now.cid != source.cid and claims:
            # Either it changed, or the node lays out otherwise.
            continue
        if now.cid != source.cid:
            FolderMemo(place, source.question.path, source.question.layout).forget()
            return f"{source.origin}: it changed since it was planned, and is {now.cid} now"
        if await _kept(node, source):
            sections.settle()
            # What came of them is right, or else the node made something else of them.
            (pieces.settle if by_add else pieces.forget)()
            return ""
        sections.forget()
        pieces.forget()
    return f"{source.origin}: the node took all of it and does not have all of it; is its garbage collected?"


class _Tally:
    """Blocks and bytes that the node has taken, as they are told of."""

    def __init__(self, source: Source, progress: Progress) -> None:
        self._source, self._progress = source, progress
        self._blocks = self._size = 0

    def add(self, blocks: int, size: int) -> None:
        self._blocks += blocks
        self._size += size
        self._progress.fetching(LOCAL, self._source.cid.text, self._blocks, self._size)


async def _claims(node: Node, source: Source, known: Acknowledged, tally: _Tally) -> Claims:
    """The large files, which the node has from now on; none if it does not take them as they are."""
    params = folders.LAYOUTS.get(source.question.layout)
    if params is None:
        return Claims()
    try:
        return await add_large(node, source.question, params, known=known, tell=tally.add)
    except (UnixfsError, CidError):
        known.forget()
        return Claims()
    except NodeError as error:
        if error.unreachable or error.late or error.lost:
            raise
        return Claims()


async def _send(node: Node, source: Source, known: Acknowledged, claims: Claims, tally: _Tally) -> Folder:
    """Reads the folder in a thread, but for what the node has made of it, and sends each section while the next one is
    read."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Section | None] = asyncio.Queue(1)
    gone = threading.Event()

    def hand(section: Section | None) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(section), loop).result()

    cutter = Cutter(hand)

    def read() -> Folder:
        try:
            built = folders.build(source.question, sink=cutter.sink, memory=claims, gone=gone)
            cutter.finish()
            return built
        finally:
            hand(None)

    reader = asyncio.ensure_future(asyncio.to_thread(read))
    try:
        while (section := await queue.get()) is not None:
            if known.get(section.digest) is None:
                await node.import_car(section.car())
            known.add(section.digest)
            tally.add(section.blocks, section.size)
            cutter.spare(section)
        return await reader
    finally:
        await _ended(reader, queue, gone)


async def _ended(
    reader: "asyncio.Future[Folder]", queue: "asyncio.Queue[Section | None]", gone: threading.Event
) -> None:
    """The thread is gone when this returns: it may be waiting for somebody to take what it has read."""
    gone.set()
    while not reader.done():
        while not queue.empty():
            queue.get_nowait()
        await asyncio.wait({reader}, timeout=0.02)
    with suppress(DiskError, Cancelled, asyncio.CancelledError):
        reader.result()


async def _kept(node: Node, source: Source) -> bool:
    """Whether the node has all of it; pinned from now on, if it is to be."""
    cid = source.cid.text
    if not await node.has(cid):
        return False
    if await node.pinned(cid) is not None:
        return True
    return await (node.pin_here(cid, name=source.name) if source.name else node.whole(cid))


def _sources(planned: Planned) -> Iterable[Source]:
    manifest, desire = planned.manifest, planned.desire
    pinned = {p.cid for d in planned.diffs.values() for p in d.listing.remotes if p.status == PINNED}
    local = {
        canonical(a.cid): a.name
        for a in reversed(planned.plan.changes)
        if a.service == LOCAL
        and not isinstance(a, Delete)
        and not (isinstance(a, Replace) and a.how == "shared")
    }
    for name, wants in desire.wants.items():
        policy = manifest.policies[name]
        asked = [q for q in KINDS[policy.kind].questions(policy) if isinstance(q, FolderOf)]
        for want in wants if asked else ():
            pin = ""
            if (key := local.get(want.cid.canonical)) is not None:
                wanted = desire.by_service[LOCAL][key]
                pin = str(request_for(wanted, manifest.services[LOCAL], manifest.owner).name)
            yield Source(
                cid=want.cid,
                question=asked[0],
                origin=policy.origin,
                name=pin,
                elsewhere=want.cid in pinned,
            )
