"""A directory: one block, or sharded when it is too large for one. It goes from one to the other by itself, as Kubo's.

    plain → sharded    a change makes it larger than `shard_above` allows (more than, not as much as)
    sharded → plain    a change makes it smaller, and what is left is within it

Nothing here holds state: a directory is a value, an update gives another one and the blocks that are new, and the old
one stays readable. In a sharded directory of 100,000 entries an update of one reads and writes three or four blocks.

boxo: ipld/unixfs/io/directory.go.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from reconciler.core.unixfs import address, dagpb, hamt, message
from reconciler.core.unixfs.blocks import Entry, Get, Sink, Writer, load
from reconciler.core.unixfs.dagpb import Link
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.message import Message
from reconciler.core.unixfs.params import Params

_PLAIN = message.encode(Message(kind=message.DIRECTORY))


class Directory(Struct, frozen=True):
    """`size`: what is held against `shard_above`, None where it was not counted.

    It is counted by `build` and `update`, so give an update the directory that the last one returned: to take an
    entry out of a sharded directory whose size is unknown means to count until there are too many to fit a block.
    """

    entry: Entry
    sharded: bool
    size: int | None


def build(
    entries: Mapping[str, Entry] | Iterable[tuple[str, Entry]], params: Params, sink: Sink | None = None
) -> Directory:
    """The directory of these entries; their order does not matter, of equal names the last one counts.

    Raises UnixfsError for a name that is empty or holds a slash.
    """
    named = dict(entries)
    for name in named:
        _check(name)
    return _fresh(named, _PLAIN, _nowhere, params, Writer(params.cid_version, sink))


def opened(root: bytes, get: Get) -> Directory:
    """The directory whose root is `root`. Raises UnixfsError if it is none."""
    block = load(root, get)
    node, told = _decoded(root, block)
    entry = Entry(root, len(block) + sum(link.tsize for link in node.links))
    return Directory(entry, sharded=told.kind == message.SHARD, size=None)


def update(
    directory: Directory,
    changes: Mapping[str, Entry | None],
    get: Get,
    params: Params,
    sink: Sink | None = None,
) -> Directory:
    """The directory with each name set to its entry, or taken out if that is None. Only new blocks go to the sink.

    It keeps the CID version that it has, whatever `params` says. To take out a name that is not there changes
    nothing. Raises UnixfsError as `build` does, and for blocks that are no directory.
    """
    for name, entry in changes.items():
        if entry is not None:
            _check(name)
    writer = Writer(address.version(directory.entry.cid), sink)
    if directory.sharded:
        return _update_sharded(directory, changes, get, params, writer)
    named, data = _read_plain(directory.entry.cid, get)
    _merge(named, changes)
    return _fresh(named, data, get, params, writer)


def find(root: bytes, name: str, get: Get) -> Entry | None:
    """What stands under `name` in the directory `root`; None if nothing does. Raises UnixfsError."""
    node, told = _decoded(root, load(root, get))
    if told.kind == message.SHARD:
        return hamt.find_all(root, (name,), get).get(name)
    for link in node.links:
        if link.name == name:
            return Entry(link.cid, link.tsize)
    return None


def links(root: bytes, get: Get) -> Iterator[Link]:
    """Its entries: sorted by the bytes of their names, or by their hashes where it is sharded. Raises UnixfsError."""
    node, told = _decoded(root, load(root, get))
    if told.kind == message.SHARD:
        yield from hamt.links(root, get)
    else:
        yield from node.links


def _fresh(named: Mapping[str, Entry], data: bytes, get: Get, params: Params, writer: Writer) -> Directory:
    """The directory of these entries in the form that fits them; `data` is the plain one's."""
    size = _base(params) + sum(_weight(name, entry, params) for name, entry in named.items())
    if size > params.shard_above and (root := hamt.update(None, named, get, writer, params.fanout)):
        return Directory(root, sharded=True, size=size)
    return Directory(_plain(named, writer, data), sharded=False, size=size)


def _update_sharded(
    directory: Directory, changes: Mapping[str, Entry | None], get: Get, params: Params, writer: Writer
) -> Directory:
    root = directory.entry.cid
    replaced = hamt.find_all(root, changes, get)
    change = -sum(_weight(name, entry, params) for name, entry in replaced.items())
    change += sum(_weight(name, entry, params) for name, entry in changes.items() if entry is not None)
    size = None if directory.size is None else directory.size + change
    if change < 0 and _fits(root, size, change, get, params):
        named = {link.name: Entry(link.cid, link.tsize) for link in hamt.links(root, get)}
        _merge(named, changes)
        whole = _base(params) + sum(_weight(name, entry, params) for name, entry in named.items())
        return Directory(_plain(named, writer, _PLAIN), sharded=False, size=whole)
    entry = hamt.update(root, changes, get, writer, params.fanout)
    if entry is None:
        return Directory(_plain({}, writer, _PLAIN), sharded=False, size=_base(params))
    return Directory(entry, sharded=True, size=size)


def _fits(root: bytes, size: int | None, change: int, get: Get, params: Params) -> bool:
    """Whether what is left after the change is within one block; counts no further than to know it."""
    if size is not None:
        return size <= params.shard_above
    size = _base(params) + change
    for link in hamt.links(root, get):
        size += _weight(link.name, Entry(link.cid, link.tsize), params)
        if size > params.shard_above:
            return False
    return True


def _base(params: Params) -> int:
    return len(dagpb.field(b"\n", _PLAIN)) if params.shard_by == "block" else 0


def _weight(name: str, entry: Entry, params: Params) -> int:
    """What an entry adds to the size that is compared with `shard_above`."""
    encoded = dagpb.name_bytes(name)
    if params.shard_by == "block":
        return dagpb.link_length(encoded, entry.cid, entry.tsize)
    return len(encoded) + len(entry.cid)


def _plain(named: Mapping[str, Entry], writer: Writer, data: bytes) -> Entry:
    out = sorted((dagpb.name_bytes(name), entry.cid, entry.tsize) for name, entry in named.items())
    parts = [dagpb.encoded_link(*link) for link in out]
    parts.append(dagpb.field(b"\n", data))
    block = b"".join(parts)
    return Entry(writer.node(block), len(block) + sum(tsize for _, _, tsize in out))


def _read_plain(root: bytes, get: Get) -> tuple[dict[str, Entry], bytes]:
    """The entries, and the data as it stands, which may tell a mode."""
    node, told = _decoded(root, load(root, get))
    if told.kind != message.DIRECTORY or node.data is None:
        raise UnixfsError(f"a plain directory is wanted, and this one is a {told.what}")
    return {link.name: Entry(link.cid, link.tsize) for link in node.links}, node.data


def _decoded(root: bytes, block: bytes) -> tuple[dagpb.Node, Message]:
    if address.codec(root) != address.DAG_PB:
        raise UnixfsError("a directory is wanted, and this is a file")
    node = dagpb.decode(block)
    told = message.decode(node.data)
    if told.kind not in (message.DIRECTORY, message.SHARD):
        raise UnixfsError(f"a directory is wanted, and this is a {told.what}")
    return node, told


def _merge(named: dict[str, Entry], changes: Mapping[str, Entry | None]) -> None:
    for name, entry in changes.items():
        if entry is None:
            named.pop(name, None)
        else:
            named[name] = entry


def _check(name: str) -> None:
    if not name or "/" in name:
        raise UnixfsError(f"{name!a} is no name for an entry of a directory")


def _nowhere(_cid: bytes) -> bytes:
    raise UnixfsError("a directory that is built anew reads no block")
