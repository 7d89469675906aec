"""Content paths: `/ipfs/CID/a/b`, `/ipns/name/a`, `ipfs://CID`, and the bytes of what they lead to."""

from collections.abc import AsyncIterator

from reconciler.core.cid import CidError
from reconciler.core.unixfs import address, directory, reading
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.sandbox.network import MissingError
from reconciler.sandbox.node.blocks import Patience
from reconciler.sandbox.node.reply import NotFoundError, RpcError
from reconciler.sandbox.node.state import State

#: Go's `io.Copy`.
_BUFFER = 32 * 1024
_SCHEMES = {"ipfs://": "/ipfs/", "ipns://": "/ipns/"}


def is_content(text: str) -> bool:
    """Whether a path leads to content and not into MFS. A CID that is none makes it an MFS path, as in Kubo."""
    path = normal(text)
    kind, _, rest = path.lstrip("/").partition("/")
    if kind == "ipns":
        return bool(rest)
    return kind == "ipfs" and _cid(rest.partition("/")[0]) is not None


def normal(text: str) -> str:
    for scheme, prefix in _SCHEMES.items():
        if text.startswith(scheme):
            return prefix + text.removeprefix(scheme)
    return text


async def resolve(state: State, text: str, patience: Patience) -> bytes:
    """The CID that a content path, or a bare CID with or without a path, leads to. Raises RpcError."""
    path = normal(text)
    kind, _, rest = path.lstrip("/").partition("/") if path.startswith("/") else ("ipfs", "", path)
    first, *names = rest.strip("/").split("/")
    if kind == "ipns":
        target = resolved_name(state, first)
        return await resolve(state, "/".join((target, *names)), patience)
    cid = _cid(first) if kind == "ipfs" else None
    if cid is None:
        if path.startswith("/ipfs/"):
            raise RpcError(f'invalid path "{text}": invalid cid: selected encoding not supported')
        raise RpcError(f'invalid path "{text}": path does not have enough components')
    for name in names:
        cid = await _step(state, cid, name, patience)
    return cid


def resolved_name(state: State, name: str) -> str:
    """The path that an IPNS name or a domain points to. Raises RpcError."""
    found = state.names.get(name)
    if found is not None:
        return found
    if name.startswith(("k51", "k2k4", "12D3Koo", "Qm", "bafz")):
        raise RpcError("could not resolve name")
    raise RpcError(
        f'DNSLink lookup for "{name}." failed: could not resolve name: '
        "DNSLink lookup could not find a TXT record (https://docs.ipfs.tech/concepts/dnslink/)"
    )


async def content(
    state: State, cid: bytes, patience: Patience, offset: int = 0, length: int | None = None
) -> AsyncIterator[bytes]:
    """The bytes of a file, in whole buffers as Go copies them: when what is missing does not come in time, what was
    read since the last one is lost. Raises RpcError then.
    """
    buffer = bytearray()
    async for piece in _pieces(state, cid, patience, offset, length):
        buffer += piece
        while len(buffer) >= _BUFFER:
            yield bytes(buffer[:_BUFFER])
            del buffer[:_BUFFER]
    if buffer:
        yield bytes(buffer)


async def _pieces(
    state: State, cid: bytes, patience: Patience, offset: int, length: int | None
) -> AsyncIterator[bytes]:
    at, left = offset, length
    while left is None or left > 0:
        try:
            for piece in reading.read(cid, state.blocks.get, at, left):
                at += len(piece)
                left = None if left is None else left - len(piece)
                yield piece
        except MissingError as missing:
            await state.blocks.fetch(missing.cid, patience)
        else:
            return


async def _step(state: State, cid: bytes, name: str, patience: Patience) -> bytes:
    await state.blocks.fetch(cid, patience)
    if state.mfs.stat(cid).kind != "directory":
        raise RpcError(
            'func called on wrong kind: "LookupBySegment" called on a data.Bytes node (kind: bytes), '
            "but only makes sense on map or list"
        )
    try:
        found = await state.blocks.settle(lambda get: directory.find(cid, name, get), patience)
    except UnixfsError:
        raise NotFoundError from None
    if found is None:
        raise RpcError(f'no link named "{name}" under {address.to_text(cid)}')
    return found.cid


def _cid(text: str) -> bytes | None:
    try:
        return address.from_text(text)
    except CidError:
        return None
