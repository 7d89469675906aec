"""Whatever happens on the way, every service with the policy ends with exactly the current root under its name."""

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.looping import NAME, FakeService, Stage, manifest, play, root

INTERVAL = 30.0
SERVICES = {"a": "spec", "b": "unknown", "c": "spec"}

events = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.1, 0.4, 1.0, 7.0, 31.0, 400.0)),
        st.sampled_from(
            (
                "root",
                "root",
                "root",
                "back",
                "node down",
                "node up",
                "node hangs",
                "a down",
                "a up",
                "b hangs",
                "b up",
                "c lost",
                "c gone",
                "b duplicate",
                "stop",
                "kill",
                "slow",
            )
        ),
    ),
    max_size=14,
)


async def _story(told: list[tuple[float, str]], state: Path) -> Stage:
    services = {name: FakeService(name, delay=2.0) for name in SERVICES}
    stage = Stage(manifest(SERVICES, interval=INTERVAL), services, state)
    # Dear looks are rare looks: an hour of the story takes less of ours.
    stage.node.takes = 0.02
    stage.start()
    top = 0
    for delay, what in told:
        await asyncio.sleep(delay)
        match what.split():
            case ["root"]:
                top += 1
                stage.node.root = top
            case ["back"]:
                stage.node.root = max(0, top - 1)
            case ["node", "down"]:
                stage.node.down = True
            case ["node", "hangs"]:
                stage.node.hangs = True
            case ["node", "up"]:
                stage.node.down = stage.node.hangs = False
            case [name, "down"]:
                services[name].down = True
            case [name, "hangs"]:
                services[name].hangs = True
            case [name, "up"]:
                services[name].down = services[name].hangs = False
            case [name, "lost"]:
                services[name].lose += 1
            case [name, "gone"]:
                for pin in services[name].named():
                    services[name].pins_.pop(pin.requestid)
            case [name, "duplicate"]:
                services[name].put(root(0), NAME, owner="me")
            case ["slow"]:
                for service in services.values():
                    service.delay = 20.0
            case ["stop"]:
                await stage.stop()
                stage.start()
            case ["kill"]:
                await stage.kill()
                stage.start()
    stage.node.down = stage.node.hangs = False
    for service in services.values():
        service.down = service.hangs = False
        service.lose = 0
    await asyncio.sleep(1500)
    assert stage.running
    await stage.stop()
    return stage


def _check(stage: Stage) -> None:
    assert stage.node.root is not None
    for name, service in stage.services.items():
        found = [(p.pin.name, p.pin.cid, p.status) for p in _at_end[name]]
        assert found == [(NAME, root(stage.node.root), "pinned")], (name, found)
        edges = [*stage.begun, float("inf")]
        for begin, end in itertools.pairwise(edges):
            sent = [at for at, what, _ in service.writes if what == "POST" and begin <= at < end]
            gaps = [b - a for a, b in itertools.pairwise(sent)]
            assert all(gap >= INTERVAL for gap in gaps), (name, sent)


_at_end: dict[str, list[object]] = {}


@settings(max_examples=max(12, settings().max_examples // 5))
@given(told=events)
def test_any_story_ends_well(told: list[tuple[float, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    state = tmp_path_factory.mktemp("state")

    async def story() -> Stage:
        stage = await _story(told, state)
        _at_end.clear()
        _at_end.update({name: list(service.all()) for name, service in stage.services.items()})
        return stage

    _check(play(story))
