"""Many pins: which are looked at, and what is remembered of them."""

import asyncio
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.verifying import (
    BLOCKS,
    CID,
    KEY,
    LEAVES,
    NOW,
    blocks_of,
    manifest_of,
    opened,
    pin_by_hand,
    service_of,
)

from reconciler.core.cid import parse
from reconciler.core.globs import Globs
from reconciler.core.learned import place_of
from reconciler.core.model import Owner, Remote
from reconciler.core.unixfs import address
from reconciler.core.verified import Target, Verified
from reconciler.engine.dag_sample import take_sample
from reconciler.engine.journal import Journal
from reconciler.engine.pinned import pinned_pins, some
from reconciler.engine.verify_pins import (
    forget_gone,
    next_to_verify,
    open_verifier,
    remember,
    verify_pins,
)
from reconciler.sandbox import Sandbox


@pytest.fixture
def honest() -> Iterator[Sandbox]:
    with Sandbox((KEY,)) as sandbox:
        sandbox.give(BLOCKS)
        yield sandbox


# --- many pins ----------------------------------------------------------------------------------------------------


def test_each_pin_is_looked_at_once_and_a_stop_ends_it(honest: Sandbox) -> None:
    targets = [
        Target(service="box", requestid=f"r{i}", cid=CID, name=f"n{i}", delegates=()) for i in range(30)
    ]

    async def main(stop_after: int) -> list[Verified]:
        manifest = manifest_of(service_of(honest))
        found: list[Verified] = []
        stop = asyncio.Event()
        async with opened(manifest) as ctx, open_verifier(manifest, ctx) as verifier:
            async for one in verify_pins(verifier, targets, stop=stop):
                found.append(one)
                if len(found) == stop_after:
                    stop.set()
        return found

    assert sorted(v.requestid for v in asyncio.run(main(-1))) == sorted(t.requestid for t in targets)
    assert 5 <= len(asyncio.run(main(5))) < 30
    assert asyncio.run(main(-1))[0].verdict == "retrieved"


def test_the_pins_to_choose_from_are_ours_and_pinned(honest: Sandbox) -> None:
    ours = pin_by_hand(honest)
    pin_by_hand(honest, name="docs/a", meta={"pinrec": "acme"})
    pin_by_hand(honest, name="other", meta={"pinrec": "somebody"})
    honest.set_status(pin_by_hand(honest, name="late", meta={"pinrec": "acme"}), "queued")
    manifest = manifest_of(service_of(honest), service_of(honest, name="down", gateway=None))

    async def main(*names: str) -> tuple[list[str], set[str], list[str]]:
        async with opened(manifest) as ctx:
            found = await pinned_pins(manifest, ctx, services=["box"], names=Globs(names))
            return [t.name for t in found.targets], set(found.there["box"]), [u.why for u in found.unread]

    names, there, unread = asyncio.run(main())
    assert names == ["docs", "docs/a"]
    assert ours in there
    assert len(there) == 3
    assert not unread
    assert asyncio.run(main("docs/*"))[0] == ["docs/a"]


def test_some_are_picked_by_chance_that_can_be_played_again() -> None:
    many = [Target(service="box", requestid=str(i), cid=CID, name=str(i)) for i in range(100)]
    first = some(many, 10, 1)
    assert len({t.requestid for t in first}) == 10
    assert some(many, 10, 1) == first
    assert some(many, 10, 2) != first
    assert some(many, None, 1) == some(many, 1000, 1) == tuple(many)


@given(sizes=st.integers(1, 60), below=st.integers(0, 80), seed=st.integers(0, 5))
def test_a_sample_holds_the_root_and_as_many_blocks_as_there_are(sizes: int, below: int, seed: int) -> None:
    cid, blocks = blocks_of(random.Random(sizes).randbytes(sizes * 10), chunk=10)
    taken: list[bytes] = []

    async def load(asked: bytes) -> bytes:
        taken.append(asked)
        return blocks[asked]

    root = address.from_text(cid)
    asyncio.run(take_sample(root, below=below, chance=random.Random(seed), load=load))
    assert taken[0] == root
    assert len(set(taken)) == len(taken) == min(below, len(blocks) - 1) + 1


# --- what is remembered ---------------------------------------------------------------------------------------------


def found(requestid: str, verdict: str, cid: str = CID) -> Verified:
    return Verified(service="box", name="docs", cid=cid, requestid=requestid, verdict=verdict)  # type: ignore[arg-type]


def remote(requestid: str, cid: str = CID, status: str = "pinned", owner: Owner = Owner.OURS) -> Remote:
    return Remote(
        requestid=requestid,
        cid=parse(cid),
        name="docs",
        listed_name="docs",
        status=status,
        created="2027-01-01T00:00:00Z",
        owner=owner,
    )


def test_a_doubt_lasts_until_the_pin_is_retrieved(tmp_path: Path, honest: Sandbox) -> None:
    box = service_of(honest)
    place = place_of(box.endpoint)
    with Journal.open(tmp_path) as journal:

        def note(verdict: str, hours: int, cid: str = CID) -> None:
            remember(journal, "acme", box, found("r1", verdict, cid), NOW + timedelta(hours=hours))

        note("retrieved", 0)
        assert journal.doubts("acme", "box", place=place) == []
        note("unretrievable", 1)
        note("cannot-tell", 2)
        note("announced", 3)
        note("unretrievable", 4)
        [doubt] = journal.doubts("acme", "box", place=place)
        assert (doubt.since, doubt.at) == (NOW + timedelta(hours=1), NOW + timedelta(hours=4))
        assert journal.doubts("acme", "box", place="elsewhere") == []
        assert journal.doubts("other", "box", place=place) == []
        note("retrieved", 5)
        assert journal.doubts("acme", "box", place=place) == []
        note("unretrievable", 6)
        note("cannot-tell", 7, address.to_text(LEAVES[0]))
        assert journal.doubts("acme", "box", place=place) == []
        forget_gone(journal, "acme", box, {"r2"})
        assert journal.looked_at("acme", "box", place=place) == {}


def test_a_doubt_ends_only_with_the_block_that_did_not_come(tmp_path: Path, honest: Sandbox) -> None:
    lost = address.to_text(LEAVES[3])
    kept = honest.lose(lost)
    assert kept
    manifest = manifest_of(service_of(honest))
    box = manifest.services["box"]
    pins = [remote("r1")]

    async def look(journal: Journal, below: int) -> Verified:
        [target] = next_to_verify(journal, "acme", box, pins, most=1)
        async with opened(manifest) as ctx, open_verifier(manifest, ctx, below=below, seed=1) as verifier:
            one = await verifier.one(msgspec.structs.replace(target, delegates=()))
        remember(journal, "acme", box, one, NOW)
        return one

    with Journal.open(tmp_path) as journal:
        one = asyncio.run(look(journal, len(LEAVES)))
        assert (one.verdict, one.missing) == ("unretrievable", lost)
        # What others would not have shown: the root alone is there.
        for below in (0, 1, 2):
            assert asyncio.run(look(journal, below)).missing == lost
        remember(journal, "acme", box, found("r1", "cannot-tell"), NOW)
        assert asyncio.run(look(journal, 0)).verdict == "unretrievable"
        honest.give(BLOCKS)
        mended = asyncio.run(look(journal, 2))
        assert (mended.verdict, mended.blocks, mended.missing) == ("retrieved", 4, "")
        assert journal.doubts("acme", "box", place=place_of(box.endpoint)) == []
        assert asyncio.run(look(journal, 0)).blocks == 1


def test_those_nobody_looked_at_for_longest_are_next(tmp_path: Path, honest: Sandbox) -> None:
    box = service_of(honest)
    pins = [remote(f"r{i}") for i in range(6)]
    pins += [remote("waits", status="queued"), remote("theirs", owner=Owner.OTHER)]
    with Journal.open(tmp_path) as journal:
        for i, verdict in enumerate(("retrieved", "unretrievable", "unretrievable", "retrieved")):
            remember(journal, "acme", box, found(f"r{i}", verdict), NOW + timedelta(hours=i))

        def ids(most: int) -> list[str]:
            return [t.requestid for t in next_to_verify(journal, "acme", box, pins, most=most)]

        # Of those in doubt up to half, the one looked at longest ago first; then those never looked at.
        assert ids(2) == ["r1", "r4"]
        assert ids(4) == ["r1", "r2", "r4", "r5"]
        assert ids(100) == ["r1", "r2", "r4", "r5", "r0", "r3"]
