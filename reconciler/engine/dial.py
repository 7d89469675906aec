"""Delegates: the node connects to the hosts that a service names with a pin, so that the data need not be searched.

Dialled after each accepted request, and again while a pin waits, at most once a minute each. Best effort: a dial
delays nothing, and nothing fails with it. What came of it stands in the report.

the delegate                           what is done
names a peer (… /p2p/<peer id>)        dialled; reached, or not within the deadline
names none, or is no multiaddr         skipped and counted: Kubo could not tell whom it reached
is the node itself                     reached: a service that runs beside the node needs no connection
one more than a service can need       skipped and counted
"""

import asyncio
from functools import partial
from typing import Final

from msgspec import Struct

from reconciler.core.errors import NodeError
from reconciler.core.model import PINNING, QUEUED, PinStatus
from reconciler.core.plan import Add, Keep, Plan, Replace, Retry
from reconciler.engine.context import Context
from reconciler.node.protocol import Node

#: Dials at once. Each may hold a connection to the node for its whole deadline.
AT_ONCE: Final = 8
#: Delegates of one service that are dialled in a run. The API allows 20 for a pin; this bounds what a service that
#: names others each time makes the node do.
MOST: Final = 256
#: Longer is no address: seven components with a certificate hash take 300 characters.
LONGEST: Final = 512
#: What Kubo says when a delegate is itself (go-libp2p, swarm.ErrDialToSelf).
_SELF: Final = "dial to self"
_ENOUGH_TO_ANSWER: Final = 1.0


class Contacts(Struct, frozen=True):
    """Delegates of a service: told to the node, reached at least once, and not usable."""

    dialled: int = 0
    connected: int = 0
    skipped: int = 0


class Dialler:
    """The dials of one run. Does nothing without a node."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        #: When an address may be dialled again.
        self._due: dict[str, float] = {}
        self._named: dict[str, set[str]] = {}
        self._skipped: dict[str, set[str]] = {}
        self._dialled: set[str] = set()
        self._connected: set[str] = set()
        self._closed = False

    def accepted(self, service: str, pin: PinStatus) -> None:
        """A service accepted a request with this answer."""
        if self._ctx.node is not None and pin.delegates:
            self._dial(self._ctx.node, service, pin.delegates)

    def seen(self, service: str, pin: PinStatus) -> None:
        """A pin of ours, as it was just read: dialled anew if it waits."""
        if pin.status in (QUEUED, PINNING):
            self.accepted(service, pin)

    def contacts(self, service: str) -> Contacts:
        """What came of it so far; a dial that goes on has reached nobody yet."""
        named = self._named.get(service, set())
        return Contacts(
            len(named & self._dialled), len(named & self._connected), len(self._skipped.get(service, ()))
        )

    async def close(self, *, grace: float) -> None:
        """Dials that go on may end within `grace` seconds, less if somebody asks to stop; the rest is given up."""
        self._closed = True
        try:
            if self._tasks and grace > 0 and not self._ctx.stop.is_set():
                await self._settle(grace)
        finally:
            left = set(self._tasks.values())
            for task in left:
                task.cancel()
        if left:
            # Their connections are closed before whoever owns them goes; a second is enough for that.
            await asyncio.wait(left, timeout=1.0)

    async def _settle(self, grace: float) -> None:
        over = asyncio.ensure_future(asyncio.wait(set(self._tasks.values())))
        stop = asyncio.ensure_future(self._ctx.stop.wait())
        try:
            await asyncio.wait((over, stop), timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            stop.cancel()

    def _dial(self, node: Node, service: str, delegates: list[str]) -> None:
        if self._closed or self._ctx.stop.is_set():
            return
        now = self._ctx.monotonic()
        named = self._named.setdefault(service, set())
        skipped = self._skipped.setdefault(service, set())
        for address in delegates:
            if address not in named:
                if len(named) >= MOST or not _names_a_peer(address):
                    if len(skipped) < MOST:
                        skipped.add(address[:LONGEST])
                    continue
                named.add(address)
            if address in self._tasks or now < self._due.get(address, now):
                continue
            self._due[address] = now + self._ctx.settings.dial_again
            task = asyncio.create_task(self._connect(node, address))
            self._tasks[address] = task
            task.add_done_callback(partial(self._ended, address))

    async def _connect(self, node: Node, address: str) -> None:
        deadline = self._ctx.settings.dial_deadline
        async with self._slots:
            self._dialled.add(address)
            try:
                async with asyncio.timeout(deadline):
                    await node.connect(address, deadline=deadline)
            except TimeoutError:
                return
            except NodeError as error:
                if _SELF not in f"{error.message} {error.text}".lower():
                    return
            self._connected.add(address)

    def _ended(self, address: str, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(address, None)
        if not task.cancelled():
            # Whatever it was, the delegate was not reached, and no pin fails with it.
            task.exception()


def _names_a_peer(address: str) -> bool:
    """Whether Kubo's `swarm/connect` can be told this: a multiaddr whose last component is a peer id."""
    if len(address) > LONGEST or not address.isascii() or not address.isprintable() or " " in address:
        return False
    parts = address.rstrip("/").split("/")
    # `/ipfs/` is how the component was called before 2019; Kubo takes both.
    return len(parts) >= 3 and not parts[0] and parts[-2] in ("p2p", "ipfs") and bool(parts[-1])


async def plan_note(ctx: Context, plan: Plan) -> str:
    """What a plan says when the node cannot help with what it would send; "" if it can, or nothing is to be sent."""
    node = ctx.node
    if node is None or not any(
        isinstance(a, Add | Replace | Retry) or (isinstance(a, Keep) and a.reason == "waiting")
        for a in plan.actions
    ):
        return ""
    hint = ""
    try:
        async with asyncio.timeout(_ENOUGH_TO_ANSWER):
            await node.identity()
    except NodeError as error:
        why, hint = error.message, f" ({error.hint})" if error.hint else ""
    except TimeoutError:
        why = f"the node at {node.where} does not answer"
    else:
        return ""
    return f"{why}: its addresses are not sent as origins, and no delegate is dialled{hint}"
