"""The files of a request: multipart/form-data, as Kubo's clients send folders.

A part is a file, `application/x-directory` or `application/symlink`; its name is percent-encoded in `filename`.
"""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_plus

from msgspec import Struct

from reconciler.sandbox.node.reply import RpcError

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_FILENAME = re.compile(rb'filename="([^"]*)"', re.IGNORECASE)
_DIRECTORY = b"application/x-directory"
_SYMLINK = b"application/symlink"


class Part(Struct, frozen=True):
    name: str
    content: bytes
    directory: bool = False
    symlink: bool = False


class Upload:
    """What came with a request. Nothing is read before it is asked for: a command may refuse first."""

    def __init__(self, content_type: str, read: Callable[[], Awaitable[bytes]]) -> None:
        self._read = read
        match = _BOUNDARY.search(content_type) if content_type.startswith("multipart/") else None
        self._boundary = match.group(1).encode("latin-1") if match else b""

    def __bool__(self) -> bool:
        return bool(self._boundary)

    async def parts(self) -> list[Part]:
        """Raises RpcError for a body that is no multipart, or ends early."""
        pieces: list[bytes] = []
        while piece := await self._read():
            pieces.append(piece)
        return split(b"".join(pieces), self._boundary)

    async def content(self) -> bytes:
        """Of the first file, b"" without any."""
        return next((part.content for part in await self.parts() if not part.directory), b"")


def split(body: bytes, boundary: bytes) -> list[Part]:
    """The parts of a body, in order (RFC 2046). Raises RpcError."""
    marker = b"--" + boundary
    if not body.startswith(marker):
        raise RpcError("multipart: NextPart: EOF")
    out: list[Part] = []
    at = len(marker)
    while not body.startswith(b"--", at):
        end = body.find(b"\r\n" + marker, at)
        head, found, content = body[at:end].partition(b"\r\n\r\n")
        if end < 0 or not found:
            raise RpcError("unexpected EOF")
        named = _FILENAME.search(head)
        kind = head.lower()
        out.append(
            Part(
                unquote_plus(named.group(1).decode("utf-8", "surrogateescape")) if named else "",
                content,
                directory=_DIRECTORY in kind,
                symlink=_SYMLINK in kind,
            )
        )
        at = end + 2 + len(marker)
    return out
