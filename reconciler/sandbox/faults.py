"""The seam for everything that goes wrong between a client and a service.

A `Faults` object is asked twice about each request: before anything was done, and after it was done and before the
answer leaves. So an answer can be lost with and without the effect of the request.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import Struct


class Received(Struct, frozen=True, kw_only=True):
    """A request as it came. The Authorization header is not kept.

    `number` counts from 1 for each sandbox; `time` is seconds since 1970; `query` is the raw text.
    """

    number: int
    time: float
    method: str
    path: str
    query: str
    body: bytes

    @property
    def json(self) -> object:
        """The body decoded; None if there is none or it is not JSON."""
        try:
            return msgspec.json.decode(self.body) if self.body else None
        except msgspec.DecodeError:
            return None


class Answer(Struct, frozen=True, kw_only=True):
    """An HTTP answer: what the service says, or what is said in its place."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Drop(Struct, frozen=True, kw_only=True):
    """The connection is closed without an answer, after `seconds`."""

    seconds: float = 0


class Delay(Struct, frozen=True, kw_only=True):
    """Everything goes on after `seconds`."""

    seconds: float


Fault = Answer | Drop | Delay


class Faults(Protocol):
    """Decides per request. None: nothing special. Called on the server's thread, one request at a time."""

    def before(self, request: Received) -> Fault | None:
        """Before anything is done. An `Answer` or `Drop` here means that nothing is done."""
        ...

    def after(self, request: Received, answer: Answer) -> Fault | None:
        """After `answer` was made and its effect committed."""
        ...


class NoFaults:
    def before(self, request: Received) -> Fault | None:  # noqa: ARG002 (the seam's signature)
        return None

    def after(self, request: Received, answer: Answer) -> Fault | None:  # noqa: ARG002 (the seam's signature)
        return None


class Latency:
    """Every request takes `seconds` longer, as over a long line."""

    def __init__(self, seconds: float) -> None:
        self._delay = Delay(seconds=seconds)

    def before(self, request: Received) -> Fault | None:  # noqa: ARG002 (the seam's signature)
        return self._delay

    def after(self, request: Received, answer: Answer) -> Fault | None:  # noqa: ARG002 (the seam's signature)
        return None
