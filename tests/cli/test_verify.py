"""pinrec verify, against sandboxes on real sockets: what it finds, says, remembers, and what follows from it."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

from reconciler.cli.render.machine import verify_schema
from reconciler.core.unixfs import address, file, params
from reconciler.sandbox import SPEC, Network, Sandbox, SandboxNode
from reconciler.sandbox.mishaps import MISHAPS
from reconciler.sandbox.quirks import with_quirks
from reconciler.sandbox.script import Rule, Script

if TYPE_CHECKING:
    from conftest import World
else:
    World = Any

KEY = "canary-key-0123456789"
SCHEMA = Path(__file__).parents[2] / "schemas/verify.schema.json"


def content(seed: int) -> tuple[str, dict[bytes, bytes]]:
    blocks: dict[bytes, bytes] = {}
    cut = params.given(params.KUBO_V1, chunker="size-1000")
    entry = file.build([random.Random(seed).randbytes(5000)], cut, blocks.__setitem__)
    return address.to_text(entry.cid), blocks


CID, BLOCKS = content(1)
OTHER, OTHER_BLOCKS = content(2)


@pytest.fixture
def second() -> Iterator[Sandbox]:
    with Sandbox((KEY,)) as sandbox:
        yield sandbox


def verified_at(sandbox: Sandbox, name: str = "box", more: str = "") -> str:
    return (
        f"  {name}: {{preset: sandbox, endpoint: '{sandbox.url}', key: {{env: BOX_KEY}}, "
        f"verify: {{gateway: '{sandbox.url}'{more}}}}}\n"
    )


def manifest(world: World, services: str, *pins: str, extra: str = "") -> None:
    listed = "".join(f"  - {{{pin}}}\n" for pin in pins)
    (world.place / "pinrec.yaml").write_text(
        f"version: 1\nname: acme\nservices:\n{services}pins:{' []' if not pins else ''}\n{listed}{extra}"
    )


def pin(name: str, cid: str, services: str = "box") -> str:
    return f"name: {name}, cid: {cid}, services: [{services}]"


@pytest.fixture
def pinned(world: World) -> World:
    """Two pins of ours at the box, which holds the content of one."""
    world.sandbox.give(BLOCKS)
    manifest(world, verified_at(world.sandbox), pin("docs", CID), pin("site", OTHER))
    assert world.run("apply", "--yes").code == 0
    return world


def test_what_is_there_is_retrieved_and_what_is_not_is_found_out(pinned: World) -> None:
    told = pinned.run("verify")
    assert told.code == 3
    rows = {line.split()[1]: line.split() for line in told.out.splitlines() if line.startswith("box")}
    assert rows["docs"][3:6] == ["retrieved", "gateway", "4"]
    assert rows["site"][3:6] == ["unretrievable", "gateway", "0"]
    assert "answers 404" in told.out
    assert "2 of 2 pinned pins looked at: 1 retrieved, 1 unretrievable" in told.out
    assert "box: site is called pinned and cannot be retrieved" in told.err
    assert pinned.run("verify", "docs").code == 0


def test_the_json_fits_its_schema_and_chance_can_be_played_again(pinned: World) -> None:
    pinned.sandbox.give(OTHER_BLOCKS)
    told = pinned.run("verify", "--json", "--seed", "5", "--sample", "2")
    assert told.code == 0
    found = told.json
    Draft7Validator(verify_schema()).validate(found)
    assert (found["seed"], found["sample"], found["pinned"]) == (5, 2, 2)
    assert [(p["name"], p["verdict"], p["blocks"]) for p in found["pins"]] == [
        ("docs", "retrieved", 3),
        ("site", "retrieved", 3),
    ]

    def asked() -> list[str]:
        return sorted(r.path for r in pinned.sandbox.requests if r.path.startswith("/ipfs/"))

    first = asked()
    pinned.sandbox.forget_requests()
    pinned.run("verify", "--seed", "5", "--sample", "2")
    assert asked() == first
    one = pinned.run("verify", "--json", "--pins", "1").json
    assert (len(one["pins"]), one["pinned"]) == (1, 2)


def test_the_published_schema_is_that_of_the_type(world: World) -> None:
    text = json.dumps(verify_schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE"):
        SCHEMA.write_text(text, encoding="utf-8")
    assert SCHEMA.read_text(encoding="utf-8") == text
    assert world.run("schema", "verify").json == json.loads(text)


def test_only_pins_of_ours_are_looked_at(pinned: World) -> None:
    pinned.foreign("theirs", cid=OTHER)
    assert pinned.run("verify", "docs", "--json").json["pinned"] == 1
    assert pinned.run("verify", "--json").json["pinned"] == 2
    missing = pinned.run("verify", "theirs")
    assert missing.code == 64
    assert "theirs: matches no pinned pin of ours" in missing.err
    assert pinned.run("verify", "--service", "bix").code == 64


def test_a_service_that_cannot_be_read_is_said(pinned: World) -> None:
    down = "  down: {preset: sandbox, endpoint: 'http://127.0.0.1:9', key: {env: BOX_KEY}}\n"
    manifest(pinned, verified_at(pinned.sandbox) + down, pin("docs", CID))
    told = pinned.run("verify", "docs")
    assert told.code == 3
    assert "Not read:\n  down: cannot be reached" in told.out
    assert "1 retrieved" in told.out


def test_without_gateway_and_node_it_says_what_is_missing(world: World) -> None:
    world.manifest(f"name: docs, cid: {CID}")
    world.run("apply", "--yes")
    told = world.run("verify")
    assert told.code == 0
    assert "box docs: the manifest names no gateway of the service, and no node" in told.out


def test_through_the_node_what_its_peers_sent_is_the_services(world: World) -> None:
    network = Network()
    with Sandbox((KEY,), network=network) as service, SandboxNode(network=network) as node:
        manifest(
            world,
            f"  box: {{preset: sandbox, endpoint: '{service.url}', key: {{env: BOX_KEY}}}}\n",
            f"{pin('docs', CID)}, local: false",
            extra=f"node: {{api: '{node.api}'}}\n",
        )
        service.give(BLOCKS)
        assert world.run("apply", "--yes", "--wait", "none").code in (0, 3)
        service.set_status(_only(service), "pinned")
        [found] = world.run("verify", "--json").json["pins"]
    assert (found["verdict"], found["how"], found["blocks"]) == ("retrieved", "delegates", 4)


def test_the_key_goes_to_the_gateway_only_if_the_manifest_says_so(world: World) -> None:
    with Sandbox((KEY,), personality=with_quirks(SPEC, ["gateway=key"])) as closed:
        closed.give(BLOCKS)
        manifest(world, verified_at(closed), pin("docs", CID))
        world.run("apply", "--yes")
        [refused] = world.run("verify", "--json").json["pins"]
        assert (refused["verdict"], refused["why"]) == ("cannot-tell", f"{_host(closed)} answers 401")
        manifest(world, verified_at(closed, more=", key: true"), pin("docs", CID))
        assert world.run("verify", "--json").json["pins"][0]["verdict"] == "retrieved"
        manifest(world, verified_at(closed, more=", key: {env: NOT_SET}"), pin("docs", CID))
        told = world.run("verify")
        assert told.code == 1
        assert "the key for the gateway of service box" in told.err


def test_the_services_key_goes_to_no_other_host(world: World) -> None:
    text = verified_at(world.sandbox, more=", key: true").replace(
        f"gateway: '{world.sandbox.url}'", "gateway: 'https://gateway.example.com'"
    )
    manifest(world, text, pin("docs", CID))
    told = world.run("validate")
    assert told.code == 64
    assert "the key of the service goes to 127.0.0.1 only, and the gateway is gateway.example.com" in told.err


# --- what follows ---------------------------------------------------------------------------------------------------


def test_what_is_unretrievable_is_no_copy_until_it_is_retrieved(world: World, second: Sandbox) -> None:
    services = verified_at(world.sandbox) + verified_at(second, "two")
    world.sandbox.give({**BLOCKS, **OTHER_BLOCKS})
    manifest(world, services, pin("docs", CID, "box, two"), pin("stays", OTHER))
    assert world.run("apply", "--yes").code == 0
    manifest(world, services, pin("docs", CID, "two"), pin("stays", OTHER))
    assert "1 to delete" in world.run("plan").out
    assert world.run("verify").code == 3

    plan = world.run("plan")
    assert plan.code == 4
    assert "what two calls pinned was found unretrievable" in plan.out
    assert "1 pinned here was found unretrievable, since 20" in plan.out
    assert world.run("apply", "--yes").code == 4
    assert world.there() == {"docs": CID, "stays": OTHER}
    status = world.run("status")
    assert status.code in (3, 4)
    assert "two: 1 pin called pinned and found unretrievable, since 20" in status.out
    assert world.run("status", "--format", "json").json["services"][1]["unretrievable"] == 1

    second.give(BLOCKS)
    assert world.run("verify", "--service", "two").code == 0
    assert "unretrievable" not in world.run("status").out
    assert world.run("apply", "--yes").code == 0
    assert world.there() == {"stays": OTHER}


def test_a_saved_plan_does_not_delete_what_was_found_to_be_the_last_copy_since(
    world: World, second: Sandbox
) -> None:
    services = verified_at(world.sandbox) + verified_at(second, "two")
    world.sandbox.give({**BLOCKS, **OTHER_BLOCKS})
    manifest(world, services, pin("docs", CID, "box, two"), pin("stays", OTHER))
    assert world.run("apply", "--yes").code == 0
    manifest(world, services, pin("docs", CID, "two"), pin("stays", OTHER))
    assert world.run("plan", "--out", "plan.json").code == 0
    assert world.run("verify", "--service", "two").code == 3
    assert world.run("apply", "--yes", "plan.json").code in (3, 4, 5)
    assert world.there() == {"docs": CID, "stays": OTHER}


def test_a_duplicate_does_not_yield_to_a_pin_that_is_no_copy(world: World) -> None:
    world.sandbox.give(BLOCKS)
    manifest(world, verified_at(world.sandbox), pin("docs", CID))
    world.run("apply", "--yes")
    world.api("POST", "/pins", {"cid": CID, "name": "docs", "meta": {"pinrec": "acme"}})
    assert world.run("plan", "--detailed-exitcode").code == 2
    world.sandbox.lose(CID)
    assert world.run("verify").code == 3
    assert world.run("plan", "--detailed-exitcode").code == 4


def test_without_a_journal_it_looks_all_the_same(pinned: World) -> None:
    (pinned.place / "file").write_text("")
    told = pinned.run("verify", "docs", "--state-dir", "file/state")
    assert told.code == 0
    assert "without a journal nothing of this is remembered" in told.err


def test_an_interrupt_ends_it_with_what_is_known(world: World) -> None:
    hang = Script([Rule(mishap=MISHAPS["hang"], value=60.0, path=f"/ipfs/{OTHER}")])
    with Sandbox((KEY,), faults=hang) as mute:
        mute.give(BLOCKS)
        manifest(world, verified_at(mute), pin("docs", CID), pin("site", OTHER))
        assert world.run("apply", "--yes").code == 0
        mute.forget_requests()
        process = world.process("verify", "--json")
        end = time.monotonic() + 60
        while time.monotonic() < end and not _answered(mute, 4):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    found = json.loads(out)
    assert found["interrupted"] is True
    assert [p["name"] for p in found["pins"]] == ["docs"]


def _answered(sandbox: Sandbox, blocks: int) -> bool:
    return sum(r.path.startswith("/ipfs/") and r.status == 200 for r in sandbox.requests) >= blocks


def _only(sandbox: Sandbox) -> str:
    [found] = sandbox.store.all(KEY)
    return str(found.requestid)


def _host(sandbox: Sandbox) -> str:
    return sandbox.url.removeprefix("http://")
