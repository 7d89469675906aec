"""pinrec import: a manifest of what is there, whose plan says that there is nothing to do."""

import contextlib
import hashlib
import json
import random
from base64 import b32encode
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from reconciler.manifest import load_manifest
from reconciler.sandbox import CLUSTER, HELIA, SPEC, Sandbox
from tests.cli.conftest import KEY, A, B, C, World

NOTHING = "No changes. The services hold what the manifest says.\n"


def cid(text: str) -> str:
    data = bytes([1, 0x55, 0x12, 0x20]) + hashlib.sha256(text.encode()).digest()
    return "b" + b32encode(data).decode().lower().rstrip("=")


def put(
    sandbox: Sandbox, name: str | None, of: str, *, status: str = "pinned", owner: str = "", at: int = 0
) -> None:
    sandbox.store.put(
        KEY,
        of,
        name=name,
        status=status,  # type: ignore[arg-type]
        meta={"pinrec": owner} if owner else {},
        created=f"2026-01-01T00:{at // 60 % 60:02d}:{at % 60:02d}.{at // 3600:03d}Z",
    )


def declare(world: World, **services: str) -> None:
    extra = "".join(
        f"  {n}: {{preset: sandbox, endpoint: '{u}', key: {{env: BOX_KEY}}}}\n" for n, u in services.items()
    )
    world.manifest(services=extra)


def imported(world: World, *args: str) -> str:
    """Import to new.yaml, and see that a plan of it has nothing to do and was asked for nothing but listings."""
    result = world.run("import", *args, "--out", "new.yaml")
    assert result.code == 0, result.err
    planned = world.run("plan", "-f", "new.yaml")
    assert (planned.code, planned.out[-len(NOTHING) :]) == (0, NOTHING), planned.out
    assert all(record.method == "GET" for record in world.sandbox.requests)
    return Path("new.yaml").read_text()


def pins(path: str = "new.yaml") -> dict[tuple[str, str], tuple[str, ...]]:
    return {(e.name, str(e.cid)): e.spec.services for e in load_manifest(path).entries}  # type: ignore[misc]


def test_an_empty_account(world: World) -> None:
    world.manifest()
    assert "pins: []\n" in imported(world, "box")
    assert pins() == {}


def test_a_few_pins(world: World) -> None:
    world.manifest()
    for i, (name, of) in enumerate([("website", A), ("docs, *and* more: #1", B), ("true", C)]):
        put(world.sandbox, name, of, at=i)
    text = imported(world, "box")
    assert pins() == {("website", A): ("box",), ("docs, *and* more: #1", B): ("box",), ("true", C): ("box",)}
    assert "box: {preset: sandbox" in text
    assert KEY not in text


def test_a_thousand_pins_go_into_a_list_file(world: World) -> None:
    world.manifest()
    for i in range(1000):
        put(world.sandbox, f"n {i}", cid(str(i)), at=i)
    result = world.run("import", "--out", "new.yaml")
    assert result.err == (
        "Wrote new.yaml, and new.box.txt beside it. Next: pinrec plan -f new.yaml\n1,000 entries.\n"
    )
    assert len(Path("new.box.txt").read_text().splitlines()) == 1000
    assert len(Path("new.yaml").read_text().splitlines()) < 30
    planned = world.run("plan", "-f", "new.yaml")
    assert planned.out.endswith(NOTHING), planned.out
    assert len(pins()) == 1000


@pytest.fixture
def second() -> Iterator[Sandbox]:
    with Sandbox((KEY,)) as sandbox:
        yield sandbox


def test_two_services_with_overlap(world: World, second: Sandbox) -> None:
    declare(world, two=second.url)
    for i, name in enumerate("abcd"):
        put(world.sandbox, name, cid(name), at=i)
    for i, name in enumerate("cdef"):
        put(second, name, cid(name), at=i)
    put(world.sandbox, "apart", A, at=10)
    put(second, "apart", B, at=10)
    imported(world)
    both = ("box", "two")
    assert pins() == {
        **{(n, cid(n)): ("box",) for n in "ab"},
        **{(n, cid(n)): both for n in "cd"},
        **{(n, cid(n)): ("two",) for n in "ef"},
        ("apart", A): ("box",),
        ("apart", B): ("two",),
    }


def test_the_same_on_both_is_one_entry_each(world: World, second: Sandbox) -> None:
    declare(world, two=second.url)
    for sandbox in (world.sandbox, second):
        put(sandbox, "a", A, at=1)
    text = imported(world, "two", "box")
    assert (
        f"defaults:\n  services: [two, box]\n\npins:\n  # on two, box: 1\n  - {{name: a, cid: {A}}}\n" in text
    )


def test_duplicate_names_are_left_out_and_nothing_is_superseded(world: World) -> None:
    world.manifest()
    put(world.sandbox, "site", A, at=1)
    put(world.sandbox, "site", B, at=2)
    put(world.sandbox, "site", C, at=3, status="failed")
    put(world.sandbox, "twice", A, at=4)
    put(world.sandbox, "twice", A, at=5)
    put(world.sandbox, "fine", C, at=6)
    text = imported(world, "box")
    assert pins() == {("fine", C): ("box",)}
    assert f"#  - {{name: site, cid: {B}, services: [box]}}   # 3 pins of this name, with 3 CIDs" in text
    assert "2 pins of this name, of one CID" in text
    assert "adopt: [fine]" in text
    assert world.run("apply", "-f", "new.yaml", "--yes").code == 0
    assert len(world.sandbox.store.all(KEY)) == 6


def test_duplicates_among_many_are_left_alone_too(world: World) -> None:
    world.manifest()
    for i in range(250):
        put(world.sandbox, f"n{i}", cid(str(i)), at=i)
    put(world.sandbox, "n7", A, at=400)
    put(world.sandbox, "bad", B, at=401, status="failed")
    text = imported(world, "box")
    assert 'adopt: ["*"]' in text
    assert len(pins()) == 249


def test_unnamed_pins(world: World) -> None:
    world.manifest()
    put(world.sandbox, None, A, at=1)
    put(world.sandbox, B, B, at=2)
    imported(world, "box")
    assert pins() == {("", A): ("box",), ("", B): ("box",)}


def test_ours_and_others(world: World) -> None:
    world.manifest()
    put(world.sandbox, "mine", A, at=1, owner="acme")
    put(world.sandbox, "theirs", B, at=2, owner="someone")
    put(world.sandbox, "prefixed", C, at=3)
    put(world.sandbox, "pinrec/someone/x", cid("x"), at=4)
    text = imported(world, "box")
    assert pins() == {("mine", A): ("box",), ("prefixed", C): ("box",)}
    assert "# 2 pins had the mark of the owner someone, and were left out.\n" in text
    assert "adopt: [prefixed]" in text
    assert "name: acme\n" in text


def test_ours_with_duplicates_and_failures_are_ignored_rather_than_deleted(world: World) -> None:
    world.manifest()
    put(world.sandbox, "mine", A, at=1, owner="acme")
    put(world.sandbox, "mine", B, at=2, owner="acme")
    put(world.sandbox, "broken", C, at=3, status="failed", owner="acme")
    put(world.sandbox, "good", C, at=4, owner="acme")
    text = imported(world, "box")
    assert "ignore: [broken, mine]" in text
    assert pins() == {("good", C): ("box",)}


def test_marks_of_a_former_name_are_ours(world: World) -> None:
    world.manifest(extra="previousOwners: [old]\n")
    put(world.sandbox, "a", A, at=1, owner="old")
    text = imported(world, "box")
    assert "name: acme\npreviousOwners: [old]\n" in text
    assert "adopt" not in text
    assert pins() == {("a", A): ("box",)}


def test_names_that_a_manifest_cannot_have(world: World) -> None:
    world.manifest()
    odd = ["e\u0301", " space ", "x" * 250, "two\nlines", "pinrec/", "\u202eevil", "a # b"]
    for i, name in enumerate(odd):
        put(world.sandbox, name, cid(name), at=i)
    text = imported(world, "box")
    assert {name for name, _ in pins()} == {"\u202eevil", "a # b"}
    assert "is not in Unicode NFC" in text
    assert all(c == "\n" or c.isprintable() for c in text)


def test_the_cid_of_a_key_is_left_out(world: World) -> None:
    world.manifest()
    put(world.sandbox, "name", "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8", at=1)
    put(world.sandbox, "good", A, at=2)
    text = imported(world, "box")
    assert set(pins()) == {("good", A)}
    assert "it is the CID of a key" in text


def test_waiting_pins_are_wanted(world: World) -> None:
    world.manifest()
    put(world.sandbox, "slow", A, at=1, status="queued")
    result = world.run("import", "box", "--out", "new.yaml")
    assert result.code == 0
    assert "1 pin here had been accepted" in Path("new.yaml").read_text()
    assert world.run("plan", "-f", "new.yaml").out.count("No changes") == 1


def test_a_service_with_one_pin_per_cid(world: World) -> None:
    from reconciler.core.cid import parse, spellings

    v1 = parse("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi")
    v0 = next(s for s in spellings(v1) if s.startswith("Qm"))
    with Sandbox((KEY,), personality=CLUSTER) as cluster:
        world.manifest(
            services=f"  c: {{preset: ipfs-cluster, endpoint: '{cluster.url}', key: {{env: BOX_KEY}}}}\n"
        )
        for i, (name, of) in enumerate([("one", A), ("v0", v0), ("v1", v1.text)]):
            cluster.store.put(KEY, of, name=name, requestid=of, created=f"2026-01-01T00:00:0{i}Z")
        text = imported(world, "c")
    # Two spellings of one CID are two pins there: one of the names would be changed, so it is not taken over.
    assert pins() == {("one", A): ("c",), ("v1", v1.text): ("c",)}
    assert "#  - {name: v0, services: [c]}   # it would not be left as it is\n" in text


def test_an_account_that_no_manifest_declares(world: World) -> None:
    put(world.sandbox, "a", A)
    args = ["--preset", "sandbox", "--endpoint", world.sandbox.url, "--key-env", "BOX_KEY", "--owner", "me"]
    text = imported(world, *args, "--as", "mine")
    assert "name: me\n" in text
    assert "  mine: {preset: sandbox, endpoint:" in text
    assert pins() == {("a", A): ("mine",)}


def test_to_stdout_it_is_one_file(world: World) -> None:
    world.manifest()
    for i in range(201):
        put(world.sandbox, f"n{i}", cid(str(i)), at=i)
    result = world.run("import", "box")
    assert result.code == 0
    Path("other.yaml").write_text(result.out)
    assert len(pins("other.yaml")) == 201
    assert sorted(p.name for p in world.place.iterdir()) == ["other.yaml", "pinrec.yaml"]


def test_nothing_is_overwritten(world: World) -> None:
    world.manifest()
    Path("new.yaml").write_text("mine")
    refused = world.run("import", "box", "--out", "new.yaml")
    assert (refused.code, refused.err) == (
        64,
        "pinrec: new.yaml is there already\n  → --force overwrites it\n",
    )
    assert Path("new.yaml").read_text() == "mine"
    assert world.sandbox.requests == ()
    assert world.run("import", "box", "--out", "new.yaml", "--force").code == 0


def test_a_service_that_cannot_be_read_writes_nothing(world: World) -> None:
    declare(world, off="http://127.0.0.1:1")
    result = world.run("import", "--out", "new.yaml")
    assert (result.code, "off: " in result.err) == (3, True)
    assert not Path("new.yaml").exists()


def test_only_the_keys_of_what_is_imported_are_needed(world: World) -> None:
    world.manifest(services="  other: {preset: pinata, key: {env: NOT_SET}}\n")
    assert world.run("import", "box").code == 0


NAMES = [
    "a",
    "b",
    "a*",
    "[a]",
    "?",
    "é",
    "x\ny",
    "pinrec/acme/a",
    "pinrec/you/a",
    None,
    A,
    cid("0"),
    " a",
    "A" * 240,
]


@pytest.mark.parametrize("seed", range(24))
def test_any_account_is_left_as_it_is(world: World, seed: int) -> None:
    """Random accounts on services of every make: the plan of what was imported changes nothing."""
    rnd = random.Random(seed)
    makes = rnd.sample([(SPEC, "spec"), (CLUSTER, "ipfs-cluster"), (HELIA, "helia"), (SPEC, "unknown")], 2)
    with contextlib.ExitStack() as stack:
        boxes = [stack.enter_context(Sandbox((KEY,), personality=personality)) for personality, _ in makes]
        kind = "key: {env: BOX_KEY}"
        world.manifest(
            services="".join(
                f"  s{i}: {{{kind}, endpoint: '{box.url}', profile: {makes[i][1]}}}\n"
                for i, box in enumerate(boxes)
            )
        )
        for box, (personality, _) in zip(boxes, makes, strict=True):
            for i in range(rnd.randrange(12)):
                # Where the requestid is the CID, each is there once.
                of = cid(str(i if personality is CLUSTER else rnd.randrange(8)))
                status = rnd.choices(["pinned", "queued", "pinning", "failed"], [8, 1, 1, 1])[0]
                owner = rnd.choices(["", "acme", "you"], [4, 2, 1])[0]
                box.store.put(
                    KEY,
                    of,
                    name=rnd.choice(NAMES),
                    status=status,  # type: ignore[arg-type]
                    meta={"pinrec": owner} if owner else {},
                    requestid=of if personality is CLUSTER else "",
                    created=f"2026-01-01T00:00:{rnd.randrange(3) + i:02d}Z",
                )
        before = [box.store.all(KEY) for box in boxes]
        result = world.run("import", "s0", "s1", "--out", "new.yaml")
        assert result.code == 0, result.err
        planned = world.run("plan", "-f", "new.yaml", "--format", "json")
        kept = {action["reason"] for action in planned.json["actions"] if action["action"] == "keep"}
        assert planned.code == 0
        assert all(action["action"] == "keep" for action in planned.json["actions"]), planned.out
        assert kept <= {"waiting", "satisfied"}
        assert world.run("apply", "-f", "new.yaml", "--yes", "--wait", "none").code == 0
        assert [box.store.all(KEY) for box in boxes] == before


# --- lists --------------------------------------------------------------------------------------------------------


ROWS = [("website", A), ("a, b", B), ("", C)]
STATUSES = [{"requestid": "1", "status": "pinned", "pin": {"cid": c, "name": n}} for n, c in ROWS]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", f'Name,Size,CID\nwebsite,12,{A}\n"a, b",1,{B}\n,3,{C}\n'),
        ("ndjson", "".join(json.dumps({"cid": c, "name": n or None}) + "\n" for n, c in ROWS)),
        ("ndjson", "".join(json.dumps(status) + "\n" for status in STATUSES)),
        ("kubo", "".join(f"{c}\tpinned\t{n}\n" for n, c in ROWS)),
        ("kubo", "".join(json.dumps({"Status": "pinned", "Cid": c, "Name": n}) for n, c in ROWS)),
    ],
)
def test_lists(world: World, form: str, text: str) -> None:
    world.manifest()
    Path("list").write_text(text)
    result = world.run("import", "box", "--from", "list", "--format", form, "--out", "new.yaml")
    assert result.code == 0, result.err
    assert pins() == {("website", A): ("box",), ("a, b", B): ("box",), ("", C): ("box",)}
    assert world.sandbox.requests == ()


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", f"cid,name\r\n{A},x\r\n"),
        ("ndjson", json.dumps({"cid": A, "name": "x"})),
        ("kubo", f"{A}\tpinned\tx\n"),
    ],
)
def test_a_byte_order_mark_on_standard_input(
    world: World, monkeypatch: pytest.MonkeyPatch, form: str, text: str
) -> None:
    world.manifest()
    monkeypatch.setattr("sys.stdin", StringIO(f"\ufeff{text}"))
    assert world.run("import", "box", "--from", "-", "--format", form, "--out", "new.yaml").code == 0
    assert pins() == {("x", A): ("box",)}


def test_what_kubo_escapes_and_what_is_no_name(world: World) -> None:
    world.manifest()
    Path("list").write_text(
        f"{A}\tpinned\tback\\\\slash\n{B}\tpinned\ttwo\\nlines\n{C}\tfailed\tx\nno\tpinned\ty\n"
    )
    assert world.run("import", "box", "--from", "list", "--format", "kubo", "--out", "new.yaml").code == 0
    assert pins() == {("back\\slash", A): ("box",)}
    text = Path("new.yaml").read_text()
    assert text.count("\n#  - ") == 3


def test_a_name_with_two_cids_in_a_list(world: World) -> None:
    world.manifest()
    Path("list.csv").write_text(f"cid,name\n{A},x\n{B},x\n{A},y\n{A},y\n")
    assert world.run("import", "box", "--from", "list.csv", "--out", "new.yaml").code == 0
    assert pins() == {("y", A): ("box",)}
    assert (
        f"#  - {{name: x, cid: {A}, services: [box]}}   # 2 CIDs under this name"
        in Path("new.yaml").read_text()
    )


@pytest.mark.parametrize(
    ("args", "content", "why"),
    [
        (["--from", "list"], "", "say what it is with --format"),
        (["--from", "gone.csv"], "", "no such file"),
        (["--from", "list", "--format", "csv"], "name\nx\n", "list:1: the first line must name the columns"),
        (["--from", "list", "--format", "ndjson"], "{}\n", "list:1: there is no `cid`"),
        (["--from", "list", "--format", "ndjson"], "nonsense\n", "list:1: this is no JSON"),
        (["--from", "list", "--format", "kubo"], "hello\n", "list:1: not what `ipfs pin remote ls` writes"),
        (["--format", "kubo"], "", "--format goes with --from"),
        (["--preset", "pinata"], "", "not both"),
        (["--key-env", "X"], "", "go with --preset"),
        (["--out", ""], "", "unset variable"),
    ],
)
def test_what_is_refused(world: World, args: list[str], content: str, why: str) -> None:
    world.manifest()
    Path("list").write_text(content)
    result = world.run("import", "box", *args)
    assert (result.code, why in result.err) == (64, True), result.err
    assert result.out == ""
