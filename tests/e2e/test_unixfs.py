"""Folders, files and what MFS makes of them have the CIDs that a real Kubo gives them."""

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.core.unixfs import address, directory, file, modify, params, tree
from reconciler.core.unixfs.params import Params

pytestmark = pytest.mark.kubo
PROFILES = {"default": params.KUBO, "unixfs-v1-2025": params.UNIXFS_V1_2025}

Ipfs = Callable[..., str]


@pytest.fixture(scope="module", params=PROFILES)
def configured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ipfs, Params]:
    """A repository without a daemon, and what its configuration means here."""
    environ = {**os.environ, "IPFS_PATH": str(tmp_path_factory.mktemp("kubo"))}

    def ipfs(*arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(["ipfs", *arguments], env=environ, input=stdin, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    ipfs("init", "--profile", "test" if request.param == "default" else f"test,{request.param}")
    return ipfs, PROFILES[request.param]


def source(path: Path) -> tree.Item:
    if path.is_symlink():
        return tree.Symlink(os.readlink(path))
    if path.is_dir():
        return tree.Folder(lambda: ((below.name, source(below)) for below in path.iterdir()))

    def chunks() -> Iterator[memoryview]:
        buffer = bytearray(1 << 20)
        with path.open("rb", buffering=0) as opened:
            while count := opened.readinto(buffer):
                yield memoryview(buffer)[:count]

    return tree.File(chunks)


def ours(path: Path, settings: Params) -> str:
    return address.to_text(tree.build(source(path), settings).entry.cid)


def added(ipfs: Ipfs, path: Path, *options: str) -> str:
    return ipfs("add", "-r", "--hidden", "-Q", "--only-hash", *options, str(path))


def same(configured: tuple[Ipfs, Params], path: Path) -> None:
    """As the node is configured, and with `--cid-version=1` on top."""
    ipfs, base = configured
    assert ours(path, base) == added(ipfs, path)
    assert ours(path, params.given(base, cid_version=1)) == added(ipfs, path, "--cid-version=1")


def grow(dice: random.Random, folder: Path, depth: int) -> None:
    names = [
        "ü",
        "日本語",
        "a b",
        "😀",
        "-dash",
        ".hidden",
        "x" * 250,
        "%20",
        "\\",
        "n\nl",
        "e\u0301",
        "é",
        "A",
        "a",
    ]
    for name in dice.sample(names, dice.randrange(len(names))):
        kind = dice.random()
        if kind < 0.3 and depth:
            (folder / name).mkdir()
            grow(dice, folder / name, depth - 1)
        elif kind < 0.4:
            (folder / name).symlink_to(dice.choice(["../elsewhere", "a", "/etc", "ü" * 50]))
        else:
            near = dice.choice((0, 1, 262144, 1048576)) + dice.randrange(3)
            (folder / name).write_bytes(dice.randbytes(near))
            (folder / name).chmod(dice.choice((0o600, 0o755)))


@pytest.mark.parametrize("seed", range(8))
def test_a_random_folder(configured: tuple[Ipfs, Params], tmp_path: Path, seed: int) -> None:
    grow(random.Random(seed), tmp_path, 3)
    same(configured, tmp_path)


def test_names_that_are_no_utf8(configured: tuple[Ipfs, Params], tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe name")).write_bytes(b"x")
    (tmp_path / "ÿ").write_bytes(b"y")
    same(configured, tmp_path)


def test_a_large_file(configured: tuple[Ipfs, Params], tmp_path: Path) -> None:
    # 1,200 chunks of 1 MiB, and a last one: more than one level of nodes, in a file that takes no room.
    with (tmp_path / "large").open("wb") as opened:
        opened.truncate((1200 << 20) + 1)
    same(configured, tmp_path)


@pytest.mark.parametrize("entries", [4096, 4097, 5000])
def test_folders_about_the_size_at_which_they_are_sharded(
    configured: tuple[Ipfs, Params], tmp_path: Path, entries: int
) -> None:
    # Names of 28 bytes and CIDs of 36: 4096 of them are as much as is allowed.
    for n in range(entries):
        (tmp_path / f"{n:028}").write_bytes(b"")
    same(configured, tmp_path)


def test_100000_files(configured: tuple[Ipfs, Params], tmp_path: Path) -> None:
    for n in range(100_000):
        (tmp_path / f"file {n}").write_bytes(b"%d" % (n % 7))
    ipfs, base = configured
    settings = params.given(base, cid_version=1)
    assert ours(tmp_path, settings) == added(ipfs, tmp_path, "--cid-version=1")


@pytest.mark.parametrize("links", [2, 3, 5])
@pytest.mark.parametrize("layout", ["balanced", "trickle"])
def test_trees_of_many_levels(
    configured: tuple[Ipfs, Params], tmp_path: Path, layout: str, links: int
) -> None:
    ipfs, base = configured
    for chunks in (1, 2, 3, 4, 5, 9, 10, 17, 33, 94, 129, 1000):
        path = tmp_path / str(chunks)
        path.write_bytes(random.Random(chunks).randbytes(chunks * 32 - 3))
    settings = params.given(base, chunker="size-32", max_file_links=links, trickle=layout == "trickle")
    options = ["--chunker=size-32", f"--max-file-links={links}", f"--trickle={str(settings.trickle).lower()}"]
    assert ours(tmp_path, settings) == added(ipfs, tmp_path, *options)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("added_first", [False, True])
def test_a_file_written_into_and_cut_again_and_again(
    configured: tuple[Ipfs, Params], seed: int, added_first: bool
) -> None:
    ipfs, base = configured
    dice = random.Random(seed)
    version = dice.choice((0, 1))
    raw = bool(version) or dice.random() < 0.3
    settings = params.given(base, cid_version=1 if version else 0, raw_leaves=raw)
    options = [f"--cid-version={version}", f"--raw-leaves={str(raw).lower()}"]
    blocks: dict[bytes, bytes] = {}
    get, put = blocks.__getitem__, blocks.__setitem__
    path = f"/{seed}-{added_first}"
    if added_first:
        # Not a small one that is no raw block: into one of those, once it has grown, Kubo writes at wrong offsets.
        content = dice.randbytes(dice.choice((10, 300_000, 3_000_000)) if raw else 3_000_000)
        root = file.build([content], settings, put)
        ipfs("files", "cp", f"/ipfs/{ipfs('add', '-Q', '--pin=false', *options, stdin=content)}", path)
    else:
        root = modify.empty(settings, put)
        ipfs("files", "write", "--create", *options, path)
    size, steps = root.tsize, [options]
    for _ in range(6):
        data = dice.randbytes(dice.choice((1, 100, 262_144, 300_000, 1_000_000)))
        offset = dice.randrange(size + dice.choice((10_000, 3_000_000)))
        cut = dice.random() < 0.2
        root = modify.write(root.cid, offset, data, get, settings, put, truncate=cut)
        size = len(data) if cut else max(size, offset + len(data))
        more = ["--truncate"] if cut else []
        ipfs("files", "write", f"--offset={offset}", *more, *options, path, stdin=data)
        steps.append((offset, len(data), cut))
        assert address.to_text(root.cid) == ipfs("files", "stat", "--hash", path), steps


def test_a_folder_of_mfs_that_grows_and_shrinks(configured: tuple[Ipfs, Params]) -> None:
    ipfs, base = configured
    blocks: dict[bytes, bytes] = {}
    get, put = blocks.__getitem__, blocks.__setitem__
    # Long names, so that few entries are needed.
    names = [f"{n:020000}" for n in range(15)]
    leaf = file.build([b"x"], base, put)
    cid = ipfs("add", "-Q", "--pin=false", stdin=b"x")
    ipfs("files", "mkdir", "/folder")
    made = directory.build({}, base, put)

    def check(change: str, name: str) -> None:
        nonlocal made
        made = directory.update(made, {name: leaf if change == "add" else None}, get, base, put)
        if change == "add":
            ipfs("files", "cp", f"/ipfs/{cid}", f"/folder/{name}")
        else:
            ipfs("files", "rm", f"/folder/{name}")
        assert address.to_text(made.entry.cid) == ipfs("files", "stat", "--hash", "/folder"), (change, name)
        forgotten = directory.opened(made.entry.cid, get)
        assert forgotten == directory.Directory(made.entry, sharded=made.sharded, size=None)

    shapes = []
    for name in names:
        check("add", name)
        shapes.append(made.sharded)
    for name in names[:4]:
        check("remove", name)
        shapes.append(made.sharded)
    assert [shapes[0], max(shapes), shapes[-1]] == [False, True, False]
