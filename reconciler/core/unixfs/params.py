"""How content is cut and linked. Two nodes that agree on all of this give the same bytes the same CID.

| | KUBO | KUBO_V1, `--cid-version=1` | UNIXFS_V1_2025 |
|---|---|---|---|
| CID version | 0 | 1 | 1 |
| raw leaves | no | yes | yes |
| chunk | 256 KiB | 256 KiB | 1 MiB |
| links in a node of a file | 174 | 174 | 1024 |
| a directory is sharded above | 256 KiB of names and CIDs | the same | 256 KiB of block |

The last column is Kubo's configuration profile `unixfs-v1-2025` (IPIP-499).
"""

import re
from typing import Literal

import msgspec
from msgspec import Struct

from reconciler.core.unixfs.failure import UnixfsError

#: Kubo takes no larger chunk: 2 MiB is the most a peer accepts, less what a leaf that is not raw adds.
MAX_CHUNK = 2 * 1024 * 1024 - 256
MAX_FANOUT = 1024


class Params(Struct, frozen=True, kw_only=True):
    """`chunk_size` in bytes. `fanout`: slots in a node of a sharded directory, a power of two from 8 to 1024.

    `shard_by`: what is compared with `shard_above` (bytes; the directory is sharded when it is more): "links", the
    lengths of all names and CIDs, or "block", the plain directory's block. `trickle`: the layout of files.
    """

    cid_version: Literal[0, 1] = 0
    raw_leaves: bool = False
    chunk_size: int = 256 * 1024
    max_links: int = 174
    trickle: bool = False
    fanout: int = 256
    shard_above: int = 256 * 1024
    shard_by: Literal["links", "block"] = "links"

    def __post_init__(self) -> None:
        if not 0 < self.chunk_size <= MAX_CHUNK:
            raise UnixfsError(f"a chunk has 1 to {MAX_CHUNK} bytes, not {self.chunk_size}")
        if self.max_links < 2:
            raise UnixfsError(f"a node of a file needs room for two links at least, not {self.max_links}")
        if self.fanout.bit_count() != 1 or not 8 <= self.fanout <= MAX_FANOUT:
            raise UnixfsError(f"a fanout is a power of two from 8 to {MAX_FANOUT}, not {self.fanout}")


KUBO = Params()
KUBO_V1 = Params(cid_version=1, raw_leaves=True)
UNIXFS_V1_2025 = Params(
    cid_version=1, raw_leaves=True, chunk_size=1024 * 1024, max_links=1024, shard_by="block"
)


def given(
    base: Params,
    *,
    cid_version: Literal[0, 1] | None = None,
    raw_leaves: bool | None = None,
    chunker: str | None = None,
    max_file_links: int | None = None,
    trickle: bool | None = None,
) -> Params:
    """`base` with the options of a command; None is an option that was not given.

    `--cid-version=1` brings raw leaves with it unless told otherwise; version 0 leaves them as they are.
    Raises UnixfsError for a chunker other than `size-N`, or a number out of range.
    """
    changes: dict[str, object] = {}
    if cid_version is not None:
        changes["cid_version"] = cid_version
        if cid_version == 1:
            changes["raw_leaves"] = True
    if raw_leaves is not None:
        changes["raw_leaves"] = raw_leaves
    if chunker is not None:
        changes["chunk_size"] = chunk_size(chunker, base.chunk_size)
    if max_file_links is not None:
        changes["max_links"] = max_file_links
    if trickle is not None:
        changes["trickle"] = trickle
    return msgspec.structs.replace(base, **changes)


def chunk_size(chunker: str, default: int) -> int:
    """Bytes in a chunk of `size-N`. `default` is what "default" and an empty text mean."""
    if chunker in ("", "default"):
        return default
    match = re.fullmatch(r"size-([0-9]{1,9})", chunker)
    if match is None:
        raise UnixfsError(f"the chunker {chunker!r} is not known here; size-N is, N in bytes")
    return int(match.group(1))
