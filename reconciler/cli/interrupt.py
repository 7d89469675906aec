"""SIGINT and SIGTERM while the event loop runs.

The first one during an apply lets the requests in flight finish and the report be written; at any other time, or the
second one, it cancels. Either way the exit code is 130 or 143.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import NoReturn

from reconciler.core.errors import EXIT_SIGINT, EXIT_SIGTERM, InterruptedRunError

_CODES = {signal.SIGINT: EXIT_SIGINT, signal.SIGTERM: EXIT_SIGTERM}


class Interrupt:
    """What has been heard so far. `stop` is what an apply watches."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.code = 0
        self._graceful = False
        self._count = 0
        self._task: asyncio.Task[int] | None = None

    def listen(self, task: asyncio.Task[int]) -> None:
        self._task = task
        loop = asyncio.get_running_loop()
        for number in _CODES:
            # Not in the main thread, or not on this system: then the process dies of it, as usual.
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, self._heard, number)

    def _heard(self, number: signal.Signals) -> None:
        self.code = _CODES[number]
        self._count += 1
        if self._count > 2:
            os._exit(self.code)
        self.stop.set()
        if self._task and not (self._graceful and self._count == 1):
            self._task.cancel()

    @contextlib.contextmanager
    def graceful(self) -> Iterator[None]:
        """In this block the first signal only sets `stop`."""
        self._graceful = True
        try:
            yield
        finally:
            self._graceful = False

    @contextlib.contextmanager
    def plain(self) -> Iterator[None]:
        """In this block signals raise at once: for a question, which blocks the loop."""
        loop = asyncio.get_running_loop()
        before = signal.getsignal(signal.SIGTERM)
        try:
            for number in _CODES:
                loop.remove_signal_handler(number)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, raise_interrupted)
        except ValueError:  # not in the main thread
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            if self._task:
                self.listen(self._task)


def raise_interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    """A signal handler for where no event loop runs."""
    raise InterruptedRunError(_CODES[signal.Signals(number)])


def run(main: Callable[[Interrupt], Awaitable[int]]) -> int:
    """Run a command's coroutine. Raises InterruptedRunError if a signal cut it short."""
    heard: list[Interrupt] = []

    async def body() -> int:
        interrupt = Interrupt()
        heard.append(interrupt)
        task = asyncio.current_task()
        assert task is not None
        interrupt.listen(task)
        code = await main(interrupt)
        return interrupt.code or code

    try:
        return asyncio.run(body())
    except asyncio.CancelledError:
        code = heard[0].code if heard else 0
        raise InterruptedRunError(code or EXIT_SIGINT) from None
