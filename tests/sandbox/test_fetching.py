"""A service that fetches: a pin is pinned when its content came from a peer, by origins or by delegates."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from reconciler.sandbox import Lifecycle, Network, Sandbox, SandboxNode

TOKEN = "first-token"
Talk = Callable[..., httpx.Client]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def node(network: Network) -> Iterator[SandboxNode]:
    with SandboxNode(network=network) as running:
        yield running


@pytest.fixture
def service(network: Network, clock: Any) -> Iterator[Sandbox]:
    with Sandbox([TOKEN], network=network, clock=clock, lifecycle=Lifecycle(patience=60)) as running:
        yield running


@pytest.fixture
def api(service: Sandbox, talk: Talk) -> Iterator[httpx.Client]:
    with talk(service) as client:
        yield client


def connect(node: SandboxNode, address: str) -> None:
    post(f"{node.api}/api/v0/swarm/connect?arg={address}")


def post(url: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
        body: bytes = answer.read()
    return body


def add(api: httpx.Client, cid: str, **more: object) -> dict[str, Any]:
    status: dict[str, Any] = api.post("/pins", json={"cid": cid, **more}).json()
    return status


def status(api: httpx.Client, requestid: str) -> str:
    return str(api.get(f"/pins/{requestid}").json()["status"])


def test_by_its_origins(node: SandboxNode, service: Sandbox, api: httpx.Client) -> None:
    root = node.write("/photos/a.jpg", b"a photo")
    assert add(api, root, origins=[*node.addresses])["status"] == "pinned"
    assert service.holds(root)
    assert node.connections == (service.delegates[0].rpartition("/")[2],)


def test_by_its_delegates(node: SandboxNode, service: Sandbox, api: httpx.Client) -> None:
    root = node.write("/photos/a.jpg", b"a photo")
    pin = add(api, root)
    assert pin["status"] in ("queued", "pinning")
    assert pin["delegates"] == [*service.delegates]
    assert (
        api.get("/pins", params={"status": "pinning"}).json()["results"][0]["delegates"] == pin["delegates"]
    )
    assert not service.holds(root)
    for address in pin["delegates"]:
        connect(node, address)
    assert status(api, pin["requestid"]) == "pinned"
    assert node.dials == ((service.delegates[0], ""),)
    (peer,) = json.loads(post(f"{node.api}/api/v0/swarm/peers"))["Peers"]
    assert f"{peer['Addr']}/p2p/{peer['Peer']}" == service.delegates[0]


def test_it_comes_without_anybody_asking(node: SandboxNode, service: Sandbox, api: httpx.Client) -> None:
    root = node.write("/a", b"a")
    add(api, root)
    connect(node, service.delegates[0])
    while not service.holds(root):
        time.sleep(0.01)
    node.stop()
    assert [pin.status for pin in service.store.all(TOKEN)] == ["pinned"]
    assert add(api, root)["status"] == "pinned"


def test_content_that_comes_later(node: SandboxNode, service: Sandbox, api: httpx.Client) -> None:
    root = node.write("/a", b"a")
    file = node.add(b"a")
    node.forget(file)
    pin = add(api, root, origins=[*node.addresses])
    assert pin["status"] != "pinned"
    assert node.add(b"a") == file
    assert status(api, pin["requestid"]) == "pinned"


def test_nobody_has_it_and_patience_ends(service: Sandbox, api: httpx.Client, clock: Any, cid: Any) -> None:
    pin = add(api, cid(1))
    assert status(api, pin["requestid"]) == "pinning"
    clock.now += 61
    assert status(api, pin["requestid"]) == "failed"
    assert service.store.all(TOKEN)[0].info == {"status_details": "The content could not be found"}


def test_nobody_connects_to_a_node_behind_a_nat(
    network: Network, service: Sandbox, api: httpx.Client
) -> None:
    with SandboxNode(network=network, dialable=False) as node:
        root = node.write("/a", b"a")
        pin = add(api, root, origins=[*node.addresses])
        assert status(api, pin["requestid"]) == "pinning"
        connect(node, service.delegates[0])
        assert status(api, pin["requestid"]) == "pinned"


def test_a_replaced_pin_waits_for_the_new_root(
    node: SandboxNode, service: Sandbox, api: httpx.Client
) -> None:
    connect(node, service.delegates[0])
    pin = add(api, node.write("/a", b"1"))
    assert pin["status"] == "pinned"
    node.stop()
    node.start()
    new = api.post(f"/pins/{pin['requestid']}", json={"cid": node.write("/a", b"2")}).json()
    assert status(api, new["requestid"]) == "pinning"
    connect(node, service.delegates[0])
    assert status(api, new["requestid"]) == "pinned"


def test_a_node_fetches_from_the_service(network: Network, service: Sandbox, api: httpx.Client) -> None:
    with SandboxNode(network=network, seed="first") as first:
        root = first.write("/a", b"from the first")
        add(api, root, origins=[*first.addresses])
    with SandboxNode(network=network, seed="second") as second:
        connect(second, service.delegates[0])
        answer = post(f"{second.api}/api/v0/pin/add?arg={root}&progress=true")
        assert json.loads(answer.splitlines()[-1]) == {"Pins": [root]}


def test_waiting_goes_on_after_a_restart(
    tmp_path: Any, network: Network, node: SandboxNode, clock: Any, talk: Talk
) -> None:
    root = node.write("/a", b"a")
    path = str(tmp_path / "pins.db")
    with Sandbox([TOKEN], network=network, clock=clock, store=path) as service, talk(service) as api:
        pin = add(api, root)
    with Sandbox([TOKEN], network=network, clock=clock, store=path) as service, talk(service) as api:
        assert status(api, pin["requestid"]) == "pinning"
        connect(node, service.delegates[0])
        assert status(api, pin["requestid"]) == "pinned"


def test_a_status_that_a_test_has_set_stays(node: SandboxNode, service: Sandbox, api: httpx.Client) -> None:
    root = node.write("/a", b"a")
    pin = add(api, root)
    service.set_status(pin["requestid"], "pinned")
    assert status(api, pin["requestid"]) == "pinned"


def test_it_takes_its_time_all_the_same(network: Network, node: SandboxNode, clock: Any, talk: Talk) -> None:
    lifecycle = Lifecycle(queued=2, pinning=3, patience=60)
    with Sandbox([TOKEN], network=network, clock=clock, lifecycle=lifecycle) as service, talk(service) as api:
        pin = add(api, node.write("/a", b"a"))
        connect(node, service.delegates[0])
        assert status(api, pin["requestid"]) == "queued"
        clock.now += 4
        assert status(api, pin["requestid"]) == "pinning"
        clock.now += 2
        assert status(api, pin["requestid"]) == "pinned"


def test_a_folder_of_which_one_file_changed(node: SandboxNode, service: Sandbox, api: httpx.Client) -> None:
    connect(node, service.delegates[0])
    for n in range(50):
        node.write(f"/many/{n}", b"%d" % n)
    assert add(api, node.root)["status"] == "pinned"
    before = len(service._fetcher.peer.blocks)  # type: ignore[union-attr]
    assert add(api, node.write("/many/7", b"changed"))["status"] == "pinned"
    # The file, its directory, the root.
    assert len(service._fetcher.peer.blocks) == before + 3  # type: ignore[union-attr]


def test_without_a_network_everything_is_found(talk: Talk, cid: Any) -> None:
    with Sandbox([TOKEN]) as service, talk(service) as api:
        assert add(api, cid(1))["status"] == "pinned"
        assert service.delegates == ()
        assert not service.holds(cid(1))
