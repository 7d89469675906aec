"""The node as a program: up, down, its identity, who may ask, and HTTP as clients use it."""

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.sandbox.node import SandboxNode

Ask = Callable[..., Any]


def test_it_comes_up_again_on_the_same_port_with_what_it_had(node: SandboxNode, rpc: Ask) -> None:
    root = node.write("/a/b.txt", b"hello")
    port = node.port
    node.stop()
    with pytest.raises(ConnectionRefusedError):
        rpc("id")
    node.start()
    assert node.port == port
    assert json.loads(rpc("files/stat", "/").body)["Hash"] == root
    node.restart()
    assert rpc("files/read", "/a/b.txt").body == b"hello"


def test_two_nodes_cannot_have_one_port(node: SandboxNode) -> None:
    with pytest.raises(OSError, match="Address already in use"), SandboxNode(port=node.port):
        pass


def test_another_node_answers_at_the_same_address(node: SandboxNode, rpc: Ask) -> None:
    before = json.loads(rpc("id").body)["ID"]
    node.set_peer_id("another")
    after = json.loads(rpc("id").body)
    assert after["ID"] == node.peer_id != before
    assert all(address.endswith(node.peer_id) for address in after["Addresses"])
    assert json.loads(rpc("config/show").body)["Identity"]["PeerID"] == node.peer_id


def test_a_peer_id_is_the_same_for_the_same_seed() -> None:
    assert SandboxNode(seed="x").peer_id == SandboxNode(seed="x").peer_id != SandboxNode(seed="y").peer_id


def test_without_the_token_nobody_is_let_in(ask: Ask) -> None:
    with SandboxNode(token="s3cret") as node:
        answer = ask(node.port, "id")
        assert answer.status == 403
        assert answer.text.startswith("Kubo RPC Access Denied")
        assert ask(node.port, "id", headers=[("Authorization", "Bearer s3cret")]).status == 200


def test_what_was_asked_is_remembered(node: SandboxNode, rpc: Ask) -> None:
    rpc("files/stat", "/", options=[("hash", "true")])
    assert [(r.command, r.query) for r in node.requests] == [("files/stat", "arg=%2F&hash=true")]
    node.forget_requests()
    assert node.requests == ()


def test_one_connection_serves_many_requests(node: SandboxNode) -> None:
    line = http.client.HTTPConnection("127.0.0.1", node.port)
    roots = set()
    for _ in range(20):
        line.request("POST", "/api/v0/files/stat?arg=/")
        answer = line.getresponse()
        roots.add(json.loads(answer.read())["Hash"])
        assert not answer.will_close
    assert roots == {node.root}
    line.close()


def test_a_refusal_comes_before_the_upload_is_read(node: SandboxNode) -> None:
    """The client may still be sending: the answer is there, and the connection ends with it."""
    line = http.client.HTTPConnection("127.0.0.1", node.port)
    line.putrequest("POST", "/api/v0/files/write?arg=/none")
    line.putheader("Content-Type", "multipart/form-data; boundary=x")
    line.putheader("Content-Length", "1000000")
    line.endheaders()
    line.send(b"--x\r\n")
    answer = line.getresponse()
    assert answer.status == 500
    assert answer.getheader("Connection") == "close"
    assert json.loads(answer.read())["Message"] == "file does not exist"
    line.close()


def test_a_large_upload(node: SandboxNode, rpc: Ask, multipart: Callable[..., Any]) -> None:
    content = bytes(range(256)) * 40_000
    answer = rpc("files/write", "/big", options=[("create", "true")], **multipart(("big", content)))
    assert answer.status == 200
    assert rpc("files/read", "/big").body == content


def test_a_file_without_a_name(node: SandboxNode, rpc: Ask) -> None:
    """As `curl -F file=hello` sends it."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--x--\r\n'
    more: dict[str, Any] = {"body": body, "headers": [("Content-Type", "multipart/form-data; boundary=x")]}
    added = json.loads(rpc("add", **more).body)
    assert added["Name"] == added["Hash"] == "QmWfVY9y3xjsixTgbd9AorQxH7VtMpzfx2HaWtsoUYecaX"
    assert rpc("files/write", "/hello", options=[("create", "true")], **more).status == 200
    assert rpc("files/read", "/hello").body == b"hello"


def test_an_upload_that_is_cut_off(node: SandboxNode, rpc: Ask) -> None:
    headers = [("Content-Type", "multipart/form-data; boundary=x")]
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf of i'
    answer = rpc("add", body=body, headers=headers)
    assert (answer.status, json.loads(answer.body)["Message"]) == (500, "unexpected EOF")


def test_what_is_no_http_ends_the_connection(node: SandboxNode) -> None:
    with socket.create_connection(("127.0.0.1", node.port)) as line:
        line.sendall(b"hello there\r\n\r\n")
        assert line.recv(100) == b""


def test_a_client_that_leaves_ends_its_wait_for_a_block(node: SandboxNode, ask: Ask) -> None:
    missing = "bafkreicwkfy6bxxkxnnxynqj627qmgtzy77ds43rf2nobj2w33wuvrkqxm"
    with pytest.raises(TimeoutError):
        ask(node.port, "block/get", missing, wait=0.1)
    assert ask(node.port, "id").status == 200


def test_changing_it_from_python_is_what_the_api_shows(node: SandboxNode, rpc: Ask) -> None:
    node.write("/x/a", b"1")
    node.mkdir("/y/z")
    cid = node.add(b"content")
    node.cp(f"/ipfs/{cid}", "/y/copied")
    node.rm("/x")
    assert json.loads(rpc("files/ls", "/").body)["Entries"][0]["Name"] == "y"
    assert json.loads(rpc("files/stat", "/y/copied").body)["Hash"] == cid
    assert node.has(cid)
    node.forget(cid)
    assert rpc("block/stat", cid, options=[("offline", "true")]).status == 500
    node.set_name("k51example", f"/ipfs/{cid}")
    assert json.loads(rpc("name/resolve", "k51example").body) == {"Path": f"/ipfs/{cid}"}


def test_kubos_own_services_are_shown_without_their_keys(node: SandboxNode, rpc: Ask) -> None:
    node.state.settings.add_service(
        "pinata", "https://example.com/psa", key="s3cret", enable=True, interval="1m"
    )
    shown = rpc("config/show").body
    assert b"s3cret" not in shown
    service = json.loads(shown)["Pinning"]["RemoteServices"]["pinata"]
    assert service == {
        "API": {"Endpoint": "https://example.com/psa"},
        "Policies": {"MFS": {"Enable": True, "PinName": "", "RepinInterval": "1m"}},
    }
    key = "Pinning.RemoteServices.pinata.Policies.MFS.Enable"
    assert json.loads(rpc("config", key).body)["Value"] is True
    assert rpc("config", key, "false", options=[("bool", "true")]).status == 200
    assert json.loads(rpc("config", key).body)["Value"] is False


def test_the_list_of_commands(node: SandboxNode, rpc: Ask) -> None:
    tree = json.loads(rpc("commands").body)
    files = next(entry for entry in tree["Subcommands"] if entry["Name"] == "files")
    assert {"stat", "cp", "rm"} <= {entry["Name"] for entry in files["Subcommands"]}


def test_garbage_collection_keeps_pins_and_mfs(node: SandboxNode, rpc: Ask) -> None:
    kept = node.write("/a", b"in mfs")
    pinned, loose = node.add(b"pinned"), node.add(b"loose")
    rpc("pin/add", pinned)
    assert rpc("repo/gc").status == 200
    assert [node.has(cid) for cid in (kept, pinned, loose)] == [True, True, False]


def test_changes_that_are_not_flushed_have_a_limit(node: SandboxNode, rpc: Ask) -> None:
    loose = [("flush", "false")]
    for n in range(256):
        assert rpc("files/mkdir", f"/{n}", options=loose).status == 200
    answer = rpc("files/mkdir", "/one-more", options=loose)
    assert answer.status == 500
    assert "reached limit of 256 unflushed MFS operations" in json.loads(answer.body)["Message"]
    assert rpc("files/flush").status == 200
    assert rpc("files/mkdir", "/one-more", options=loose).status == 200


def test_a_node_configured_for_version_1_makes_such_cids(node: SandboxNode, rpc: Ask, multipart: Any) -> None:
    rpc("config", "Import.CidVersion", "1", options=[("json", "true")])
    answer = rpc("add", **multipart(("f", b"hello pinrec\n")))
    assert json.loads(answer.body)["Hash"] == "bafkreict7ec2jra7vwfgxzwcuvkh66afpalnoxex2qrfsrxvq4cg6cgzve"


def test_a_directory_of_100_000_entries_is_of_use(node: SandboxNode, rpc: Ask) -> None:
    from reconciler.core.unixfs import params
    from reconciler.core.unixfs.address import from_text, to_text
    from reconciler.core.unixfs.blocks import Entry
    from reconciler.core.unixfs.directory import build

    child = Entry(from_text(node.add(b"x")), 9)
    many = {f"f{n:05}": child for n in range(100_000)}
    big = build(many, params.KUBO, node.state.blocks.put).entry
    node.cp(f"/ipfs/{to_text(big.cid)}", "/many")
    roots = {node.root}
    for n in range(30):
        roots.add(node.write(f"/many/f{n:05}", b"changed"))
    assert len(roots) == 31
    assert rpc("files/read", "/many/f00007").body == b"changed"
    rpc("files/rm", "/many/f99999")
    assert rpc("files/stat", "/many/f99999").status == 500
    assert len(json.loads(rpc("files/ls", "/many").body)["Entries"]) == 99_999
    stat = json.loads(rpc("files/stat", "/many").body)
    assert (stat["Type"], stat["Blocks"]) == ("directory", 256)
