"""The node as a target beside the services: pins that also occur locally.

Its own pins are handled as those of a service that has one pin per CID, keeps no meta and never renames: what is
ours bears `pinrec/<owner>/<name>`, and only that is ever unpinned. What somebody else pinned there is held.
"""

from typing import Final

from msgspec.structs import replace

from reconciler.core.manifest import Limits, Manifest, SecretRef, Service
from reconciler.core.profile import Profile

#: The name that stands for the node among the services. No service may be called so.
LOCAL: Final = "node"
#: What the node does, as a row like those of services.
PROFILE: Final = Profile(
    name="kubo-node",
    limit=1000,
    order="newest",
    edges="exclusive",
    count="total",
    precision_ms=1,
    filters=("cid", "name", "status"),
    meta="dropped",
    second_add="same",
    same_cid_replace="loses",
    modify="loses",
    id_is_cid=True,
)
#: Pins fetched at once: each is a walk over the network of its own.
CONCURRENCY: Final = 4


def with_local(manifest: Manifest) -> Manifest:
    """The manifest with its node among the services."""
    node = manifest.node
    if node is None or LOCAL in manifest.services:
        return manifest
    service = Service(
        name=LOCAL,
        endpoint=node.api,
        key=SecretRef(kind="env", value=()),
        profile=PROFILE,
        ownership="prefix",
        limits=Limits(concurrency=CONCURRENCY, timeout=node.timeout),
        file=node.file,
        line=node.line,
    )
    return replace(manifest, services={**manifest.services, LOCAL: service})


def without_local(manifest: Manifest) -> Manifest:
    """The manifest as it is written: services only."""
    return replace(manifest, services={n: s for n, s in manifest.services.items() if n != LOCAL})
