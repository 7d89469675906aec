"""The loop looks at pins beside everything else, and remembers what it found: over sockets, with a journal."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.core.cid import parse
from reconciler.core.learned import place_of
from reconciler.core.manifest import Loop, LoopVerify, Manifest, SecretRef, Service, Verify
from reconciler.core.model import Listing, Owner, Remote
from reconciler.core.profile import PROFILES
from reconciler.core.unixfs import address, file, params
from reconciler.daemon.files import Kept
from reconciler.daemon.holding import Holding
from reconciler.daemon.log import Line, Log
from reconciler.daemon.shared import Given, Shared
from reconciler.daemon.state import Paused
from reconciler.daemon.verifying import Verifying
from reconciler.engine.journal import Journal
from reconciler.sandbox import Sandbox

KEY = "canary-key-0123456789"
BLOCKS: dict[bytes, bytes] = {}
CID = address.to_text(file.build([b"kept well"], params.KUBO_V1, BLOCKS.__setitem__).cid)
LOST = address.to_text(file.build([b"kept badly"], params.KUBO_V1).cid)


def now() -> datetime:
    return datetime.now(UTC)


class World:
    """A service that holds the content of one of its two pins, as a loop knows it."""

    def __init__(self, sandbox: Sandbox, journal: Journal | None) -> None:
        sandbox.give(BLOCKS)
        self.service = Service(
            name="box",
            endpoint=sandbox.url,
            key=SecretRef(kind="env", value=("BOX_KEY",)),
            profile=PROFILES["spec"],
            verify=Verify(gateway=sandbox.url),
        )
        self.lines: list[Line] = []
        self.journal = journal
        given = Given(new_id=lambda: "id", log=Log(self.lines.append, now), lease=None, journal=journal)  # type: ignore[arg-type]
        manifest = Manifest(owner="acme", services={"box": self.service}, entries=[])
        self.shared = Shared(given, Kept(manifest, {}), Loop())
        self.verifying = Verifying(self.shared, soon=0.01)

    def listed(self) -> None:
        remotes = tuple(_remote(f"r{i}", cid) for i, cid in enumerate((CID, LOST)))
        listing = Listing(service="box", remotes=remotes, complete=True)
        self.shared.holdings["box"] = Holding(listing, self.shared.names)

    def looked(self) -> set[str]:
        assert self.journal is not None
        found = self.journal.looked_at("acme", "box", place=place_of(self.service.endpoint))
        return {rid for rid, _ in found}

    def doubted(self) -> list[str]:
        assert self.journal is not None
        doubts = self.journal.doubts("acme", "box", place=place_of(self.service.endpoint))
        return [d.requestid for d in doubts]


def play(tmp_path: Path, story: Callable[[World], Any], *, remembers: bool = True) -> World:
    async def main(journal: Journal | None) -> World:
        with Sandbox((KEY,)) as sandbox:
            world = World(sandbox, journal)
            try:
                await story(world)
            finally:
                await world.verifying.end()
            return world

    if not remembers:
        return asyncio.run(main(None))
    with Journal.open(tmp_path) as journal:
        return asyncio.run(main(journal))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


def test_what_is_listed_is_looked_at_and_a_lie_is_told_and_remembered(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.verifying.take(LoopVerify(interval=3600.0))
        await asyncio.sleep(0.1)
        assert world.looked() == set()
        world.listed()
        await until(lambda: any("retrieved" in line.fields for line in world.lines))
        assert world.looked() == {"r0", "r1"}
        assert world.doubted() == ["r1"]

    lines = [line for line in play(tmp_path, story).lines if line.event == "verify"]
    warned = [line.fields for line in lines if line.level == "warning"]
    assert [(f["service"], f["verdict"]) for f in warned] == [("box", "unretrievable")]
    assert lines[-1].fields == {"pins": 2, "retrieved": 1, "unretrievable": 1}


def test_it_goes_on_with_those_that_were_not_looked_at(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.listed()
        world.verifying.take(LoopVerify(interval=0.01, pins=1))
        await until(lambda: world.looked() == {"r0", "r1"})

    play(tmp_path, story)


def test_a_loop_that_is_started_again_does_not_look_before_its_time(tmp_path: Path) -> None:
    async def again(world: World) -> None:
        assert world.journal is not None
        world.journal.verified(
            "acme", "box", "r9", place=place_of(world.service.endpoint), cid=CID, name="n",
            verdict="retrieved", now=now(),
        )  # fmt: skip
        world.listed()
        world.verifying.take(LoopVerify())
        await asyncio.sleep(0.3)
        assert world.looked() == {"r9"}

    play(tmp_path, again)


def test_a_paused_service_is_left_alone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.shared.paused = Paused(services=("box",))
        world.listed()
        world.verifying.take(LoopVerify(interval=0.01))
        await asyncio.sleep(0.2)
        assert world.looked() == set()

    play(tmp_path, story)


def test_without_a_journal_nothing_is_looked_at_and_it_says_so(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.listed()
        world.verifying.take(LoopVerify())

    [line] = play(tmp_path, story, remembers=False).lines
    assert line.fields == {"error": "there is no journal, so nothing is verified"}


def _remote(requestid: str, cid: str) -> Remote:
    return Remote(
        requestid=requestid,
        cid=parse(cid),
        name=requestid,
        listed_name=requestid,
        status="pinned",
        created="2027-01-01T00:00:00Z",
        owner=Owner.OURS,
    )
