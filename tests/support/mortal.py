"""A run that is killed: from one of its changing requests on nothing it does reaches a service any more."""

from reconciler.core.model import PinRequest, PinStatus
from reconciler.services.protocol import Page, PinningService, Query


class Killed(BaseException):
    """Not an Exception: nothing in a run may catch it and go on."""


class Fate:
    """Of one run: it dies at its `at`-th changing request (0: never), before or after that took effect."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.at, self.after = at, after
        self.count = 0
        self.dead = False

    def alive(self) -> None:
        if self.dead:
            raise Killed

    def strikes(self) -> bool:
        self.alive()
        self.count += 1
        if self.count != self.at:
            return False
        self.dead = not self.after
        self.alive()
        return True

    def end(self) -> None:
        self.dead = True
        raise Killed


class Mortal:
    """A `PinningService` in the hands of a run that may die."""

    def __init__(self, client: PinningService, fate: Fate) -> None:
        self.client, self.fate = client, fate

    @property
    def name(self) -> str:
        return self.client.name

    @property
    def requests(self) -> int:
        return self.client.requests

    async def pins(self, query: Query) -> Page:
        self.fate.alive()
        return await self.client.pins(query)

    async def get(self, requestid: str) -> PinStatus | None:
        self.fate.alive()
        return await self.client.get(requestid)

    async def add(self, pin: PinRequest) -> PinStatus:
        last = self.fate.strikes()
        try:
            return await self.client.add(pin)
        finally:
            if last:
                self.fate.end()

    async def replace(self, requestid: str, pin: PinRequest) -> PinStatus | None:
        last = self.fate.strikes()
        try:
            return await self.client.replace(requestid, pin)
        finally:
            if last:
                self.fate.end()

    async def delete(self, requestid: str) -> bool:
        last = self.fate.strikes()
        try:
            return await self.client.delete(requestid)
        finally:
            if last:
                self.fate.end()
