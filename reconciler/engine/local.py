"""The node as a target: its pins beside those of the services, in a lane of its own."""

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace

from reconciler.core.desire import Desire
from reconciler.core.local import LOCAL, without_local
from reconciler.core.manifest import Manifest
from reconciler.core.model import Snapshot
from reconciler.engine.progress import Progress
from reconciler.node.local import LocalPins
from reconciler.node.protocol import Node, PinProgress
from reconciler.services.protocol import PinningService


def with_node(
    services: Mapping[str, PinningService],
    node: Node | None,
    *,
    stop: asyncio.Event,
    patience: float,
    progress: Progress,
) -> dict[str, PinningService]:
    """`services` and the node among them. `patience`: seconds that one pin may take in a run."""
    if node is None:
        return dict(services)

    def tell(cid: str, at: PinProgress) -> None:
        progress.fetching(LOCAL, cid, at.nodes, at.bytes)

    return {**services, LOCAL: LocalPins(node, stop=stop, patience=patience, listener=tell)}


def unless_idle(manifest: Manifest, desire: Desire, snapshot: Snapshot) -> tuple[Manifest, Desire, Snapshot]:
    """Without the node, where nothing is wanted of it and nothing of ours is seen there."""
    listing = snapshot.listings.get(LOCAL)
    if listing is None or desire.by_service[LOCAL] or any(p.mine for p in listing.remotes):
        return manifest, desire, snapshot
    rest = replace(
        desire,
        by_service={n: d for n, d in desire.by_service.items() if n != LOCAL},
        expired={n: d for n, d in desire.expired.items() if n != LOCAL},
        stranded={n: d for n, d in desire.stranded.items() if n != LOCAL},
    )
    listings = {n: seen for n, seen in snapshot.listings.items() if n != LOCAL}
    return without_local(manifest), rest, Snapshot(listings=listings)
