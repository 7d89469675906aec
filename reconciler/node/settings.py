"""What the node is told to do: its configuration, as far as it may be seen, and its repository.

Only `config/show` is asked, which leaves out keys and secrets. `config Pinning…` is refused by Kubo, and
`config/profile/apply` and `diag/cmds` show keys.
"""

from msgspec import Struct, field

from reconciler.core.question import KuboService, KuboServices
from reconciler.node.kubo import Kubo, args


class RepoStat(Struct, frozen=True, kw_only=True):
    """Bytes. `objects` is -1 where they were not counted."""

    size: int
    maximum: int
    objects: int = -1


class GcSettings(Struct, frozen=True, kw_only=True):
    """What garbage collection goes by, if the daemon runs it (`--enable-gc`, which the API does not tell)."""

    watermark: int = 90
    storage_max: str = ""
    period: str = ""


class _Api(Struct):
    endpoint: str = field(name="Endpoint", default="")


class _Mfs(Struct, rename="pascal"):
    enable: bool = False
    pin_name: str = ""
    repin_interval: str = ""


class _Policies(Struct):
    mfs: _Mfs | None = field(name="MFS", default=None)


class _Service(Struct):
    api: _Api | None = field(name="API", default=None)
    policies: _Policies | None = field(name="Policies", default=None)


class _Pinning(Struct, rename="pascal"):
    remote_services: dict[str, _Service] | None = None


class _Identity(Struct):
    peer_id: str = field(name="PeerID", default="")


class _Datastore(Struct):
    watermark: int | None = field(name="StorageGCWatermark", default=None)
    maximum: str | None = field(name="StorageMax", default=None)
    period: str | None = field(name="GCPeriod", default=None)


class Config(Struct, rename="pascal"):
    """The parts of `config/show` that are looked at."""

    pinning: _Pinning | None = None
    identity: _Identity | None = None
    datastore: _Datastore | None = None

    def services(self) -> KuboServices:
        peer = self.identity.peer_id if self.identity else ""
        named = (self.pinning.remote_services if self.pinning else None) or {}
        return KuboServices(tuple(_service(name, said, peer) for name, said in sorted(named.items())))

    def gc(self) -> GcSettings:
        said = self.datastore or _Datastore()
        return GcSettings(
            watermark=90 if said.watermark is None else said.watermark,
            storage_max=said.maximum or "",
            period=said.period or "",
        )


class _Repo(Struct, rename="pascal"):
    repo_size: int = 0
    storage_max: int = 0
    num_objects: int = -1


def _service(name: str, said: _Service, peer: str) -> KuboService:
    mfs = (said.policies.mfs if said.policies else None) or _Mfs()
    return KuboService(
        name=name,
        endpoint=said.api.endpoint if said.api else "",
        mfs_enabled=mfs.enable,
        pin_name=mfs.pin_name or f"policy/{peer}/mfs",
        repin_interval=mfs.repin_interval,
    )


async def config(kubo: Kubo) -> Config:
    """`config/show`."""
    return await kubo.json("config/show", (), Config)


async def repo_stat(kubo: Kubo, *, count: bool = False, deadline: float | None = None) -> RepoStat:
    """`repo/stat`. `count` reads the whole key store, which takes minutes where there are millions of blocks."""
    said = await kubo.json("repo/stat", args(size_only=not count), _Repo, deadline=deadline)
    # With `size-only` the number is 0 or left out, depending on the version.
    return RepoStat(size=said.repo_size, maximum=said.storage_max, objects=said.num_objects if count else -1)
