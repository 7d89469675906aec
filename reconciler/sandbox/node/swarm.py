"""`swarm/*` and `routing/*`: connections within the sandbox's network. Nothing else can be reached."""

import asyncio
from collections.abc import AsyncIterator

from reconciler.core.unixfs import address
from reconciler.sandbox.network import DialError
from reconciler.sandbox.node.about import described
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.paths import resolve
from reconciler.sandbox.node.reply import Once, Records, Reply, RpcError, Value
from reconciler.sandbox.node.state import Command, State, Table
from reconciler.sandbox.node.upload import Upload
from reconciler.sandbox.peers import peer_of, without_peer

_UNKNOWN = {"ID": "", "PublicKey": "", "Addresses": None, "AgentVersion": "", "Protocols": None}
#: Kinds of a routing record: libp2p's QueryEventType.
_SENDING, _RESPONSE, _ERROR, _PROVIDER = 0, 1, 3, 4


async def _connect(state: State, call: Arguments, _upload: Upload) -> Reply:
    for given in call.given:
        if not given.startswith("/"):
            raise RpcError(f'failed to parse multiaddr "{given}": must begin with /')
        if not peer_of(given):
            raise RpcError(f"found no ipfs peers at {given}")
    done: list[str] = []
    for given in call.given:
        peer_id = peer_of(given)
        if state.faults.dial_seconds:
            await asyncio.sleep(state.faults.dial_seconds)
        try:
            _dial(state, peer_id, without_peer(given))
        except DialError as error:
            state.dials.append((given, str(error)))
            raise RpcError(f"connect {peer_id} failure: failed to dial: {error}") from None
        state.dials.append((given, ""))
        done.append(f"connect {peer_id} success")
    return Once({"Strings": done})


def _dial(state: State, peer_id: str, transport: str) -> None:
    """Tries the address, and every other that was ever named for the peer, as libp2p's peer store has it do."""
    known = state.addresses.setdefault(peer_id, [])
    if transport not in known:
        known.append(transport)
    failed: list[str] = []
    for at in (transport, *(other for other in known if other != transport)):
        try:
            state.network.dial(state.identity.peer_id, peer_id, at, refused=state.faults.dial_refused)
        except DialError as error:
            if peer_id == state.identity.peer_id:
                raise
            failed.append(f"\n  * [{at}] {error}")
        else:
            return
    raise DialError(f"failed to dial {peer_id}: all dials failed{''.join(failed)}")


async def _disconnect(state: State, call: Arguments, _upload: Upload) -> Reply:
    done: list[str] = []
    for given in call.given:
        peer_id = peer_of(given)
        hung_up = state.network.hang_up(state.identity.peer_id, peer_id)
        done.append(f"disconnect {peer_id} {'success' if hung_up else 'failure: conn not found'}")
    return Once({"Strings": done})


async def _peers(state: State, call: Arguments, _upload: Upload) -> Reply:
    rows: list[dict[str, object]] = []
    for peer in state.network.connected(state.identity.peer_id):
        row: dict[str, object] = {"Addr": without_peer((*peer.addresses, "")[0]), "Peer": peer.peer_id}
        if call.flag("verbose"):
            row |= {"Latency": "n/a", "Direction": 2, "Streams": [{"Protocol": "/ipfs/lan/kad/1.0.0"}] * 2}
        identify = described(peer) if call.flag("verbose") or call.flag("identify") else _UNKNOWN
        rows.append({**row, "Identify": identify})
    return Once({"Peers": rows or None})


async def _local(state: State, call: Arguments, _upload: Upload) -> Reply:
    return Once({"Strings": list(state.peer.addresses if call.flag("id") else state.swarm)})


async def _listen(state: State, _call: Arguments, _upload: Upload) -> Reply:
    return Once({"Strings": [*state.swarm, "/p2p-circuit"]})


async def _addrs(state: State, _call: Arguments, _upload: Upload) -> Reply:
    peers = state.network.connected(state.identity.peer_id)
    return Once({"Addrs": {peer.peer_id: [without_peer(a) for a in peer.addresses] for peer in peers}})


async def _ledger(state: State, call: Arguments, _upload: Upload) -> Reply:
    peer_id = call.given[0]
    received = state.blocks.received.get(peer_id, 0)
    row = {"Peer": peer_id, "Value": 0, "Sent": 0, "Recv": received, "Exchanged": int(received > 0)}
    return Once(row)


async def _findprovs(state: State, call: Arguments, _upload: Upload) -> Reply:
    cid = await resolve(state, call.given[0], state.patience(call))
    key = address.multihash(cid)
    me = state.identity.peer_id
    connected = state.network.connected(me)
    found = [state.peer] if state.blocks.has(cid) else []
    found += state.network.holding(me, key)
    most = call.number("num-providers", 20)
    rows: list[Value] = []
    for peer in found[:most]:
        addresses = [without_peer(a) for a in peer.addresses]
        addresses += [a for a in state.addresses.get(peer.peer_id, ()) if a not in addresses]
        rows.append(_event(_PROVIDER, responses=[{"ID": peer.peer_id, "Addrs": addresses}]))
    if not found and not connected:
        rows.append(_event(_ERROR, extra="failed to find any peer in table"))
    elif not found:
        for peer in connected:
            rows.append(_event(_SENDING, peer.peer_id))
            rows.append(_event(_RESPONSE, peer.peer_id, responses=[]))

    async def records() -> AsyncIterator[Value]:
        for row in rows:
            yield row

    return Records(records())


def _event(
    kind: int, peer_id: str = "", *, extra: str = "", responses: list[dict[str, object]] | None = None
) -> dict[str, object]:
    return {"Extra": extra, "ID": peer_id, "Responses": responses, "Type": kind}


COMMANDS: Table = {
    "swarm/connect": Command(_connect, Usage(arguments=("address",))),
    "swarm/disconnect": Command(_disconnect, Usage(arguments=("address",))),
    "swarm/peers": Command(
        _peers,
        Usage(
            options={
                "verbose": "bool", "streams": "bool", "latency": "bool", "direction": "bool", "identify": "bool",
            }
        ),
    ),
    "swarm/addrs": Command(_addrs),
    "swarm/addrs/local": Command(_local, Usage(options={"id": "bool"})),
    "swarm/addrs/listen": Command(_listen),
    "bitswap/ledger": Command(_ledger, Usage(arguments=("peer",))),
    "routing/findprovs": Command(
        _findprovs, Usage(arguments=("key",), options={"num-providers": "int", "verbose": "bool"})
    ),
}  # fmt: skip
