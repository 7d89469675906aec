"""What a command answers with, before it is HTTP; and how it refuses."""

from collections.abc import AsyncIterator, Mapping
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

Value: TypeAlias = Mapping[str, object] | str


class RpcError(Exception):
    """What Kubo calls an error. Before the body begins it is HTTP 500 (`code` 1: 400), after that a trailer."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class NotFoundError(RpcError):
    """`file does not exist`, of MFS: some commands treat it apart."""

    def __init__(self, message: str = "file does not exist") -> None:
        super().__init__(message)


class Once(Struct, frozen=True):
    """One JSON value. `text` is what `encoding=text` gives."""

    value: Value
    text: str = ""


class Records(Struct, frozen=True):
    """JSON values one after the other. What is raised before the first is an HTTP error, after it a trailer.

    `many`: there may be very many, and they are sent some at a time; else each as it comes.
    """

    values: AsyncIterator[Value]
    many: bool = False


class Content(Struct, frozen=True):
    """Bytes; `length` is told in a header of Kubo's own, where it tells it."""

    pieces: AsyncIterator[bytes]
    kind: Literal["text/plain", "application/vnd.ipld.raw", "application/vnd.ipld.car"] = "text/plain"
    length: int | None = None


class Nothing(Struct, frozen=True):
    """Done; an empty body."""


Reply: TypeAlias = Once | Records | Content | Nothing

#: Go's encoder writes these so, for browsers' sake.
_ESCAPED = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))


def encode(value: object) -> bytes:
    """JSON as Go writes it, with a line break at its end."""
    text = msgspec.json.encode(value)
    for plain, escaped in _ESCAPED:
        if plain in text:
            text = text.replace(plain, escaped)
    return text + b"\n"


def error(failure: RpcError) -> bytes:
    return encode({"Message": failure.message, "Code": failure.code, "Type": "error"})
