"""Tells somebody when how a service stands has changed, and only then.

A POST of one JSON object. It is tried a few times, spaced, and then given up: the next change is told again, and
nothing of the loop ever fails with it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from reconciler import __version__
from reconciler.core.endpoint import host_of, is_private
from reconciler.core.errors import PinrecError
from reconciler.core.manifest import SecretRef, Webhook
from reconciler.daemon.log import Log
from reconciler.daemon.state import Standing

FORMAT: Final = "1.0"
#: Seconds before the second and the third attempt.
PAUSES: Final = (2.0, 10.0)
#: Changes that wait to be told; older ones are dropped, since only the latest says how things stand.
QUEUE: Final = 64


class Change(Struct, frozen=True, kw_only=True):
    """What is sent. `text` says it in a line, for chats that show that field and nothing else."""

    format: str = FORMAT
    event: str = "standing"
    pinrec: str = __version__
    time: str
    owner: str
    manifest: str
    service: str
    #: converged, drift, blocked, failed or unknown
    standing: Standing
    was: Standing
    #: Names that an apply would change, and those that a guard holds back.
    changes: int = 0
    blocked: int = 0
    exit_code: int = 0
    why: str = ""
    text: str = ""


Send = Callable[[bytes], Awaitable[None]]


class Hook:
    """Sends changes in the order in which they came, in a task of its own. `send` raises PostError."""

    def __init__(self, send: Send, *, log: Log, sleep: Callable[[float], Awaitable[object]]) -> None:
        self._send = send
        self._log = log
        self._sleep = sleep
        self._queue: deque[Change] = deque(maxlen=QUEUE)
        self._filled = asyncio.Event()
        self._sending = asyncio.Lock()
        #: Why the last change was not told, or "".
        self.error = ""

    def tell(self, change: Change) -> None:
        self._queue.append(change)
        self._filled.set()

    def use(self, send: Send) -> None:
        """From the next attempt on, it is sent so. What waits is not lost."""
        self._send = send

    async def run(self) -> None:
        """For as long as it is not cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            await self._all()

    async def drain(self, seconds: float) -> None:
        """A last chance for what waits, or is on its way."""
        try:
            async with asyncio.timeout(seconds):
                await self._all()
        except TimeoutError:
            self.error = "not told before the end"
            self._log("warning", "webhook", error=self.error)

    async def _all(self) -> None:
        async with self._sending:
            while self._queue:
                change = self._queue[0]
                await self._one(change)
                # It may have been dropped meanwhile, for being the oldest of too many.
                if self._queue and self._queue[0] is change:
                    self._queue.popleft()

    async def _one(self, change: Change) -> None:
        from reconciler.transport.post import PostError

        body = msgspec.json.encode(change)
        for pause in (*PAUSES, None):
            try:
                await self._send(body)
            except PostError as error:
                self.error = str(error)
            else:
                self.error = ""
                self._log("debug", "webhook", service=change.service, standing=change.standing)
                return
            if pause is not None:
                await self._sleep(pause)
        self._log("warning", "webhook", service=change.service, error=self.error)


def sender(webhook: Webhook, *, environ: Mapping[str, str]) -> Send:
    """How to send to what a manifest declares. Raises SecretError, and PinrecError for an address that is none."""
    from reconciler.transport.post import post_json
    from reconciler.transport.secret import Secret, resolve

    if isinstance(webhook.url, SecretRef):
        url = resolve(webhook.url, environ=environ, what="the address of the webhook", field="url")
    else:
        url = Secret(webhook.url)
    secret = (
        resolve(webhook.secret, environ=environ, what="the secret of the webhook", field="secret")
        if webhook.secret
        else None
    )
    check_url(url.reveal(), insecure=webhook.insecure)

    async def send(body: bytes) -> None:
        await post_json(url, body, secret=secret, environ=environ)

    return send


def check_url(url: str, *, insecure: bool) -> None:
    """Raises PinrecError, which never repeats the address."""
    scheme = url.partition("://")[0].lower()
    try:
        host = host_of(url)
    except ValueError:
        host = ""
    if scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise PinrecError("the address of the webhook is no URL", hint="it begins with https:// or http://")
    if scheme == "http" and not is_private(host) and not insecure:
        raise PinrecError(
            "the webhook is plain http to a host that is not on this machine or a private network",
            hint="use https, or say insecure: true under webhook:",
        )


def worded(change: Change, *, now: datetime) -> Change:
    """The change with its time and its line of text."""
    was = f" (was {change.was})" if change.was else ""
    more = f": {change.why}" if change.why else ""
    text = f"pinrec {change.owner}/{change.service} is {change.standing}{was}{more}"
    return msgspec.structs.replace(change, time=f"{now:%Y-%m-%dT%H:%M:%SZ}", text=text)
