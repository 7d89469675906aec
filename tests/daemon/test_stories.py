"""What the loop does, told in virtual time: a node and services that do as they are told, and what arrives there."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from support.looping import NAME, PEER, FakeService, Stage, clock, manifest, play, root

from reconciler.core.cid import parse
from reconciler.core.errors import LockedError, ManifestError, NodeError, Problem, SecretError
from reconciler.core.manifest import Entry, Limits, Manifest, Node, SecretRef, Spec, Webhook
from reconciler.core.manifest import Loop as Settings
from reconciler.core.model import PinRequest, PinStatus
from reconciler.core.question import Facts, Missing, StatOf
from reconciler.daemon.files import kept_of
from reconciler.daemon.state import LoopState, Paused, StateFiles
from reconciler.daemon.watch import Watch
from reconciler.daemon.window import next_change
from reconciler.manifest.loop import parse_window
from reconciler.policies import KINDS


def tell(
    tmp_path: Path,
    story: Callable[[Stage], Coroutine[Any, Any, None]],
    *,
    services: dict[str, str] | None = None,
    start: bool = True,
    takes: float = 0.02,
    **declared: Any,
) -> Stage:
    """Play a story about services of these profiles, all with one MFS policy under `NAME`."""
    profiles = services or {"a": "spec", "b": "spec"}

    async def main() -> Stage:
        made = {name: FakeService(name, delay=1.0) for name in profiles}
        stage = Stage(manifest(profiles, **declared), made, tmp_path)
        # Dear looks are rare looks: an hour of a story takes less of ours.
        stage.node.takes = takes
        if start:
            stage.start()
        await story(stage)
        if stage.running:
            await stage.stop()
        return stage

    return play(main)


def written(service: FakeService) -> list[str]:
    return [what for _, what, _ in service.writes]


def posts(service: FakeService) -> list[float]:
    return [at for at, what, _ in service.writes if what == "POST"]


def entry(number: int, *services: str, name: str = "") -> Entry:
    spec = Spec(services=services, file="pinrec.yaml")
    return Entry(name or f"n{number}", parse(root(number)), spec, number)


def state_of(stage: Stage) -> LoopState:
    found = StateFiles(stage.state_dir, "me").read_loop()
    assert found is not None
    return found


# --- roots ------------------------------------------------------------------------------------------------------


def test_the_first_change_goes_out_at_once_and_one_that_comes_soon_is_held(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        changed = asyncio.get_running_loop().time()
        stage.node.root = 1
        await asyncio.sleep(5)
        a = stage.services["a"]
        assert len(posts(a)) == 2
        assert posts(a)[1] - changed < 1.5
        for number in range(2, 12):
            stage.node.root = number
            await asyncio.sleep(2)
        await asyncio.sleep(60)
        # Ten roots in twenty seconds, one request, and it is for the last one.
        assert len(posts(a)) == 3
        assert posts(a)[2] - posts(a)[1] >= 30
        assert [p.pin.cid for p in a.named()] == [root(11)]

    tell(tmp_path, story, takes=0.001)


def test_that_kubos_own_policy_cannot_be_looked_at_is_said_once(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.node.shut = True
        await asyncio.sleep(100)
        stage.node.root = 1
        await asyncio.sleep(100)
        [note] = stage.events("note")
        assert "whether Kubo itself pins MFS" in note["text"]

    tell(tmp_path, story)


def test_a_root_that_never_rests_goes_out_all_the_same(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        for number in range(1, 301):
            stage.node.root = number
            await asyncio.sleep(0.2)
        await asyncio.sleep(60)
        a = stage.services["a"]
        assert 3 <= len(posts(a)) <= 5
        assert all(later - sooner >= 30 for sooner, later in zip(posts(a), posts(a)[1:], strict=False))
        assert [p.pin.cid for p in a.named()] == [root(300)]

    tell(tmp_path, story, takes=0.001)


def test_a_change_that_is_taken_back_before_it_settles_is_none(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100.2)
        stage.node.root = 1
        await asyncio.sleep(0.05)
        stage.node.root = 0
        await asyncio.sleep(60)
        assert len(posts(stage.services["a"])) == 1

    tell(tmp_path, story, takes=0.001)


def test_a_service_that_hangs_delays_no_other(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        stage.services["a"].hangs = True
        stage.node.root = 1
        await asyncio.sleep(5)
        assert [p.pin.cid for p in stage.services["b"].named()] == [root(1)]
        assert [p.pin.cid for p in stage.services["a"].named()] == [root(0)]
        stage.services["a"].hangs = False
        await asyncio.sleep(600)
        assert [p.pin.cid for p in stage.services["a"].named()] == [root(1)]

    tell(tmp_path, story, takes=0.001)


def test_a_pin_that_somebody_deletes_is_made_again_though_the_root_is_the_same(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        a = stage.services["a"]
        a.pins_.clear()
        await asyncio.sleep(400)
        assert [p.pin.cid for p in a.named()] == [root(0)]

    tell(tmp_path, story)


def test_a_pin_that_fails_is_told_and_tried_again_ever_more_rarely(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        a = stage.services["a"]
        a.unfindable.add(root(1))
        await asyncio.sleep(100)
        stage.node.root = 1
        await asyncio.sleep(3600)
        tried = [at for at in posts(a) if at > 100]
        assert 3 <= len(tried) <= 30
        assert all(later - sooner >= 30 for sooner, later in itertools.pairwise(tried))
        [mine] = [s for s in state_of(stage).services if s.service == "a"]
        assert mine.standing == "failed"
        assert mine.policies[0].pin in ("failed", "waiting")
        # The old root stays for as long as the new one is not there... where the service keeps it: here it does not.
        a.unfindable.clear()
        await asyncio.sleep(1800)
        assert [(p.pin.cid, p.status) for p in a.named()] == [(root(1), "pinned")]
        assert {s.standing for s in state_of(stage).services if s.service == "a"} == {"converged"}

    tell(tmp_path, story)


def test_the_node_is_not_believed_when_it_is_silent_or_empty(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        stage.node.down = True
        await asyncio.sleep(900)
        a = stage.services["a"]
        assert [p.pin.cid for p in a.named()] == [root(0)]
        assert len(posts(a)) == 1
        state = state_of(stage)
        assert {s.standing for s in state.services if s.service in "ab"} == {"unknown"}
        assert state.watch is not None
        assert "does not answer" in state.watch.roots[0].why
        stage.node.root = None  # `files/rm` of what the policy pins
        stage.node.down = False
        await asyncio.sleep(900)
        assert [p.pin.cid for p in a.named()] == [root(0)]
        stage.node.root = 3
        await asyncio.sleep(60)
        assert [p.pin.cid for p in a.named()] == [root(3)]
        await asyncio.sleep(60)
        assert {s.standing for s in state_of(stage).services if s.service in "ab"} == {"converged"}

    tell(tmp_path, story)


def test_a_node_that_is_started_again_is_gone_on_with_though_its_file_was_away(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.manifest = replace(stage.manifest, node=Node(api_file="/home/me/.ipfs/api"))
        stage.start()
        await asyncio.sleep(40)
        stage.node.down = stage.node.gone = True
        await asyncio.sleep(60)
        assert {s.standing for s in state_of(stage).services if s.service in "ab"} == {"unknown"}
        stage.node.down = stage.node.gone = False
        stage.node.root = 1
        await asyncio.sleep(30)
        assert [p.pin.cid for p in stage.services["a"].named()] == [root(1)]
        assert {s.standing for s in state_of(stage).services if s.service in "ab"} == {"converged"}

    tell(tmp_path, story, start=False)


def test_one_slow_answer_makes_nobody_blind(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        stage.node.takes, before = 0.5, stage.node.stats
        while stage.node.stats == before:
            await asyncio.sleep(0.01)
        stage.node.takes = 0.004
        await asyncio.sleep(1)
        stage.node.root = 1
        await asyncio.sleep(5)
        assert [p.pin.cid for p in stage.services["a"].named()] == [root(1)]

    tell(tmp_path, story, takes=0.004)


def test_a_dear_stat_is_asked_rarely_and_status_says_so(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.node.takes = 0.3
        await asyncio.sleep(2000)
        before = stage.node.stats
        await asyncio.sleep(4800)
        # One percent of the node's time, and what answers take is not all that they cost it.
        assert (stage.node.stats - before) * 0.3 <= 48
        watch = state_of(stage).watch
        assert watch is not None
        assert watch.bound
        assert watch.interval == pytest.approx(48, abs=2)

    tell(tmp_path, story)


def test_a_first_look_that_met_a_busy_machine_does_not_delay_the_first_change(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(0.1)
        stage.node.takes = 0.001
        await asyncio.sleep(5)
        stage.node.root = 1
        await asyncio.sleep(2)
        assert [p.pin.cid for p in stage.services["a"].named()] == [root(1)]

    tell(tmp_path, story, takes=0.5, interval=1.0)


def test_a_cid_that_an_entry_wants_too_is_planned_with_everything(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        stage.node.root = 1
        await asyncio.sleep(60)
        for service in stage.services.values():
            assert sorted((str(p.pin.name), p.pin.cid) for p in service.all()) == [
                ("n1", root(1)),
                (NAME, root(1)),
            ]
        stage.node.root = 2
        await asyncio.sleep(60)
        for service in stage.services.values():
            assert sorted((str(p.pin.name), p.pin.cid) for p in service.all()) == [
                ("n1", root(1)),
                (NAME, root(2)),
            ]
        scopes = [f["scope"] for f in stage.events("cycle") if str(f["why"]).startswith("root")]
        assert "all" in scopes

    tell(tmp_path, story, entries=[entry(1, "a", "b")])


# --- restarts, people ---------------------------------------------------------------------------------------------


def test_after_a_restart_nothing_is_sent_twice(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        for service in stage.services.values():
            service.delay = 300.0
        stage.node.root = 1
        await asyncio.sleep(29)
        before = [len(s.writes) for s in stage.services.values()]
        await stage.stop()
        stage.start()
        await asyncio.sleep(60)
        await stage.kill()
        stage.start()
        await asyncio.sleep(60)
        assert [len(s.writes) for s in stage.services.values()] == before

    tell(tmp_path, story, entries=[entry(7, "a")])


def test_paused_nothing_is_asked_until_it_is_resumed(tmp_path: Path) -> None:
    files = StateFiles(tmp_path, "me")

    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        files.write_paused(Paused(services=("a",)))
        await asyncio.sleep(3)
        a, b = stage.services["a"], stage.services["b"]
        asked = len(a.asked)
        stage.node.root = 1
        await asyncio.sleep(600)
        assert len(a.asked) == asked
        assert [p.pin.cid for p in b.named()] == [root(1)]
        assert [s.paused for s in state_of(stage).services] == [True, False, False]
        await stage.stop()
        stage.start()  # what is paused stays so
        await asyncio.sleep(60)
        assert len(a.asked) == asked
        files.write_paused(Paused())
        await asyncio.sleep(10)
        assert [p.pin.cid for p in a.named()] == [root(1)]
        assert not files.pause.exists()

    tell(tmp_path, story)


def test_a_person_goes_first(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        stage.lease.at_work = "ann"
        stage.node.root = 1
        await asyncio.sleep(120)
        assert all(len(posts(s)) == 1 for s in stage.services.values())
        stage.lease.at_work = None
        await asyncio.sleep(60)
        assert all([p.pin.cid for p in s.named()] == [root(1)] for s in stage.services.values())

    tell(tmp_path, story)


def test_a_loop_that_lost_its_lease_ends(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(10)
        stage.lease.ours = False
        with pytest.raises(LockedError, match="held by pid 1 of ann"):
            await stage._task  # type: ignore[misc]

    tell(tmp_path, story)


# --- what may be done, and who is told ------------------------------------------------------------------------------


def test_plan_only_changes_nothing_and_tells_once(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.start(override=lambda s: replace(s, plan_only=True))
        await asyncio.sleep(2000)
        assert all(not s.writes for s in stage.services.values())
        assert {s.standing for s in state_of(stage).services if s.service in "ab"} == {"drift"}
        assert {f["did"] for f in stage.events("cycle") if f["service"] in "ab"} == {"plan only"}

    tell(tmp_path, story, start=False, entries=[entry(1, "a", "b")])


def test_outside_of_its_windows_it_plans_and_when_one_opens_it_applies(tmp_path: Path) -> None:
    # The story begins on a Friday at midnight.
    loop = Settings(windows=(parse_window("02:00-03:00"),))

    async def story(stage: Stage) -> None:
        await asyncio.sleep(3600)
        assert all(not s.writes for s in stage.services.values())
        state = state_of(stage)
        assert not state.window_open
        assert state.window_changes is not None
        assert state.window_changes.hour == 2
        await asyncio.sleep(3605)
        assert all([p.pin.cid for p in s.named()] == [root(0)] for s in stage.services.values())
        await asyncio.sleep(3600)
        stage.node.root = 1
        await asyncio.sleep(600)
        assert all([p.pin.cid for p in s.named()] == [root(0)] for s in stage.services.values())

    tell(tmp_path, story, loop=loop)


def test_what_a_guard_holds_back_waits_for_a_person(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        a = stage.services["a"]
        for number in range(40):
            a.put(root(number + 100), f"old{number}", owner="me")
        await asyncio.sleep(1000)
        assert len(a.all()) >= 40
        [mine] = [s for s in state_of(stage).services if s.service == "a"]
        assert mine.standing == "blocked"
        assert mine.last is not None
        assert mine.last.exit_code == 4
        assert mine.last.blocked >= 40

    tell(tmp_path, story, policy=False, node=False, entries=[entry(1, "a", "b")])


# --- cadences -------------------------------------------------------------------------------------------------------


def test_requests_grow_with_changes_and_not_with_pins(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        a = stage.services["a"]
        for number in range(10_500):
            a.put(root(number + 50_000), f"theirs{number}")
        stage.start()
        await asyncio.sleep(300)
        whole = a.asked.count("list")
        assert whole >= 12
        before = len(a.asked)
        await asyncio.sleep(3000)
        # One request a minute for what is new, and one per tick for the policy's pin: no listing.
        assert a.asked.count("list") == whole
        assert len(a.asked) - before <= 3000 / 60 + 3000 / 300 * 2 + 4
        # What somebody else makes of ours is found within a minute.
        a.put(root(5), "stray", owner="me")
        await asyncio.sleep(90)
        assert "stray" not in [p.pin.name for p in a.all()]

    tell(tmp_path, story, start=False)


def test_pins_that_wait_are_followed_and_what_is_left_to_do_is_done(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        b = stage.services["b"]
        b.delay = 40.0
        stage.node.root = 1
        await asyncio.sleep(20)
        # Nobody knows what a replace does at b: the old one stays until the new one is pinned.
        assert sorted(p.pin.cid for p in b.named()) == sorted((root(0), root(1)))
        await asyncio.sleep(60)
        assert [p.pin.cid for p in b.named()] == [root(1)]

    tell(tmp_path, story, services={"a": "spec", "b": "unknown"})


def test_a_service_that_is_down_is_asked_ever_more_rarely(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        a = stage.services["a"]
        a.down = True
        requests = a.requests
        await asyncio.sleep(3600)
        assert a.requests - requests <= 60
        [mine] = [s for s in state_of(stage).services if s.service == "a"]
        assert mine.standing == "unknown"
        assert mine.failures >= 5
        assert mine.again is not None
        assert "cannot be reached" in mine.error

    tell(tmp_path, story)


# --- the manifest changes -------------------------------------------------------------------------------------------


class Editor:
    """A manifest on disk, of which only that it changes matters; what it says is given."""

    def __init__(self, stage: Stage, path: Path) -> None:
        self.stage, self.path, self.number = stage, path, 0
        self.says: Manifest | None = None
        stage.load = self.load  # type: ignore[method-assign]
        stage.manifest = replace(stage.manifest, path=str(path), files=(str(path),))
        path.write_text("0")

    def write(self, says: Manifest | None) -> None:
        self.number += 1
        self.says = None if says is None else replace(says, path=str(self.path), files=(str(self.path),))
        self.path.write_text("x" * self.number)

    def load(self) -> Manifest:
        if self.says is None:
            raise ManifestError([Problem(file=str(self.path), line=1, message="it is broken")])
        return self.says


def test_a_broken_manifest_keeps_the_old_one_and_a_mended_one_is_taken(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        editor = Editor(stage, tmp_path / "pinrec.yaml")
        old = stage.manifest
        stage.start()
        await asyncio.sleep(100)
        editor.write(None)
        await asyncio.sleep(60)
        assert "it is broken" in state_of(stage).manifest_error
        # Loud, and once for each change.
        assert len([line for line in stage.lines if line.level == "error"]) == 1
        stage.node.root = 1
        await asyncio.sleep(20)
        assert [p.pin.cid for p in stage.services["a"].named()] == [root(1)]
        editor.write(replace(old, entries=[entry(5, "a")]))
        await asyncio.sleep(60)
        assert state_of(stage).manifest_error == ""
        assert "n5" in [p.pin.name for p in stage.services["a"].all()]
        assert "n5" not in [p.pin.name for p in stage.services["b"].all()]

    tell(tmp_path, story, start=False)


def test_services_come_and_go_with_the_manifest(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        editor = Editor(stage, tmp_path / "pinrec.yaml")
        both = stage.manifest
        alone = {n: s for n, s in both.services.items() if n == "a"}
        policies = {"mfs": replace(both.policies["mfs"], uses={"a": both.policies["mfs"].uses["a"]})}
        stage.manifest = replace(stage.manifest, services=alone, policies=policies)
        stage.start()
        await asyncio.sleep(100)
        assert not stage.services["b"].asked
        editor.write(both)
        await asyncio.sleep(100)
        assert [p.pin.cid for p in stage.services["b"].named()] == [root(0)]
        editor.write(replace(both, services=alone, policies=policies))
        await asyncio.sleep(10)
        asked = len(stage.services["b"].asked)
        await asyncio.sleep(900)
        # Nothing is deleted where nobody looks any more.
        assert len(stage.services["b"].asked) == asked
        assert [p.pin.cid for p in stage.services["b"].named()] == [root(0)]
        assert [s.service for s in state_of(stage).services] == ["a", "node"]

    tell(tmp_path, story, start=False)


def test_another_owner_is_another_loop(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        editor = Editor(stage, tmp_path / "pinrec.yaml")
        old = stage.manifest
        stage.start()
        await asyncio.sleep(100)
        editor.write(replace(old, owner="you"))
        await asyncio.sleep(60)
        assert "does not change its owner" in state_of(stage).manifest_error
        assert [p.pin.meta for p in stage.services["a"].named()] == [
            {**(stage.services["a"].named()[0].pin.meta or {}), "pinrec": "me"}
        ]

    tell(tmp_path, story, start=False)


@pytest.mark.parametrize("gone", ["policy", "path"])
def test_a_policy_that_leaves_while_its_root_settles_does_not_end_the_watch(
    tmp_path: Path, gone: str
) -> None:
    async def story(stage: Stage) -> None:
        editor = Editor(stage, tmp_path / "pinrec.yaml")
        mfs = stage.manifest.policies["mfs"]
        other = replace(
            mfs, name="photos", pin_name="policy/photos", settings={"path": "/photos"}, settle=3.0
        )
        both = replace(stage.manifest, policies={"mfs": mfs, "photos": other})
        stage.manifest = both
        stage.start()
        await asyncio.sleep(100)
        stage.node.root = 1
        await asyncio.sleep(2)
        if gone == "policy":
            editor.write(replace(both, policies={"mfs": mfs}))
        else:
            editor.write(
                replace(both, policies={"mfs": mfs, "photos": replace(other, settings={"path": "/p"})})
            )
        await asyncio.sleep(60)
        stage.node.root = 2
        await asyncio.sleep(10)
        assert [p.pin.cid for p in stage.services["a"].named()] == [root(2)]
        # And the next manifest finds everything in order.
        editor.write(replace(both, policies={"mfs": mfs}, node=None))
        await asyncio.sleep(30)
        assert stage.running
        assert state_of(stage).manifest_error == ""

    tell(tmp_path, story, start=False, takes=0.001)


def test_what_an_earlier_manifest_asked_does_not_answer_a_later_one(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        mfs = stage.manifest.policies["mfs"]
        other = replace(mfs, name="photos", pin_name="policy/photos", settings={"path": "/photos"})
        both = replace(stage.manifest, policies={"mfs": mfs, "photos": other})
        photos, asked = StatOf("/photos"), list[Manifest]()

        async def gather() -> Facts:
            asked.append(stage.manifest)
            asks = KINDS["mfs"].questions
            known = {q: Missing("x") for p in stage.manifest.policies.values() for q in asks(p)}
            await asyncio.sleep(5)
            return Facts(dict(known))

        loop = asyncio.get_running_loop()
        watch = Watch(
            node=stage.node,  # type: ignore[arg-type]
            gather=gather,
            changed=lambda _paths: None,
            now=stage.now,
            monotonic=loop.time,
            sleep=asyncio.sleep,
        )
        watch.watch(stage.manifest)
        first = asyncio.create_task(watch.facts())
        await asyncio.sleep(1)
        stage.manifest = both
        watch.watch(both)
        await first
        assert (await watch.facts())[photos] == Missing("x")
        assert await watch.facts() == await watch.facts()
        assert len(asked) == 2

    tell(tmp_path, story, start=False)


def test_when_the_window_changes_is_found_out_again_only_where_that_may_be_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def counted(*given: Any) -> Any:
        nonlocal looks
        looks += 1
        return next_change(*given)

    monkeypatch.setattr("reconciler.daemon.loop.next_change", counted)

    async def story(stage: Stage) -> None:
        editor = Editor(stage, tmp_path / "pinrec.yaml")
        stage.manifest = replace(stage.manifest, loop=Settings(windows=(parse_window("Mon-Sun"),)))
        stage.start()
        await asyncio.sleep(900)
        # A look takes 30 ms: each second that would be more than all the rest.
        assert looks == 1
        assert state_of(stage).window_changes is None
        for text, hour in (("00:00-05:00", 5), ("00:00-03:00", 3)):
            editor.write(replace(stage.manifest, loop=Settings(windows=(parse_window(text),))))
            await asyncio.sleep(70)
            assert state_of(stage).window_changes == clock().replace(
                hour=hour, minute=0, second=0, microsecond=0
            )

    tell(tmp_path, story, start=False)


def _with_token(declared: Manifest, file: Path) -> Manifest:
    assert declared.node is not None
    return replace(declared, node=replace(declared.node, token=SecretRef(kind="file", value=(str(file),))))


def test_a_token_of_the_node_that_changes_in_its_file_is_taken(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        token = tmp_path / "token"
        token.write_text("one")
        Editor(stage, tmp_path / "pinrec.yaml").write(_with_token(stage.manifest, token))
        stage.manifest = stage.load()
        stage.start()
        await asyncio.sleep(100)
        assert len(stage.opened) == 1
        token.write_text("another")
        await asyncio.sleep(10)
        assert len(stage.opened) == 2
        stage.node.root = 1
        await asyncio.sleep(20)
        assert [p.pin.cid for p in stage.services["a"].named()] == [root(1)]

    tell(tmp_path, story, start=False)


def test_a_manifest_whose_node_cannot_be_had_changes_nothing_at_all(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        editor = Editor(stage, tmp_path / "pinrec.yaml")
        old = stage.manifest
        stage.start()
        await asyncio.sleep(100)
        stage.refuses = SecretError("the token of the node is not there")
        other = replace(old.services["a"], limits=Limits(concurrency=1))
        new = _with_token(replace(old, services={**old.services, "a": other}), tmp_path / "none")
        editor.write(replace(new, entries=[entry(5, "b")]))
        await asyncio.sleep(20)
        assert "the token" in state_of(stage).manifest_error
        stage.node.root = 1
        await asyncio.sleep(20)
        for name in "ab":
            assert [p.pin.cid for p in stage.services[name].named()] == [root(1)]
        await asyncio.sleep(400)
        # Nothing of it is in force.
        assert "n5" not in [p.pin.name for p in stage.services["b"].all()]
        stage.refuses = None
        editor.write(replace(new, entries=[entry(5, "b")]))
        await asyncio.sleep(60)
        assert "n5" in [p.pin.name for p in stage.services["b"].all()]

    tell(tmp_path, story, start=False)


def test_a_node_that_was_not_there_at_first_is_the_one_that_dials_later(tmp_path: Path) -> None:
    dialled: list[str] = []

    class Names(FakeService):
        async def get(self, requestid: str) -> PinStatus | None:
            found = await super().get(requestid)
            return found and replace(found, delegates=[f"/ip4/10.0.0.1/tcp/4001/p2p/{PEER}"])

    async def connect(address: str, **_: object) -> None:
        dialled.append(address)

    async def main() -> None:
        declared = manifest({"a": "spec"}, policy=False, entries=[entry(1, "a")])
        stage = Stage(declared, {"a": Names("a", delay=10_000)}, tmp_path)
        stage.node.connect = connect  # type: ignore[attr-defined]
        stage.refuses = NodeError("there is no node", unreachable=True)
        stage.start()
        await asyncio.sleep(60)
        assert not dialled
        stage.refuses = None
        await asyncio.sleep(120)
        assert dialled
        await stage.stop()

    play(main)


def test_files_with_the_address_and_the_secret_of_a_webhook_are_watched() -> None:
    hook = Webhook(url=SecretRef(kind="file", value=("/u",)), secret=SecretRef(kind="file", value=("/s",)))
    kept = kept_of(manifest({"a": "spec"}, loop=Settings(webhook=hook)), {})
    assert {"/u", "/s"} <= set(kept.watched)


@pytest.mark.parametrize("how", ["paused", "shut", "plan only", "removed"])
def test_many_changes_end_at_the_next_request_when_they_may_not_be_made_any_more(
    tmp_path: Path, how: str
) -> None:
    class Slow(FakeService):
        async def add(self, pin: PinRequest) -> PinStatus:
            await asyncio.sleep(5)
            return await super().add(pin)

    async def main() -> None:
        windows = (parse_window("00:00-00:02"),) if how == "shut" else ()
        both = manifest(
            {"a": "spec", "b": "spec"},
            policy=False,
            entries=[entry(n, "a") for n in range(1, 1000)],
            loop=Settings(windows=windows),
        )
        both.services["a"] = replace(both.services["a"], limits=Limits(concurrency=1))
        a = Slow("a")
        stage = Stage(both, {"a": a, "b": FakeService("b")}, tmp_path)
        editor = Editor(stage, tmp_path / "pinrec.yaml")
        stage.start()
        await asyncio.sleep(100)
        if how == "paused":
            StateFiles(tmp_path, "me").write_paused(Paused(services=("a",)))
        elif how == "plan only":
            editor.write(replace(both, loop=Settings(plan_only=True)))
        elif how == "removed":
            alone = replace(both, entries=[entry(5, "b")], services={"b": both.services["b"]})
            editor.write(alone)
        await asyncio.sleep(60)
        made = len(a.writes)
        assert 0 < made < 40
        if how == "removed":
            # And nothing else waits for it.
            assert "n5" in [p.pin.name for p in stage.services["b"].all()]
        await asyncio.sleep(600)
        assert len(a.writes) == made
        if how == "paused":
            StateFiles(tmp_path, "me").write_paused(Paused())
            await asyncio.sleep(200)
            assert len(a.writes) > made
        await stage.stop()

    play(main)


def test_what_stands_as_it_did_is_not_written_down_each_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[LoopState] = []
    monkeypatch.setattr(StateFiles, "write_loop", lambda _self, state: written.append(state))

    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        written.clear()
        for _ in range(100):
            stage.node.takes *= 1.01
            await asyncio.sleep(2)
        # A sign of life each minute, and what a tick changes.
        assert len(written) <= 10
        # The node is none of the services that a manifest names.
        assert stage.events("start")[0]["services"] == 2

    tell(tmp_path, story, takes=0.001)


def test_a_state_that_cannot_be_written_is_told_once_and_written_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, write = True, StateFiles.write_loop

    def write_loop(files: StateFiles, state: LoopState) -> None:
        if full:
            raise OSError(28, "No space left on device")
        write(files, state)

    monkeypatch.setattr(StateFiles, "write_loop", write_loop)

    async def story(stage: Stage) -> None:
        nonlocal full
        for number in range(1, 5):
            stage.node.root = number
            await asyncio.sleep(40)
        assert [fields["error"] for fields in stage.events("state")] == ["No space left on device"]
        full = False
        await asyncio.sleep(3)
        assert state_of(stage).owner == "me"

    tell(tmp_path, story, takes=0.001)


# --- the clock ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1), timedelta(days=-400)])
def test_a_clock_that_is_set_stops_nothing(tmp_path: Path, jump: timedelta) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)
        stage.shift = jump
        await asyncio.sleep(10)
        assert len(stage.events("clock")) == 1
        stage.node.root = 1
        await asyncio.sleep(60)
        assert all([p.pin.cid for p in s.named()] == [root(1)] for s in stage.services.values())
        assert len(stage.events("clock")) == 1

    tell(tmp_path, story)


def test_what_is_written_down_can_be_read_and_holds_no_endpoint(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(100)

    tell(tmp_path, story)
    content = StateFiles(tmp_path, "me").loop.read_bytes()
    assert msgspec.json.decode(content, type=LoopState).owner == "me"
    assert b"example" not in content
