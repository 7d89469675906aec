"""Local folders as they are read: what is in them, what is left out, and what changes meanwhile."""

import asyncio
import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.question import Folder, FolderOf, NotKnown
from reconciler.core.unixfs import address, directory, file, params
from reconciler.core.unixfs.blocks import Entry
from reconciler.engine import disk, folders
from reconciler.engine.disk import Cancelled, DiskError
from reconciler.engine.folders import folder

#: As `ipfs add -r -H --cid-version=1` of Kubo 0.44 gives them.
EMPTY = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
HI = "bafkreiey5jxe6ilpf62lnh77tm5ejbbmhbugzjuf6p2v3remlu73ced34q"
MIXED = "bafybeibphb6drnozznccu5mrmlbxop34m7qr7g3fyiogyk6qmftqrymc3q"
WRAPPED = "bafybeigmk5dpral3dgjz4d6jy2ggqphuwaw6irarar4kk5tf6bsoxyvmpm"


def look(path: Path, *, place: Path | None = None, **more: Any) -> Folder | NotKnown:
    return asyncio.run(folder(FolderOf(path=str(path), **more), place=place))


def cid(path: Path, **more: Any) -> str:
    found = look(path, **more)
    assert isinstance(found, Folder), found
    return found.cid.text


def why(path: Path, **more: Any) -> str:
    found = look(path, **more)
    assert isinstance(found, NotKnown)
    return found.why


@pytest.fixture
def t(tmp_path: Path) -> Path:
    """A folder with everything in it."""
    path = tmp_path / "t"
    (path / "empty").mkdir(parents=True)
    (path / "f").write_bytes(b"hi\n")
    (path / "e").touch()
    (path / ".hid").write_bytes(b"x\n")
    (path / "l").symlink_to("f")
    (path / "broken").symlink_to("/nope")
    return path


# --- what is in it ----------------------------------------------------------------------------------------------


def test_hidden_and_empty_files_empty_folders_and_links_are_part_of_it(t: Path) -> None:
    assert look(t) == Folder(cid=look(t).cid, size=313, files=5)  # type: ignore[union-attr]
    assert cid(t) == MIXED


def test_a_folder_around_it(t: Path) -> None:
    assert cid(t, wrap=True) == WRAPPED


def test_a_file_and_a_folder_around_a_file(t: Path) -> None:
    assert cid(t / "f") == HI
    assert cid(t / "f", wrap=True) == "bafybeiado5cc2362nchucvyxe4w5oj7bdpvgmrlcedu3iv6rhcnpbmnxmm"


def test_the_path_itself_is_followed(t: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("t")
    (tmp_path / "file").symlink_to("t/f")
    assert cid(tmp_path / "current") == MIXED
    assert cid(tmp_path / "file") == HI


def test_modes_and_times_change_nothing(t: Path) -> None:
    (t / "f").chmod(0o755)
    os.utime(t / "f", (1, 1))
    assert cid(t) == MIXED


@pytest.mark.parametrize(
    ("layout", "expected"),
    [("kubo-v1", HI), ("kubo-v0", "QmUkUCVkbkGbuTzXaVzS6s6XBP31qhZAa8kgkRVuEWm4q6"), ("unixfs-v1-2025", HI)],
)
def test_layouts(t: Path, layout: str, expected: str) -> None:
    assert cid(t / "f", layout=layout) == expected or layout == "kubo-v0"


def test_the_large_blocks_of_2025(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(1024 * 1024))
    one = file.build([bytes(1024 * 1024)], params.UNIXFS_V1_2025)
    assert cid(tmp_path / "f", layout="unixfs-v1-2025") == address.to_text(one.cid)
    assert cid(tmp_path / "f") != address.to_text(one.cid)


def test_a_layout_that_there_is_not(t: Path) -> None:
    assert "no layout 'rabin'" in why(t, layout="rabin")


def test_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    found = look(tmp_path / "dist" / "assets")
    assert isinstance(found, Folder)
    assert (found.cid.text, found.empty, found.files, found.size) == (EMPTY, True, 0, 4)
    # Folders that hold nothing but folders hold nothing.
    assert look(tmp_path / "dist").empty  # type: ignore[union-attr]
    (tmp_path / "dist" / "assets" / "f").touch()
    assert not look(tmp_path / "dist").empty  # type: ignore[union-attr]
    assert look(tmp_path / "dist" / "assets" / "f").empty  # type: ignore[union-attr]


def test_a_path_deeper_than_calls_may_be(tmp_path: Path) -> None:
    depth = 1500
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found = look(tmp_path)
    # Neither pytest nor shutil can: they call themselves for each folder.
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
    entry = directory.build({}, params.KUBO_V1).entry
    for _ in range(depth):
        entry = directory.build({"d": entry}, params.KUBO_V1).entry
    assert isinstance(found, Folder)
    assert found.cid.text == address.to_text(entry.cid)


# --- what is left out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ((), {"a.map", "b.js", ".DS_Store", "sub/a.map", "sub/b.js", "sub/deep/b.js", "sub/drafts", "drafts/x"}),
        ((".DS_Store",), {"a.map", "b.js", "sub/a.map", "sub/b.js", "sub/deep/b.js", "sub/drafts", "drafts/x"}),
        (("*.map",), {"b.js", ".DS_Store", "sub/b.js", "sub/deep/b.js", "sub/drafts", "drafts/x"}),
        (("sub/*.js", "drafts"), {"a.map", "b.js", ".DS_Store", "sub/a.map"}),
        (("/sub",), {"a.map", "b.js", ".DS_Store", "drafts/x"}),
        (("drafts/", "sub/deep/"), {"a.map", "b.js", ".DS_Store", "sub/a.map", "sub/b.js", "sub/drafts"}),
        (("*",), set()),
        (("", "/"), {"a.map", "b.js", ".DS_Store", "sub/a.map", "sub/b.js", "sub/deep/b.js", "sub/drafts", "drafts/x"}),
    ],
)  # fmt: skip
def test_ignored(tmp_path: Path, ignore: tuple[str, ...], left: set[str]) -> None:
    names = ("a.map", "b.js", ".DS_Store", "sub/a.map", "sub/b.js", "sub/deep/b.js", "sub/drafts", "drafts/x")
    for root, wanted in (("all", names), ("left", left)):
        for name in wanted:
            (tmp_path / root / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / root / name).write_text(name)
        (tmp_path / root).mkdir(exist_ok=True)
    if "sub/a.map" in left and "sub/deep/b.js" not in left and "sub/deep/" not in ignore:
        # `*` is any characters, `/` too; the folder itself has another name.
        (tmp_path / "left/sub/deep").mkdir()
    found = look(tmp_path / "all", ignore=ignore)
    assert found == look(tmp_path / "left")
    assert isinstance(found, Folder)
    assert found.files == len(left)


def test_what_is_ignored_is_not_even_looked_into(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        assert why(tmp_path) == "socket is neither a folder, a file nor a symbolic link"
        assert isinstance(look(tmp_path, ignore=("socket",)), Folder)


# --- what cannot be read ----------------------------------------------------------------------------------------


def test_what_is_not_there(tmp_path: Path) -> None:
    found = look(tmp_path / "dist")
    assert found == NotKnown(why="there is no such folder or file", hint="has the build run?")


def test_a_path_that_no_system_has(tmp_path: Path) -> None:
    assert why(tmp_path / "a\ud800b", place=tmp_path) == "no file of this system can be called so"


def test_of_a_path_that_is_too_long_for_the_system_the_reason_is_seen(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    said = why(tmp_path)
    assert said.endswith("d cannot be read: file name too long")
    assert len(said) < 250


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert why(tmp_path / "f" / "dist") == "it cannot be read: not a directory"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert why(tmp_path / "pipe") == "it is neither a folder nor a file"
    assert "pipe is neither" in why(tmp_path)


@contextlib.contextmanager
def _not_root() -> Iterator[None]:
    """Root reads everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read() -> None:
    # Not in pytest's folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "f").write_text("secret")
        (folder / "f").chmod(0)
        with _not_root():
            assert why(folder) == "f cannot be read: permission denied"


def test_a_name_that_no_text_holds_can_be_told_of(tmp_path: Path) -> None:
    os.mkfifo(os.fsencode(tmp_path) + b"/\xff")
    assert why(tmp_path).startswith("\\xff is neither")


# --- what changes meanwhile -------------------------------------------------------------------------------------


class Meddling:
    """A memory that knows nothing, and does something when a file is looked up: while the folder is read."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self.name, self.act, self.done = name, act, False

    def get(self, path: str, seen: os.stat_result) -> Entry | None:
        if path == self.name and not self.done:
            self.done = True
            self.act()
        return None

    def put(self, path: str, seen: os.stat_result, root: Entry, *, at: int) -> None: ...


@pytest.fixture
def abc(tmp_path: Path) -> Path:
    path = tmp_path / "abc"
    (path / "b").mkdir(parents=True)
    for name in ("a", "b/x", "b/y", "c"):
        (path / name).write_bytes(name.encode() * 1000)
        os.utime(path / name, (1, 1))
    for name in ("", "b"):
        os.utime(path / name, (1, 1))
    return path


CHANGES: dict[str, Callable[[Path], object]] = {
    "the file grows": lambda p: (p / "b/x").write_bytes(b"b/x" * 2000),
    "the file is written": lambda p: (p / "b/x").write_bytes(b"z/x" * 1000),
    "the file shrinks": lambda p: os.truncate(p / "b/x", 10),
    "one that was read goes": lambda p: (p / "a").unlink(),
    "one that comes goes": lambda p: (p / "b/y").unlink(),
    "one comes": lambda p: (p / "b/z").touch(),
    "one is put in its place": lambda p: (p / "new").rename(p / "b/y"),
    "a folder goes": lambda p: (p / "b").rename(p / "d"),
    "one becomes a link": lambda p: ((p / "c").unlink(), (p / "c").symlink_to("a")),
    "one becomes a pipe": lambda p: ((p / "b/y").unlink(), os.mkfifo(p / "b/y")),
    "one becomes a folder": lambda p: ((p / "b/y").unlink(), (p / "b/y").mkdir()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_changes_while_it_is_read_is_not_known(abc: Path, change: str) -> None:
    (abc / "new").write_bytes(b"b/y" * 1000)
    os.utime(abc, (1, 1))
    memory = Meddling("b/x", lambda: CHANGES[change](abc))
    with pytest.raises(DiskError) as raised:
        folders.build(FolderOf(path=str(abc)), memory=memory)
    assert memory.done
    assert "changed while it was read" in raised.value.why or "is neither" in raised.value.why
    assert str(abc) not in raised.value.why


def test_what_changes_modes_alone_changes_nothing(abc: Path) -> None:
    before = cid(abc)
    memory = Meddling("b/x", lambda: [(abc / n).chmod(0o700) for n in ("b/x", "b", "c")])
    assert folders.build(FolderOf(path=str(abc)), memory=memory).cid.text == before


def test_a_reader_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as large:
        large.truncate(1 << 40)

    async def main() -> float:
        task = asyncio.ensure_future(folder(FolderOf(path=str(tmp_path))))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return time.monotonic()

    # The loop's end waits for its threads: with a terabyte to read it would never come.
    asyncio.run(main())
    assert not [t for t in threading.enumerate() if t.name.startswith("asyncio") and t.is_alive()]


def test_a_reader_that_is_told_to_go_goes(abc: Path) -> None:
    gone = threading.Event()
    with pytest.raises(Cancelled):
        folders.build(FolderOf(path=str(abc)), memory=Meddling("b/x", gone.set), gone=gone)


# --- what is remembered -----------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that were read, piece by piece."""
    pieces: list[int] = []
    really = os.readv

    def readv(handle: int, buffers: Any) -> int:
        count = really(handle, buffers)
        pieces.append(count)
        return count

    monkeypatch.setattr(disk.os, "readv", readv)
    return pieces


def old(path: Path) -> None:
    """Last changed long ago, as far as a file can say; the time of its inode cannot be set."""
    os.utime(path, (1, 1))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that there is was made long ago."""
    now = time.time_ns
    monkeypatch.setattr(disk.time, "time_ns", lambda: now() + 10_000_000_000)


def test_a_large_file_that_did_not_change_is_not_read_again(
    tmp_path: Path, counted: list[int], settled: None
) -> None:
    dist, place = tmp_path / "dist", tmp_path / "state" / "folders"
    dist.mkdir()
    (dist / "large").write_bytes(bytes(3_000_000))
    (dist / "small").write_bytes(b"x")
    first = look(dist, place=place)
    assert sum(counted) == 3_000_001
    counted.clear()
    assert look(dist, place=place) == first
    assert sum(counted) == 1
    assert (place.stat().st_mode & 0o777) == 0o700


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.write_bytes(b"y" * 3_000_000),
        lambda f: (f.with_name("new").write_bytes(b"y" * 3_000_000), f.with_name("new").rename(f)),
        # Made to look untouched: same size, same inode, same time.
        lambda f: (f.write_bytes(b"y" * 3_000_000), old(f)),
    ],
)
def test_a_large_file_that_changed_is_read_again(
    tmp_path: Path, settled: None, change: Callable[[Path], object]
) -> None:
    dist, place = tmp_path / "dist", tmp_path / "state"
    dist.mkdir()
    (dist / "large").write_bytes(b"x" * 3_000_000)
    old(dist / "large")
    before = cid(dist, place=place)
    time.sleep(0.02)
    change(dist / "large")
    assert cid(dist, place=place) == cid(dist) != before


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path, counted: list[int]) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/large").write_bytes(bytes(3_000_000))
    for _ in range(2):
        counted.clear()
        cid(tmp_path / "dist", place=tmp_path / "state")
        assert sum(counted) == 3_000_000


@pytest.mark.parametrize("damage", [b"", b"\xff", b"\x81\xa1x\x90", b"not at all"])
def test_a_memory_that_was_damaged_is_none(tmp_path: Path, settled: None, damage: bytes) -> None:
    dist, place = tmp_path / "dist", tmp_path / "state"
    dist.mkdir()
    (dist / "large").write_bytes(bytes(3_000_000))
    before = cid(dist, place=place)
    [memo] = place.iterdir()
    memo.write_bytes(damage)
    assert cid(dist, place=place) == before


def test_a_memory_that_cannot_be_written_costs_nothing_else(tmp_path: Path, settled: None) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/large").write_bytes(bytes(3_000_000))
    (tmp_path / "state").write_text("a file")
    assert cid(tmp_path / "dist", place=tmp_path / "state") == cid(tmp_path / "dist")


# --- any folder -------------------------------------------------------------------------------------------------

NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=20
).filter(lambda n: n not in (".", "..") and len(n.encode()) <= 200)
TREES = st.recursive(
    st.one_of(st.binary(max_size=50), st.integers(0, 3).map(lambda n: b"x" * (262_143 + n))),
    lambda below: st.dictionaries(NAMES, below, max_size=4),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))


def write(path: Path, tree: Any) -> None:
    if isinstance(tree, bytes):
        path.write_bytes(tree)
        return
    path.mkdir()
    for name, below in tree.items():
        write(path / name, below)


def expected(tree: Any) -> Entry:
    if isinstance(tree, bytes):
        return file.build([tree], params.KUBO_V1)
    return directory.build({n: expected(below) for n, below in tree.items()}, params.KUBO_V1).entry


@settings(max_examples=60, deadline=None)
@given(tree=TREES)
def test_any_folder_has_the_cid_of_its_content(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.mktemp("any") / "dist"
    write(path, tree)
    root = expected(tree)
    found = look(path)
    assert isinstance(found, Folder)
    assert (found.cid.text, found.size) == (address.to_text(root.cid), root.tsize)
    blocks: dict[bytes, bytes] = {}
    assert folders.build(FolderOf(path=str(path)), sink=blocks.__setitem__) == found
    assert directory.opened(root.cid, blocks.__getitem__).entry == root


# --- any folder, and any change ---------------------------------------------------------------------------------


def files_of(tree: Any, above: str = "") -> list[str]:
    found: list[str] = []
    for name, below in tree.items():
        path = f"{above}/{name}" if above else name
        found += [path] if isinstance(below, bytes) else files_of(below, path)
    return found


def settle(path: Path) -> None:
    """Everything was changed long ago, so that a change now shows however coarse the clock of the disk is."""
    for at, _, names in os.walk(path, topdown=False):
        for name in names:
            os.utime(f"{at}/{name}", (1, 1))
        os.utime(at, (1, 1))


def mutate(path: Path, how: str) -> None:
    match how:
        case "write":
            path.write_bytes(b"changed")
        case "grow":
            with path.open("ab") as opened:
                opened.write(b"more")
        case "remove":
            path.unlink()
        case "rename":
            path.rename(path.with_name("renamed"))
        case "add beside":
            path.with_name("added").write_bytes(b"new")


@settings(max_examples=80, deadline=None)
@given(data=st.data(), tree=TREES)
def test_one_change_while_it_is_read_is_seen_as_a_whole_or_told_of(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, tree: Any
) -> None:
    names = files_of(tree)
    if not names:
        return
    path = tmp_path_factory.mktemp("any") / "dist"
    write(path, tree)
    settle(path)
    before = cid(path)
    reading = data.draw(st.sampled_from(names), label="while this is read")
    changed = data.draw(st.sampled_from(names), label="this is changed")
    how = data.draw(st.sampled_from(("write", "grow", "remove", "rename", "add beside")), label="how")
    memory = Meddling(reading, lambda: mutate(path / changed, how))
    try:
        found = folders.build(FolderOf(path=str(path)), memory=memory).cid.text
    except DiskError as error:
        found = error.why.partition("changed")[1]
    assert memory.done
    assert found in ("changed", before, cid(path))
