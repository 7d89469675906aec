"""What is known of named services: where they are, how hard they may be worked, how they behave.

Sources: the services' own documentation (Pinata "Account limits", Filebase "IPFS Pinning Service API",
4EVERLAND "Pinning Services API", Functionland "Pinning API") and the defaults of ipfs-cluster. Every field can
be overridden in the manifest.
"""

from typing import Literal

from msgspec import Struct

from reconciler.core.manifest import Limits, Rate
from reconciler.core.profile import Profile

Ownership = Literal["meta", "prefix"]


class Preset(Struct, frozen=True, kw_only=True):
    """`endpoint` None: it differs from user to user and must be given. `profile` is a row of `PROFILES`."""

    endpoint: str | None = None
    profile: str = "unknown"
    limits: Limits = Limits()
    ownership: Ownership = "meta"


PRESETS: dict[str, Preset] = {
    # The limits of the free plan: 60 requests a minute, 30 of them GET /pins.
    "pinata": Preset(
        endpoint="https://api.pinata.cloud/psa",
        profile="pinata",
        limits=Limits(requests=Rate(60.0, 60.0), listing=Rate(30.0, 60.0), concurrency=4),
    ),
    # 100 requests a second for each client address.
    "filebase": Preset(
        endpoint="https://api.filebase.io/v1/ipfs",
        profile="filebase",
        limits=Limits(requests=Rate(100.0, 1.0), concurrency=16),
    ),
    # Drops meta. No limit is documented.
    "4everland": Preset(
        endpoint="https://api.4everland.dev",
        profile="4everland",
        limits=Limits(requests=Rate(10.0, 1.0), concurrency=4),
        ownership="prefix",
    ),
    "ipfs-cluster": Preset(
        endpoint="http://127.0.0.1:9097", profile="ipfs-cluster", limits=Limits(concurrency=16)
    ),
    "helia": Preset(profile="helia"),
    # Claims all filters and the default status; nobody has published a measurement.
    "functionland": Preset(
        endpoint="https://api.cloud.fx.land", limits=Limits(requests=Rate(10.0, 1.0), concurrency=4)
    ),
    # `pinrec sandbox`, on whatever port it was started.
    "sandbox": Preset(profile="spec", limits=Limits(concurrency=16)),
}


def default_ownership(profile: Profile) -> Ownership:
    """Marks go into the name where meta is known to be dropped."""
    return "prefix" if profile.meta == "dropped" else "meta"
