"""GET /pins: what the upstream checks do not cover."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from reconciler.sandbox import Pin, Sandbox

TOKEN = "first-token"
ALL = "queued,pinning,pinned,failed"
CidOf = Callable[[int], str]


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [pin["requestid"] for pin in answer.json()["results"]]


def names(answer: httpx.Response) -> set[str | None]:
    assert answer.status_code == 200, answer.text
    return {pin["pin"].get("name") for pin in answer.json()["results"]}


def test_without_limit_ten_come_newest_first(api: httpx.Client, seeded: list[str]) -> None:
    answer = api.get("/pins", params={"status": ALL})
    assert ids(answer) == seeded[:10]
    assert answer.json()["count"] == 30


@pytest.mark.parametrize("limit", [1, 7, 30, 1000])
def test_limit_cuts_the_page_and_not_the_count(api: httpx.Client, seeded: list[str], limit: int) -> None:
    answer = api.get("/pins", params={"status": ALL, "limit": limit})
    assert ids(answer) == seeded[:limit]
    assert answer.json()["count"] == 30


def test_without_status_only_what_is_pinned_comes(api: httpx.Client, seeded: list[str]) -> None:
    answer = api.get("/pins", params={"limit": 1000})
    assert {pin["status"] for pin in answer.json()["results"]} == {"pinned"}
    assert answer.json()["count"] == len(answer.json()["results"]) == 16


@pytest.mark.parametrize(
    ("status", "count"), [("queued", 10), ("failed", 4), ("queued,failed", 14), ("pinning", 0), (ALL, 30)]
)
def test_statuses(api: httpx.Client, seeded: list[str], status: str, count: int) -> None:
    answer = api.get("/pins", params={"status": status, "limit": 3})
    wanted = [pin["requestid"] for pin in api.get("/pins", params={"status": ALL, "limit": 100}).json()["results"]
              if pin["status"] in status.split(",")]  # fmt: skip
    assert ids(answer) == wanted[:3]
    assert answer.json()["count"] == count == len(wanted)


def test_before_and_after_leave_their_own_instant_out_and_count_what_is_left(
    api: httpx.Client, seeded: list[str]
) -> None:
    edge = "2026-01-01T00:00:20.000Z"
    older = api.get("/pins", params={"status": ALL, "before": edge, "limit": 5})
    assert ids(older) == seeded[10:15]
    assert older.json()["count"] == 20
    newer = api.get("/pins", params={"status": ALL, "after": edge, "limit": 1000})
    assert ids(newer) == seeded[:9]
    between = api.get("/pins", params={"status": ALL, "after": edge, "before": "2026-01-01T00:00:23Z"})
    assert ids(between) == seeded[7:9]
    nothing = api.get("/pins", params={"status": ALL, "after": edge, "before": edge})
    assert nothing.json() == {"count": 0, "results": []}


@pytest.mark.parametrize(
    ("before", "sees"),
    [
        ("2026-01-01T00:00:20Z", False),
        ("2026-01-01T01:00:20+01:00", False),
        ("2025-12-31T19:30:20-04:30", False),
        ("2026-01-01T00:00:20.0000000001Z", True),
        ("2026-01-01T00:00:20.001z", True),
        ("2026-01-01t01:00:20.001+01:00", True),
    ],
)
def test_instants_of_every_form_are_exact(
    api: httpx.Client, seeded: list[str], before: str, sees: bool
) -> None:
    found = ids(api.get("/pins", params={"status": ALL, "before": before, "limit": 100}))
    assert (seeded[9] in found) is sees
    assert seeded[10] in found
    found = ids(api.get("/pins", params={"status": ALL, "after": before, "limit": 100}))
    assert seeded[9] not in found
    assert seeded[8] in found


def test_paging_by_before_reads_every_pin_once(sandbox: Sandbox, api: httpx.Client, cid: CidOf) -> None:
    """Over accounts with stretches of time of every length in them, pages and counts add up."""
    starts = [(2001, 1, 1), (2001, 1, 9), (2025, 12, 31), (2026, 1, 1), (2026, 3, 1)]
    steps = [1, 700, 400_000, 1, 86_400_000]
    for n, (day, step) in enumerate(zip(starts, steps, strict=True)):
        pins = [Pin(cid=cid(100 * n + i)) for i in range(40)]
        assert sandbox.store.fill(TOKEN, pins, since=datetime(*day, tzinfo=UTC), step_ms=step) == 40
    expected = [pin.requestid for pin in sandbox.store.all(TOKEN)]
    assert len(expected) == 200
    seen: list[str] = []
    query = {"status": ALL, "limit": "7"}
    while True:
        answer = api.get("/pins", params=query).json()
        assert answer["count"] == len(expected) - len(seen)
        if not answer["results"]:
            break
        seen += [pin["requestid"] for pin in answer["results"]]
        query["before"] = answer["results"][-1]["created"]
    assert seen == expected


def test_cids_are_found_in_every_spelling_and_echoed_as_sent(api: httpx.Client, cid: CidOf) -> None:
    v0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
    v1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
    raw = "bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
    for sent in (v0, v1, raw):
        assert api.post("/pins", json={"cid": sent}).json()["pin"]["cid"] == sent
    for asked in (v0, v1, f"{v0},{v1}"):
        found = api.get("/pins", params={"cid": asked}).json()
        assert {pin["pin"]["cid"] for pin in found["results"]} == {v0, v1}, "the raw block is another DAG"
    found = api.get("/pins", params={"cid": ",".join([raw, *(cid(n) for n in range(9))])}).json()
    assert [pin["pin"]["cid"] for pin in found["results"]] == [raw]


@pytest.mark.parametrize(
    ("match", "asked", "found"),
    [
        (None, "Straße", {"Straße"}),
        ("exact", "straße", set()),
        ("exact", "STRASSE", {"STRASSE"}),
        ("iexact", "strasse", {"Straße", "STRASSE"}),
        ("iexact", "stras", set()),
        ("partial", "traß", {"Straße"}),
        ("partial", "TRASS", {"STRASSE"}),
        ("partial", "%", {"100%"}),
        ("partial", "_", set()),
        ("partial", "", {"Straße", "STRASSE", "100%", ""}),
        ("ipartial", "RASS", {"Straße", "STRASSE"}),
        ("exact", "", {""}),
    ],
)
def test_match(api: httpx.Client, cid: CidOf, match: str | None, asked: str, found: set[str]) -> None:
    for n, name in enumerate(["Straße", "STRASSE", "100%", "", None]):
        api.post("/pins", json={"cid": cid(n)} | ({} if name is None else {"name": name}))
    answer = api.get("/pins", params={"name": asked} | ({"match": match} if match else {}))
    assert names(answer) == found
    assert answer.json()["count"] == len(found)


def test_meta_asks_for_all_its_pairs(api: httpx.Client, cid: CidOf) -> None:
    metas = [{"app": "a", "team": "x"}, {"app": "a", "team": "y"}, {"app": "b", "team": "x"}, {}, None]
    for n, meta in enumerate(metas):
        api.post("/pins", json={"cid": cid(n), "name": str(n)} | ({} if meta is None else {"meta": meta}))

    def ask(pairs: dict[str, str], **more: str) -> set[str | None]:
        answer = api.get("/pins", params={"meta": json.dumps(pairs), **more})
        assert answer.json()["count"] == len(answer.json()["results"])
        return names(answer)

    assert ask({"app": "a"}) == {"0", "1"}
    assert ask({"app": "a", "team": "x"}) == {"0"}
    assert ask({"team": "x"}, cid=",".join(cid(n) for n in range(5))) == {"0", "2"}
    assert ask({"team": "x"}, name="2") == {"2"}
    assert ask({"team": "x"}, status="queued") == set()
    assert ask({"app": "A"}) == set()
    assert ask({}) == {"0", "1", "2", "3", "4"}
    answer = api.get("/pins", params={"meta": '{"app": "a"}', "limit": 1, "status": ALL})
    assert (answer.json()["count"], names(answer)) == (2, {"1"})


def test_parameters_that_the_api_does_not_know_are_skipped(api: httpx.Client, seeded: list[str]) -> None:
    assert ids(api.get("/pins", params={"status": ALL, "limit": 1, "page": "x"})) == seeded[:1]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=-1", "limit=ten", "limit=", "limit=1.5", "limit=%2B5", "limit=%D9%A3",
        "status=", "status=done", "status=pinned,", "status=pinned,pinned", "status=pinned&status=queued",
        "match=fuzzy&name=a", "match=", "name=" + "x" * 256,
        "before=yesterday", "before=2026-01-01", "before=2026-01-01%2000:00:00Z", "before=2026-02-30T00:00:00Z",
        "before=2026-01-01T00:00:00", "before=2026-01-01T00:00:00+01:00", "before=1780000000",
        "before=2026-01-01T24:00:00Z", "after=2026-01-01T00:00:00.Z", "after=2026-01-01T00:00:00%2B25:00", "after=",
        "cid=", "cid=Qm", "cid=" + "x" * 400, "cid=bafkqaaa,", "cid=bafkqaaa,bafkqaaa",
        "cid=" + ",".join(["bafkqaaa"] * 11),
        "meta=map[a:b]", "meta=", "meta=[]", "meta=null", 'meta={"a":1}', 'meta={"a":null}', 'meta="a"', "meta={",
        "name=%ff", "cid=bafkqaaa&cid=bafkqaaa",
    ],
)  # fmt: skip
def test_bad_parameters_are_refused_with_a_failure(api: httpx.Client, query: str) -> None:
    answer = api.get(httpx.URL(api.base_url).join("/pins").copy_with(query=query.encode()))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["reason"] == "BAD_REQUEST"
    key = query.partition("=")[0]
    assert key in error["details"] or "percent-encoded" in error["details"]
