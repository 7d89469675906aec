"""Whole accounts, for `import`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reconciler.core.errors import ServiceError
from reconciler.core.manifest import Service

if TYPE_CHECKING:
    from reconciler.core.model import PinStatus
    from reconciler.engine.context import Context


async def whole(context: "Context", service: Service) -> "list[PinStatus]":
    """Every pin of an account. Raises ServiceError if it cannot be read whole."""
    from reconciler.services.listing import sweep, workers

    pins: list[PinStatus] = []
    name, progress = service.name, context.progress

    def sink(page: "Sequence[PinStatus]") -> None:
        pins.extend(page)
        progress.listing(name, len(pins), done=False)

    swept = await sweep(context.services[name], service.profile, sink, concurrency=workers(service.limits))
    progress.listing(name, len(pins), done=True)
    if not swept.complete:
        raise ServiceError(
            f"{name}: the listing is not whole: {swept.why}",
            service=name,
            hint="nothing was written: half an account is no manifest",
        )
    return pins
