"""One request to Kubo, and what its answer means: Kubo's conventions, in one place.

    200 with a body                     the answer
    200, no body, no content type       nothing was done: a `timeout=` that Kubo could not read does that
    200 and the trailer X-Stream-Error  it failed after it had begun to answer
    500, 400 {"Message", "Code"}        it failed; the text is all there is to tell failures apart
    400, 403, 404, 405 text             refused before the command ran

Texts are matched by substring: between two runs of one version some have a prefix more or less.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from reconciler.core.errors import NodeError
from reconciler.transport.rpc import MAX_BODY, Query, Rpc, RpcAnswer, RpcStream

T = TypeVar("T")

#: For what may take as long as it makes progress: Kubo ends it by itself if we are gone without a trace.
LONGEST: Final = 7 * 24 * 3600.0
#: Longer records are no records: `pin/add` lists the pins of one call, `config/show` is no stream.
MAX_RECORD: Final = 1024 * 1024
_LATE: Final = ("context deadline exceeded", "i/o timeout")
#: What Kubo says if a block is not here and it was not to ask anybody.
_NOT_HERE: Final = ("not found locally", "could not find", "blockstore: block not found", "key not found")


class _Failure(Struct, rename="pascal"):
    message: str = ""


class Kubo:
    """Calls over one `Rpc`. Every method raises NodeError."""

    def __init__(self, rpc: Rpc, *, timeout: float) -> None:
        self.rpc = rpc
        self.timeout = timeout

    async def ask(
        self,
        command: str,
        query: Query = (),
        *,
        deadline: float | None = None,
        repeat: bool = True,
        max_body: int = MAX_BODY,
    ) -> bytes:
        """The body of the answer. The node is told to give up a little before we do, so that it says why."""
        deadline = self.timeout if deadline is None else deadline
        answer = await self.rpc.call(
            command, [*query, patience(deadline)], deadline=deadline, repeat=repeat, max_body=max_body
        )
        self._check(command, answer)
        return answer.body

    async def json(
        self,
        command: str,
        query: Query,
        kind: type[T],
        *,
        deadline: float | None = None,
        repeat: bool = True,
    ) -> T:
        """The one JSON value of the answer."""
        return self.decoded(command, await self.ask(command, query, deadline=deadline, repeat=repeat), kind)

    async def records(
        self,
        command: str,
        query: Query,
        kind: type[T],
        *,
        stall: float | None = None,
        deadline: float | None = None,
    ) -> AsyncIterator[T]:
        """The values of a stream, one a line. It ends well or with NodeError."""
        query = [*query, patience(LONGEST if deadline is None else deadline)]
        async with self.rpc.stream(command, query, stall=stall, deadline=deadline) as stream:
            async for line in self.lines(command, stream):
                yield self.decoded(command, line, kind)

    async def lines(self, command: str, stream: RpcStream) -> AsyncIterator[bytes]:
        """The lines of a good answer."""
        rest = b""
        async for chunk in self.content(command, stream):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if line:
                    yield line
            if len(rest) > MAX_RECORD:
                raise self.error(command, "a line of the answer is longer than any record")
        if rest:
            yield rest

    async def content(self, command: str, stream: RpcStream) -> AsyncIterator[bytes]:
        """The bytes of a good answer; an error that comes after them is raised."""
        if stream.status != 200:
            self._check(command, await stream.whole())
        some = False
        async for chunk in stream.chunks():
            some = True
            yield chunk
        self._check(command, RpcAnswer(stream.status, stream.content_type, b"." * some, stream.error))

    @asynccontextmanager
    async def bytes_of(
        self, command: str, query: Query, *, stall: float | None = None, deadline: float | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The content that a command streams."""
        query = [*query, patience(LONGEST if deadline is None else deadline)]
        async with self.rpc.stream(command, query, stall=stall, deadline=deadline) as stream:
            yield self.content(command, stream)

    # --- what an answer means -------------------------------------------------------------------------------

    def _check(self, command: str, answer: RpcAnswer) -> None:
        if answer.status == 200:
            if answer.error:
                # `files/rm` says in the body which, and in the trailer that.
                told = _line_of_failure(answer.body)
                raise self.error(command, f"{told}: {answer.error}" if told else answer.error, status=200)
            if not answer.body and not answer.content_type:
                raise self.error(
                    command, "an answer without content: the node did not run the command", status=200
                )
            return
        text = _message(answer)
        hint = ""
        if answer.status in (401, 403):
            hint = (
                f"is `token` right, and does its entry of API.Authorizations in the node's configuration "
                f"have /api/v0/{command} in AllowedPaths?"
            )
        elif answer.status == 404:
            hint = "is this Kubo 0.28 or newer, and is `api` its RPC API and not its gateway?"
        elif answer.status == 405:
            hint = "is `api` the RPC API, and not the gateway?"
        raise self.error(command, text or f"HTTP {answer.status}", status=answer.status, hint=hint)

    def error(
        self,
        command: str,
        text: str,
        *,
        status: int = 0,
        hint: str = "",
        late: bool = False,
        lost: bool = False,
    ) -> NodeError:
        """A failure of `command` that the node told of, or that its answer shows. `text` is untrusted."""
        text = self.rpc.redact(" ".join("".join(c if c.isprintable() else " " for c in text).split()))[:1000]
        return NodeError(
            f"the node at {self.rpc.where}: {command}: {text}",
            text=text,
            status=status,
            hint=hint,
            late=late or any(words in text for words in _LATE),
            lost=lost,
        )

    def decoded(self, command: str, data: bytes, kind: type[T]) -> T:
        """One value of an answer."""
        failure = ""
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            failure = str(error)
        if text := _line_of_failure(data):
            raise self.error(command, text, status=200)
        raise self.error(command, f"no answer that can be read: {failure}", status=200)


def patience(seconds: float) -> tuple[str, str]:
    """`timeout=`, with a unit: without one Kubo answers 200 and does nothing."""
    return "timeout", f"{max(1, round(1000 * (seconds - min(1.0, seconds / 10))))}ms"


def not_here(error: NodeError) -> bool:
    """Whether a question with `offline=true` failed because a block is not in the local store."""
    return error.status == 500 and any(words in error.text for words in _NOT_HERE)


def path_of(cid: str) -> str:
    """`/ipfs/<cid>`, for a CID, or a path into one as it is."""
    return cid if cid.startswith("/") else f"/ipfs/{cid}"


def args(*values: str, **options: str | int | bool) -> Sequence[tuple[str, str]]:
    """Arguments, then options with their underscores as hyphens and booleans as Kubo reads them."""
    query = [("arg", value) for value in values]
    for name, value in options.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        query.append((name.replace("_", "-"), text))
    return query


def _message(answer: RpcAnswer) -> str:
    text = _line_of_failure(answer.body)
    return text or answer.body[:1000].decode("utf-8", "replace").strip()


def _line_of_failure(data: bytes) -> str:
    """The message of `{"Message": …}`, or a text in JSON, as `files/rm` tells of an error with 200."""
    try:
        value: object = msgspec.json.decode(data)
        return value if isinstance(value, str) else msgspec.convert(value, _Failure).message
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return ""
