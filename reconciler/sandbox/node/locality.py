"""How much of a DAG is here."""

from reconciler.core.unixfs import walk
from reconciler.sandbox.network import MissingError
from reconciler.sandbox.node.blocks import Blocks


def local_part(root: bytes, blocks: Blocks) -> tuple[bool, int]:
    """(all of it, bytes of the blocks that are here), a block counted as often as it is linked, as Kubo does."""
    whole, size = True, 0
    stack = [root]
    while stack:
        cid = stack.pop()
        try:
            block = blocks.get(cid)
        except MissingError:
            whole = False
            continue
        size += len(block)
        stack += walk.children(cid, block)
    return whole, size
