"""The body of an answer, of which never more than a bound is held, compressed or not."""

import zlib
from collections.abc import AsyncIterator

import httpx


class BodyError(Exception):
    """The body is too long, or not what its headers say. The text says which."""


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """The decompressed body. Raises BodyError, and what httpx raises."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    chunks = response.aiter_raw()
    if encoding in ("gzip", "x-gzip"):
        chunks = _gunzip(chunks, limit)
    elif encoding not in ("", "identity"):
        raise BodyError("the answer is compressed in a way that was not asked for")
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise BodyError(f"the answer is longer than {limit} bytes")
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _gunzip(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """httpx would inflate a chunk as far as it goes: 64 kB can be 64 MB."""
    inflate = zlib.decompressobj(wbits=31)
    async for chunk in chunks:
        try:
            yield inflate.decompress(chunk, limit + 1)
        except zlib.error:
            raise BodyError("the answer is not the gzip that it says it is") from None
    if not inflate.eof:
        raise BodyError("the answer ends too early")
