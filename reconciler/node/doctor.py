"""Looks at a node and says what is good, what is not, and what to do: `pinrec doctor --node`.

Nothing is changed. Nothing is asked that costs a node more than a few seconds, and nothing that shows a key.
"""

import datetime
import re
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from reconciler import __version__
from reconciler.core import addresses
from reconciler.core.endpoint import comparable, host_of
from reconciler.core.errors import NodeError
from reconciler.core.kubo_config import switch_off
from reconciler.core.manifest import Service
from reconciler.core.multiaddr import parse as parse_multiaddr
from reconciler.core.question import Identity
from reconciler.node.client import KuboNode
from reconciler.node.findings import Level, Mfs, NodeExamination, NodeFinding, StatCost, Topic
from reconciler.node.lazy import Walker
from reconciler.node.settings import Config

OLDEST: Final = (0, 28)
NEWEST: Final = (0, 44)
SAMPLES: Final = 20
STAT_DEADLINE: Final = 10.0
#: Milliseconds. Normal is below 1; from here on the watch of MFS slows down.
DEAR: Final = 10.0
#: Up to this size the node is asked for each block at once whether it is here.
SMALL: Final = 64 * 1024 * 1024
MAX_COUNT: Final = 1_000_000
T = TypeVar("T")
_FLUSH: Final = "ipfs files flush /"


async def examine(node: KuboNode, services: Sequence[Service], *, peer_id: str = "") -> NodeExamination:
    """All findings. `services` are those that pinrec manages; `peer_id` the only one that is believed, if said.

    Raises NodeError if the node cannot be asked at all.
    """
    return await _Doctor(node, services, peer_id).examine()


class _Doctor:
    def __init__(self, node: KuboNode, services: Sequence[Service], peer_id: str) -> None:
        self._node = node
        self._services = services
        self._peer_id = peer_id
        self._findings: list[NodeFinding] = []

    async def examine(self) -> NodeExamination:
        started = time.monotonic()
        before = self._node.requests
        version = await self._node.version()
        identity = await self._node.identity()
        self._version(version, identity)
        self._identity(identity)
        self._reachability(identity)
        cost = await self._asked("mfs", self._cost)
        mfs = await self._asked("mfs", self._mfs) if cost else None
        if mfs:
            await self._asked("lazy", lambda: self._lazy(mfs))
        config = await self._asked("policy", self._node.config)
        if config:
            self._policies(config)
            await self._asked("gc", lambda: self._gc(config))
        return NodeExamination(
            pinrec=__version__,
            node=self._node.where,
            date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            version=version,
            peer_id=identity.peer_id,
            addresses=identity.addresses,
            public=addresses.public(identity.addresses, beside="public.example.com"),
            mfs=mfs,
            stat=cost,
            findings=tuple(self._findings),
            requests=self._node.requests - before,
            seconds=round(time.monotonic() - started, 3),
        )

    def _find(self, topic: Topic, level: Level, text: str, *, hint: str = "", command: str = "") -> None:
        self._findings.append(NodeFinding(topic=topic, level=level, text=text, hint=hint, command=command))

    async def _asked(self, topic: Topic, ask: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await ask()
        except NodeError as error:
            self._find(topic, "unknown", error.message, hint=error.hint)
            return None

    # --- who it is ------------------------------------------------------------------------------------------

    def _version(self, version: str, identity: Identity) -> None:
        found = re.match(r"v?(\d+)\.(\d+)", version)
        number = (int(found[1]), int(found[2])) if found else None
        supported = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
        if number is None or not identity.agent.startswith("kubo/"):
            text = f"{identity.agent or 'it'}, version {version}: pinrec is made for Kubo {supported}"
            self._find("version", "warning", text)
        elif number < OLDEST:
            text = f"Kubo {version} is too old: pinrec needs {supported}"
            self._find("version", "problem", text, hint="update the node")
        elif number > NEWEST:
            self._find(
                "version",
                "note",
                f"Kubo {version} is newer than any that pinrec was tried with ({supported})",
            )
        else:
            self._find("version", "ok", f"Kubo {version}")

    def _identity(self, identity: Identity) -> None:
        if self._peer_id and identity.peer_id != self._peer_id:
            text = f"another node answers: {identity.peer_id}, and the manifest believes {self._peer_id} only"
            self._find("identity", "problem", text, hint="is `api` right, or `peerId`?")
        else:
            self._find("identity", "ok", f"peer id {identity.peer_id}")

    def _reachability(self, identity: Identity) -> None:
        reaches = [_reach(a) for a in identity.addresses]
        hosts = {s.name: host_of(s.endpoint) for s in self._services}
        untold = [n for n, host in hosts.items() if not addresses.public(identity.addresses, beside=host)]
        hint = f"not told any address of it: {', '.join(untold)}" if untold else ""
        number = reaches.count("public")
        if number:
            text = f"{number} of {len(reaches)} addresses are public; services are told them as origins"
            self._find("reachability", "ok", text)
        elif "relay" in reaches:
            text = (
                "it can be reached through relays only, which are too slow to fetch from: a service gets data"
            )
            text += " only over a connection that the node itself makes"
            self._find("reachability", "warning", text, hint=hint or "open its port 4001, or use UPnP")
        elif reaches:
            text = "none of its addresses is public: a service elsewhere gets data only over a connection that the"
            text += " node itself makes"
            self._find("reachability", "warning" if untold else "ok", text, hint=hint)
        else:
            text = "it has no address: it is offline, or has just started"
            self._find("reachability", "problem" if self._services else "note", text)

    # --- MFS ------------------------------------------------------------------------------------------------

    async def _cost(self) -> StatCost:
        took: list[float] = []
        spent = 0.0
        while len(took) < SAMPLES and spent < STAT_DEADLINE:
            started = time.perf_counter()
            try:
                await self._node.stat("/", deadline=STAT_DEADLINE)
            except NodeError as error:
                if not error.late:
                    raise
                raise NodeError(
                    f"files/stat / did not answer within {STAT_DEADLINE:g} s: MFS stands still",
                    hint="a look-up in a directory that is only linked does that, for a minute a time; "
                    "`ipfs files rm -r` of that directory ends it",
                ) from None
            took.append(1000 * (time.perf_counter() - started))
            spent += took[-1] / 1000
        ordered = sorted(took)
        cost = StatCost(
            samples=len(took),
            first=round(took[0], 2),
            median=round(ordered[len(ordered) // 2], 2),
            p95=round(ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))], 2),
        )
        text = f"files/stat / takes {cost.median:g} ms (p95 {cost.p95:g} ms, the first {cost.first:g} ms)"
        if cost.median < DEAR:
            self._find("mfs", "ok", text)
        else:
            text += ": every look at the root costs the node that, so it is looked at less often"
            hint = "a flush empties the cache that makes it slow; never `ipfs files ls` a big directory"
            self._find("mfs", "warning", text, hint=hint, command=_FLUSH)
        return cost

    async def _mfs(self) -> Mfs:
        root = await self._node.stat("/", deadline=STAT_DEADLINE)
        if root is None:
            raise NodeError("files/stat /: the node says that MFS has no root")
        count = 0
        async for _ in self._node.entries(root.cid.text, offline=True, kinds=False, deadline=STAT_DEADLINE):
            count += 1
            if count > MAX_COUNT:
                break
        entries = count if count <= MAX_COUNT else -1
        self._find(
            "mfs",
            "ok",
            f"MFS is {root.cid}, {_size(root.size)}, {entries:,} {'entry' if entries == 1 else 'entries'} in its root",
        )
        return Mfs(cid=root.cid.text, size=root.size, entries=entries)

    async def _lazy(self, mfs: Mfs) -> None:
        if mfs.size <= SMALL and await self._is_whole(mfs):
            self._find("lazy", "ok", "all of MFS is here")
            return
        walk = await Walker(self._node).walk(mfs.cid)
        for path in walk.lazy:
            text = f"{path} is only linked: what it holds is not here, and a look-up in it stops MFS for a minute"
            command = f"ipfs files rm -r {shlex.quote(path)}" if path != "/" else ""
            hint = "fetch it (`ipfs pin add`, with its CID), or take it out"
            self._find("lazy", "warning", text, hint=hint, command=command)
        if walk.unfinished:
            self._find("lazy", "note", f"MFS was not looked through to the end: {walk.unfinished}")
        elif not walk.lazy:
            text = f"every directory of MFS is here ({walk.directories} looked at); parts of files may not be"
            self._find("lazy", "ok", text)

    async def _is_whole(self, mfs: Mfs) -> bool:
        """False also if there are too many blocks to tell in time: then directories alone are looked at."""
        try:
            return await self._node.is_whole(mfs.cid, deadline=STAT_DEADLINE)
        except NodeError as error:
            if not error.late:
                raise
            return False

    # --- its settings ---------------------------------------------------------------------------------------

    def _policies(self, config: Config) -> None:
        mine = {comparable(service.endpoint): service.name for service in self._services}
        enabled = [s for s in config.services().services if s.mfs_enabled]
        for service in enabled:
            name = mine.get(comparable(service.endpoint))
            if name is None:
                text = f"Kubo itself pins MFS at {service.name} ({service.endpoint}), which pinrec does not manage"
                self._find("policy", "note", text)
                continue
            text = f"Kubo itself pins MFS at {service.name}, which is {name} here: two cannot keep one pin"
            hint, command = _off(service.name)
            self._find("policy", "problem", text, hint=hint, command=command)
        if not enabled:
            self._find("policy", "ok", "Kubo's own MFS policy is off everywhere")

    async def _gc(self, config: Config) -> None:
        repo = await self._node.repo_stat()
        gc = config.gc()
        mark = repo.maximum * gc.watermark / 100
        text = f"the repository holds {_size(repo.size)} of {_size(repo.maximum)}"
        unseen = "if the daemon runs with --enable-gc, which its API does not tell"
        if repo.maximum and repo.size >= mark:
            text += f", more than {gc.watermark} %: garbage is collected every {gc.period or '1h'}, {unseen}"
            hint = "earlier roots of MFS, and what was added without a pin, may go before a service has them; raise "
            hint += "Datastore.StorageMax, or pin them here"
            self._find("gc", "warning", text, hint=hint)
        else:
            self._find("gc", "ok", f"{text}; at {gc.watermark} % garbage is collected, {unseen}")


def _off(name: str) -> tuple[str, str]:
    """What to tell, and the exact command if there is one, to end Kubo's own MFS policy for its service `name`."""
    command = switch_off(name)
    if command.startswith("#"):
        return command.removeprefix("# "), ""
    return "switch it off; pinrec goes on under the same name", command


def _reach(text: str) -> str:
    if "/p2p-circuit" in text:
        return "relay"
    try:
        return addresses.reach(parse_multiaddr(text))
    except ValueError:
        return "none"


def _size(size: int) -> str:
    number, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
