"""A name that a loop asks again and again: answers that are good enough, and names that change too often."""

import asyncio
import dataclasses
from typing import Any

from msgspec.structs import replace
from support.model import raw_cid
from support.rooted import START, ScriptedNode, manifest_of, mfs

from reconciler.core.cid import Cid, parse
from reconciler.core.question import NotKnown, Resolve, Resolved
from reconciler.engine.context import Context
from reconciler.engine.cycle import gather
from reconciler.engine.progress import Silent

NAME = "/ipns/docs.example.org"


class Naming(ScriptedNode):
    """A node at which a name leads somewhere, or nowhere."""

    def __init__(self) -> None:
        super().__init__(raw_cid("root"))
        self.to = raw_cid("first")
        self.looks = 0

    async def resolve_name(self, path: str, *, fresh: bool = False, deadline: float | None = None) -> Cid:
        self._asked()
        self.looks += 1
        return parse(self.to)


class Notes(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, service: str, text: str) -> None:
        self.told.append(text)


class Loop:
    """Asks at times of a clock that a test moves."""

    def __init__(self, interval: str) -> None:
        policy = replace(mfs(), kind="ipns", settings={"name": NAME, "interval": interval}, pin_name="docs")
        self.manifest = manifest_of(policy)
        self.node, self.notes, self.time = Naming(), Notes(), 0.0
        self.ctx = Context(
            now=START,
            services={},
            node=self.node,
            new_id=lambda: "run",
            progress=self.notes,
            monotonic=lambda: self.time,
        )

    def ask(self) -> Any:
        ctx = dataclasses.replace(self.ctx, node=self.node)
        return asyncio.run(gather(self.manifest, ctx))[Resolve(NAME)]


def test_a_name_is_asked_again_when_its_interval_is_over() -> None:
    loop = Loop("10m")
    for minute in range(0, 25, 5):
        loop.time = minute * 60.0
        assert isinstance(loop.ask(), Resolved)
    assert loop.node.looks == 3


def test_what_is_not_known_is_asked_again_at_once() -> None:
    loop = Loop("10m")
    loop.node.down = True
    assert isinstance(loop.ask(), NotKnown)
    loop.node.down = False
    assert isinstance(loop.ask(), Resolved)


def test_a_name_that_is_another_each_time_is_noted() -> None:
    loop = Loop("1m")
    for i in range(12):
        loop.time += 60.0
        loop.node.to = raw_cid(f"root {i}")
        loop.ask()
    assert loop.notes.told == [f"{NAME} led elsewhere at each of the last {n} looks" for n in (5, 10)]


def test_a_name_that_stays_now_and_then_is_not() -> None:
    loop = Loop("1m")
    for i in range(12):
        loop.time += 60.0
        loop.node.to = raw_cid(f"root {i // 2}")
        loop.ask()
    assert loop.notes.told == []
