"""Names that trade their CIDs where there is one pin for each CID: one apply does it, and loses nothing."""

from collections.abc import Iterator

import pytest

from reconciler.sandbox.personalities import CLUSTER, HELIA
from reconciler.sandbox.personality import Personality
from reconciler.sandbox.server import Sandbox
from tests.cli.conftest import KEY, A, B, C, World

D = "bafkreih64bhqmrswvxurvrbuwvmpeg7awl3uu6tylwdqlbckovk3bmxqiy"
CIDS = {"A": A, "B": B, "C": C, "D": D}
ROTATIONS = {
    "a name takes over what the other gives up": ("site=A kept=C", "site=B kept=A"),
    "and where that is the older pin": ("kept=C site=A", "site=B kept=A"),
    "a name takes over the CID of one that goes": ("site=A kept=B", "site=B"),
    "and the other way round": ("site=A kept=B", "kept=A"),
    "a swap": ("site=A kept=B", "site=B kept=A"),
    "a cycle of three": ("site=A kept=B old=C", "site=C kept=A old=B"),
    "three move up": ("site=A kept=B old=C", "site=D kept=A old=B"),
    "two take over what the third gives up": ("site=C kept=D old=B", "kept=A site=D old=D"),
    "two take over what the third gave first": ("site=B kept=A", "old=B kept=B site=C"),
    "both want what one of them has": ("site=A kept=B", "site=B kept=B"),
    "the second wants it first": ("site=A kept=B", "kept=A site=A"),
}


@pytest.fixture(params=[("ipfs-cluster", CLUSTER), ("helia", HELIA)], ids=lambda p: str(p[0]))
def service(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sandbox]]:
    preset, personality = request.param
    assert isinstance(personality, Personality)
    with Sandbox((KEY,), personality=personality) as sandbox:
        yield preset, sandbox


@pytest.mark.parametrize(("have", "want"), ROTATIONS.values(), ids=ROTATIONS.keys())
def test_one_apply_does_it(world: World, service: tuple[str, Sandbox], have: str, want: str) -> None:
    preset, sandbox = service
    told = f"  s: {{preset: {preset}, endpoint: '{sandbox.url}', key: {{env: BOX_KEY}}}}\n"

    def manifest(pins: str) -> dict[str, str]:
        wanted = dict(p.split("=") for p in pins.split())
        world.manifest(
            *(f"name: {n}, cid: {CIDS[c]}, services: [s]" for n, c in wanted.items()), services=told
        )
        return wanted

    for n, pin in enumerate(have.split()):
        name, cid = pin.split("=")
        sandbox.store.put(
            KEY,
            CIDS[cid],
            name=name,
            meta={"pinrec": "acme"},
            requestid=CIDS[cid] if preset == "ipfs-cluster" else "",
            created=f"2026-01-01T00:00:{n:02d}.000Z",
        )
    wanted = manifest(want)
    done = world.run("apply", "--yes")
    assert done.code == 0, done.out
    assert "No changes" in world.run("plan").out
    there = sandbox.store.all(KEY)
    assert sorted(p.cid for p in there) == sorted({CIDS[c] for c in wanted.values()})
    assert {p.status for p in there} == {"pinned"}
