"""A sharded directory: a trie over the murmur3 hash of each name, of which a change touches one path.

    root        slot 0x00 … 0xFF, by the first bits of the hash (eight at a fanout of 256)
    link        "A7" + name: an entry of the directory;   "A7" alone: a node of the next eight bits
    data        kind SHARD, the bit field of the slots in use, hash 0x22, fanout

A slot is a node only where two entries or more share it, so the same entries are the same blocks, in whatever order
they came and went. Old roots stay whole: a change writes new blocks and takes none away.

UnixFS specification (HAMTDirectory); boxo: ipld/unixfs/hamt.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from reconciler.core.unixfs import dagpb, message, murmur
from reconciler.core.unixfs.blocks import Entry, Get, Writer, load
from reconciler.core.unixfs.dagpb import Link
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.message import Message

HASH_BITS = 64

#: Slot → what is linked there, its name without the slot's digits: empty for a node of the next level.
Slots: TypeAlias = dict[int, Link]
#: (hash, name, what is to stand under it; None: nothing)
_Change: TypeAlias = tuple[int, str, Entry | None]


def update(
    root: bytes | None, changes: Mapping[str, Entry | None], get: Get, writer: Writer, fanout: int
) -> Entry | None:
    """The directory `root` with each name set to its entry, or taken out if that is None; None for no directory yet.

    Returns the new root, or None if no entry is left. The blocks that are new go to the writer; only nodes on the
    paths to the names are read. To take out a name that is not there changes nothing. A root that exists keeps its
    own fanout. Raises UnixfsError for blocks that are no such directory, and for names that collide in all 64 bits.
    """
    slots: Slots = {}
    if root is not None:
        slots, fanout = _open(root, get)
    wanted = [(murmur.murmur3(dagpb.name_bytes(name)), name, entry) for name, entry in changes.items()]
    _Trie(get, writer, fanout).apply(slots, wanted, 0)
    return write(slots, writer, fanout) if slots else None


def find_all(root: bytes, names: Iterable[str], get: Get) -> dict[str, Entry]:
    """What stands under each of the names, those left out that are not there. Reads each node once."""
    found: dict[str, Entry] = {}
    stack = [(root, 0, [(murmur.murmur3(dagpb.name_bytes(name)), name) for name in names])]
    while stack:
        cid, level, wanted = stack.pop()
        slots, fanout = _open(cid, get)
        below: dict[bytes, list[tuple[int, str]]] = {}
        for hashed, name in wanted:
            link = slots.get(_slot(hashed, level, fanout))
            if link is not None and link.name == name:
                found[name] = Entry(link.cid, link.tsize)
            elif link is not None and not link.name:
                below.setdefault(link.cid, []).append((hashed, name))
        stack += [(child, level + 1, some) for child, some in below.items()]
    return found


def links(root: bytes, get: Get) -> Iterator[Link]:
    """All entries, in the order of their hashes; blocks are read as they are come to."""
    stack = [Link("", root, 0)]
    while stack:
        link = stack.pop()
        if link.name:
            yield link
        else:
            slots, _ = _open(link.cid, get)
            stack += [slots[slot] for slot in sorted(slots, reverse=True)]


def write(slots: Slots, writer: Writer, fanout: int) -> Entry:
    digits = len(f"{fanout - 1:X}")
    field = tsize = 0
    out = []
    for slot in sorted(slots):
        link = slots[slot]
        field |= 1 << slot
        tsize += link.tsize
        name = f"{slot:0{digits}X}".encode() + dagpb.name_bytes(link.name)
        out.append(dagpb.encoded_link(name, link.cid, link.tsize))
    told = Message(
        kind=message.SHARD,
        # The lowest slot is the lowest bit of the last byte; leading zero bytes are left out.
        data=field.to_bytes((field.bit_length() + 7) // 8, "big"),
        hash_type=murmur.CODE,
        fanout=fanout,
    )
    out.append(dagpb.field(b"\n", message.encode(told)))
    block = b"".join(out)
    return Entry(writer.node(block), len(block) + tsize)


def _open(cid: bytes, get: Get) -> tuple[Slots, int]:
    """The slots of a node, and its fanout."""
    node = dagpb.decode(load(cid, get))
    told = message.decode(node.data)
    if told.kind != message.SHARD:
        raise UnixfsError(f"a node of a sharded directory is wanted, and this one is a {told.what}")
    fanout = told.fanout or 0
    if told.hash_type != murmur.CODE or fanout.bit_count() != 1 or not 8 <= fanout <= 1024:
        raise UnixfsError(
            f"a sharded directory with hash {told.hash_type} and fanout {fanout} is not known here"
        )
    digits = len(f"{fanout - 1:X}")
    slots: Slots = {}
    for link in node.links:
        try:
            slot = int(link.name[:digits], 16)
        except ValueError:
            slot = fanout
        if slot >= fanout or slot in slots:
            raise UnixfsError("a link of a sharded directory has no slot of its own")
        slots[slot] = Link(link.name[digits:], link.cid, link.tsize)
    return slots, fanout


def _slot(hashed: int, level: int, fanout: int) -> int:
    """The bits of the hash that count at this level, the root's being 0 and the highest."""
    bits = fanout.bit_length() - 1
    left = HASH_BITS - bits * (level + 1)
    if left < 0:
        raise UnixfsError("names of the directory collide in all bits of their hash")
    return hashed >> left & fanout - 1


class _Trie:
    """One update under way."""

    __slots__ = ("_fanout", "_get", "_writer")

    def __init__(self, get: Get, writer: Writer, fanout: int) -> None:
        self._get = get
        self._writer = writer
        self._fanout = fanout

    def apply(self, slots: Slots, changes: list[_Change], level: int) -> None:
        """Changes `slots` in place; blocks of nodes below are written as they are done."""
        groups: dict[int, list[_Change]] = {}
        for change in changes:
            groups.setdefault(_slot(change[0], level, self._fanout), []).append(change)
        for slot, group in groups.items():
            link = self._changed(slots.get(slot), group, level + 1)
            if link is None:
                slots.pop(slot, None)
            else:
                slots[slot] = link

    def _changed(self, link: Link | None, group: list[_Change], level: int) -> Link | None:
        """What stands in a slot after the changes that fall into it; None: nothing."""
        below: Slots = {}
        if link is not None and not link.name:
            below, fanout = _open(link.cid, self._get)
            if fanout != self._fanout:
                raise UnixfsError("a sharded directory has nodes of different fanouts")
        elif link is not None and all(name != link.name for _, name, _ in group):
            # The entry that has the slot now goes one level down, if another comes.
            kept = murmur.murmur3(dagpb.name_bytes(link.name))
            group = [*group, (kept, link.name, Entry(link.cid, link.tsize))]
        if not below:
            group = [change for change in group if change[2] is not None]
            if len(group) < 2:
                return _value(*group[0]) if group else None
        self.apply(below, group, level)
        if len(below) == 1 and (only := next(iter(below.values()))).name:
            return only
        if not below:
            return None
        node = write(below, self._writer, self._fanout)
        return Link("", node.cid, node.tsize)


def _value(_hashed: int, name: str, entry: Entry | None) -> Link:
    assert entry is not None
    return Link(name, entry.cid, entry.tsize)
