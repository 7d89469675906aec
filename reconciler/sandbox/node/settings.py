"""`config`: Kubo's configuration as far as anybody asks for it, and its refusals to show what is secret."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from reconciler.sandbox.node.reply import RpcError

Tree: TypeAlias = dict[str, object]
_IDENTITY = "cannot show or change private key through API"
_SERVICES = "cannot show or change pinning services credentials"


class Settings:
    """The tree, changed by dotted paths."""

    def __init__(self) -> None:
        self.tree: Tree = msgspec.json.decode(_FRESH)

    @property
    def imports(self) -> Mapping[str, object]:
        return _branch(self.tree["Import"])

    def get(self, path: str) -> object:
        """Raises RpcError for what is not there and what is not shown."""
        refuse_secrets(path)
        found: object = self.tree
        done: list[str] = []
        for name in path.split("."):
            done.append(name)
            if not isinstance(found, dict) or name not in found:
                raise RpcError(f'failed to get config value: "{".".join(done)} not found"')
            found = found[name]
        return found

    def set(self, path: str, value: object) -> None:
        *above, last = path.split(".")
        tree = self.tree
        for name in above:
            tree = _branch(tree.setdefault(name, {}))
        tree[last] = value

    def shown(self) -> Tree:
        """`config/show`, which keeps every key of a pinning service to itself."""
        copy: Tree = msgspec.json.decode(msgspec.json.encode(self.tree))
        for service in _services(copy).values():
            _branch(_branch(service)["API"]).pop("Key", None)
        return _sorted(copy)

    def add_service(
        self,
        name: str,
        endpoint: str,
        *,
        key: str = "",
        enable: bool = False,
        pin_name: str = "",
        interval: str = "",
    ) -> None:
        """A service of Kubo's own remote pinning, with its MFS policy."""
        _services(self.tree)[name] = {
            "API": {"Endpoint": endpoint, "Key": key},
            "Policies": {"MFS": {"Enable": enable, "PinName": pin_name, "RepinInterval": interval}},
        }


def refuse_secrets(path: str) -> None:
    """Raises RpcError where Kubo does: for a key, and for everything that holds one."""
    parts = path.lower().split(".")
    if parts[0] == "identity" and parts[1:2] in ([], ["privkey"]):
        raise RpcError(_IDENTITY)
    if parts[0] == "pinning" and (
        len(parts) < 4 or (parts[1] == "remoteservices" and parts[3] == "api" and parts[4:5] in ([], ["key"]))
    ):
        raise RpcError(_SERVICES)


def _sorted(value: Tree) -> Tree:
    """Go writes the members of a map in order."""
    return {key: _sorted(below) if isinstance(below, dict) else below for key, below in sorted(value.items())}


def _branch(value: object) -> Tree:
    assert isinstance(value, dict)
    return value


def _services(tree: Tree) -> Tree:
    return _branch(_branch(tree["Pinning"])["RemoteServices"])


_FRESH = b"""{
 "API": {"HTTPHeaders": {}},
 "Addresses": {"API": "", "Announce": [], "AppendAnnounce": [], "Gateway": "", "NoAnnounce": [],
               "Swarm": ["/ip4/127.0.0.1/tcp/0"]},
 "AutoConf": {"Enabled": false}, "AutoNAT": {}, "AutoTLS": {"Enabled": false}, "Bitswap": {}, "Bootstrap": [],
 "DNS": {"Resolvers": {}},
 "Datastore": {"BlockKeyCacheSize": null, "BloomFilterSize": 0, "GCPeriod": "1h", "HashOnRead": false,
   "Spec": {"mounts": [
     {"mountpoint": "/blocks", "path": "blocks", "prefix": "flatfs.datastore",
      "shardFunc": "/repo/flatfs/shard/v1/next-to-last/2", "sync": false, "type": "flatfs"},
     {"compression": "none", "mountpoint": "/", "path": "datastore", "prefix": "leveldb.datastore",
      "type": "levelds"}], "type": "mount"},
   "StorageGCWatermark": 90, "StorageMax": "10GB"},
 "Discovery": {"MDNS": {"Enabled": false}},
 "Experimental": {"FilestoreEnabled": false, "Libp2pStreamMounting": false, "OptimisticProvide": false,
   "OptimisticProvideJobsPoolSize": 0, "P2pHttpProxy": false, "UrlstoreEnabled": false},
 "Gateway": {"AllowCodecConversion": null, "DeserializedResponses": null, "DisableHTMLErrors": null,
   "ExposeRoutingAPI": null, "HTTPHeaders": {}, "NoDNSLink": false, "NoFetch": false, "PublicGateways": null,
   "RootRedirect": ""},
 "HTTPRetrieval": {},
 "Identity": {"PeerID": ""},
 "Import": {"BatchMaxNodes": null, "BatchMaxSize": null, "CidVersion": null, "FastProvideDAG": null,
   "FastProvideRoot": null, "FastProvideWait": null, "HashFunction": null, "UnixFSChunker": null,
   "UnixFSDAGLayout": null, "UnixFSDirectoryMaxLinks": null, "UnixFSFileMaxLinks": null,
   "UnixFSHAMTDirectoryMaxFanout": null, "UnixFSHAMTDirectorySizeEstimation": null,
   "UnixFSHAMTDirectorySizeThreshold": null, "UnixFSRawLeaves": null},
 "Internal": {},
 "Ipns": {"DelegatedPublishers": [], "RecordLifetime": "", "RepublishPeriod": "", "ResolveCacheSize": 128},
 "Migration": {},
 "Mounts": {"FuseAllowOther": null, "IPFS": "/ipfs", "IPNS": "/ipns", "MFS": "/mfs", "StoreMode": null,
   "StoreMtime": null},
 "Peering": {"Peers": null}, "Pinning": {"RemoteServices": {}}, "Plugins": {"Plugins": null},
 "Provide": {"DHT": {}}, "Provider": {}, "Pubsub": {"DisableSigning": false, "Router": ""}, "Reprovider": {},
 "Routing": {"DelegatedRouters": [], "LoopbackAddressesOnLanDHT": true},
 "Swarm": {"AddrFilters": null, "ConnMgr": {}, "DisableBandwidthMetrics": false, "DisableNatPortMap": true,
   "RelayClient": {}, "RelayService": {}, "ResourceMgr": {},
   "Transports": {"Multiplexers": {}, "Network": {}, "Security": {}}},
 "Version": {}
}"""
