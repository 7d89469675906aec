"""`id`, `version`, `config`, and the numbers of the repository."""

from collections.abc import AsyncIterator

import msgspec

from reconciler.core.unixfs import address, walk
from reconciler.sandbox.network import MissingError, Peer
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.reply import Once, Records, Reply, RpcError, Value
from reconciler.sandbox.node.settings import refuse_secrets
from reconciler.sandbox.node.state import Command, State, Table
from reconciler.sandbox.node.upload import Upload

PROTOCOLS = (
    "/ipfs/bitswap", "/ipfs/bitswap/1.0.0", "/ipfs/bitswap/1.1.0", "/ipfs/bitswap/1.2.0", "/ipfs/id/1.0.0",
    "/ipfs/id/push/1.0.0", "/ipfs/lan/kad/1.0.0", "/ipfs/ping/1.0.0", "/libp2p/autonat/1.0.0",
    "/libp2p/autonat/2/dial-back", "/libp2p/autonat/2/dial-request", "/libp2p/circuit/relay/0.2.0/stop", "/x/",
)  # fmt: skip
#: The version of the repository's layout that goes with Kubo 0.44.
REPOSITORY = "18"
#: Settings that are numbers, and what Go says of another.
_NUMBERS = {
    "Datastore.StorageGCWatermark": "Go struct field Datastore.Datastore.StorageGCWatermark of type int64"
}
_OFFLINE = (
    "'ipfs id' cannot query information on remote peers without a running daemon; "
    "if you only want to convert --peerid-base, pass --offline option"
)


def described(peer: Peer) -> dict[str, object]:
    """What `id` and `swarm/peers` say of a peer."""
    return {
        "ID": peer.peer_id,
        "PublicKey": peer.public_key,
        "Addresses": list(peer.addresses) or None,
        "AgentVersion": peer.agent,
        "Protocols": list(PROTOCOLS),
    }


async def _id(state: State, call: Arguments, _upload: Upload) -> Reply:
    if not call.given or call.given[0] == state.identity.peer_id:
        return Once(described(state.peer))
    peer_id = call.given[0]
    if not peer_id.startswith(("12D3Koo", "Qm", "k51", "bafz", "16Uiu2")):
        raise RpcError("invalid peer id")
    for peer in state.network.connected(state.identity.peer_id):
        if peer.peer_id == peer_id:
            return Once(described(peer))
    raise RpcError(_OFFLINE)


async def _version(state: State, _call: Arguments, _upload: Upload) -> Reply:
    return Once(
        {
            "Version": state.version,
            "Commit": "",
            "Repo": REPOSITORY,
            "System": "amd64/linux",
            "Golang": "go1.26.8",
        },
        text=f"ipfs version {state.version}\n",
    )


async def _config(state: State, call: Arguments, _upload: Upload) -> Reply:
    key = call.given[0]
    refuse_secrets(key)
    if len(call.given) == 1:
        return Once({"Key": key, "Value": state.settings.get(key)})
    value: object = call.given[1]
    if call.flag("bool"):
        value = call.given[1] == "true"
    elif call.flag("json"):
        try:
            value = msgspec.json.decode(call.given[1])
        except msgspec.DecodeError:
            raise RpcError("failed to unmarshal json. unexpected end of JSON input") from None
    elif key in _NUMBERS:
        raise RpcError(
            "failed to set config value: failure to decode config: json: cannot unmarshal string into "
            f"{_NUMBERS[key]} (maybe use --json?)"
        )
    state.settings.set(key, value)
    return Once({"Key": key, "Value": value})


async def _config_show(state: State, _call: Arguments, _upload: Upload) -> Reply:
    return Once(state.settings.shown())


async def _repo_stat(state: State, call: Arguments, _upload: Upload) -> Reply:
    brief = call.flag("size-only")
    return Once(
        {
            "RepoSize": sum(map(len, state.blocks.held.values())),
            "StorageMax": 10_000_000_000,
            "NumObjects": len(state.blocks.held),
            "RepoPath": "" if brief else "(memory)",
            "Version": "" if brief else f"fs-repo@{REPOSITORY}",
        }
    )


async def _repo_version(_state: State, _call: Arguments, _upload: Upload) -> Reply:
    return Once({"Version": REPOSITORY})


async def _gc(state: State, call: Arguments, _upload: Upload) -> Reply:
    """What no pin and no MFS path leads to goes; of MFS only what is here is kept, and nothing is missed."""
    kept: set[bytes] = set()
    roots = [(pin.cid, pin.mode == "recursive") for pin in state.pins]
    stack = [(state.mfs.root.cid, True), *roots]
    while stack:
        cid, deep = stack.pop()
        key = address.multihash(cid)
        if key in kept:
            continue
        kept.add(key)
        if deep and state.blocks.has(cid):
            try:
                stack += [(below, True) for below in walk.children(cid, state.blocks.get(cid))]
            except MissingError:
                continue
    gone = [key for key in state.blocks.held if key not in kept]
    for key in gone:
        del state.blocks.held[key]

    async def records() -> AsyncIterator[Value]:
        for key in gone if not call.flag("quiet") else ():
            yield {"Key": {"/": address.to_text(b"\x01\x55" + key)}}

    return Records(records())


COMMANDS: Table = {
    "id": Command(_id, Usage(options={"format": "string", "peerid-base": "string"})),
    "version": Command(
        _version, Usage(options={"number": "bool", "commit": "bool", "repo": "bool", "all": "bool"})
    ),
    "config": Command(_config, Usage(arguments=("key",), options={"bool": "bool", "json": "bool"})),
    "config/show": Command(_config_show),
    "repo/stat": Command(_repo_stat, Usage(options={"size-only": "bool", "human": "bool"})),
    "stats/repo": Command(_repo_stat, Usage(options={"size-only": "bool", "human": "bool"})),
    "repo/version": Command(_repo_version, Usage(options={"quiet": "bool"})),
    "repo/gc": Command(_gc, Usage(options={"quiet": "bool", "stream-errors": "bool", "silent": "bool"})),
}
