"""What is sent to `add` and `dag/import`: files and directories as the parts of a multipart body.

Kubo takes a directory as a part of its own, before what is in it, and names as paths with `/`, URL-encoded
(boxo, files/multipartfile.go).
"""

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

_CHUNK = 1024 * 1024
_PACKET = 64 * 1024
_DIRECTORY, _FILE, _LINK = "application/x-directory", "application/octet-stream", "application/symlink"


class Part(Struct, frozen=True):
    """`name` is a path with `/`. `data` None is a directory; a path is read when its turn comes."""

    name: str
    data: "bytes | AsyncIterable[bytes] | Path | None"
    link: bool = False


class Multipart:
    """A body, made while it is sent. It can be sent once."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = parts
        self._boundary = f"pinrec-{secrets.token_hex(16)}"
        #: Parts that were sent so far.
        self.sent = 0

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # A hundred thousand small files are not to be a million small packets.
        waiting = bytearray()
        async for piece in self._pieces():
            if len(piece) >= _PACKET:
                # Not copied once more: of a gigabyte that takes half a second.
                if waiting:
                    yield bytes(waiting)
                    waiting.clear()
                yield piece
                continue
            waiting += piece
            if len(waiting) >= _PACKET:
                yield bytes(waiting)
                waiting.clear()
        yield bytes(waiting)

    async def _pieces(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            kind = _DIRECTORY if part.data is None else _LINK if part.link else _FILE
            yield (
                f"--{self._boundary}\r\n"
                f'Content-Disposition: form-data; name="file"; filename="{quote(part.name, safe="")}"\r\n'
                f"Content-Type: {kind}\r\n\r\n"
            ).encode()
            if isinstance(part.data, bytes):
                yield part.data
            elif isinstance(part.data, Path):
                async for chunk in _read(part.data):
                    yield chunk
            elif part.data is not None:
                async for chunk in part.data:
                    yield chunk
            yield b"\r\n"
            self.sent += 1
        yield f"--{self._boundary}--\r\n".encode()


def tree(path: Path, name: str = "") -> Iterator[Part]:
    """A file, or a directory and all that is in it, in the order of names. Symbolic links stay links.

    Raises OSError. Sockets, devices and pipes are left out.
    """
    name = name or path.name
    if path.is_symlink():
        yield Part(name, str(path.readlink()).encode(), link=True)
    elif path.is_dir():
        yield Part(name, None)
        for child in sorted(path.iterdir()):
            yield from tree(child, f"{name}/{child.name}")
    elif path.is_file():
        yield Part(name, path)


async def _read(path: Path) -> AsyncIterator[bytes]:
    # In a thread: a disk may be slow, or a network file system gone.
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
