"""queued, pinning, pinned, failed: when, and what survives a restart."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from reconciler.sandbox import Lifecycle, Sandbox, StoreError

TOKEN = "first-token"
CidOf = Callable[[int], str]
Talk = Callable[..., httpx.Client]


class Clock:
    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slow(clock: Clock, cid: CidOf) -> Iterator[Sandbox]:
    """Ten seconds queued, five pinning; CIDs 100 to 102 are never found, in three manners."""
    ends = {cid(100): "failed", cid(101): "pinning", cid(102): "queued"}
    lifecycle = Lifecycle(queued=10, pinning=5, ends=lambda sent: ends.get(sent, "pinned"))  # type: ignore[arg-type, return-value]
    with Sandbox([TOKEN], lifecycle=lifecycle, clock=clock) as running:
        yield running


@pytest.mark.parametrize(
    ("number", "statuses"),
    [
        (1, ["queued", "queued", "pinning", "pinning", "pinned", "pinned"]),
        (100, ["queued", "queued", "pinning", "pinning", "failed", "failed"]),
        (101, ["queued", "queued", "pinning", "pinning", "pinning", "pinning"]),
        (102, ["queued", "queued", "queued", "queued", "queued", "queued"]),
    ],
)
def test_a_pin_goes_its_way(
    slow: Sandbox, talk: Talk, clock: Clock, cid: CidOf, number: int, statuses: list[str]
) -> None:
    start, seen = clock.now, []
    with talk(slow) as api:
        added = api.post("/pins", json={"cid": cid(number)}).json()
        assert added["status"] == "queued"
        for clock.now in (start, start + 9.9, start + 10, start + 14.9, start + 15, start + 1e6):
            status = api.get(f"/pins/{added['requestid']}").json()["status"]
            for other in ("queued", "pinning", "pinned", "failed"):
                listed = api.get("/pins", params={"status": other}).json()
                assert (listed["count"], len(listed["results"])) == ((1, 1) if other == status else (0, 0))
            seen.append(status)
    assert seen == statuses


def test_nobody_need_look_for_a_pin_to_go_on(slow: Sandbox, talk: Talk, clock: Clock, cid: CidOf) -> None:
    with talk(slow) as api:
        api.post("/pins", json={"cid": cid(1)})
        clock.now += 1000
        assert api.get("/pins").json()["count"] == 1


def test_what_failed_says_why(slow: Sandbox, talk: Talk, clock: Clock, cid: CidOf) -> None:
    with talk(slow) as api:
        api.post("/pins", json={"cid": cid(100)})
        clock.now += 1000
        (failed,) = api.get("/pins", params={"status": "failed"}).json()["results"]
        assert failed["info"]["status_details"]


def test_without_delays_a_pin_is_pinned_at_once(api: httpx.Client, cid: CidOf) -> None:
    assert api.post("/pins", json={"cid": cid(1)}).json()["status"] == "pinned"


def test_a_test_may_turn_a_pin_by_hand(sandbox: Sandbox, api: httpx.Client, cid: CidOf) -> None:
    requestid = sandbox.store.put(TOKEN, cid(1), status="queued", info={"place": "7"})
    assert api.get(f"/pins/{requestid}").json()["info"] == {"place": "7"}
    sandbox.set_status(requestid, "failed", info={"status_details": "no funds"})
    got = api.get(f"/pins/{requestid}").json()
    assert (got["status"], got["info"]) == ("failed", {"status_details": "no funds"})
    assert api.get("/pins", params={"status": "failed"}).json()["count"] == 1
    with pytest.raises(KeyError):
        sandbox.set_status("unknown", "pinned")


def test_a_store_survives_a_restart(tmp_path: Path, talk: Talk, clock: Clock, cid: CidOf) -> None:
    """Pins, accounts, the way that lies before a pin, and that `created` never goes back."""
    path = str(tmp_path / "pins.db")
    slow = Lifecycle(queued=10)
    sent = {"cid": cid(1), "name": "a", "meta": {"k": "v"}, "origins": ["/p2p/x"]}
    with Sandbox([TOKEN], store=path, lifecycle=slow, clock=clock) as first, talk(first) as api:
        added = api.post("/pins", json=sent).json()
        gone = api.post("/pins", json=sent).json()
        api.delete(f"/pins/{gone['requestid']}")
    clock.now -= 3600
    with Sandbox(["other", TOKEN], store=path, clock=clock) as second, talk(second) as api:
        assert api.get(f"/pins/{added['requestid']}").json() == added
        assert api.post("/pins", json=sent).json()["created"] > gone["created"]
        clock.now += 3611
        assert api.get(f"/pins/{added['requestid']}").json() == added | {"status": "pinned"}
        assert api.get("/pins", params={"meta": '{"k":"v"}'}).json()["count"] == 2
        with talk(second, "other") as other:
            assert other.get("/pins").json()["count"] == 0


def test_no_token_is_written(tmp_path: Path, cid: CidOf) -> None:
    with Sandbox(["canary-token"], store=str(tmp_path / "pins.db")) as running:
        running.store.put("canary-token", cid(1))
        assert not any(b"canary-token" in file.read_bytes() for file in tmp_path.iterdir())
    assert not any(b"canary-token" in file.read_bytes() for file in tmp_path.iterdir())


def test_a_file_serves_one_sandbox_at_a_time(tmp_path: Path) -> None:
    path = str(tmp_path / "pins.db")
    with Sandbox(store=path), pytest.raises(StoreError, match=r"pins\.db: another sandbox is using it"):
        Sandbox(store=path).__enter__()
    with Sandbox(store=path):
        pass


@pytest.mark.parametrize("content", [b"version: 1\n", b"SQLite format 3\x00" + b"\x01" * 600])
def test_files_that_are_no_store_are_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "precious"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="precious"):
        Sandbox(store=str(path)).__enter__()
    assert path.read_bytes() == content
    with pytest.raises(StoreError, match="nowhere"):
        Sandbox(store=str(tmp_path / "nowhere" / "pins.db")).__enter__()


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a store"):
        Sandbox(store=str(path)).__enter__()
    assert path.read_bytes() == before
