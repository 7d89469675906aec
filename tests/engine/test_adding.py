"""Large files that a node lays out: what goes there as it is, what goes as blocks, and what becomes of a cut."""

import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.building import OWN, Here, kill_midway
from support.process import done, start

from reconciler.engine import adding, importing, large_files
from reconciler.node.multipart import Part
from reconciler.node.upload import Added, Layout

MIB = 1024 * 1024
LAYOUTS = ("kubo-v0", "kubo-v1", "unixfs-v1-2025")


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of one megabyte, one request at a time."""
    monkeypatch.setattr(large_files, "PIECE", MIB)
    monkeypatch.setattr(adding, "LANES", 1)


def large(here: Here, name: str, size: int, seed: int = 1) -> None:
    here.write(name, random.Random(seed).randbytes(size))


def whole(here: Here) -> bool:
    """Imported, pinned here under our name, and there; and the next plan is empty."""
    return (
        here.pins() == {here.cid(): OWN + "site"}
        and here.remote() == {"site": (here.cid(), "pinned")}
        and not here.plan().changes
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [large_files.LEAST, MIB, MIB + 1, 3 * MIB, 60 * MIB + 7])
def test_any_size_in_any_layout(here: Here, layout: str, size: int) -> None:
    here.settings = {"layout": layout}
    large(here, "deep/below/large.bin", size)
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.asked("add") == -(-size // large_files.PIECE)
    assert here.notes.sizes == sorted(here.notes.sizes)
    assert here.notes.sizes[-1] >= size
    assert whole(here)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_many_pieces_beside_others(here: Here, pieces: None, layout: str) -> None:
    here.settings = {"layout": layout}
    large(here, "one", 5 * MIB + 3)
    large(here, "sub/ü/two", 2 * MIB)
    for n in range(5):
        large(here, f"sub/{n}", 600_000, n)
    assert here.apply()[1].outcomes
    assert whole(here)


def test_a_single_large_file(here: Here) -> None:
    large(here, "video", 40 * MIB)
    here.settings = {"path": "dist/video"}
    here.apply()
    assert here.asked("add") == 2
    assert whole(here)


def test_what_is_ignored_is_not_sent(here: Here) -> None:
    large(here, "a.map", MIB)
    large(here, "node_modules/x", MIB)
    here.settings = {"ignore": ("*.map", "node_modules/")}
    here.apply()
    assert here.asked("add") == 0
    assert whole(here)


def test_small_files_go_as_blocks(here: Here) -> None:
    here.apply()
    assert here.asked("add") == 0


# --- nodes that do otherwise --------------------------------------------------------------------------------------


def test_a_node_that_refuses_add_gets_blocks(here: Here) -> None:
    here.node.faults.errors["add"] = "add is disabled here"
    large(here, "large", 2 * MIB)
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert whole(here)


class Otherwise:
    """A node that lays out as it likes, or tells what it likes."""

    def __init__(self, node: Any, kind: str) -> None:
        self._node, self._kind = node, kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    async def add(self, parts: Iterable[Part], *, layout: Layout) -> tuple[Added, ...]:
        if self._kind == "chunks":
            layout = replace(layout, chunker="size-1000")
        if self._kind == "links":
            layout = replace(layout, max_links=2)
        told: tuple[Added, ...] = await self._node.add(parts, layout=layout)
        if self._kind == "silent":
            return told[:-1]
        if self._kind == "nonsense":
            return tuple(replace(a, cid="nonsense") for a in told)
        if self._kind == "another":
            return tuple(
                replace(a, cid="bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e") for a in told
            )
        if self._kind == "size":
            return tuple(replace(a, size=a.size + 1) for a in told)
        return told


@pytest.mark.parametrize("kind", ["chunks", "links", "silent", "nonsense", "another", "size"])
@pytest.mark.parametrize("size", [MIB, 3 * MIB])
def test_a_node_that_lays_out_otherwise_gets_blocks(
    here: Here, pieces: None, monkeypatch: pytest.MonkeyPatch, kind: str, size: int
) -> None:
    large(here, "large", size)
    inner = importing.add_large
    monkeypatch.setattr(
        importing, "add_large", lambda node, *a, **more: inner(Otherwise(node, kind), *a, **more)
    )
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert whole(here)


@pytest.mark.parametrize("sizes", [(9 * MIB,), (MIB,) * 9, (8 * MIB, MIB, MIB)])
def test_what_lays_out_otherwise_is_seen_in_its_first_answer(
    here: Here, pieces: None, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]
) -> None:
    for n, size in enumerate(sizes):
        large(here, f"large{n}", size, n)
    inner = importing.add_large
    monkeypatch.setattr(
        importing, "add_large", lambda node, *a, **more: inner(Otherwise(node, "links"), *a, **more)
    )
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert here.asked("add") == 1
    assert whole(here)


def test_what_a_node_made_otherwise_is_not_remembered(
    here: Here, pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.remembers = True
    large(here, "large", MIB)
    inner = importing.add_large
    with monkeypatch.context() as otherwise:
        otherwise.setattr(
            importing, "add_large", lambda node, *a, **more: inner(Otherwise(node, "size"), *a, **more)
        )
        here.apply()
    assert whole(here)
    here.write("small", "changed")
    here.node.forget_requests()
    here.apply()
    assert here.asked("add") == 1
    assert whole(here)


# --- what is not what it was ------------------------------------------------------------------------------------


def test_a_file_that_changed_since_it_was_planned(here: Here) -> None:
    large(here, "large", 2 * MIB)
    plan, report = here.apply(meanwhile=lambda: large(here, "large", 2 * MIB, seed=2))
    assert report.exit_code(plan) == 3
    assert {o.result for o in report.outcomes} == {"failed"}
    assert all("changed since it was planned" in o.why for o in report.outcomes)
    assert not here.pins()
    assert not here.remote()
    here.apply()
    assert whole(here)


@pytest.mark.parametrize("how", ["grown", "cut", "another", "gone"])
def test_a_file_that_changes_between_two_pieces(here: Here, pieces: None, how: str) -> None:
    large(here, "large", 4 * MIB)
    path = here.dist / "large"

    def change(count: int) -> None:
        if count != 2:
            return
        if how == "gone":
            path.unlink()
        elif how == "another":
            path.rename(here.dist.parent / "before")
            large(here, "large", 4 * MIB, seed=2)
        else:
            with path.open("r+b") as file:
                file.truncate(5 * MIB if how == "grown" else 1)

    here.after = change
    plan, report = here.apply()
    assert report.exit_code(plan) == 3
    assert all("large changed while it was read" in o.why for o in report.outcomes)
    assert not here.pins()
    assert not here.remote()
    here.after = None
    plan, report = here.apply(allow_shrink=("site",))
    assert report.exit_code(plan) == 0
    assert whole(here)


# --- cut short --------------------------------------------------------------------------------------------------


@pytest.fixture
def cut(here: Here, pieces: None) -> Here:
    """Of eight pieces of one file the node has taken three."""
    here.remembers = True
    large(here, "large", 8 * MIB)

    def refuse(count: int) -> None:
        if count == 3:
            here.node.stop()

    here.after = refuse
    _, report = here.apply()
    assert {o.result for o in report.outcomes} == {"failed"}
    assert here.asked("add") == 3
    here.node.start()
    here.after = None
    here.node.forget_requests()
    return here


def test_pieces_that_the_node_has_are_not_sent_again(cut: Here) -> None:
    plan, report = cut.apply()
    assert report.exit_code(plan) == 0
    assert cut.asked("add") == 5
    assert whole(cut)


def test_pieces_that_the_node_has_lost_are(cut: Here) -> None:
    cut.node.state.blocks.held.clear()
    plan, report = cut.apply()
    assert report.exit_code(plan) == 0
    assert cut.asked("add") == 8
    assert whole(cut)


def test_a_leaf_that_is_lost_is_seen_in_the_end(cut: Here) -> None:
    held = cut.node.state.blocks.held
    held.pop(next(c for c in held if len(held[c]) == 256 * 1024))
    plan, report = cut.apply()
    assert report.exit_code(plan) == 0
    assert whole(cut)


def test_a_memory_that_is_wrong_costs_time_and_nothing_else(cut: Here) -> None:
    [file] = (cut.state / "folders").glob("*.added")
    told = bytearray(file.read_bytes())
    told[30] ^= 1
    file.write_bytes(told + b"half a record")
    plan, report = cut.apply()
    assert report.exit_code(plan) == 0
    assert whole(cut)


def test_a_file_with_the_time_and_size_of_the_one_that_was_sent(cut: Here) -> None:

    path = cut.dist / "large"
    seen = path.stat()
    with path.open("r+b") as file:
        file.write(b"another")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    plan, report = cut.apply()
    assert report.exit_code(plan) == 0
    assert whole(cut)


def test_garbage_collected_while_it_is_sent(here: Here, pieces: None) -> None:
    large(here, "large", 5 * MIB)

    def collect(count: int) -> None:
        if count == 3:
            here.node.state.blocks.held.clear()

    here.after = collect
    plan, report = here.apply()
    assert report.exit_code(plan) == 0
    assert whole(here)


def test_a_run_that_is_stopped_sends_no_more(here: Here, pieces: None) -> None:
    large(here, "large", 9 * MIB)

    def stop(count: int) -> None:
        if count == 2:
            assert here.stop is not None
            here.stop.set()

    here.after = stop
    _, report = here.apply()
    assert {(o.result, o.why) for o in report.outcomes} == {("skipped", "interrupted")}
    assert here.asked("add") < 9


def test_killed_midway_the_next_apply_sends_the_rest(here: Here) -> None:
    for n in range(4):
        large(here, f"{n}.bin", 30_000_000, n)
    sent = kill_midway(here, here.dist.parent, "added")
    acknowledged = sent.stat().st_size // (16 + adding.WIDTH)
    code, said = done(start(here.dist.parent, "apply", "--yes"))
    assert code == 0, said
    assert here.asked("add") == 4 - acknowledged
    assert here.remote()["site"][1] == "pinned"
    assert list(here.pins().values()) == [OWN + "site"]


def test_reading_a_piece_leaves_no_file_open(here: Here, pieces: None) -> None:
    large(here, "large", 4 * MIB)
    before = len(list(Path("/proc/self/fd").iterdir()))
    here.node.faults.errors["add"] = "no"
    here.apply()
    here.node.faults.clear()
    here.apply()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
