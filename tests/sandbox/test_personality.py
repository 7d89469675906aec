"""Each habit of a personality, by itself."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from reconciler.sandbox import CLUSTER, HELIA, PERSONALITIES, Lifecycle, Personality, Sandbox

TOKEN = "first-token"
ALL = "queued,pinning,pinned,failed"
CidOf = Callable[[int], str]
Talk = Callable[..., httpx.Client]


def listed(api: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = api.get("/pins", params={"status": ALL, "limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def test_overwrite_renews_the_pin_under_its_id(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], personality=Personality(second_add="overwrite")) as running, talk(running) as api:
        first = api.post("/pins", json={"cid": cid(1), "name": "a", "meta": {"k": "v"}}).json()
        api.post("/pins", json={"cid": cid(2)})
        again = api.post("/pins", json={"cid": cid(1), "name": "b"}).json()
        assert again["requestid"] == first["requestid"]
        assert again["created"] > first["created"]
        assert [(p["pin"]["cid"], p["pin"].get("name")) for p in listed(api)] == [
            (cid(1), "b"),
            (cid(2), None),
        ]
        assert listed(api, meta='{"k":"v"}') == []


def test_same_answers_with_the_pin_that_is_there(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], personality=Personality(second_add="same")) as running, talk(running) as api:
        first = api.post("/pins", json={"cid": cid(1), "name": "a"}).json()
        assert api.post("/pins", json={"cid": cid(1), "name": "b"}).json() == first
        assert listed(api) == [first]


def test_a_stuck_second_add_stays_queued_and_can_be_deleted(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], personality=Personality(second_add="stuck")) as running, talk(running) as api:
        first = api.post("/pins", json={"cid": cid(1), "name": "a"}).json()
        stuck = api.post("/pins", json={"cid": cid(1), "name": "b"}).json()
        assert (first["status"], stuck["status"]) == ("pinned", "queued")
        assert stuck["requestid"] != first["requestid"]
        assert api.delete(f"/pins/{stuck['requestid']}").status_code == 202
        running.set_status(first["requestid"], "failed")
        assert api.post("/pins", json={"cid": cid(1)}).json()["status"] == "pinned", (
            "only what is pinned is in the way"
        )


def test_cluster_has_one_pin_per_spelling_and_its_replaces_lose(talk: Talk, cid: CidOf) -> None:
    never = Lifecycle(ends=lambda sent: "pinning" if sent == cid(9) else "pinned")
    with Sandbox([TOKEN], personality=CLUSTER, lifecycle=never) as running, talk(running) as api:
        v0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
        v1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
        for sent in (v0, v1, v1):
            answer = api.post("/pins", json={"cid": sent, "name": "n", "meta": {"m": "old"}})
            assert (answer.status_code, answer.json()["requestid"]) == (200, sent)
        assert {pin["requestid"] for pin in listed(api)} == {v0, v1}

        answer = api.post(f"/pins/{v0}", json={"cid": v0, "name": "renamed"})
        assert (answer.status_code, answer.json()["status"]) == (200, "queued")
        assert api.get(f"/pins/{v0}").status_code == 404

        answer = api.post(f"/pins/{v1}", json={"cid": cid(9), "meta": {"m": "new"}, "origins": ["/p2p/x"]})
        assert answer.json()["pin"] == {"cid": cid(9), "meta": {"m": "old"}}
        assert answer.json()["status"] == "queued"
        assert api.get(f"/pins/{v1}").status_code == 404
        assert [pin["status"] for pin in listed(api)] == ["pinning"]


def test_mock_breaks_down_in_html(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], personality=PERSONALITIES["mock"]) as running, talk(running) as api:
        running.store.put(TOKEN, cid(1), meta={"a": "b"})
        broken = [
            api.get("/pins", params={"meta": '{"a":"b"}'}),
            api.get("/pins", params=[("cid", cid(1)), ("cid", cid(2))]),
            api.post("/pins", content=b'{"cid":'),
        ]
        assert [answer.status_code for answer in broken] == [500, 500, 400]
        assert {answer.headers["content-type"] for answer in broken} == {"text/html; charset=utf-8"}
        assert api.get("/pins", params={"status": "bogus"}).json() == {"count": 0, "results": []}


def test_mock_takes_every_body_and_tells_spellings_apart(talk: Talk) -> None:
    with Sandbox([TOKEN], personality=PERSONALITIES["mock"]) as running, talk(running) as api:
        none = [api.post("/pins", content=sent).json() for sent in (b"", b"{}", b'{"name":"x"}')]
        assert none[0]["pin"] == {}
        assert none == none[:1] * 3, "what has no CID is the same pin"
        v0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
        v1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
        added = [api.post("/pins", json={"cid": cid}).json() for cid in (v0, v1, v0)]
        assert added[0] == added[2]
        assert listed(api, cid=v1) == added[1:2]
        assert len(added[0]["delegates"]) == 4
        assert [api.request(*asked).status_code for asked in (("GET", "/x"), ("PUT", "/pins"))] == [404, 404]
        assert api.put("/pins").headers["content-type"] == "text/html; charset=utf-8"
        assert api.get("/pins", headers={"authorization": f"bearer {TOKEN}"}).status_code == 401


def test_helia_refuses_little(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], personality=HELIA) as running, talk(running) as api:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            answer = httpx.get(f"{running.url}/pins", headers=headers, trust_env=False)
            assert answer.status_code == 200
        odd = {"name": "x" * 300, "meta": {"a": 1}, "origins": ["/ip4/1.2.3.4/tcp/4001"]}
        added = api.post("/pins", json={"cid": cid(1), **odd})
        assert (added.status_code, added.json()["pin"]["meta"]) == (202, {"a": "1"})
        assert api.get("/pins", params={"status": "bogus"}).json() == {"count": 0, "results": []}
        assert api.get("/pins", params={"before": "garbage"}).json()["count"] == 1


def test_helia_has_three_kinds_of_refusals(talk: Talk) -> None:
    with Sandbox([TOKEN], personality=HELIA) as running, talk(running) as api:
        for answer in (api.get("/pins/x"), api.delete("/pins/x")):
            assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "NOT_FOUND")
        assert api.post("/pins", json={"cid": "x"}).text == "Bad Request"
        assert api.post("/pins", json={}).json()["error"] == "Bad Request"
        assert (api.put("/pins").status_code, api.put("/pins").json()["statusCode"]) == (404, 404)


def test_kubo_test_wants_a_z(talk: Talk) -> None:
    with Sandbox([TOKEN], personality=PERSONALITIES["kubo-test"]) as running, talk(running) as api:
        codes = [api.get("/pins", params={"before": f"2026-01-01T00:00:00{end}"}).status_code
                 for end in ("Z", "+00:00", "-05:00")]  # fmt: skip
        assert codes == [200, 400, 400]


def test_pinata_tells_of_its_limit_where_it_lists(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], personality=PERSONALITIES["pinata"]) as running, talk(running) as api:
        assert "x-ratelimit-remaining" in api.get("/pins").headers
        assert "x-ratelimit-remaining" not in api.post("/pins", json={"cid": cid(1)}).headers


def test_pinata_says_what_it_misses_without_a_key() -> None:
    with Sandbox([TOKEN], personality=PERSONALITIES["pinata"]) as running:
        answer = httpx.get(f"{running.url}/pins", trust_env=False)
        assert (answer.status_code, answer.json()["error"]["reason"]) == (400, "KEYS_MUST_BE_STRINGS")


def test_helia_writes_base36_as_base32(talk: Talk) -> None:
    with Sandbox([TOKEN], personality=HELIA) as running, talk(running) as api:
        sent = "k2cwuea3fcsput7tl4qouwhre1qqfxibl7k6k94mzj3ya7yg9e79r0ll"
        echoed = api.post("/pins", json={"cid": sent}).json()["pin"]["cid"]
        assert echoed == "bafkreibz7kpmdeho463pjx7rcagwgq7bbemnarghl2wi7hu2ewlbop4aze"


def test_in_place_keeps_id_and_created_and_what_is_not_sent(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], personality=HELIA) as running, talk(running) as api:
        first = api.post("/pins", json={"cid": cid(1), "name": "a", "meta": {"k": "v"}}).json()
        renamed = api.post(f"/pins/{first['requestid']}", json={"cid": cid(1), "name": "b"}).json()
        assert renamed == first | {"pin": {"cid": cid(1), "name": "b", "meta": {"k": "v"}}}
        marked = api.post(f"/pins/{first['requestid']}", json={"cid": cid(1), "meta": {"k": "w"}}).json()
        assert listed(api, name="b") == [marked]
        assert marked["pin"]["meta"] == {"k": "w"}


def test_dropped_meta_and_names_that_are_the_cid(talk: Talk, cid: CidOf) -> None:
    habits = Personality(meta="dropped", name_is_cid=True)
    with Sandbox([TOKEN], personality=habits) as running, talk(running) as api:
        added = api.post("/pins", json={"cid": cid(1), "meta": {"k": "v"}}).json()
        assert added["pin"] == {"cid": cid(1), "name": cid(1), "meta": {}}
        assert listed(api, name=cid(1)) == [added]
        assert listed(api, meta='{"k":"v"}') == []


@pytest.mark.parametrize(("edges", "sees"), [("exclusive", 0), ("inclusive", 4)])
def test_whole_seconds_are_shown_and_filtered(talk: Talk, cid: CidOf, edges: Any, sees: int) -> None:
    habits = Personality(precision="s", unique=False, edges=edges)
    with Sandbox([TOKEN], personality=habits) as running, talk(running) as api:
        for n in range(4):
            running.store.put(TOKEN, cid(n), created=f"2026-01-01T00:00:01.{n}00Z")
        assert {pin["created"] for pin in listed(api)} == {"2026-01-01T00:00:01Z"}
        for key in ("before", "after"):
            assert len(listed(api, **{key: "2026-01-01T00:00:01Z"})) == sees
        assert len(listed(api, before="2026-01-01T00:00:01.2Z")) == 4
        assert len(listed(api, after="2026-01-01T00:00:01.2Z")) == 0


def test_adds_of_one_moment_share_a_created_where_it_is_not_unique(talk: Talk, cid: CidOf) -> None:
    habits = Personality(unique=False)
    with Sandbox([TOKEN], personality=habits, clock=lambda: 1_780_000_000.0) as running, talk(running) as api:
        for n in range(5):
            api.post("/pins", json={"cid": cid(n)})
        assert len({pin["created"] for pin in listed(api)}) == 1
        assert [pin["pin"]["cid"] for pin in listed(api)] == [cid(n) for n in (4, 3, 2, 1, 0)]


def test_order(talk: Talk, cid: CidOf) -> None:
    def pages(order: Any) -> list[list[str]]:
        with Sandbox([TOKEN], personality=Personality(order=order)) as running, talk(running) as api:
            for n in range(50):
                running.store.put(TOKEN, cid(n), name=str(n), status="pinned" if n % 2 else "queued")
            return [[pin["pin"]["name"] for pin in listed(api, limit=40)] for _ in range(2)]

    newest = [str(n) for n in range(49, -1, -1)]
    assert pages("newest") == [newest[:40]] * 2
    assert pages("oldest") == [newest[:-41:-1]] * 2
    first, second = pages("unsorted")
    assert len(set(first)) == len(set(second)) == 40
    assert first != second


@pytest.mark.parametrize(
    ("count", "seen"), [("total", [20, 20, 20]), ("plus1", [6, 20, 20]), ("page", [5, 20, 20])]
)
def test_count(talk: Talk, cid: CidOf, count: Any, seen: list[int]) -> None:
    with Sandbox([TOKEN], personality=Personality(count=count)) as running, talk(running) as api:
        for n in range(20):
            running.store.put(TOKEN, cid(n), meta={"a": "b"})
        for query in ({}, {"meta": '{"a":"b"}'}):
            counts = [api.get("/pins", params={"limit": n, **query}).json()["count"] for n in (5, 20, 21)]
            assert counts == seen


def test_limits(talk: Talk, cid: CidOf) -> None:
    for habits, limit, length in (
        (Personality(page_cap=3), 10, 3),
        (Personality(default_limit=7), None, 7),
        (Personality(large_limit=True), 5000, 12),
        (Personality(ignored=frozenset({"limit"})), 2, 10),
    ):
        with Sandbox([TOKEN], personality=habits) as running, talk(running) as api:
            for n in range(12):
                running.store.put(TOKEN, cid(n))
            answer = api.get("/pins", params={} if limit is None else {"limit": limit}).json()
            assert (len(answer["results"]), answer["count"]) == (length, 12)


@pytest.mark.parametrize(
    ("key", "value"),
    [("cid", "Qm"), ("name", "x"), ("meta", "map[a:b]"), ("status", "none"), ("before", "x"), ("after", "9")],
)
def test_ignored_filters_are_neither_checked_nor_obeyed(talk: Talk, cid: CidOf, key: Any, value: str) -> None:
    habits = Personality(ignored=frozenset({key}))
    with Sandbox([TOKEN], personality=habits) as running, talk(running) as api:
        for n in range(4):
            running.store.put(TOKEN, cid(n), status="queued" if n == 0 else "pinned")
        query = {"status": ALL, key: value}
        assert api.get("/pins", params=query).json()["count"] == 4


def test_default_status_all(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], personality=Personality(default_status="all")) as running, talk(running) as api:
        running.store.put(TOKEN, cid(1), status="failed")
        assert api.get("/pins").json()["count"] == 1


@pytest.mark.parametrize("second_add", ["new", "stuck"])
def test_what_cannot_be_is_refused(second_add: Any) -> None:
    with pytest.raises(ValueError, match="no room for a second pin"):
        Personality(requestid="cid", second_add=second_add)
