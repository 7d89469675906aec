"""What the client makes of answers that no recording of 0.44 holds: other versions, and nodes that misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.cid import parse
from reconciler.core.errors import NodeError, SecretError
from reconciler.core.manifest import Node, SecretRef
from reconciler.core.question import KuboService
from reconciler.node.multipart import Part, tree
from reconciler.node.open import open_node
from reconciler.node.protocol import Entry, LocalPin, PinProgress
from reconciler.node.protocol import Node as NodeProtocol
from reconciler.node.upload import Layout

A = "bafkreict7ec2jra7vwfgxzwcuvkh66afpalnoxex2qrfsrxvq4cg6cgzve"
B = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
HELLO = "QmfNa6aH4Rr88dcG28J2bQT9ThMSLCe6o1NNYDXdwCq5rM"


def run(story: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await story()

    return asyncio.run(main())


async def failure(awaitable: Awaitable[Any]) -> NodeError:
    with pytest.raises(NodeError) as caught:
        await awaitable
    return caught.value


async def collect(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


def ls(**links: str) -> str:
    return "".join(
        json.dumps({"Objects": [{"Hash": B, "Links": [{"Name": n, "Hash": c, "Size": 1, "Type": 2}]}]}) + "\n"
        for n, c in links.items()
    )


def test_the_client_is_a_node(kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"version": kit.answer("{}")}) as (node, kubo):
            protocol: NodeProtocol = node
            assert protocol.where == kubo.url
            assert protocol.requests == 0

    run(story)


# --- questions about what is here never reach the network, and never MFS -------------------------------------------


def test_what_is_asked(kit: Any) -> None:
    stat = {"Hash": B, "Size": 0, "CumulativeSize": 4, "Blocks": 0, "Type": "directory"}
    scripts = {
        "files/stat": kit.answer(stat),
        "block/stat": kit.answer('{"Key":"x","Size":1}'),
        "ls": kit.answer(ls(a=A)),
        "pin/add": kit.answer('{"Pins":["x"]}'),
        "pin/rm": kit.answer('{"Pins":["x"]}'),
        "pin/ls": kit.answer('{"Cid":"x","Type":"direct"}'),
        "config/show": kit.answer("{}"),
        "add": kit.answer({"Name": "x", "Hash": A, "Size": "1"}),
        "version": kit.answer({"Version": "0.34.0"}),
    }

    async def story() -> None:
        async with kit.talk(scripts, timeout=30.0) as (node, kubo):
            await node.size_of(A)
            await node.has(A)
            await collect(node.entries(A, offline=True, kinds=False))
            await node.stat("/ü &", deadline=5)
            await node.pin(A, name="")
            await node.unpin(A)
            await collect(node.pins(kind="direct"))
            assert (await node.remote_services()).services == ()
            await node.add([Part("x", b"")], layout=Layout(cid_version=0, chunker="rabin", max_links=7))
        asked = {path.removeprefix("/api/v0/"): dict(query) for _, path, query in kubo.asked[1:]}
        first = dict(kubo.asked[0][2])
        assert (first["arg"], first["offline"]) == (f"/ipfs/{A}", "true")
        assert asked["block/stat"]["offline"] == "true"
        assert asked["ls"].items() >= {
            "arg": f"/ipfs/{A}", "stream": "true", "offline": "true", "resolve-type": "false", "size": "false",
        }.items()  # fmt: skip
        assert asked["files/stat"] == {"arg": "/ü &", "timeout": "4500ms"}
        # Without the name Kubo takes away the one that is there.
        assert asked["pin/add"]["name"] == ""
        assert asked["pin/add"]["recursive"] == asked["pin/rm"]["recursive"] == "true"
        assert asked["pin/ls"].items() >= {"type": "direct", "names": "true", "stream": "true"}.items()
        assert asked["add"].items() >= {
            "pin": "false", "cid-version": "0", "raw-leaves": "true", "chunker": "rabin", "hash": "sha2-256",
            "trickle": "false", "max-file-links": "7",
        }.items()  # fmt: skip

    run(story)


# --- answers that are none ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "no answer that can be read"),
        ("[1]", "no answer that can be read"),
        ('{"Hash":"x"}', "no answer that can be read"),
        ('{"Hash":"nonsense","Type":"file"}', "no CID in the answer"),
        ('{"Message":"what now","Code":0,"Type":"error"}', "what now"),
        ('"a text"', "a text"),
        (f'{{"Hash":"{A}","Type":"file","Size":-1e99}}', "no answer that can be read"),
        ("<html>", "no answer that can be read"),
    ],
)
def test_nonsense_is_an_error(body: str, says: str, kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"files/stat": kit.answer(body)}) as (node, _):
            assert says in (await failure(node.stat("/"))).message

    run(story)


@pytest.mark.parametrize(
    "call", ["files/stat", "pin/rm", "files/flush", "ls", "cat", "pin/ls", "pin/add", "add"]
)
def test_200_without_content_and_content_type_is_an_error(call: str, kit: Any) -> None:
    calls = {
        "files/stat": lambda n: n.stat("/"),
        "pin/rm": lambda n: n.unpin(A),
        "files/flush": lambda n: n.flush(),
        "ls": lambda n: collect(n.entries(A)),
        "cat": lambda n: collect(n.cat(A)),
        "pin/ls": lambda n: collect(n.pins()),
        "pin/add": lambda n: n.pin(A, name="x"),
        "add": lambda n: n.add([Part("x", b"")]),
    }

    async def story() -> None:
        empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        async with kit.talk({call: empty}) as (node, _):
            assert "did not run" in (await failure(calls[call](node))).message

    run(story)


@pytest.mark.parametrize(
    ("status", "hint"), [(403, "AllowedPaths"), (401, "token"), (404, "0.28"), (405, "gateway"), (502, "")]
)
def test_a_refusal_says_what_to_look_at(status: int, hint: str, kit: Any) -> None:
    async def story() -> None:
        refusal = kit.answer("Access \x1b[31mDenied\n", status=status, kind="text/plain")
        async with kit.talk({"id": refusal}) as (node, _):
            error = await failure(node.identity())
            assert error.status == status
            assert error.text == "Access [31mDenied"
            assert hint in error.hint
            assert not error.unreachable

    run(story)


def test_a_node_that_does_not_know_how_many_links_is_not_told(kit: Any) -> None:
    async def story() -> None:
        answers = {
            "add": kit.answer({"Name": "x", "Hash": A, "Size": "1"}),
            "version": kit.answer({"Version": "0.33.2"}),
        }
        async with kit.talk(answers) as (node, kubo):
            await node.add([Part("x", b"")], layout=Layout(max_links=7))
        [asked] = [dict(query) for _, path, query in kubo.asked if path.endswith("/add")]
        assert "max-file-links" not in asked

    run(story)


def test_a_line_that_never_ends_is_not_kept(kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"pin/ls": kit.answer('{"Cid":"' + "x" * 3_000_000)}) as (node, _):
            assert "longer than any record" in (await failure(collect(node.pins()))).message

    run(story)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_records_are_whole_wherever_chunks_end(size: int, kit: Any) -> None:
    body = b'{"Cid":"a","Type":"direct"}\n\n{"Cid":"b","Type":"direct","Name":"\\n\xc3\xbc"}\n{"Cid":"c"}'
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def story() -> None:
        async with kit.talk({"pin/ls": head + chunks}) as (node, _):
            pins = [(p.cid, p.name) for p in await collect(node.pins())]
            assert pins == [("a", ""), ("b", "\nü"), ("c", "")]

    run(story)


def test_a_key_in_an_answer_is_not_repeated(kit: Any) -> None:
    async def story() -> None:
        token = "bearer:s3cret-of-the-node"
        said = kit.answer('{"Message":"you sent Bearer s3cret-of-the-node"}', status=500)
        async with kit.talk({"id": said}, token=token) as (node, _):
            error = await failure(node.identity())
            assert "s3cret" not in str(error) + error.text

    run(story)


# --- pins --------------------------------------------------------------------------------------------------------


def test_progress_that_does_not_grow_is_an_error(kit: Any) -> None:
    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        while True:
            line = b'{"Progress":3,"Bytes":100}\n'
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            await writer.drain()
            await asyncio.sleep(0.02)

    async def story() -> None:
        async with kit.talk({"pin/add": stuck}) as (node, _):
            seen: list[PinProgress] = []

            async def watch() -> None:
                async for progress in node.pinning(A, name="x", stall=0.3):
                    seen.append(progress)  # noqa: PERF401  it ends with an error

            error = await failure(watch())
            assert error.late
            assert "nothing arrived for 0.3 s, after 3 nodes" in error.message
            assert seen == [PinProgress(nodes=3, bytes=100)]

    run(story)


def test_progress_that_grows_by_bytes_alone_is_progress(kit: Any) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        lines = [b'{"Progress":1,"Bytes":%d}\n' % i for i in range(1, 30)] + [b'{"Pins":["x"]}\n']
        for line in lines:
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            await writer.drain()
            await asyncio.sleep(0.03)
        writer.write(b"0\r\n\r\n")

    async def story() -> None:
        async with kit.talk({"pin/add": slow}) as (node, _):
            seen = await collect(node.pinning(A, name="x", stall=0.5))
            assert seen[-1] == PinProgress(nodes=1, bytes=29, done=True)

    run(story)


@pytest.mark.parametrize("body", ["", '{"Progress":3}\n', "{}\n{}\n"])
def test_a_pin_that_ends_without_saying_so_is_not_pinned(body: str, kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"pin/add": kit.answer(body)}) as (node, _):
            error = await failure(node.pin(A, name="x"))
            assert error.lost
            assert "without saying that it is pinned" in error.message

    run(story)


def test_kubo_before_0_40_counts_nodes_only(kit: Any) -> None:
    async def story() -> None:
        lines = '{"Progress":1}\n{"Progress":5}\n{"Pins":["x"]}\n'
        async with kit.talk({"pin/add": kit.answer(lines)}) as (node, _):
            seen = await collect(node.pinning(A, name="x"))
            assert [(p.nodes, p.bytes, p.done) for p in seen] == [(1, 0, False), (5, 0, False), (5, 0, True)]

    run(story)


@pytest.mark.parametrize(
    ("version", "asked"), [("0.28.0", 3), ("0.37.0", 3), ("0.38.0", 2), ("0.44.0-dev", 2)]
)
def test_kubo_before_0_38_leaves_out_the_name_of_one_pin(version: str, asked: int, kit: Any) -> None:
    """kubo#10965: `pin/ls?arg=…&names=true` has no names; the list of all has."""
    one = kit.answer({"Keys": {A: {"Type": "recursive", "Name": ""}}})
    everything = kit.answer({"Cid": B, "Type": "recursive"}, {"Cid": A, "Type": "recursive", "Name": "n"})
    scripts = {"version": kit.answer({"Version": version}), "pin/ls": [one, everything]}

    async def story() -> None:
        async with kit.talk(scripts) as (node, kubo):
            name = "n" if asked == 3 else ""
            assert await node.pinned(A) == LocalPin(cid=A, kind="recursive", name=name)
            assert len(kubo.asked) == asked

    run(story)


def test_a_removal_that_names_nothing_is_in_doubt(kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"pin/rm": kit.answer('{"Pins":null}')}) as (node, _):
            assert (await failure(node.unpin(A))).lost

    run(story)


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "empty"),
    [
        ({"Hash": B, "CumulativeSize": 4, "Blocks": 0, "Type": "directory"}, True),
        # One with a time of its own: another CID, a few bytes more.
        ({"Hash": HELLO, "CumulativeSize": 12, "Blocks": 0, "Type": "directory"}, True),
        ({"Hash": HELLO, "CumulativeSize": 60, "Blocks": 1, "Type": "directory"}, False),
        # A sharded one links to its shards.
        ({"Hash": HELLO, "CumulativeSize": 6_000_000, "Blocks": 256, "Type": "directory"}, False),
        ({"Hash": A, "Size": 0, "CumulativeSize": 0, "Blocks": 0, "Type": "file"}, True),
        ({"Hash": A, "Size": 1, "CumulativeSize": 1, "Blocks": 0, "Type": "file"}, False),
        ({"Hash": A, "Size": 0, "CumulativeSize": 9, "Blocks": 0, "Type": "symlink"}, True),
    ],
)
def test_emptiness(said: dict[str, Any], empty: bool, kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"files/stat": kit.answer(json.dumps(said))}) as (node, _):
            stat = await node.stat("/x")
            assert stat.empty is empty
            assert stat.cid == parse(said["Hash"])
            assert stat.size == said["CumulativeSize"]

    run(story)


def test_a_removal_is_believed_when_it_is_seen(kit: Any) -> None:
    there = kit.answer({"Hash": A, "Type": "file"})
    scripts = {"files/stat": there, "files/rm": kit.answer("")}

    async def story() -> None:
        async with kit.talk(scripts) as (node, _):
            assert "/x is still there" in (await failure(node.remove("/x"))).message

    run(story)


def test_a_link_into_mfs_is_believed_when_it_is_seen(kit: Any) -> None:
    added = kit.answer({"Name": "f", "Hash": HELLO, "Size": "13"})

    def scripts(found: str) -> dict[str, Any]:
        stat = kit.answer({"Hash": found, "Type": "file"})
        return {"add": added, "files/flush": kit.answer({"Cid": B}), "files/stat": stat}

    async def story() -> None:
        async with kit.talk(scripts(HELLO)) as (node, kubo):
            await node.add([Part("f", b"hello pinrec\n")], to_files="/docs/")
            assert kubo.queries("files/stat")[0]["arg"] == "/docs/f"
        async with kit.talk(scripts(A)) as (node, _):
            error = await failure(node.add([Part("f", b"hello pinrec\n")], to_files="/docs/f"))
            assert "/docs/f does not lead to it" in error.message

    run(story)


def test_an_upload_whose_answers_are_too_few_is_an_error(kit: Any) -> None:
    one = kit.answer({"Name": "d/a", "Hash": A, "Size": "1"})

    async def story() -> None:
        async with kit.talk({"add": one}) as (node, kubo):
            error = await failure(node.add([Part("d", None), Part("d/a", b"1")]))
            assert "1 of 2 files" in error.message
            body = kubo.bodies[0].decode()
        assert 'filename="d%2Fa"' in body
        assert "application/x-directory" in body

    run(story)


def test_a_folder_is_sent_as_kubo_takes_it(tmp_path: Path, kit: Any) -> None:
    site = tmp_path / "site"
    (site / "b").mkdir(parents=True)
    (site / "b/big").write_bytes(b"x" * 2_500_000)
    (site / "a.txt").write_text("a")
    (site / "c").symlink_to("a.txt")
    names = ["site", "site/a.txt", "site/b", "site/b/big", "site/c"]
    said = kit.answer(*[{"Name": name, "Hash": A, "Size": "1"} for name in names])

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def story() -> None:
        async with kit.talk({"add": said}) as (node, kubo):
            await node.add(tree(site))
            await node.add([Part("f", pieces())])
            with pytest.raises(FileNotFoundError):
                await node.add([Part("f", tmp_path / "gone")])
            first, second = kubo.bodies[:2]
        boundary, _, _ = first.partition(b"\r\n")
        parts = [part.partition(b"\r\n\r\n") for part in first.split(boundary)[1:-1]]
        heads = [head.decode().split("\r\n") for head, _, _ in parts]
        names_sent = [head[1].partition('filename="')[2].rstrip('"').replace("%2F", "/") for head in heads]
        assert names_sent == names
        kinds = [head[2].rpartition("/")[2] for head in heads]
        assert kinds == ["x-directory", "octet-stream", "x-directory", "octet-stream", "symlink"]
        assert [len(body) - 2 for _, _, body in parts] == [0, 1, 0, 2_500_000, 5]
        assert b"\r\n\r\nonetwo\r\n--" in second

    run(story)


# --- content -----------------------------------------------------------------------------------------------------


def test_a_block_whose_bytes_are_others_is_an_error(kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"block/get": kit.answer("hello pinrec?", kind="application/vnd.ipld.raw")}) as (
            node,
            _,
        ):
            assert "not those of" in (await failure(node.block_get(A))).message

    run(story)


def test_entries_of_a_stream_and_the_error_at_its_end(kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"ls": [kit.answer(ls(a=A, b=B)), kit.answer(ls(a=A), error="gone")]}) as (
            node,
            _,
        ):
            assert await collect(node.entries(B)) == [
                Entry(name="a", cid=A, size=1, kind="file"),
                Entry(name="b", cid=B, size=1, kind="file"),
            ]
            seen: list[Entry] = []

            async def watch() -> None:
                async for entry in node.entries(B):
                    seen.append(entry)  # noqa: PERF401  it ends with an error

            assert (await failure(watch())).text == "gone"
            assert len(seen) == 1

    run(story)


def test_a_name_that_leads_into_content_is_followed(kit: Any) -> None:
    scripts = {
        "name/resolve": kit.answer({"Path": f"/ipfs/{HELLO}/sub/page"}),
        "resolve": kit.answer({"Path": f"/ipfs/{A}"}),
    }

    async def story() -> None:
        async with kit.talk(scripts) as (node, kubo):
            assert await node.resolve_name("/ipns/example.com/page", fresh=True) == parse(A)
            assert kubo.queries("name/resolve")[0]["nocache"] == "true"
            assert kubo.queries("resolve")[0]["arg"] == f"/ipfs/{HELLO}/sub/page"

    run(story)


# --- settings ----------------------------------------------------------------------------------------------------


def test_remote_services_as_kubo_takes_them(kit: Any) -> None:
    config = {
        "Identity": {"PeerID": "12D3KooWx"},
        "Pinning": {
            "RemoteServices": {
                "b": {"API": {"Endpoint": "https://b/"}, "Policies": {"MFS": {"Enable": True}}},
                "a": {"API": None, "Policies": None},
                "c": {"Policies": {"MFS": {"Enable": False, "PinName": "mine", "RepinInterval": "1m"}}},
            }
        },
    }

    async def story() -> None:
        async with kit.talk({"config/show": kit.answer(json.dumps(config))}) as (node, _):
            default = "policy/12D3KooWx/mfs"
            assert (await node.remote_services()).services == (
                KuboService(name="a", endpoint="", pin_name=default),
                KuboService(name="b", endpoint="https://b/", mfs_enabled=True, pin_name=default),
                KuboService(name="c", endpoint="", pin_name="mine", repin_interval="1m"),
            )

    run(story)


@pytest.mark.parametrize("config", ["{}", '{"Pinning":null}', '{"Pinning":{"RemoteServices":null}}'])
def test_no_remote_services(config: str, kit: Any) -> None:
    async def story() -> None:
        async with kit.talk({"config/show": kit.answer(config)}) as (node, _):
            assert (await node.remote_services()).services == ()

    run(story)


# --- opening -----------------------------------------------------------------------------------------------------


async def opened(spec: Node, environ: dict[str, str] | None = None) -> str:
    async with open_node(spec, environ=environ or {}) as node:
        return node.where


def test_the_file_that_a_daemon_writes_names_the_api(tmp_path: Path, kit: Any) -> None:
    (tmp_path / "api").write_text("/ip4/0.0.0.0/tcp/5001")
    assert run(lambda: opened(Node(api_file=str(tmp_path / "api")))) == "http://127.0.0.1:5001"


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), ("/unix/x", "unix socket"), ("\xff", "no text"), ("", "begins with http:// or")],
)
def test_a_daemon_that_is_not_running(content: str | None, says: str, tmp_path: Path, kit: Any) -> None:
    if content is not None:
        (tmp_path / "api").write_bytes(content.encode("latin-1"))
    error = run(lambda: failure(opened(Node(api_file=str(tmp_path / "api")))))
    assert says in error.message
    assert "is the daemon running?" in error.hint
    assert error.unreachable


def test_a_token_does_not_travel_in_the_clear(kit: Any) -> None:
    token = SecretRef(kind="env", value=("TOKEN",))
    far = Node(api="http://node.example.com:5001", token=token)
    environ = {"TOKEN": "bearer:x"}
    assert "insecure: true" in run(lambda: failure(opened(far, environ))).hint
    near = [
        Node(api="http://node.example.com:5001", token=token, insecure=True),
        Node(api="http://10.0.0.1:5001", token=token),
        Node(api="https://node.example.com", token=token),
        Node(api="http://node.example.com:5001"),
    ]
    for spec in near:
        assert run(lambda spec=spec: opened(spec, environ)) == spec.api


def test_a_token_that_is_not_there(kit: Any) -> None:
    spec = Node(api="http://127.0.0.1:1", token=SecretRef(kind="env", value=("TOKEN",)))
    with pytest.raises(SecretError, match="the token of the node is not set"):
        run(lambda: opened(spec))
