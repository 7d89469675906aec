"""The workers of a loop, and the clients that they work with."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from msgspec.structs import replace

from reconciler.core.local import LOCAL
from reconciler.core.manifest import Service
from reconciler.daemon.shared import Shared
from reconciler.daemon.state import ServiceState
from reconciler.daemon.worker import Worker
from reconciler.services.protocol import PinningService

OpenServices = Callable[[Mapping[str, Service]], AbstractAsyncContextManager[Mapping[str, PinningService]]]


class Crew:
    """One worker for each service."""

    def __init__(self, shared: Shared, open_services: OpenServices) -> None:
        self._shared = shared
        self._open_services = open_services
        self.workers: dict[str, Worker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        #: What closes the client of each service; those that were opened together share it.
        self._stacks: dict[str, AsyncExitStack] = {}

    async def begin(self, services: Mapping[str, Service], before: Collection[ServiceState]) -> None:
        """Open all of them and start to work. `before`: how they stood when the last loop ended. Raises PinrecError."""
        await self._open(services)
        for service in services.values():
            self._start(service, "start")
        for state in before:
            if state.service in self.workers:
                self.workers[state.service].chronicle.remember(state)

    def ask(self, kind: str, why: str, services: Collection[str] | None = None) -> None:
        """The same of all, or of some."""
        for name, worker in self.workers.items():
            if services is None or name in services:
                worker.ask(kind, why)

    def wake(self) -> None:
        for worker in self.workers.values():
            worker.wake()

    async def change(self, services: Mapping[str, Service], altered: Collection[str]) -> Callable[[], None]:
        """Other services are declared, or some are reached otherwise; `altered` are files that hold other keys now.

        What is new is opened first: raises PinrecError, and then everything is as it was. Workers that are not
        needed any more end what they are doing. The function that is returned starts the new ones.
        """
        old = {name: worker.spec for name, worker in self.workers.items()}
        anew = {
            name: service
            for name, service in services.items()
            if name not in old or _reached(service) != _reached(old[name]) or _key_altered(service, altered)
        }
        gone = [name for name in old if name not in services or name in anew]
        stacks, clients = dict(self._stacks), dict(self._shared.services)
        await self._open(anew)
        opened = {name: self._shared.services[name] for name in anew if name != LOCAL}
        # Whoever ends does so with the client it began with.
        self._shared.services.update({name: clients[name] for name in gone if name != LOCAL})
        ended = {name: self.workers.pop(name) for name in gone}
        for worker in ended.values():
            worker.end()
        if gone:
            await asyncio.wait({self._tasks.pop(name) for name in gone})
        for name in gone:
            if name not in anew:
                self._shared.holdings.pop(name, None)
                if name != LOCAL:
                    del self._stacks[name], self._shared.services[name]
        self._shared.services.update(opened)
        for stack in {stacks[name] for name in gone if name != LOCAL} - set(self._stacks.values()):
            await stack.aclose()

        def start() -> None:
            for name, service in anew.items():
                self._start(service, "the manifest changed", ended.get(name))
            self.ask("all", "the manifest changed", services.keys() - anew.keys())

        return start

    async def end(self) -> None:
        """Requests in flight end, and everything is closed."""
        for worker in self.workers.values():
            worker.end()
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))
        for stack in set(self._stacks.values()):
            await stack.aclose()

    async def _open(self, services: Mapping[str, Service]) -> None:
        """Together, which lets them share what they can. The node is somebody else's to open."""
        services = {name: service for name, service in services.items() if name != LOCAL}
        if not services:
            return
        stack = AsyncExitStack()
        try:
            opened = await stack.enter_async_context(self._open_services(services))
        except BaseException:
            await stack.aclose()
            raise
        for name, client in opened.items():
            self._shared.services[name] = client
            self._stacks[name] = stack

    def _start(self, service: Service, why: str, old: Worker | None = None) -> None:
        worker = Worker(self._shared, service)
        if old is not None:
            worker.carry_over(old)
        self.workers[service.name] = worker
        self._tasks[service.name] = asyncio.create_task(worker.run(), name=f"worker {service.name}")
        worker.ask("all", why)


def _reached(service: Service) -> Service:
    """What decides how a service is worked with, and not where it stands in a file."""
    return replace(service, line=0, file="")


def _key_altered(service: Service, altered: Collection[str]) -> bool:
    return service.key.kind == "file" and service.key.value[0] in altered
