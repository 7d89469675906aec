"""The seam for everything that goes wrong between a client and a service.

A `Faults` object is asked twice about each request: before anything was done, and after it was done and before the
answer leaves. So an answer can be lost with and without the effect of the request.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

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
    """An HTTP answer: what the service says, or what is said in its place.

    The body takes `seconds` to be sent. After `cut` bytes of it the connection is closed, although the headers say
    how long it is.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    seconds: float = 0
    cut: int | None = None


class Drop(Struct, frozen=True, kw_only=True):
    """The connection is closed without an answer, after `seconds`."""

    seconds: float = 0


class Delay(Struct, frozen=True, kw_only=True):
    """Everything goes on after `seconds`."""

    seconds: float


class Happen(Struct, frozen=True, kw_only=True):
    """Something befalls a pin: the one that the request is about, else one that is pinned. Then everything goes on.

    "fails": it has failed, and stays so. "seems-failed": for `seconds`. "returns": if it is deleted by this request
    it is there again after `seconds`.
    """

    what: Literal["fails", "seems-failed", "returns"]
    seconds: float = 0


Fault = Answer | Drop | Delay | Happen


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


class AllOf:
    """Several faults at once, the first outermost. Before a request the first that answers or drops decides; after it
    each may change what those further in made of the answer, and all are asked.
    """

    def __init__(self, *faults: Faults) -> None:
        self._faults = faults

    def before(self, request: Received) -> Fault | None:
        found: Fault | None = None
        for faults in self._faults:
            fault = faults.before(request)
            if isinstance(fault, Answer | Drop):
                return fault
            found = found or fault
        return found

    def after(self, request: Received, answer: Answer) -> Fault | None:
        last: Fault | None = None
        for faults in reversed(self._faults):
            fault = faults.after(request, answer)
            if isinstance(fault, Answer):
                answer = fault
            if isinstance(fault, Drop) or (fault and not isinstance(last, Drop)):
                last = fault
        return last


class Latency:
    """Every request takes `seconds` longer, as over a long line."""

    def __init__(self, seconds: float) -> None:
        self._delay = Delay(seconds=seconds)

    def before(self, request: Received) -> Fault | None:  # noqa: ARG002 (the seam's signature)
        return self._delay

    def after(self, request: Received, answer: Answer) -> Fault | None:  # noqa: ARG002 (the seam's signature)
        return None
