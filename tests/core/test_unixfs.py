"""UnixFS from any side: what is written is read back, and no CID depends on how the bytes or the names came."""

import hashlib
import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core import cid as cids
from reconciler.core.unixfs import (
    address,
    dagpb,
    directory,
    file,
    hamt,
    message,
    modify,
    murmur,
    params,
    reading,
    stat,
    tree,
    varint,
    walk,
)
from reconciler.core.unixfs.blocks import Entry, Writer
from reconciler.core.unixfs.dagpb import Link, Node
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.message import Message
from reconciler.core.unixfs.params import Params


class Store(dict[bytes, bytes]):
    """Blocks by CID, and how often they were asked for. A block with a CID that is not its own is refused."""

    def __init__(self) -> None:
        self.reads = 0

    def put(self, cid: bytes, block: bytes) -> None:
        assert address.multihash(cid) == b"\x12\x20" + hashlib.sha256(block).digest()
        assert isinstance(block, bytes)
        self[cid] = block

    def get_block(self, cid: bytes) -> bytes:
        self.reads += 1
        return self[cid]


#: Few links a node and small chunks: deep trees of few bytes.
SMALL = st.builds(
    Params,
    cid_version=st.sampled_from((0, 1)),
    raw_leaves=st.booleans(),
    chunk_size=st.integers(1, 9),
    max_links=st.integers(2, 5),
    trickle=st.booleans(),
    shard_above=st.sampled_from((0, 200, 262144)),
    shard_by=st.sampled_from(("links", "block")),
    fanout=st.sampled_from((8, 16, 256, 1024)),
)
NAMES = st.text(min_size=1, max_size=6).filter(lambda name: "/" not in name and name.isprintable())
ENTRIES = st.builds(
    Entry,
    cid=st.binary(min_size=32, max_size=32).map(lambda digest: address.RAW_PREFIX + digest),
    tsize=st.integers(0, 2**60),
)
SOME = settings(max_examples=150, deadline=None)


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(content)) for place in places), len(content)]
    return [content[a:b] for a, b in pairwise(edges)]


# --- nodes --------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_a_number_is_read_back_and_as_long_as_said(n: int, after: bytes) -> None:
    encoded = varint.encode(n)
    assert len(encoded) == varint.length(n)
    assert varint.decode(encoded + after, 0) == (n, len(encoded))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 10, b"\x80" * 9 + b"\x02"])
def test_a_number_that_is_none(data: bytes) -> None:
    with pytest.raises(UnixfsError):
        varint.decode(data, 0)


BYTE_NAMES = st.binary(max_size=5).map(lambda name: name.decode("utf-8", "surrogateescape"))


@given(
    st.lists(st.builds(Link, BYTE_NAMES, st.binary(min_size=1, max_size=200), st.integers(0, 2**64 - 1))),
    st.none() | st.binary(max_size=200),
)
def test_a_node_is_read_back(links: list[Link], data: bytes | None) -> None:
    block = dagpb.encode(links, data)
    assert dagpb.decode(block) == Node(tuple(links), data)
    told = sum(dagpb.link_length(dagpb.name_bytes(link.name), link.cid, link.tsize) for link in links)
    assert len(block) == told + (0 if data is None else len(dagpb.field(b"\n", data)))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_node_or_refused(block: bytes) -> None:
    try:
        node = dagpb.decode(block)
    except UnixfsError:
        return
    assert dagpb.decode(dagpb.encode(node.links, node.data)) == node


def test_a_block_that_is_cut_off_is_refused() -> None:
    block = dagpb.encode([Link("name", b"\x12\x20" + bytes(32), 300)], b"data")
    whole = {0, len(block) - 6}
    for size in range(len(block)):
        if size not in whole:
            with pytest.raises(UnixfsError):
                dagpb.decode(block[:size])


def test_a_name_of_no_bytes_is_refused() -> None:
    with pytest.raises(UnixfsError, match="surrogate"):
        dagpb.name_bytes("\ud800")


@given(
    st.builds(
        Message,
        kind=st.integers(0, 5),
        data=st.none() | st.binary(max_size=20),
        filesize=st.none() | st.integers(0, 2**63),
        blocksizes=st.lists(st.integers(0, 2**63), max_size=5).map(tuple),
        hash_type=st.none() | st.integers(0, 200),
        fanout=st.none() | st.integers(0, 2000),
        mode=st.none() | st.integers(0, 0o7777),
        mtime=st.none() | st.tuples(st.integers(-(2**62), 2**62), st.none() | st.integers(0, 999_999_999)),
    )
)
def test_a_message_is_read_back(told: Message) -> None:
    assert message.decode(message.encode(told)) == told


def test_packed_sizes_are_understood() -> None:
    told = message.decode(b"\x08\x02" + b"\x22\x03\x05\x80\x01")
    assert told.blocksizes == (5, 128)


@pytest.mark.parametrize(
    "data", [None, b"", b"\x08\x09", b"\x12\x01x", b"\x08\x02\x12\x05x", b"\x08\x02\x0b"]
)
def test_data_that_is_no_unixfs_is_refused(data: bytes | None) -> None:
    with pytest.raises(UnixfsError):
        message.decode(data)


# --- CIDs ---------------------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.sampled_from(("12 20", "01 70 12 20", "01 55 12 20")))
def test_a_cid_is_the_same_as_text_and_as_bytes(digest: bytes, prefix: str) -> None:
    data = bytes.fromhex(prefix) + digest
    text = address.to_text(data)
    assert address.from_text(text) == data
    assert address.to_cid(data) == cids.parse(text)
    assert address.to_cid(data).text == text
    assert address.version(data) == cids.parse(text).version
    assert address.codec(data) == cids.parse(text).codec
    assert address.multihash(data) == cids.parse(text).multihash


def test_a_cid_that_holds_its_block() -> None:
    root = b"\x01\x55\x00\x03abc"
    assert address.identity(root) == b"abc"
    assert reading.read_all(root, Store().get_block) == b"abc"
    assert list(walk.walk(root, Store().get_block)) == []
    with pytest.raises(UnixfsError):
        address.identity(b"\x01\x55\x00\x05abc")
    with pytest.raises(UnixfsError):
        address.codec(b"\x07abc")


# --- files --------------------------------------------------------------------------------------------------


@SOME
@given(
    st.binary(max_size=400), st.lists(st.integers(0, 400)), st.integers(0, 420), st.integers(0, 420), SMALL
)
def test_a_file_is_read_back_from_anywhere(
    content: bytes, places: list[int], offset: int, length: int, how: Params
) -> None:
    store = Store()
    root = file.build(cut(content, places), how, store.put)
    assert root == file.build([content], how)
    assert reading.read_all(root.cid, store.get_block) == content
    some = b"".join(reading.read(root.cid, store.get_block, offset, length))
    assert some == content[offset : offset + length]
    assert b"".join(reading.read(root.cid, store.get_block, offset)) == content[offset:]
    assert reading.size(root.cid, store.get_block) == len(content)
    told = stat.stat(root.cid, store.get_block)
    assert (told.kind, told.size, told.cumulative_size) == ("file", len(content), root.tsize)
    # The sink was given what the file consists of, and nothing else.
    assert dict(walk.walk(root.cid, store.get_block)) == dict(store)


def test_reading_asks_for_no_more_than_it_needs() -> None:
    store = Store()
    content = random.Random(0).randbytes(64 * 1000)
    root = file.build([content], Params(chunk_size=64, max_links=10), store.put)
    store.reads = 0
    assert b"".join(reading.read(root.cid, store.get_block, 32_000, 64)) == content[32_000:32_064]
    assert store.reads == 4


def test_what_was_given_may_be_overwritten() -> None:
    content = random.Random(0).randbytes(100_000)
    store, how = Store(), Params(chunk_size=1000, raw_leaves=True, cid_version=1)
    builder, buffer = file.FileBuilder(how, store.put), bytearray(700)
    for at in range(0, len(content), len(buffer)):
        piece = content[at : at + len(buffer)]
        buffer[: len(piece)] = piece
        builder.update(memoryview(buffer)[: len(piece)])
        buffer[:] = b"\xee" * len(buffer)
    assert builder.size == len(content)
    root = builder.finish()
    assert reading.read_all(root.cid, store.get_block) == content
    with pytest.raises(UnixfsError, match="finished"):
        builder.finish()


def test_a_view_of_wider_items_counts_in_bytes() -> None:
    content = bytes(range(240))
    wide = memoryview(content).cast("I")
    how = Params(chunk_size=7)
    assert file.build([wide], how) == file.build([content], how)


def test_a_missing_block_is_the_stores_to_tell() -> None:
    root = file.build([bytes(100)], Params(chunk_size=10))
    with pytest.raises(KeyError):
        reading.read_all(root.cid, Store().get_block)


def test_a_file_whose_nodes_contradict_each_other_is_refused() -> None:
    store = Store()
    writer = Writer(1, store.put)
    leaf = writer.raw(b"abc")
    for sizes, match in (((2,), "counts 2"), ((3, 3), "links")):
        told = Message(kind=message.FILE, filesize=sum(sizes), blocksizes=sizes)
        root = writer.node(dagpb.encode([Link("", leaf, 3)], message.encode(told)))
        with pytest.raises(UnixfsError, match=match):
            reading.read_all(root, store.get_block)


def test_what_is_no_file_is_not_read() -> None:
    store = Store()
    folder = directory.build({}, params.KUBO, store.put).entry
    for call in (reading.read_all, reading.size):
        with pytest.raises(UnixfsError, match="directory"):
            call(folder.cid, store.get_block)
    with pytest.raises(UnixfsError):
        list(reading.read(folder.cid, store.get_block, -1))
    store[cbor := b"\x01\x71\x12\x20" + bytes(32)] = b"\xa0"
    for read in (reading.read_all, stat.stat):
        with pytest.raises(UnixfsError, match="0x71"):
            read(cbor, store.get_block)


def test_a_symlink() -> None:
    store = Store()
    root = file.symlink("../ü", params.KUBO_V1, store.put)
    told = stat.stat(root.cid, store.get_block)
    assert (told.kind, told.target, told.size, told.cumulative_size) == ("symlink", "../ü", 5, root.tsize)


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunk_size": 0},
        {"chunk_size": params.MAX_CHUNK + 1},
        {"max_links": 1},
        {"fanout": 100},
        {"fanout": 2048},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(UnixfsError):
        Params(**wrong)  # type: ignore[arg-type]  # the table holds integers only


@pytest.mark.parametrize("chunker", ["rabin", "size-", "size--1", "size-0", "buzhash", "size-1k"])
def test_a_chunker_that_is_not_known(chunker: str) -> None:
    with pytest.raises(UnixfsError):
        params.given(params.KUBO, chunker=chunker)


def test_options_on_top_of_a_profile() -> None:
    assert params.given(params.KUBO, cid_version=1) == params.KUBO_V1
    assert params.given(params.KUBO, cid_version=1, raw_leaves=False) == Params(cid_version=1)
    assert params.given(params.UNIXFS_V1_2025) == params.UNIXFS_V1_2025
    assert params.given(params.UNIXFS_V1_2025, chunker="default").chunk_size == 1 << 20


# --- writing into files -------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.sampled_from(("write", "over", "cut")), st.integers(0, 60), st.binary(max_size=60)),
    max_size=6,
)


@SOME
@given(st.none() | st.binary(max_size=60), STEPS, SMALL)
def test_a_file_that_is_written_into_holds_what_was_written(
    begin: bytes | None, steps: list[tuple[str, int, bytes]], how: Params
) -> None:
    store = Store()
    get, put = store.get_block, store.put
    root = modify.empty(how, put) if begin is None else file.build([begin], how, put)
    model = bytearray(begin or b"")
    for kind, place, data in steps:
        if kind == "cut":
            root = modify.truncate(root.cid, place, get, how, put)
            model = bytearray(bytes(model[:place]).ljust(place, b"\0"))
        else:
            root = modify.write(root.cid, place, data, get, how, put, truncate=kind == "over")
            model = bytearray() if kind == "over" else model
            model = model.ljust(place, b"\0") if data or place > len(model) else model
            model[place : place + len(data)] = data
        assert reading.read_all(root.cid, get) == bytes(model)
        assert stat.stat(root.cid, get).cumulative_size == root.tsize


def test_a_change_gives_the_blocks_that_are_new_and_no_others() -> None:
    store, fresh = Store(), Store()
    content = random.Random(0).randbytes(1000 * 64)
    how = Params(chunk_size=64, max_links=10)
    root = file.build([content], how, store.put)
    changed = modify.write(root.cid, 640, b"new", store.get_block, how, fresh.put)
    assert len(fresh) == 4
    assert set(fresh) <= {cid for cid, _ in walk.walk(changed.cid, {**store, **fresh}.__getitem__)}
    same = modify.write(root.cid, 640, content[640:700], store.get_block, how, fresh.put)
    assert same.cid == root.cid


@pytest.mark.parametrize("call", [modify.truncate, lambda *a: modify.write(a[0], -1, b"", *a[2:])])
def test_places_before_the_beginning(call: Callable[..., Entry]) -> None:
    with pytest.raises(UnixfsError):
        call(file.build([b"x"], params.KUBO).cid, -1, Store().get_block, params.KUBO)


# --- directories --------------------------------------------------------------------------------------------


@SOME
@given(st.lists(st.tuples(NAMES, st.none() | ENTRIES), max_size=40), SMALL, st.data())
def test_a_directory_is_the_same_however_it_came_about(
    history: list[tuple[str, Entry | None]], how: Params, data: st.DataObject
) -> None:
    store = Store()
    get, put = store.get_block, store.put
    made, left = directory.build({}, how, put), dict[str, Entry]()
    while history:
        count = data.draw(st.integers(1, len(history)))
        changes, history = dict(history[:count]), history[count:]
        before = dict(store)
        made = directory.update(made, changes, get, how, put)
        assert before.items() <= store.items()
        left = {name: entry for name, entry in {**left, **changes}.items() if entry is not None}
        # Where it stands does not matter: opened from its blocks it gives the same.
        if data.draw(st.booleans()):
            made = directory.opened(made.entry.cid, get)
    assert {link.name: Entry(link.cid, link.tsize) for link in directory.links(made.entry.cid, get)} == left
    for name in [*left, "absent"]:
        assert directory.find(made.entry.cid, name, get) == left.get(name)
    shuffled = data.draw(st.permutations(list(left.items())))
    assert directory.build(shuffled, how) == directory.build(left, how)
    fresh = directory.build(left, how)
    if fresh.sharded == made.sharded:
        assert made.entry == fresh.entry
    else:
        # Only what shrank may turn back into one block: entries of another length in its place do not make it.
        assert made.sharded
    assert stat.stat(made.entry.cid, get).cumulative_size == made.entry.tsize


@SOME
@given(st.dictionaries(NAMES, ENTRIES, min_size=1, max_size=60), st.data(), st.sampled_from((8, 256)))
def test_a_trie_does_not_remember(entries: dict[str, Entry], data: st.DataObject, fanout: int) -> None:
    store = Store()
    writer = Writer(1, store.put)
    whole = hamt.update(None, entries, store.get_block, writer, fanout)
    one_by_one: Entry | None = None
    for name in data.draw(st.permutations(list(entries))):
        one_by_one = hamt.update(
            one_by_one.cid if one_by_one else None, {name: entries[name]}, store.get_block, writer, fanout
        )
    assert one_by_one == whole
    assert whole is not None
    gone = data.draw(st.sets(st.sampled_from(list(entries))))
    root: Entry | None = whole
    for name in gone:
        assert root is not None
        root = hamt.update(root.cid, {name: None}, store.get_block, writer, fanout)
    kept = {name: entry for name, entry in entries.items() if name not in gone}
    assert root == (hamt.update(None, kept, store.get_block, writer, fanout) if kept else None)


def numbered(count: int) -> dict[str, Entry]:
    leaf = file.build([b"x"], params.KUBO)
    return {f"file {n}": leaf for n in range(count)}


def test_one_entry_of_100000_touches_one_path() -> None:
    store, fresh = Store(), Store()
    made = directory.build(numbered(100_000), params.KUBO, store.put)
    assert made.sharded
    leaf = file.build([b"other"], params.KUBO)
    for changes in ({"file 5": leaf}, {"new": leaf}, {"file 77": None}):
        store.reads, fresh = 0, Store()
        after = directory.update(made, changes, store.get_block, params.KUBO, fresh.put)
        assert len(fresh) <= 4
        # Once to look it up, and once to change it.
        assert store.reads <= 8
        assert after.entry.cid in fresh
        both = {**store, **fresh}.__getitem__
        assert directory.find(after.entry.cid, next(iter(changes)), both) == next(iter(changes.values()))
        assert directory.find(made.entry.cid, "file 77", store.get_block) is not None


@pytest.mark.parametrize("shard_by", ["links", "block"])
def test_a_directory_is_sharded_only_when_it_is_larger_than_allowed(shard_by: str) -> None:
    store = Store()
    entries = numbered(10)
    free = Params(shard_by="links" if shard_by == "links" else "block")
    plain = directory.build(entries, free, store.put)
    size = sum(len(name) + len(entry.cid) for name, entry in entries.items())
    assert plain.size == (len(store[plain.entry.cid]) if shard_by == "block" else size)
    for allowed, sharded in ((plain.size, False), (plain.size - 1, True)):
        how = Params(shard_by=free.shard_by, shard_above=allowed)
        made = directory.build(entries, how, store.put)
        assert made.sharded is sharded
        if sharded:
            less = directory.update(made, {"file 0": None}, store.get_block, how, store.put)
            told = directory.opened(made.entry.cid, store.get_block)
            assert not less.sharded
            assert directory.update(told, {"file 0": None}, store.get_block, how, store.put) == less
            more = directory.update(less, {"file 0": entries["file 0"]}, store.get_block, how, store.put)
            assert more == made


def test_a_directory_keeps_its_version_and_its_mode() -> None:
    store = Store()
    told = Message(kind=message.DIRECTORY, mode=0o700)
    root = Writer(0, store.put).node(dagpb.encode((), message.encode(told)))
    made = directory.update(
        directory.opened(root, store.get_block), numbered(1), store.get_block, params.KUBO_V1, store.put
    )
    assert address.version(made.entry.cid) == 0
    assert stat.stat(made.entry.cid, store.get_block).mode == 0o700


@pytest.mark.parametrize("name", ["", "a/b", "\ud800"])
def test_a_name_that_cannot_be(name: str) -> None:
    store = Store()
    entry = file.build([b""], params.KUBO)
    with pytest.raises(UnixfsError):
        directory.build({name: entry}, params.KUBO)
    made = directory.build({}, params.KUBO, store.put)
    with pytest.raises(UnixfsError):
        directory.update(made, {name: entry}, store.get_block, params.KUBO)


def test_what_is_no_directory_is_refused() -> None:
    store = Store()
    for root in (file.build([b"x"], how, store.put).cid for how in (params.KUBO, params.KUBO_V1)):
        for call in (directory.opened, lambda cid, get: list(directory.links(cid, get))):
            with pytest.raises(UnixfsError, match="a directory is wanted"):
                call(root, store.get_block)


@pytest.mark.parametrize(
    ("links", "told"),
    [
        (["0Gx"], {}),
        (["00x", "00y"], {}),
        (["00x"], {"hash_type": 0x12}),
        (["00x"], {"fanout": 100}),
        (["00x"], {"fanout": None}),
        (["00"], {"kind": message.DIRECTORY}),
    ],
)
def test_a_shard_that_is_broken_is_refused(links: list[str], told: dict[str, int]) -> None:
    store = Store()
    data = Message(**{"kind": message.SHARD, "hash_type": murmur.CODE, "fanout": 256, **told})
    block = dagpb.encode([Link(name, b"\x12\x20" + bytes(32), 1) for name in links], message.encode(data))
    root = Writer(0, store.put).node(block)
    with pytest.raises(UnixfsError):
        list(hamt.links(root, store.get_block))


def test_a_trie_of_two_fanouts_is_not_changed() -> None:
    store = Store()
    writer = Writer(0, store.put)
    entries = numbered(40)
    wide = hamt.update(None, entries, store.get_block, writer, 256)
    assert wide is not None
    root = hamt.write({slot: Link("", wide.cid, wide.tsize) for slot in range(8)}, writer, 8)
    with pytest.raises(UnixfsError, match="different fanouts"):
        hamt.update(root.cid, numbered(1), store.get_block, writer, 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("hello", 0xCBD8A7B341BD9B02),
        ("hello, world", 0x342FAC623A5EBC8E),
        ("The quick brown fox jumps over the lazy dog.", 0xCD99481F9EE902C9),
    ],
)
def test_murmur3_as_its_reference_implementations_have_it(text: str, expected: int) -> None:
    # The table of spaolacci/murmur3, which boxo uses.
    assert murmur.murmur3(text.encode()) == expected


# --- folders ------------------------------------------------------------------------------------------------


def test_a_folder_is_streamed_and_counted() -> None:
    opened: list[str] = []

    def chunks(name: str) -> Callable[[], Iterator[bytes]]:
        def read() -> Iterator[bytes]:
            opened.append(name)
            yield from (b"a", b"b" * 10)

        return read

    inner = tree.Folder(lambda: iter([("deep", tree.File(chunks("deep")))]))
    items = [
        ("z", tree.File(chunks("z"))),
        ("inner", inner),
        ("link", tree.Symlink("z")),
        ("empty", tree.Folder(list)),
    ]
    store = Store()

    def listed() -> Iterator[tuple[str, tree.Item]]:
        for name, item in items:
            # Each item is done before the next one is asked for.
            assert opened == {"z": [], "inner": ["z"]}.get(name, ["z", "deep"])
            yield name, item

    built = tree.build(tree.Folder(listed), params.KUBO_V1, store.put)
    assert (built.files, built.folders, built.size) == (3, 3, 22)
    get = store.get_block
    assert [link.name for link in directory.links(built.entry.cid, get)] == ["empty", "inner", "link", "z"]
    deep = directory.find(built.entry.cid, "inner", get)
    assert deep is not None
    found = directory.find(deep.cid, "deep", get)
    assert found is not None
    assert reading.read_all(found.cid, get) == b"a" + b"b" * 10
    turned = tree.build(tree.Folder(lambda: reversed(items)), params.KUBO_V1)
    assert turned.entry == built.entry


def test_a_path_deeper_than_pythons_stack() -> None:
    item: tree.Item = tree.File(lambda: [b"x"])
    for _ in range(5000):
        item = tree.Folder(lambda below=item: [("d", below)])
    built = tree.build(item, params.KUBO_V1)
    assert (built.files, built.folders) == (1, 5000)


def test_a_file_or_a_symlink_may_be_all_there_is() -> None:
    assert tree.build(tree.File(lambda: [b"x"]), params.KUBO).entry == file.build([b"x"], params.KUBO)
    assert tree.build(tree.Symlink("x"), params.KUBO).entry == file.symlink("x", params.KUBO)


def test_what_a_source_raises_passes_through() -> None:
    def gone() -> Iterator[bytes]:
        raise FileNotFoundError("gone")
        yield b""

    with pytest.raises(FileNotFoundError):
        tree.build(tree.Folder(lambda: [("x", tree.File(gone))]), params.KUBO)


def test_the_memory_of_a_large_file_is_that_of_a_chunk() -> None:
    # The blocks that are held at once: pieces are dropped as soon as they are hashed.
    import tracemalloc

    chunk = bytes(1 << 20)
    tracemalloc.start()
    try:
        file.build((chunk for _ in range(64)), params.KUBO_V1)
        few = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        file.build((chunk for _ in range(1024)), params.KUBO_V1)
        many = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert many < few + 200_000
