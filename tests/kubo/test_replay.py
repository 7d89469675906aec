"""Every recorded exchange of a call that our client makes, replayed against it.

What must come out is worked out from the record, by rules that are written here a second time: an answer that is
no 200, that carries the trailer, that is empty without a content type, or that never comes, is a NodeError with
the node's own words; a handful of texts mean "not there". Steps of calls that we do not make, and why, are in
`data/kubo-rpc/coverage.json`.
"""

import ast
import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.cid import parse
from reconciler.core.errors import NodeError
from reconciler.node.client import KuboNode
from reconciler.node.multipart import Part
from reconciler.node.upload import Layout

if TYPE_CHECKING:
    from conftest import Step
else:
    Step = Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests/data/kubo-rpc"
CID = "QmfNa6aH4Rr88dcG28J2bQT9ThMSLCe6o1NNYDXdwCq5rM"

#: Texts that mean that something is not there, which is an answer and no failure.
ABSENT = {
    "files/stat": ("file does not exist", "Not a directory", "not found locally"),
    "block/stat": ("not found locally",),
    "pin/ls": ("is not pinned",),
    "pin/rm": ("not pinned or pinned indirectly",),
    "dag/stat": ("could not find",),
}
#: What else the client asks in the course of a call.
BESIDE = {
    "resolve": "names/path-resolve-ipfs",
    "files/stat": "files/stat-file",
    "version": "meta/version",
}


async def collect(stream: Any) -> list[Any]:
    return [item async for item in stream]


def first(step: Step, default: str) -> str:
    return step.args[0] if step.args else default


def streamed(step: Step) -> bool:
    """Whether it is a stream of pins, which is asked for all of them. `stream=` alone means yes."""
    return step.command == "pin/ls" and any(name == "stream" for name, _ in step.query)


# --- how each call is made, and what comes of a good answer ------------------------------------------------------


async def ask_stat(node: KuboNode, step: Step) -> Any:
    path = first(step, "/")
    if path.startswith("/ipfs/"):
        return await node.size_of(path.removeprefix("/ipfs/"))
    found = await node.stat(path)
    return found and (found.cid.text, found.size, found.kind, found.empty)


def told_stat(step: Step) -> Any:
    said = step.values[0]
    if first(step, "/").startswith("/ipfs/"):
        return said["CumulativeSize"]
    empty = said["Size"] == 0 if said["Type"] == "file" else said["Blocks"] == 0
    return said["Hash"], said["CumulativeSize"], said["Type"], empty


async def ask_id(node: KuboNode, step: Step) -> Any:
    said = await node.identity()
    return said.peer_id, list(said.addresses), said.agent


async def ask_pins(node: KuboNode, step: Step) -> Any:
    if streamed(step):
        return [(p.cid, p.kind, p.name) for p in await collect(node.pins())]
    found = await node.pinned(first(step, CID))
    return found and (found.cid, found.kind, found.name)


def told_pins(step: Step) -> Any:
    if streamed(step):
        return [(p["Cid"], p["Type"], p.get("Name", "")) for p in step.values]
    keys = list(step.values[0].get("Keys", {}).items())
    return (keys[0][0], keys[0][1]["Type"], keys[0][1]["Name"]) if keys else None


async def ask_pin(node: KuboNode, step: Step) -> Any:
    stall = 3600 if step.answered else 0.3
    last = (await collect(node.pinning(first(step, CID), name=step.option("name"), stall=stall)))[-1]
    return last.nodes, last.bytes, last.done


def told_pin(step: Step) -> Any:
    progress = [v for v in step.values if "Progress" in v] or [{}]
    return progress[-1].get("Progress", 0), progress[-1].get("Bytes", 0), True


async def ask_entries(node: KuboNode, step: Step) -> Any:
    return [(e.name, e.cid, e.size) for e in await collect(node.entries(first(step, CID)))]


def told_entries(step: Step) -> Any:
    links = [link for value in step.values for thing in value["Objects"] for link in thing["Links"]]
    return [(link["Name"], link["Hash"], link["Size"]) for link in links]


async def ask_services(node: KuboNode, step: Step) -> Any:
    said = (await node.remote_services()).services
    return {s.name: (s.endpoint, s.mfs_enabled, s.pin_name, s.repin_interval) for s in said}


def told_services(step: Step) -> Any:
    config = step.values[0]
    name = f"policy/{config['Identity']['PeerID']}/mfs"
    return {
        key: (
            s["API"]["Endpoint"],
            s["Policies"]["MFS"]["Enable"],
            s["Policies"]["MFS"]["PinName"] or name,
            "",
        )
        for key, s in config["Pinning"]["RemoteServices"].items()
    }


async def ask_add(node: KuboNode, step: Step) -> Any:
    parts = [Part(name, data) for name, data in step.uploads]
    return [(a.name, a.cid, a.size) for a in await node.add(parts, layout=Layout(cid_version=0))]


def told_add(step: Step) -> Any:
    return [(v["Name"], v["Hash"], int(v["Size"])) for v in step.values if "Hash" in v]


async def ask_import(node: KuboNode, step: Step) -> Any:
    async def car() -> Any:
        for _, data in step.uploads:
            yield data

    said = await node.import_car(car())
    return said.blocks, said.bytes, list(said.roots)


def told_import(step: Step) -> Any:
    stats = [v["Stats"] for v in step.values if "Stats" in v]
    if not stats:
        return NodeError  # it was not asked for, and without it nothing shows that all arrived
    roots = [v["Root"]["Cid"]["/"] for v in step.values if "Root" in v]
    return stats[0]["BlockCount"], stats[0]["BlockBytesCount"], roots


async def ask_name(node: KuboNode, step: Step) -> Any:
    # A name that leads into something is resolved a second time: see BESIDE.
    default = "/ipns/name" if step.command == "name/resolve" else f"/ipfs/{CID}/x"
    path = first(step, default)
    path = path if path.startswith("/") else f"/ipns/{path}"
    path = path if step.command == "name/resolve" else default
    return await node.resolve_name(path)


def told_name(step: Step) -> Any:
    return parse(step.values[0]["Path"].split("/")[2])


async def ask_providers(node: KuboNode, step: Step) -> Any:
    return [(p.peer_id, list(p.addresses)) for p in await collect(node.find_providers(first(step, CID)))]


def told_providers(step: Step) -> Any:
    events = [v for v in step.values if v["Type"] == 4]
    return [(p["ID"], p["Addrs"]) for v in events for p in v["Responses"]]


async def ask_has(node: KuboNode, step: Step) -> Any:
    return await node.has(first(step, CID)) or None


async def ask_whole(node: KuboNode, step: Step) -> Any:
    return await node.whole(CID) or None


async def ask_connect(node: KuboNode, step: Step) -> Any:
    return await node.connect(first(step, "/ip4/127.0.0.1/tcp/1/p2p/x"))


async def ask_unpin(node: KuboNode, step: Step) -> Any:
    return await node.unpin(first(step, CID)) or None


async def ask_block(node: KuboNode, step: Step) -> Any:
    return await node.block_get(first(step, CID))


async def ask_cat(node: KuboNode, step: Step) -> Any:
    return b"".join(await collect(node.cat(first(step, CID))))


async def ask_repo(node: KuboNode, step: Step) -> Any:
    said = await node.repo_stat(count=True)
    return said.size, said.maximum, said.objects


def told_repo(step: Step) -> Any:
    said = step.values[0]
    return said["RepoSize"], said["StorageMax"], said["NumObjects"]


async def ask_remote(node: KuboNode, step: Step) -> Any:
    service = step.option("service") or "mock"
    return [(p.cid, p.name, p.status) for p in await collect(node.remote_pins(service, stall=0.3))]


def told_counts(step: Step) -> Any:
    counts = {s["Service"]: s.get("Stat", {}).get("PinCount") for s in step.values[0]["RemoteServices"]}
    return {name: sum(count.values()) for name, count in counts.items() if count is not None}


async def ask_remove(node: KuboNode, step: Step) -> Any:
    return await node.remove(first(step, "/x"))


CALLS: dict[str, tuple[Callable[[KuboNode, Step], Any], Callable[[Step], Any]]] = {
    "id": (ask_id, lambda s: (s.values[0]["ID"], s.values[0]["Addresses"], s.values[0]["AgentVersion"])),
    "version": (lambda node, _: node.version(), lambda s: s.values[0]["Version"]),
    "config/show": (ask_services, told_services),
    "repo/stat": (ask_repo, told_repo),
    "files/stat": (ask_stat, told_stat),
    "files/flush": (lambda node, s: node.flush(first(s, "/")), lambda s: s.values[0]["Cid"]),
    "files/rm": (ask_remove, lambda s: True),
    "block/stat": (ask_has, lambda s: True),
    "block/get": (ask_block, lambda s: s.body),
    "cat": (ask_cat, lambda s: s.body),
    "ls": (ask_entries, told_entries),
    "pin/add": (ask_pin, told_pin),
    "pin/ls": (ask_pins, told_pins),
    "pin/rm": (ask_unpin, lambda s: True),
    "pin/remote/ls": (ask_remote, lambda s: [(p["Cid"], p["Name"], p["Status"]) for p in s.values]),
    "pin/remote/service/ls": (lambda node, _: node.remote_counts(), told_counts),
    "swarm/connect": (ask_connect, lambda s: None),
    "routing/findprovs": (ask_providers, told_providers),
    "name/resolve": (ask_name, told_name),
    "resolve": (ask_name, told_name),
    "add": (ask_add, told_add),
    "dag/import": (ask_import, told_import),
    "dag/stat": (ask_whole, lambda s: True),
}


def failure(step: Step) -> str | None:
    """The node's words if the record is one of a failure, "" for a failure without words, None for none."""
    said = step.response
    if not step.answered:
        return ""
    if said["status"] != 200:
        try:
            return str(json.loads(step.body)["Message"])
        except (ValueError, TypeError):
            return step.body.decode().strip()
    if step.trailer:
        return step.trailer
    if not step.body and not step.content_type:
        return ""
    if step.content_type == "application/json":
        return None
    binary = step.command in ("cat", "block/get")
    return None if binary or step.body.startswith(b"{") else ""


def test_a_recorded_exchange_is_understood(step: Step, kit: Any) -> None:
    steps = kit.load()
    beside = {command: steps[name].wire() for command, name in BESIDE.items()}
    if step.command == "files/rm":
        # It is there before, and gone after.
        beside["files/stat"] = [steps["files/stat-file"].wire(), steps["files/stat-missing"].wire()]
    scripts = {**beside, step.command: step.wire() if step.answered else None}
    ask, told = CALLS[step.command]
    words = failure(step)

    async def main() -> Any:
        async with kit.talk(scripts, timeout=5.0 if step.answered else 0.3) as (node, kubo):
            try:
                return await ask(node, step)
            except NodeError as error:
                return error
            finally:
                check_requests(kubo)

    got = asyncio.run(main())
    if words is None:
        expected = told(step)
        if expected is NodeError:
            assert isinstance(got, NodeError)
        else:
            assert not isinstance(got, NodeError), got
            assert got == expected
    elif any(text in words for text in ABSENT.get(step.command, ())) and not streamed(step):
        assert got is None
    else:
        assert isinstance(got, NodeError)
        assert " ".join(words.split())[:900] in got.text or step.command == "files/rm"
        assert got.late == (not step.answered or "deadline exceeded" in words)
        if step.answered:
            assert got.status == step.response["status"]


def check_requests(kubo: Any) -> None:
    """POST, and a `timeout=` with a unit, exactly once."""
    assert kubo.asked
    for method, _, query in kubo.asked:
        assert method == "POST"
        times = [value for name, value in query if name == "timeout"]
        assert len(times) == 1
        assert re.fullmatch(r"[1-9]\d*ms", times[0])


# --- what the table covers ---------------------------------------------------------------------------------------


def test_every_recorded_call_is_replayed_or_has_its_reason(kit: Any) -> None:
    reasons = json.loads((FOLDER / "coverage.json").read_text())["calls"]
    recorded = {step.command for step in kit.load().values()}
    assert sorted(set(reasons) & set(CALLS)) == []
    assert sorted(recorded - set(CALLS)) == sorted(reasons)
    assert all(len(reason) > 10 for reason in reasons.values())


def test_the_calls_of_the_client_are_those_that_are_replayed(kit: Any) -> None:
    """Read from the client's source: a call that is added there without its row here fails."""
    recorded = {step.command for step in kit.load().values()}
    unrecorded = set(json.loads((FOLDER / "coverage.json").read_text())["unrecorded"])
    used = set()
    for path in (ROOT / "reconciler/node").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            # The command is the first argument of what makes the call, or the second behind the client.
            for given in node.args[:2] if isinstance(node, ast.Call) else ():
                text = given.value if isinstance(given, ast.Constant) else None
                if not isinstance(text, str) or text.startswith("/"):
                    continue
                if text in recorded - {""} or re.fullmatch(r"[a-z]+(/[a-z]+)+", text):
                    used.add(text)
    # The one call whose name is a variable.
    used.add("resolve")
    assert sorted(used) == sorted({*CALLS, *unrecorded})
    assert not unrecorded & recorded


def test_no_call_shows_a_key(kit: Any) -> None:
    """`config/profile/apply` and `diag/cmds` answer with keys of remote services; `config Pinning…` is refused; and
    `service/add` has one in its query."""
    for path in (ROOT / "reconciler/node").glob("*.py"):
        code = "\n".join(line for line in path.read_text().splitlines() if '"' in line and "`" not in line)
        for call in ("profile/apply", "diag/cmds", '"config"', "service/add", "service/rm"):
            assert call not in code, path


@pytest.mark.parametrize("command", sorted(CALLS))
def test_every_call_has_a_good_answer_on_record(command: str, kit: Any) -> None:
    assert any(failure(s) is None for s in kit.load().values() if s.command == command)
