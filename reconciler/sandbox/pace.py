"""A limit of requests, and the headers that tell of it."""

import re
import time
from collections.abc import Callable

from msgspec import Struct, structs

from reconciler.sandbox.failure import FailureError
from reconciler.sandbox.faults import Answer, Fault, Received

_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
_RATE = re.compile(r"([1-9]\d{0,8})/(\d{0,6})([a-z]+)", re.ASCII)


class Rate(Struct, frozen=True):
    """So many requests in so many seconds."""

    count: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """`60/min`, `100/s`, `5/10s`. Raises ValueError."""
        match = _RATE.fullmatch(text)
        if not match or match[3] not in _SECONDS or match[2] == "0":
            raise ValueError(f"{text!r} is no rate such as 60/min or 100/s")
        return cls(int(match[1]), int(match[2] or 1) * _SECONDS[match[3]])


class RateLimit:
    """Faults: 429 to what comes beyond `rate`, in windows that begin with the first request after the last one.

    `hints`: whether Retry-After and X-RateLimit-* are sent. `clock` is in seconds, of any origin; `refused` counts.
    """

    def __init__(
        self, rate: Rate, *, hints: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.refused = 0
        self._rate = rate
        self._hints = hints
        self._clock = clock
        self._until = 0.0
        self._left = 0

    def before(self, request: Received) -> Fault | None:
        now = self._clock()
        if now >= self._until:
            self._until, self._left = now + self._rate.seconds, self._rate.count
        if self._left > 0:
            self._left -= 1
            return None
        self.refused += 1
        failure = FailureError(429, "TOO_MANY_REQUESTS", "Rate limit exceeded").answer()
        return self._told(failure, request, retry=True)

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return self._told(answer, request) if self._hints else None

    def _told(self, answer: Answer, request: Received, *, retry: bool = False) -> Answer:
        if not self._hints:
            return answer
        wait = max(0.0, self._until - self._clock())
        headers = {
            **answer.headers,
            "X-RateLimit-Limit": str(self._rate.count),
            "X-RateLimit-Remaining": str(self._left),
            "X-RateLimit-Reset": str(round(request.time + wait + 0.5)),
        }
        if retry:
            headers["Retry-After"] = str(int(wait) + 1)
        return structs.replace(answer, headers=headers)
