"""Every vector made by a real Kubo 0.44 (tests/data/unixfs-vectors.json): CID, kind, sizes, links, blocks.

`how` of a vector is the RPC call that made it; it is carried out here with the pure functions, step by step.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from reconciler.core.unixfs import (
    address,
    dagpb,
    directory,
    file,
    message,
    modify,
    params,
    reading,
    stat,
    walk,
)
from reconciler.core.unixfs.blocks import Entry
from reconciler.core.unixfs.params import Params

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "unixfs-vectors.json").read_text()
)
CONFIGS = {"default": params.KUBO, "unixfs-v1-2025": params.UNIXFS_V1_2025}


class Store(dict[bytes, bytes]):
    """Blocks by CID. One that comes with a wrong CID is refused."""

    def put(self, cid: bytes, block: bytes) -> None:
        assert address.multihash(cid) == b"\x12\x20" + hashlib.sha256(block).digest()
        self[cid] = block

    def get_block(self, cid: bytes) -> bytes:
        return self[cid]


def stream(seed: str, count: int) -> bytes:
    """The input of the vectors."""
    return whole_stream(seed)[:count]


@functools.cache
def whole_stream(seed: str) -> bytes:
    """sha256(seed + ":" + n) for n = 0, 1, 2 …, as long as the longest input."""
    return b"".join(hashlib.sha256(f"{seed}:{n}".encode()).digest() for n in range(52_428_800 // 32))


def options(base: Params, call: str) -> Params:
    query = dict(parse_qsl(re.split("[; ,]", call.partition("?")[2])[0]))
    flag = {"true": True, "false": False}
    version = query.get("cid-version")
    return params.given(
        base,
        cid_version=None if version is None else 1 if version == "1" else 0,
        raw_leaves=flag.get(query.get("raw-leaves", "")),
        chunker=query.get("chunker"),
        max_file_links=int(query["max-file-links"]) if "max-file-links" in query else None,
        trickle=flag.get(query.get("trickle", "")),
    )


class Kubo:
    """The steps of `how` over one store. `add` and `write` hold the options of their calls."""

    def __init__(self, vector: dict[str, Any]) -> None:
        how, base = vector["how"], CONFIGS[vector["config"]]
        self.store = Store()
        self.calls = re.findall(r"(?:add|files/\w+)\?[^ ,;]*", how)
        self.adds = [options(base, call) for call in self.calls if call.startswith("add?")]
        self.writes = [options(base, call) for call in self.calls if call.startswith("files/write?")]
        made = [options(base, call) for call in self.calls if call.startswith("files/mkdir?")]
        self.folder = made[0] if made else self.adds[0] if self.adds else base
        if "small tree" in vector["what"] and self.writes:
            # `how` leaves out that these folders were made with the CID version of the files in them.
            self.folder = self.writes[0]

    def leaf(self, content: bytes) -> Entry:
        if self.writes:
            return self.written(modify.empty(self.writes[0], self.store.put), 0, content)
        return file.build([content], self.adds[0], self.store.put)

    def written(self, root: Entry, offset: int, content: bytes) -> Entry:
        return modify.write(root.cid, offset, content, self.store.get_block, self.writes[0], self.store.put)

    def item(self, told: dict[str, Any]) -> Entry:
        if "tree" in told:
            entries = {name: self.item(below) for name, below in told["tree"].items()}
            return directory.build(entries, self.folder, self.store.put).entry
        return self.leaf(content(told))

    def folder_of(self, told: dict[str, Any], *, one_by_one: bool) -> Entry:
        each = self.item(told["each"])
        names = [told["name"] % n for n in range(told["entries"])]
        if not one_by_one:
            return directory.build(dict.fromkeys(names, each), self.folder, self.store.put).entry
        get, put = self.store.get_block, self.store.put
        made = directory.build({}, self.folder, put)
        for start in range(0, len(names), 500):
            made = directory.update(
                made, dict.fromkeys(names[start : start + 500], each), get, self.folder, put
            )
        return made.entry


def content(told: dict[str, Any]) -> bytes:
    return told["text"].encode() if "text" in told else stream(told["stream"], told["bytes"])


def made(vector: dict[str, Any]) -> tuple[Entry, Store]:
    kubo, how, told = Kubo(vector), vector["how"], vector["input"]
    if how.startswith("as the 10000"):
        kubo.adds = [params.KUBO]
        get, put = kubo.store.get_block, kubo.store.put
        full = kubo.folder_of({**told, "entries": 10_000}, one_by_one=True)
        gone = {told["name"] % n: None for n in range(1000, 10_000)}
        return directory.update(
            directory.opened(full.cid, get), gone, get, params.KUBO, put
        ).entry, kubo.store
    if "entries" in told:
        return kubo.folder_of(told, one_by_one="files/cp" in how), kubo.store
    if "tree" in told:
        return kubo.item(told), kubo.store
    whole = content(told)
    if bodies := re.search(r"with (\d+) bodies of (.*) bytes", how):
        root = modify.empty(kubo.writes[0], kubo.store.put)
        offset = 0
        for body in sizes(int(bodies[1]), bodies[2], len(whole)):
            root = kubo.written(root, offset, whole[offset : offset + body])
            offset += body
        assert offset == len(whole)
        return root, kubo.store
    if "truncate=true" in how:
        old = kubo.leaf(stream(told["stream"], 1000))
        get, put = kubo.store.get_block, kubo.store.put
        return modify.write(old.cid, 0, whole, get, kubo.writes[0], put, truncate=True), kubo.store
    return kubo.leaf(whole), kubo.store


def sizes(count: int, told: str, total: int) -> Iterator[int]:
    """The bodies of "with 3 bodies of 262144, 75712 bytes": all but the last alike, where only two are told."""
    each = [int(size) for size in told.split(", ")]
    if len(each) == 2 and count > 2:
        each = [each[0]] * (count - 1) + [each[1]]
    yield from each if len(each) == count else each * count


def kind(store: Store, root: bytes) -> str:
    if address.codec(root) == address.RAW:
        return "raw"
    told = message.decode(dagpb.decode(store[root]).data).kind
    return {message.SHARD: "hamt", message.DIRECTORY: "directory", message.FILE: "file"}[told]


CERTAIN = [vector for vector in VECTORS if vector["cid"] is not None]


def test_the_file_is_whole() -> None:
    assert len(VECTORS) == 382
    assert len(CERTAIN) == 370
    assert all("depends on how the bytes arrive" in v["note"] for v in VECTORS if v["cid"] is None)


@pytest.mark.parametrize("vector", CERTAIN, ids=[f"{n}-{v['what']}" for n, v in enumerate(CERTAIN)])
def test_vector(vector: dict[str, Any]) -> None:
    root, store = made(vector)
    assert address.to_text(root.cid) == vector["cid"]
    assert root.tsize == vector["cumulative_size"]
    assert hashlib.sha256(store[root.cid]).hexdigest() == vector["root_block_sha256"]
    told = stat.stat(root.cid, store.get_block)
    assert (told.size, told.cumulative_size, told.links) == (
        vector["size"],
        vector["cumulative_size"],
        vector["links"],
    )
    assert kind(store, root.cid) == vector["node"]
    assert len(list(walk.walk(root.cid, store.get_block))) == vector["blocks"]
    if told.kind == "file":
        assert reading.read_all(root.cid, store.get_block) == content(vector["input"])


def test_what_has_no_certain_cid_is_a_file_of_those_bytes_all_the_same() -> None:
    for vector in VECTORS:
        if vector["cid"] is None and vector["config"] == "default":
            root, store = made(vector)
            assert reading.read_all(root.cid, store.get_block) == content(vector["input"])
