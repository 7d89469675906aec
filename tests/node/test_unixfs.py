"""Folders get the CIDs that the importer of js-ipfs and Helia gives them: random trees, all layouts, sharded or not."""

import base64
import json
import random
import subprocess
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.unixfs import address, tree
from reconciler.core.unixfs.params import Params

pytestmark = pytest.mark.node

Tree = dict[str, "bytes | Tree"]
NAMES = ["a", "B", "z.txt", ".hidden", "ü", "日本", "a b", "emoji 😀", "%41", "-", "e\u0301", "é"]
#: Bytes of names and CIDs; a folder of `MANY` files is above it whatever they are called.
SHARD_ABOVE, MANY = 400, 40


def random_tree(dice: random.Random, depth: int) -> Tree:
    """Folders of a few entries, or of a few and many files: the importer does not count folders, nor bytes.

    So what is near to the size at which a folder is sharded is left to the vectors and to Kubo itself.
    """
    out: Tree = {}
    for name in dice.sample(NAMES, dice.randrange(6)):
        out[name] = random_tree(dice, depth - 1) if depth and dice.random() < 0.4 else random_file(dice)
    if dice.random() < 0.3:
        out["x" * 200] = random_file(dice)
        for _ in range(MANY):
            out[f"{dice.randrange(10**6)}.dat"] = random_file(dice)
    return out


def random_file(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice((0, 1, 31, 32, 33, 64, 500, 1500)))


def item(told: bytes | Tree) -> tree.Item:
    if isinstance(told, bytes):
        return tree.File(lambda: [told])
    return tree.Folder(lambda: ((name, item(below)) for name, below in told.items()))


def listed(told: Tree, above: str = "") -> Iterable[dict[str, Any]]:
    for name, below in told.items():
        if isinstance(below, bytes):
            yield {"path": above + name, "base64": base64.b64encode(below).decode()}
        else:
            yield {"path": above + name}
            yield from listed(below, f"{above}{name}/")


def ask(node: str, cases: list[tuple[Tree, Params]]) -> list[str]:
    told = [
        {
            "params": {
                "cidVersion": params.cid_version,
                "rawLeaves": params.raw_leaves,
                "chunkSize": params.chunk_size,
                "maxLinks": params.max_links,
                "trickle": params.trickle,
                "shardAbove": params.shard_above,
            },
            "files": list(listed(content)),
        }
        for content, params in cases
    ]
    script = Path(__file__).parent / "unixfs_importer.mjs"
    done = subprocess.run([node, str(script)], input=json.dumps(told), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def ours(content: Tree, params: Params) -> str:
    return address.to_text(tree.build(item(content), params).entry.cid)


def combinations() -> list[Params]:
    return [
        Params(
            cid_version=version,
            raw_leaves=raw,
            chunk_size=32,
            max_links=links,
            trickle=trickle,
            shard_above=above,
        )
        for version, raw, links, trickle, above in product(
            (0, 1), (False, True), (2, 5), (False, True), (SHARD_ABOVE, 262144)
        )
    ]


def test_random_trees(node: str) -> None:
    dice = random.Random(1)
    cases = [(random_tree(dice, 3), params) for params in combinations() for _ in range(6)]
    theirs = ask(node, cases)
    assert len(theirs) == len(cases)
    for (content, params), cid in zip(cases, theirs, strict=True):
        assert ours(content, params) == cid, (params, content)


def test_a_folder_that_is_sharded_twice_over(node: str) -> None:
    content: Tree = {f"file {n}": b"x" * (n % 3) for n in range(9000)}
    content["below"] = {f"{n}": b"" for n in range(300)}
    params = Params(cid_version=1, raw_leaves=True)
    assert ask(node, [(content, params)]) == [ours(content, params)]
