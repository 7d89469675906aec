"""Short questions to a service: does it let us in, and how many pins does it hold in each status."""

import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from reconciler.core.errors import PinrecError, SecretError, ServiceError
from reconciler.core.manifest import Service
from reconciler.core.model import STATUSES, PinStatus
from reconciler.services.client import open_services
from reconciler.services.listing import sweep, workers
from reconciler.services.protocol import PinningService, Query


class Answer(Struct, frozen=True, kw_only=True):
    """`why` is "" if the service answered as it should. `counts` holds pins by status, None if they are unknown."""

    service: str
    why: str = ""
    hint: str = ""
    exit_code: int = 0
    seconds: float = 0.0
    counts: dict[str, int] | None = None
    #: Why `counts` are not all there is, or "".
    partial: str = ""


async def test(spec: Service) -> Answer:
    """One authenticated GET /pins?limit=1."""

    async def ask(service: PinningService) -> Answer:
        started = time.monotonic()
        await service.pins(Query(status=STATUSES, limit=1))
        return Answer(service=spec.name, seconds=time.monotonic() - started)

    return await _asked(spec, ask)


async def stat(spec: Service) -> Answer:
    """Pins by status: four small questions where the service counts what matches, else the whole listing."""

    async def ask(service: PinningService) -> Answer:
        if spec.profile.count == "total" and "status" in spec.profile.filters:
            pages = {s: await service.pins(Query(status=(s,), limit=1)) for s in STATUSES}
            return Answer(service=spec.name, counts={s: page.count for s, page in pages.items()})
        counts: Counter[str] = Counter()

        def sink(pins: Sequence[PinStatus]) -> None:
            counts.update(pin.status for pin in pins)

        swept = await sweep(service, spec.profile, sink, concurrency=workers(spec.limits))
        return Answer(service=spec.name, counts={s: counts[s] for s in STATUSES}, partial=swept.why)

    return await _asked(spec, ask)


async def _asked(spec: Service, ask: Callable[[PinningService], Awaitable[Answer]]) -> Answer:
    try:
        async with open_services({spec.name: spec}, environ=os.environ) as services:
            return await ask(services[spec.name])
    except PinrecError as error:
        code = error.exit_code if isinstance(error, SecretError) else 3
        why = error.message
        if isinstance(error, ServiceError) and 300 <= error.status < 400 and error.details:
            why += f": {error.details}"
        return Answer(service=spec.name, why=why, hint=error.hint, exit_code=code)
