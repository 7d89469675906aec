"""A service that does not answer is left alone for a while."""

import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 5
COOL_DOWN: Final = 20.0


class Breaker:
    """Open after `failures` transport failures in a row; then one request per `cool_down` seconds passes.

    That one decides: an answer of any kind closes it, another failure opens it again. Answers, even 500s, are
    signs of life and never open it.
    """

    __slots__ = ("_clock", "_cool_down", "_failures", "_in_a_row", "_retry_at")

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        cool_down: float = COOL_DOWN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._cool_down = cool_down
        self._clock = clock
        self._in_a_row = 0
        self._retry_at = 0.0

    def lets_through(self) -> bool:
        """Whether a request may be tried now. After the cool-down only the first who asks gets a yes."""
        if self._in_a_row < self._failures:
            return True
        now = self._clock()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._cool_down
        return True

    def answered(self) -> None:
        self._in_a_row = 0

    def failed(self) -> None:
        self._in_a_row += 1
        if self._in_a_row >= self._failures:
            self._retry_at = self._clock() + self._cool_down
