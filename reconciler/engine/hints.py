"""Origins: where a service can fetch what it is to pin, if the node beside us has it.

case                                           origins of the request
no node, or it is left alone                   those that the manifest declares
the root is not in the node's store            those that the manifest declares
it is                                          those, then the node's public addresses; at most 20 in all
the service refused a request with the node's  those that the manifest declares, from then on
the service refused declared ones alone        none, from then on

A refused request is sent again without any, by whoever sent it, once it is certain that it did nothing (`send`).
The node is asked once about each CID. It may keep a run waiting for two seconds in all; one failure, or that much
waiting, and it is left alone until the next run.
"""

import asyncio
import re
from typing import Final, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from reconciler.core.addresses import public
from reconciler.core.cid import canonical
from reconciler.core.endpoint import host_of
from reconciler.core.errors import PinrecError, RejectedError, ServiceError
from reconciler.core.manifest import MAX_ORIGINS, Manifest, Service
from reconciler.core.model import PinRequest
from reconciler.core.question import Identity
from reconciler.engine.context import Context
from reconciler.node.protocol import Node

T = TypeVar("T")
#: An answer within so many seconds costs nothing of the patience: a node that works takes a millisecond.
EASY: Final = 0.05
#: Pinata says INVALID_ORIGINS (ipfs-webui#2096); others have words of their own. Too wide a net costs a request.
_REFUSED = re.compile(r"invalid[ _-]?origin|\borigins?\b", re.IGNORECASE)
_LATE: Final = "the node does not answer in time"


class Hints:
    """What the node can say about the requests of one run. Nothing here raises, whatever the node does."""

    def __init__(self, ctx: Context, manifest: Manifest) -> None:
        self._ctx = ctx
        self._peer_id = manifest.node.peer_id if manifest.node is not None else ""
        self._node: Node | None = ctx.node
        self._patience = ctx.settings.node_patience
        #: Up to when waiting was counted: what several waited for at once counts once.
        self._counted = 0.0
        self._identity: asyncio.Task[Identity] | None = None
        self._asking: dict[str, asyncio.Task[bool]] = {}
        self._has: dict[str, bool] = {}
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._without_node: set[str] = set()
        self._without_any: set[str] = set()

    async def request(self, service: Service, request: PinRequest) -> PinRequest:
        """The request with the origins it is to have."""
        declared = _origins(request)
        if service.name in self._without_any:
            return without_origins(request)
        if self._node is None or service.name in self._without_node or len(declared) >= MAX_ORIGINS:
            return request
        own = await self._public(service)
        if not own or not await self._is_here(request.cid) or service.name in self._without_node:
            return request
        return replace(request, origins=tuple(dict.fromkeys((*declared, *own)))[:MAX_ORIGINS])

    def refused(self, service: Service, request: PinRequest, error: ServiceError) -> bool:
        """Whether a request failed for its origins and can do without them. Told once for each service."""
        sent = _origins(request)
        words = f"{error.reason} {error.details}"
        if not sent or not isinstance(error, RejectedError) or _REFUSED.search(words) is None:
            return False
        name = service.name
        first = name not in self._without_node and name not in self._without_any
        if set(sent) & set(self._addresses.get(name, ())):
            self._without_node.add(name)
        else:
            self._without_any.add(name)
        if first:
            said = error.message.removeprefix(f"{name}: ")
            self._ctx.progress.note(name, f"it refuses these origins, which are left out then: {said}")
        return True

    def close(self) -> None:
        """Nothing is asked any more."""
        self._node = None
        for task in (self._identity, *self._asking.values()):
            if task is not None and not task.done():
                task.cancel()

    # --- asking -------------------------------------------------------------------------------------------------

    async def _public(self, service: Service) -> tuple[str, ...]:
        """The addresses of the node that this service could reach."""
        if service.name in self._addresses:
            return self._addresses[service.name]
        if self._node is None:
            return ()
        if self._identity is None:
            self._identity = asyncio.ensure_future(self._node.identity())
        identity = await self._wait(self._identity)
        if identity is None:
            return ()
        if self._peer_id and identity.peer_id != self._peer_id:
            self._leave_alone(f"the node is {identity.peer_id[:80]} and not {self._peer_id}")
            return ()
        found = public(identity.addresses, beside=host_of(service.endpoint))
        return self._addresses.setdefault(service.name, found)

    async def _is_here(self, cid: str) -> bool:
        """Whether the root is in the node's store; asked once, however many services get it."""
        cid = canonical(cid)
        if cid in self._has:
            return self._has[cid]
        if self._node is None:
            return False
        task = self._asking.get(cid)
        if task is None:
            task = self._asking[cid] = asyncio.ensure_future(
                self._node.has(cid, deadline=max(self._patience, EASY))
            )
        here = await self._wait(task)
        self._asking.pop(cid, None)
        return self._has.setdefault(cid, here is True)

    async def _wait(self, task: "asyncio.Task[T]") -> T | None:
        """What the node says; None if it is left alone now."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if not task.done():
            await asyncio.wait({task}, timeout=max(self._patience, EASY))
        now = loop.time()
        late = now - max(began + EASY, self._counted)
        if late > 0:
            self._patience -= late
            self._counted = now
        if task.done() and not task.cancelled():
            error = task.exception()
            if error is None:
                if self._patience <= 0:
                    self._leave_alone(_LATE)
                return task.result()
            # What is no NodeError is a fault of ours, and even so no pin is to fail for want of a hint.
            self._leave_alone(error.message if isinstance(error, PinrecError) else type(error).__name__)
        elif not task.done():
            self._leave_alone(_LATE)
        return None

    def _leave_alone(self, why: str) -> None:
        first = self._node is not None
        self.close()
        if first:
            self._ctx.progress.note("", f"{why}: requests go without its addresses as origins")


def without_origins(request: PinRequest) -> PinRequest:
    return replace(request, origins=UNSET)


def _origins(request: PinRequest) -> tuple[str, ...]:
    return request.origins if isinstance(request.origins, tuple) else ()
