"""The seam between the engine and a pinning service: seven operations of API v1.0.0."""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from reconciler.core.model import PinRequest, PinStatus

Match = Literal["exact", "iexact", "partial", "ipartial"]


class Query(Struct, frozen=True, kw_only=True):
    """Filters of GET /pins. `status` () sends no status at all; callers that decide anything name all four.

    `before` and `after` are RFC 3339 texts in UTC with `Z`.
    """

    cid: tuple[str, ...] = ()
    name: str | None = None
    match: Match | None = None
    status: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None
    limit: int | None = None
    meta: dict[str, str] | None = None


class Page(Struct, frozen=True, kw_only=True):
    """One answer to GET /pins, not yet filtered again. `skew` as in `Listing.clock_skew`."""

    count: int
    results: Sequence[PinStatus]
    skew: float | None = None
    #: The answer was a 404, as some services give for an empty account, and all for a wrong endpoint.
    absent: bool = False


class PinningService(Protocol):
    """A service as the engine sees it. Every operation raises `core.errors.ServiceError` and nothing else.

    Implementations pace and retry what is safe to repeat (reads, deletes, answers that prove that nothing was
    done); an `add` or `replace` is sent at most once per call unless the service proved that it did nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        ...

    async def pins(self, query: Query) -> Page: ...

    async def add(self, pin: PinRequest) -> PinStatus:
        """POST /pins. Raises LostAnswerError if it may have happened without a readable answer."""
        ...

    async def get(self, requestid: str) -> PinStatus | None:
        """GET /pins/{requestid}; None if it is not there."""
        ...

    async def replace(self, requestid: str, pin: PinRequest) -> PinStatus | None:
        """POST /pins/{requestid}; None where the service accepts with an empty body."""
        ...

    async def delete(self, requestid: str) -> bool:
        """DELETE /pins/{requestid}; False if it was not there."""
        ...
