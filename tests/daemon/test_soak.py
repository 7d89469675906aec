"""A thousand ticks with everything that goes wrong on the way: it ends well, and nothing has grown."""

import asyncio
import gc
import random
import sys
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace
from support.looping import NAME, FakeService, Stage, manifest, play, root

from reconciler.core.cid import parse
from reconciler.core.errors import ManifestError, Problem
from reconciler.core.manifest import Entry, Manifest, Spec
from reconciler.core.manifest import Loop as Settings

TICKS, TICK = 1000, 0.1
SERVICES = {"a": "spec", "b": "unknown", "c": "spec"}


async def _story(state: Path) -> tuple[Stage, list[int]]:
    rnd = random.Random(7)
    file = state / "pinrec.yaml"
    file.write_text("0")
    spec = Spec(services=tuple(SERVICES), file="pinrec.yaml")
    loop = Settings(interval=TICK, jitter=0.0, incremental=TICK, full_sweep=3.0)
    declared = replace(
        manifest(
            SERVICES,
            interval=2.0,
            loop=loop,
            entries=[Entry(f"n{n}", parse(root(n + 1000)), spec, n) for n in range(30)],
        ),
        path=str(file),
        files=(str(file),),
    )
    services = {name: FakeService(name, delay=0.3) for name in SERVICES}
    stage = Stage(declared, services, state)
    stage.node.takes = 0.002
    broken = False

    def load() -> Manifest:
        if broken:
            raise ManifestError([Problem(file=str(file), message="it is broken")])
        return declared

    stage.load = load  # type: ignore[method-assign]
    stage.start()
    sizes: list[int] = []
    for tick in range(TICKS):
        await asyncio.sleep(TICK)
        service = services[rnd.choice(list(SERVICES))]
        match rnd.randrange(40):
            case 0:
                service.down = True
            case 1 | 2 | 3:
                service.down = service.hangs = False
            case 4:
                service.hangs = True
            case 5:
                service.lose += 1
            case 6 | 7 | 8:
                stage.node.root = tick
            case 9:
                stage.node.down = not stage.node.down
            case 10:
                stage.shift = timedelta(seconds=rnd.choice((-86400, 3600, 0)))
            case 11:
                broken = not broken
                file.write_text("x" * (tick + 2))
            case 12:
                await stage.stop()
                stage.start()
            case 13:
                await stage.kill()
                stage.start()
            case 14:
                for pin in service.named():
                    service.pins_.pop(pin.requestid)
        if tick % 100 == 99:
            stage.lines.clear()
            for one in services.values():
                one.writes.clear()
                one.asked.clear()
            gc.collect()
            sizes.append(sys.getallocatedblocks())
    broken, stage.shift = False, timedelta()
    file.write_text("well")
    stage.node.down = False
    for one in services.values():
        one.down = one.hangs = False
        one.lose = 0
    # Begun anew, it is patient with nobody.
    await stage.stop()
    stage.start()
    await asyncio.sleep(60)
    assert stage.running
    await stage.stop()
    for one in services.values():
        assert [(p.pin.cid, p.status) for p in one.named()] == [(root(stage.node.root or 0), "pinned")]
        assert sorted(str(p.pin.name) for p in one.all() if p.pin.name != NAME) == sorted(
            f"n{n}" for n in range(30)
        )
        assert {p.status for p in one.all()} == {"pinned"}
    return stage, sizes


def test_a_thousand_ticks(tmp_path: Path) -> None:
    _, sizes = play(lambda: _story(tmp_path))
    # After the first few hundred everything that is kept has been seen once. A block is an object or a table.
    assert max(sizes[5:]) - max(sizes[:5]) < 3_000, sizes
