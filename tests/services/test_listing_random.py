"""Random services, also ones that change while they are listed: what is called complete misses nothing."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.errors import RejectedError
from reconciler.core.model import PinRequest, PinStatus
from reconciler.core.profile import PROFILES
from reconciler.services.listing import sweep
from reconciler.services.protocol import Page, Query


class Direct:
    """A Fake behind the seam without a socket; `change` runs before each answer."""

    name = "direct"

    def __init__(self, fake: Any, change: Callable[[], None], pause: float) -> None:
        self.fake = fake
        self.requests = 0
        self._change = change
        self._pause = pause

    async def pins(self, query: Query) -> Page:
        self.requests += 1
        await asyncio.sleep(self._pause)
        self._change()
        if self.fake.habits.refuses_above and (query.limit or 0) > self.fake.habits.refuses_above:
            raise RejectedError("no", status=400)
        fields = {"limit": str(query.limit)} if query.limit else {}
        fields |= {"before": query.before} if query.before else {}
        fields |= {"after": query.after} if query.after else {}
        page = self.fake.listed({key: [value] for key, value in fields.items()})
        return Page(count=page["count"], results=msgspec.convert(page["results"], list[PinStatus]))

    async def get(self, requestid: str) -> PinStatus | None:
        self.requests += 1
        number = int(requestid.removeprefix("id-"))
        there = [row for row in self.fake.pins if row[1] == number]
        return msgspec.convert(self.fake.pin(*there[0]), PinStatus) if there else None

    async def add(self, pin: PinRequest) -> PinStatus:
        raise NotImplementedError

    async def replace(self, requestid: str, pin: PinRequest) -> PinStatus | None:
        raise NotImplementedError

    async def delete(self, requestid: str) -> bool:
        raise NotImplementedError


quanta = st.sampled_from([1, 1, 1000])


@settings(max_examples=80, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_what_is_called_complete_misses_nothing(make_fake: Any, data: Any, seed: int) -> None:
    rnd = random.Random(seed)
    fake = make_fake()
    habits = fake.habits
    habits.quantum = data.draw(quanta)
    habits.before_inclusive = data.draw(st.booleans())
    habits.after_inclusive = data.draw(st.booleans())
    habits.before_cut_to = data.draw(quanta)
    habits.after_cut_to = data.draw(quanta)
    habits.ignores_before = data.draw(st.sampled_from([False] * 9 + [True]))
    habits.count = data.draw(st.sampled_from(["total", "total", "plus1", "page", "all"]))
    habits.cap = data.draw(st.sampled_from([10, 50, 100, 1000]))
    habits.large_limit = data.draw(st.booleans()) and habits.cap == 1000
    habits.refuses_above = data.draw(st.sampled_from([0, 1000, 100]))
    habits.order = data.draw(st.sampled_from(["newest", "newest", "oldest", "random"]))
    fake.fill(data.draw(st.integers(0, 3000)), rate=rnd.choice([0.5, 5, 50, 2000]), seed=seed)
    always = {number for _, number in fake.pins}
    churn = data.draw(st.sampled_from([0, 0, 1, 3]))
    parallel = data.draw(st.booleans())

    def change() -> None:
        """Deletes, adds and replaces: a replaced pin has a new id and is the newest."""
        for _ in range(rnd.randrange(churn + 1) if listing else 0):
            if fake.pins and rnd.random() < 0.6:
                at = rnd.randrange(len(fake.pins))
                always.discard(fake.pins.pop(at)[1])
            newest = fake.pins[-1][0] if fake.pins else 1_600_000_000_000
            created = newest + rnd.choice([1, 20, 3000])
            number = next(numbers)
            fake.pins.append((created - created % habits.quantum, number))

    numbers = iter(range(10_000, 10**9))
    service = Direct(fake, change, 0.012 if parallel else 0)
    seen: list[str] = []
    listing = bool(churn)
    result = asyncio.run(
        sweep(
            service, PROFILES["unknown"], lambda pins: seen.extend(p.requestid for p in pins), concurrency=4
        )
    )
    assert len(seen) == len(set(seen)) == result.seen
    assert result.requests == service.requests
    if result.complete:
        assert not ({f"id-{number}" for number in always} - set(seen)), result
    else:
        assert result.why
