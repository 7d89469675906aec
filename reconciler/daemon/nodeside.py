"""The node of a loop: opened, opened again if it could not be, and watched where policies need it."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass

from reconciler.core.errors import NodeError
from reconciler.core.local import LOCAL
from reconciler.core.manifest import Manifest
from reconciler.core.manifest import Node as NodeSpec
from reconciler.core.question import StatOf
from reconciler.daemon.shared import Shared
from reconciler.daemon.watch import Watch, watched
from reconciler.engine.facts import gather
from reconciler.engine.local import with_node
from reconciler.node.absent import AbsentNode
from reconciler.node.protocol import Node

OpenNode = Callable[[NodeSpec], AbstractAsyncContextManager[Node]]
#: Seconds until a node is opened again: one that could not be, or one that names its address in a file and is silent.
AGAIN = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A node that was opened and is not in use yet; `again` is when to open it once more."""

    spec: NodeSpec | None
    stack: AsyncExitStack
    node: Node | None
    again: float


class NodeSide:
    """Keeps `shared.node` and `shared.watch`. `changed` is told of paths whose answer has changed."""

    def __init__(
        self, shared: Shared, open_node: OpenNode, changed: Callable[[frozenset[StatOf]], None]
    ) -> None:
        self._shared = shared
        self._open_node = open_node
        self._changed = changed
        self._spec: NodeSpec | None = None
        self._stack = AsyncExitStack()
        self._task: asyncio.Task[None] | None = None
        self._again = float("inf")

    async def open(self, manifest: Manifest, altered: Collection[str] = ()) -> Opened | None:
        """The node of this manifest, or None if the one in use is it; `altered` are files that hold other keys now.

        Raises SecretError for a token that is not to be had, and then everything is as it was.
        """
        spec = manifest.node
        token = spec.token if spec is not None else None
        if spec == self._spec and not (token and token.kind == "file" and token.value[0] in altered):
            return None
        return await self._open(spec)

    async def take(self, manifest: Manifest, opened: Opened | None) -> None:
        """From now on, this node and the policies of this manifest."""
        if opened is not None:
            await self._use(opened)
        await self._look_after(manifest)

    async def tick(self) -> None:
        """Whether the node should be opened once more."""
        now = self._shared.given.monotonic()
        if self._spec is None or now < self._again:
            watch = self._shared.watch
            if (
                self._again == float("inf")
                and self._spec is not None
                and self._spec.api_file
                and watch is not None
            ):
                # A daemon that was started again may answer at another address.
                self._again = now + AGAIN if watch.silent else float("inf")
            return
        await self._use(await self._open(self._spec))
        await self._look_after(self._shared.kept.head, again=True)

    async def end(self) -> None:
        await self._unwatch()
        await self._stack.aclose()

    async def _open(self, spec: NodeSpec | None) -> Opened:
        stack, again = AsyncExitStack(), float("inf")
        node: Node | None = None
        if spec is not None:
            try:
                node = await stack.enter_async_context(self._open_node(spec))
            except NodeError as error:
                node = AbsentNode(error)
                again = self._shared.given.monotonic() + AGAIN
        return Opened(spec=spec, stack=stack, node=node, again=again)

    async def _use(self, opened: Opened) -> None:
        await self._unwatch()
        old, self._stack = self._stack, opened.stack
        node, self._again = opened.node, opened.again
        self._shared.node, self._spec = node, opened.spec
        self._shared.services.pop(LOCAL, None)
        context = self._shared.context()
        self._shared.services.update(
            with_node(
                {}, node, stop=context.stop, patience=context.settings.timeout, progress=context.progress
            )
        )
        await old.aclose()

    async def _look_after(self, manifest: Manifest, *, again: bool = False) -> None:
        shared = self._shared
        if shared.node is None or not watched(manifest):
            await self._unwatch()
            return
        if shared.watch is None:
            given = shared.given
            shared.watch = Watch(
                node=shared.node,
                gather=lambda: gather(shared.kept.head, shared.context()),
                changed=self._changed,
                now=given.now,
                monotonic=given.monotonic,
                sleep=given.sleep,
            )
            shared.watch.watch(manifest)
            if again:
                shared.watch.lost()
            self._task = asyncio.create_task(shared.watch.run(), name="watch")
        else:
            shared.watch.watch(manifest)

    async def _unwatch(self) -> None:
        task, self._task, self._shared.watch = self._task, None, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
