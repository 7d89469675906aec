"""pinrec pin: the manifest edited in place, and with --apply the services right after."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from reconciler.manifest import load_manifest
from reconciler.sandbox.personalities import CLUSTER
from reconciler.sandbox.server import Sandbox
from tests.cli.conftest import KEY, A, B, C, World

HAND_WRITTEN = """\
# Pins of the team.        Ask Ana before you change it.
version: 1
name: acme


services:
    box:   {preset: sandbox, endpoint: '%s', key: {env: BOX_KEY}}   # the only one

defaults: {services: [box]}

pins:
    -   name: "website"        # deployed by CI
        cid:  %s   # the site
        meta: {team:   web}

    # many more to come
    - {cid: %s, name: docs}
guards: {maxDeletes: 5}   # few
"""


@pytest.fixture
def by_hand(world: World) -> World:
    (world.place / "pinrec.yaml").write_text(HAND_WRITTEN % (world.sandbox.url, A, B))
    return world


def text(world: World) -> str:
    return (world.place / "pinrec.yaml").read_text()


def test_set_changes_the_cid_and_not_one_character_more(by_hand: World) -> None:
    before = text(by_hand)
    result = by_hand.run("pin", "set", "website", C)
    assert (result.code, result.out) == (0, f"changed website in pinrec.yaml, was {A}\n")
    assert text(by_hand) == before.replace(A, C)
    assert by_hand.sandbox.requests == ()


def test_set_twice_is_unchanged(by_hand: World) -> None:
    by_hand.run("pin", "set", "website", C)
    stamp = (by_hand.place / "pinrec.yaml").stat()
    again = by_hand.run("pin", "set", "website", C)
    assert (again.code, again.out) == (0, "unchanged website in pinrec.yaml\n")
    after = (by_hand.place / "pinrec.yaml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)


def test_set_and_apply_replaces_that_pin_and_nothing_else(by_hand: World) -> None:
    first = by_hand.run("pin", "set", "website", A, "--apply")
    assert (first.code, first.out) == (0, f"box: pinned website {A}\n")
    assert by_hand.there() == {"website": A}
    second = by_hand.run("pin", "set", "website", C, "--apply")
    assert (second.code, second.out) == (0, f"box: replaced website {C}\n")
    assert by_hand.there() == {"website": C}
    third = by_hand.run("pin", "set", "website", C, "--apply")
    assert (third.code, third.out) == (0, "box: unchanged website\n")


def test_a_name_that_looks_like_a_glob_is_that_name_only(world: World) -> None:
    world.manifest(f"name: 'v[12]*', cid: {A}", f"name: v1x, cid: {B}")
    result = world.run("pin", "set", "v[12]*", C, "--apply")
    assert (result.code, result.out) == (0, f"box: pinned v[12]* {C}\n")
    assert world.there() == {"v[12]*": C}


def test_add_follows_the_style_of_the_last_entry(by_hand: World) -> None:
    before = text(by_hand)
    assert by_hand.run("pin", "add", C, "--name", "blog", "--meta", "team=web", "--service", "box").code == 0
    line = f"    - {{name: blog, cid: {C}, services: [box], meta: {{team: web}}}}\n"
    assert text(by_hand) == before.replace("guards:", line + "guards:")
    assert by_hand.run("validate").code == 0


def test_add_to_a_list_of_blocks(world: World) -> None:
    path = world.place / "pinrec.yaml"
    world.manifest()
    path.write_text(path.read_text().replace("pins: []", f"pins:   # mine\n- name: a\n  cid: {A}\n# the end"))
    assert world.run("pin", "add", B, "--name", "b").code == 0
    assert path.read_text().endswith(
        f"pins:   # mine\n- name: a\n  cid: {A}\n- name: b\n  cid: {B}\n# the end\n"
    )


def test_add_to_what_init_writes(world: World) -> None:
    world.run("init")
    before = text(world)
    assert world.run("pin", "add", A, "--name", "website").code == 0
    after = text(world)
    assert after == before.replace("pins: []\n", f"pins:\n  - name: website\n    cid: {A}\n")


def test_add_without_a_name_several_at_once(world: World) -> None:
    world.manifest()
    result = world.run("pin", "add", A, B, "--apply")
    assert result.code == 0
    assert result.out == f"box: pinned {A} {A}\nbox: pinned {B} {B}\n"
    assert world.run("plan").out.endswith("No changes. The services hold what the manifest says.\n")
    assert world.run("pin", "add", A).out == f"unchanged {A} in pinrec.yaml\n"


def test_of_several_all_are_added_or_none(world: World) -> None:
    world.manifest(f"cid: {B}")
    before = text(world)
    result = world.run("pin", "add", A, B, "--meta", "team=web")
    assert (result.code, "is there already with other meta" in result.err) == (64, True)
    assert text(world) == before


def test_add_what_is_there(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    assert world.run("pin", "add", A, "--name", "a").out == "unchanged a in pinrec.yaml\n"
    other = world.run("pin", "add", B, "--name", "a")
    assert other.code == 64
    assert f"→ `pinrec pin set a {B}` changes it" in other.err


def test_one_entry_for_a_list_of_services(world: World) -> None:
    with Sandbox((KEY,)) as second:
        world.manifest(
            services=f"  two: {{preset: sandbox, endpoint: '{second.url}', key: {{env: BOX_KEY}}}}\n"
        )
        world.run("pin", "add", B, "--name", "other", "--service", "box,two", "--apply")
        result = world.run("pin", "add", A, "--name", "a", "--service", "box,two", "--apply")
        assert (result.code, result.out) == (0, f"box: pinned a {A}\ntwo: pinned a {A}\n")
        assert f"  - name: a\n    cid: {A}\n    services: [box, two]\n" in text(world)
        one = world.run("pin", "rm", "a", "--service", "two", "--apply")
        assert (one.code, one.out) == (0, f"two: deleted a {A}\n")
        assert "services: [box]\n" in text(world)
        back = world.run("pin", "add", A, "--name", "a", "--service", "two")
        assert back.out == "added services to a in pinrec.yaml (two)\n"
        assert text(world).count("services: [box, two]\n") == 2
        world.run("apply", "--yes")
        both = world.run("pin", "rm", "a", "--apply")
        assert (both.code, both.out) == (0, f"box: deleted a {A}\ntwo: deleted a {A}\n")
        assert "name: a\n" not in text(world)
        assert world.there() == {"other": B}


def test_names_that_part_where_there_is_one_pin_for_each_cid(world: World) -> None:
    """The pin that both shared is taken over by the name that stays: the other has nothing left to give up."""
    with Sandbox((KEY,), personality=CLUSTER) as cluster:
        world.manifest(
            f"name: production, cid: {A}, services: [c]",
            f"name: staging, cid: {A}, services: [c]",
            services=f"  c: {{preset: ipfs-cluster, endpoint: '{cluster.url}', key: {{env: BOX_KEY}}}}\n",
        )
        assert world.run("apply", "--yes").code == 0
        parted = world.run("pin", "set", "production", B, "--apply")
        assert (parted.code, parted.out) == (0, f"c: replaced production {B}\n")
        for name, cid in (("staging", B), ("production", C)):
            assert world.run("pin", "set", name, cid, "--apply").code == 0
        assert "No changes" in world.run("plan").out


def test_a_service_that_is_down_is_told_of_and_the_other_is_served(world: World) -> None:
    world.manifest(services="  off: {preset: sandbox, endpoint: 'http://127.0.0.1:1', key: {env: BOX_KEY}}\n")
    result = world.run("pin", "add", A, "--name", "a", "--service", "box,off", "--apply")
    assert result.code == 3
    assert result.out.startswith(f"box: pinned a {A}\noff: nothing is known of it")


def test_rm(by_hand: World) -> None:
    by_hand.run("apply", "--yes")
    before = text(by_hand)
    result = by_hand.run("pin", "rm", "docs")
    assert (result.code, result.out) == (0, "removed docs from pinrec.yaml (box)\n")
    assert text(by_hand) == before.replace(f"    - {{cid: {B}, name: docs}}\n", "")
    assert by_hand.there() == {"website": A, "docs": B}
    again = by_hand.run("pin", "rm", "website", "--apply", "--allow-empty", "--allow-disjoint")
    assert (again.code, again.out) == (0, f"box: deleted website {A}\n")
    assert by_hand.there() == {"docs": B}
    gone = by_hand.run("pin", "rm", "website")
    assert (gone.code, "has no pin" in gone.err) == (64, True)


def test_rm_of_what_was_never_applied(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    result = world.run("pin", "rm", "a", "--apply")
    assert (result.code, result.out) == (0, "box: nothing of ours is there\n")


def test_a_guard_holds_with_apply_too(world: World) -> None:
    world.manifest(f"name: a, cid: {A}", extra="protected: [a]\n")
    world.run("apply", "--yes")
    before = text(world)
    result = world.run("pin", "rm", "a", "--apply")
    assert result.code == 4
    assert result.out.startswith("box: a delete ")
    assert "to try again: pinrec apply --target a\n" in result.err
    (world.place / "my pins.yaml").write_text(before)
    named = world.run("pin", "rm", "a", "--apply", "-f", "my pins.yaml")
    assert "to try again: pinrec apply --target a -f 'my pins.yaml'\n" in named.err
    assert world.there() == {"a": A}


@pytest.mark.parametrize(
    ("ref", "why"),
    [("{env: SITE_CID}", "env: SITE_CID"), ("{file: site.cid}", "file: site.cid")],
)
def test_a_cid_from_elsewhere_is_not_set(world: World, ref: str, why: str) -> None:
    world.manifest(f"name: a, cid: {ref}")
    before = text(world)
    result = world.run("pin", "set", "a", A)
    assert result.code == 64
    assert why in result.err
    assert "→" in result.err
    assert text(world) == before


@pytest.mark.parametrize(
    "args",
    [
        ["set", "nobody", A],
        ["set", "a", "nonsense"],
        ["set", "a", ""],
        ["set", "a", "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"],
        ["add", "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8", "--name", "x"],
        ["add", A, "--service", "bix"],
        ["add", A, "--name", ""],
        ["add", A, B, "--name", "x"],
        ["add", A, "--name", " x"],
        ["add", A, "--meta", "pinrec=me"],
        ["add", A, "--origin", "nowhere"],
        ["add", A, "--service", "box,"],
        ["rm", "nobody"],
        ["rm", "a", "--service", "bix"],
        ["-f", "-", "rm", "a"],
        ["-f", "none.yaml", "rm", "a"],
    ],
)
def test_what_is_refused_changes_nothing(world: World, args: list[str]) -> None:
    world.manifest(f"name: a, cid: {A}")
    before = text(world)
    result = world.run("pin", *args)
    assert result.code == 64
    assert result.err.startswith("pinrec: ")
    assert result.out == ""
    assert text(world) == before
    assert sorted(p.name for p in world.place.iterdir()) == ["pinrec.yaml"]


def test_nothing_is_written_if_the_manifest_is_invalid_elsewhere(world: World) -> None:
    world.manifest(f"name: a, cid: {A}", "name: b, cid: nonsense")
    before = text(world)
    result = world.run("pin", "set", "a", B)
    assert (result.code, "pinrec.yaml:8:" in result.err) == (64, True)
    assert text(world) == before


def test_an_entry_in_an_included_file(world: World) -> None:
    (world.place / "teams").mkdir()
    included = world.place / "teams/web.yaml"
    included.write_text(f"# web\npins:\n  - {{name: site, cid: {A}}}  # ours\n")
    world.manifest(extra="include: teams/web.yaml\n")
    before = text(world)
    assert world.run("pin", "set", "site", B).out == f"changed site in teams/web.yaml, was {A}\n"
    assert included.read_text() == f"# web\npins:\n  - {{name: site, cid: {B}}}  # ours\n"
    assert text(world) == before
    assert world.run("pin", "rm", "site").code == 0
    assert included.read_text() == "# web\npins: []\n"


def test_an_entry_in_a_list_file(world: World) -> None:
    listed = world.place / "data.txt"
    listed.write_text(f"# data\n{A}  one two\n\n{B} three\r\n{C}\n")
    world.manifest(extra="")
    path = world.place / "pinrec.yaml"
    path.write_text(path.read_text().replace("pins: []", "pins: [{from: data.txt, namePrefix: d/}]"))
    assert world.run("pin", "set", "d/one two", C).out == f'changed "d/one two" in data.txt, was {A}\n'
    assert world.run("pin", "set", "d/three", A).code == 0
    assert listed.read_bytes() == f"# data\n{C}  one two\n\n{A} three\r\n{C}\n".encode()
    assert world.run("pin", "rm", "d/one two").code == 0
    assert world.run("pin", "rm", C).code == 0
    assert listed.read_bytes() == f"# data\n\n{A} three\r\n".encode()


def test_a_list_file_is_checked_before_it_is_replaced(world: World) -> None:
    """The same line in two lists is one pin; another CID in one of them would be two for one name."""
    for name in ("one.txt", "two.txt"):
        (world.place / name).write_text(f"\ufeff{A} site\n")
    world.manifest("from: one.txt", "from: two.txt")
    result = world.run("pin", "set", "site", B)
    assert (result.code, "wanted with two CIDs" in result.err) == (64, True)
    assert (world.place / "one.txt").read_text() == f"\ufeff{A} site\n"
    (world.place / "two.txt").write_text("")
    assert world.run("pin", "set", "site", B).code == 0
    assert (world.place / "one.txt").read_text() == f"\ufeff{B} site\n"


@pytest.mark.parametrize(
    ("name", "content"), [("d.csv", f"cid,name\n{A},a\n"), ("d.ndjson", json.dumps({"cid": A, "name": "a"}))]
)
def test_other_list_files_are_not_edited(world: World, name: str, content: str) -> None:
    (world.place / name).write_text(content)
    world.manifest(f"from: {name}")
    result = world.run("pin", "set", "a", B)
    assert (result.code, f"{name} is not edited in place" in result.err) == (64, True)
    assert (world.place / name).read_text() == content


def test_mode_and_symlink_are_kept(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    (world.place / "real").mkdir()
    os.rename("pinrec.yaml", "real/pins.yaml")
    os.symlink("real/pins.yaml", "pinrec.yaml")
    os.chmod("real/pins.yaml", 0o640)
    assert world.run("pin", "set", "a", B).code == 0
    assert Path("pinrec.yaml").is_symlink()
    assert stat.S_IMODE(os.stat("real/pins.yaml").st_mode) == 0o640
    assert B in Path("real/pins.yaml").read_text()
    assert os.listdir("real") == ["pins.yaml"]


def test_many_at_once_lose_nothing(world: World) -> None:
    """Ten deploys in parallel, as processes of their own."""
    world.manifest(*(f"name: s{i}, cid: {A}" for i in range(6)))
    started = [world.process("pin", "set", f"s{i}", B) for i in range(6)]
    assert [p.wait(timeout=60) for p in started] == [0] * 6
    for process in started:
        process.communicate()
    assert text(world).count(B) == 6


def test_the_help_of_the_group(world: World) -> None:
    result = world.run("pin")
    assert (result.code, "pinrec pin set website" in result.out) == (0, True)


def test_a_json_manifest_stays_json(world: World) -> None:
    services = {"box": {"preset": "sandbox", "endpoint": world.sandbox.url, "key": {"env": "BOX_KEY"}}}
    manifest = {"version": 1, "name": "acme", "services": services, "pins": []}
    Path("pins.json").write_text(json.dumps(manifest, indent=2))
    assert world.run("-f", "pins.json", "pin", "add", A, "--name", "a", "--meta", "x=true").code == 0
    assert world.run("-f", "pins.json", "pin", "add", B, "--name", "b").code == 0
    assert json.loads(Path("pins.json").read_text())["pins"] == [
        {"name": "a", "cid": A, "meta": {"x": "true"}},
        {"name": "b", "cid": B},
    ]


def test_the_edit_waits_for_no_lock_of_an_apply(world: World) -> None:
    """Editing needs no lock; only --apply does."""
    from reconciler.engine.lock import Lock

    world.manifest(f"name: a, cid: {A}")
    done = threading.Event()
    with Lock(Path(os.environ["PINREC_STATE_DIR"]), "acme").hold(what="apply"):
        assert world.run("pin", "set", "a", B).code == 0
        locked = world.run("pin", "set", "a", C, "--apply")
        done.set()
    assert locked.code == 6
    assert [e.cid.text for e in load_manifest("pinrec.yaml").entries] == [C]  # type: ignore[union-attr]
