"""Each quirk, switched on alone, as a client meets it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from reconciler.sandbox import PERSONALITIES, QUIRKS, SPEC, Lifecycle, QuirkError, Sandbox, with_quirks

TOKEN = "first-token"
ALL = "queued,pinning,pinned,failed"
V0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
V1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
V1_HEX = "f01701220" + "c3c4733ec8affd06cf9e9ff50ffc6bcd2ec85a6170004bb709669c31de94391a"
AT = "2026-01-01T00:00:01.230Z"
Talk = Callable[..., httpx.Client]
CidOf = Callable[[int], str]


@pytest.fixture
def odd(talk: Talk) -> Callable[..., Any]:
    @contextmanager
    def run(*quirks: str, **more: Any) -> Iterator[tuple[Sandbox, httpx.Client]]:
        with Sandbox([TOKEN], personality=with_quirks(SPEC, quirks), **more) as sandbox, talk(sandbox) as api:
            yield sandbox, api

    return run


def pins(api: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = api.get("/pins", params={"status": ALL, "limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def test_every_value_of_every_quirk_answers_a_listing(odd: Any, cid: CidOf) -> None:
    some = {"TIME": "1ms", "N": "3", "N|none": "none", "-05:00": "-05:00"}
    for quirk in QUIRKS.values():
        values = quirk.values or [some[quirk.shown]] if quirk.shown in some else quirk.values
        for value in values or quirk.shown.split("|"):
            with odd(f"{quirk.name}={value}") as (sandbox, api):
                sandbox.store.put(TOKEN, cid(1))
                assert api.get("/pins", params={"status": "pinned"}).json()["count"] >= 0
                assert api.post("/pins", json={"cid": cid(2), "name": "n"}).status_code < 300


@pytest.mark.parametrize(
    ("text", "said", "known"),
    [
        ("cuont=plus1", "no quirk 'cuont'", "count"),
        ("count=plus", "none of its values", "plus1"),
        ("count", "a value is missing", ""),
        ("page-cap=0", "no number above 0", ""),
        ("page-cap=ten", "no number above 0", ""),
        ("created-offset=5", "no offset", ""),
        ("clock=soon", "no time", ""),
        ("status-codes=99", "no HTTP status", ""),
        ("ignore-filter=cidd", "no parameter", "cid"),
        ("second-add=new", "", ""),
    ],
)
def test_what_is_no_quirk(text: str, said: str, known: str) -> None:
    if not said:
        with pytest.raises(QuirkError, match="no room"):
            with_quirks(SPEC, [text, "requestid=cid"])
        return
    with pytest.raises(QuirkError, match=said) as raised:
        with_quirks(SPEC, [text])
    assert not known or known in raised.value.known


def test_filters_to_ignore_add_up() -> None:
    habits = with_quirks(PERSONALITIES["helia"], ["ignore-filter=name,match", "ignore-filter=limit"])
    assert habits.ignored == {"cid", "meta", "name", "match", "limit"}


@pytest.mark.parametrize(
    ("quirks", "created"),
    [
        (["precision=s"], "2026-01-01T00:00:01Z"),
        (["precision=us"], "2026-01-01T00:00:01.230000Z"),
        (["created-offset=-05:00"], "2025-12-31T19:00:01.230-05:00"),
        (["created-zeros=stripped"], "2026-01-01T00:00:01.23Z"),
        (["precision=s", "created-zeros=padded", "created-offset=+05:30"], "2026-01-01T05:30:01.000+05:30"),
    ],
)
def test_created(odd: Any, cid: CidOf, quirks: list[str], created: str) -> None:
    with odd(*quirks) as (sandbox, api):
        requestid = sandbox.store.put(TOKEN, cid(1), created=AT)
        assert [p["created"] for p in pins(api)] == [created]
        assert api.get(f"/pins/{requestid}").json()["created"] == created


def test_nanoseconds_page_as_exactly_as_they_are_shown(odd: Any, cid: CidOf) -> None:
    with odd("precision=ns") as (sandbox, api):
        for n in range(5):
            sandbox.store.put(TOKEN, cid(n), name=str(n), created=f"2026-01-01T00:00:01.23000{n}Z")
        shown = pins(api)
        for at, pin in enumerate(shown):
            assert len(pin["created"]) == len("2026-01-01T00:00:01.230000000Z")
            assert pins(api, before=pin["created"]) == shown[at + 1 :]
            assert pins(api, after=pin["created"]) == shown[:at]


def test_the_answer_to_a_post_may_be_finer(odd: Any, cid: CidOf) -> None:
    with odd("post-precision=ns", "precision=s") as (_, api):
        added = api.post("/pins", json={"cid": cid(1)}).json()
        assert len(added["created"]) == 30
        assert pins(api)[0]["created"] == added["created"][:19] + "Z"


@pytest.mark.parametrize(
    ("edges", "before", "after"),
    [("exclusive", 0, 0), ("inclusive", 1, 1), ("before-inclusive", 1, 0), ("after-inclusive", 0, 1)],
)
def test_edges(odd: Any, cid: CidOf, edges: str, before: int, after: int) -> None:
    with odd(f"edges={edges}") as (sandbox, api):
        sandbox.store.put(TOKEN, cid(1), created=AT)
        assert (len(pins(api, before=AT)), len(pins(api, after=AT))) == (before, after)


def test_edges_cut_to_seconds(odd: Any, cid: CidOf) -> None:
    with odd("truncate-filter=s") as (sandbox, api):
        sandbox.store.put(TOKEN, cid(1), created=AT)
        assert (len(pins(api, before="2026-01-01T00:00:01.9Z")), len(pins(api, after=AT))) == (0, 1)


@pytest.mark.parametrize(
    ("quirk", "sent", "shown"),
    [
        ("sent", V1_HEX, V1_HEX), ("base32", V1_HEX, V1), ("base32", V0, V0), ("v1", V0, V1), ("v1", V1_HEX, V1),
    ],
)  # fmt: skip
def test_cid_echo(odd: Any, quirk: str, sent: str, shown: str) -> None:
    with odd(f"cid-echo={quirk}") as (_, api):
        assert api.post("/pins", json={"cid": sent}).json()["pin"]["cid"] == shown
        assert [p["pin"]["cid"] for p in pins(api, cid=sent)] == [shown]


@pytest.mark.parametrize(
    ("quirk", "shown"),
    [
        ("absent=null", {"name": None, "origins": None, "meta": None}),
        ("absent=empty", {"name": "", "origins": [], "meta": {}}),
        ("name=cid", {"name": V1}),
        ("extra-members=yes", {"mode": "recursive"}),
    ],
)
def test_what_is_not_there(odd: Any, quirk: str, shown: dict[str, Any]) -> None:
    with odd(quirk) as (_, api):
        api.post("/pins", json={"cid": V1})
        assert pins(api)[0]["pin"] == {"cid": V1, **shown}


def test_meta_that_is_echoed_and_not_kept(odd: Any, cid: CidOf) -> None:
    with odd("meta=echoed", "origins=dropped") as (_, api):
        added = api.post("/pins", json={"cid": cid(1), "meta": {"a": "b"}, "origins": ["/p2p/x"]}).json()
        assert added["pin"] == {"cid": cid(1), "meta": {"a": "b"}}
        assert pins(api)[0]["pin"] == {"cid": cid(1), "meta": {}}


@pytest.mark.parametrize(
    ("quirk", "kind"), [("integer", str), ("number", int), ("base64", str), ("cid", str), ("uuid", str)]
)
def test_requestids(odd: Any, cid: CidOf, quirk: str, kind: type) -> None:
    with odd(f"requestid={quirk}") as (_, api):
        ids = [api.post("/pins", json={"cid": cid(n)}).json()["requestid"] for n in range(3)]
        assert len(set(ids)) == 3
        assert {type(i) for i in ids} == {kind}
        assert "/" in str(ids[0]) or quirk != "base64"
        path = "".join(f"%{byte:02X}" for byte in str(ids[0]).encode())
        assert api.get(f"/pins/{path}").json()["requestid"] == ids[0]
        assert api.delete(f"/pins/{path}").status_code == 202


def test_members_of_a_status(odd: Any, cid: CidOf) -> None:
    with odd("request-id-casing=requestId", "delegates=none", "extra-members=yes") as (_, api):
        added = api.post("/pins", json={"cid": cid(1)}).json()
        assert set(added) == {"requestId", "status", "created", "pin", "delegates", "info", "content"}
        assert added["delegates"] == []


@pytest.mark.parametrize(
    ("quirk", "count"), [("total", 7), ("plus1", 4), ("page", 3), ("unfiltered", 9)]
)  # fmt: skip
def test_count(odd: Any, cid: CidOf, quirk: str, count: int) -> None:
    with odd(f"count={quirk}") as (sandbox, api):
        for n in range(9):
            sandbox.store.put(TOKEN, cid(n), status="failed" if n > 6 else "pinned")
        assert api.get("/pins", params={"limit": 3}).json()["count"] == count


@pytest.mark.parametrize(
    ("quirks", "query", "length"),
    [
        (["default-limit=none"], {}, 30), (["default-limit=7"], {}, 7), (["page-cap=4"], {"limit": 20}, 4),
        (["large-limit=obeyed"], {"limit": 5000}, 30), (["limit-check=zero"], {"limit": 0}, 0),
        (["limit-check=none"], {"limit": "all"}, 30), (["default-status=all"], {"limit": 1000}, 31),
        (["match=exact"], {"name": "PIN", "match": "ipartial"}, 0),
        (["match=broken"], {"name": "x", "match": "iexact"}, 10),
        (["match=broken"], {"name": "pin", "match": "partial"}, 0),
        (["match=lenient"], {"name": "pin-1", "match": "?"}, 1),
        (["meta-filter=nothing"], {"meta": "{}"}, 10), (["meta-filter=nothing"], {"meta": '{"a":"b"}'}, 0),
        (["bad-query=empty"], {"status": "bogus"}, 0), (["cid-filter=alone"], {"cid": V0, "name": "z"}, 1),
        (["cid-filter=text"], {"cid": V1}, 0), (["cid-filter=text"], {"cid": V0}, 1),
    ],
    ids=str,
)  # fmt: skip
def test_listings(odd: Any, cid: CidOf, quirks: list[str], query: dict[str, Any], length: int) -> None:
    with odd(*quirks) as (sandbox, api):
        for n in range(29):
            sandbox.store.put(TOKEN, cid(n), name=f"pin-{n}", meta={"a": "b"})
        sandbox.store.put(TOKEN, V0, name="v0")
        sandbox.store.put(TOKEN, cid(99), status="queued")
        answer = api.get("/pins", params=query)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["results"]) == length


@pytest.mark.parametrize(
    ("quirk", "query", "status"),
    [
        ("default-status=required", {}, 400), ("bad-query=500", {"limit": "x"}, 500),
        ("empty-list=404", {}, 404),
    ],
)  # fmt: skip
def test_refused_listings(odd: Any, quirk: str, query: dict[str, str], status: int) -> None:
    with odd(quirk) as (_, api):
        answer = api.get("/pins", params=query)
        assert answer.status_code == status
        assert answer.json()["error"]["reason"]


@pytest.mark.parametrize("quirks", [["meta-filter=error"], ["meta-filter=error", "bad-query=empty"]])
def test_a_service_that_breaks_down_over_meta(odd: Any, quirks: list[str]) -> None:
    with odd(*quirks) as (_, api):
        answer = api.get("/pins", params={"meta": '{"a":"b"}'})
        assert (answer.status_code, answer.headers["content-type"][:9]) == (500, "text/html")


def test_null_for_an_empty_list(odd: Any) -> None:
    with odd("empty-list=null") as (_, api):
        assert api.get("/pins").json() == {"count": 0, "results": None}


def test_new_pins_are_listed_later(odd: Any, clock: Any, cid: CidOf) -> None:
    with odd("visible-after=5s", clock=clock) as (_, api):
        requestid = api.post("/pins", json={"cid": cid(1)}).json()["requestid"]
        assert pins(api) == []
        assert api.get(f"/pins/{requestid}").status_code == 200
        clock.now += 6
        assert len(pins(api)) == 1


@pytest.mark.parametrize(
    ("quirk", "status", "body"),
    [
        ("202", 202, b""), ("200", 200, b""), ("200-text", 200, b"OK"), ("empty-object", 200, b"{}"), ("204", 204, b""),
    ],
)  # fmt: skip
def test_delete(odd: Any, cid: CidOf, quirk: str, status: int, body: bytes) -> None:
    with odd(f"delete={quirk}", "missing-delete=202") as (sandbox, api):
        answer = api.delete(f"/pins/{sandbox.store.put(TOKEN, cid(1))}")
        assert (answer.status_code, answer.content) == (status, body)
        assert sandbox.store.all(TOKEN) == []
        assert api.delete("/pins/unknown").status_code == status


def test_codes_of_a_post(odd: Any, cid: CidOf) -> None:
    with odd("status-codes=200", "replace-code=201", "replace-body=empty") as (_, api):
        added = api.post("/pins", json={"cid": cid(1)})
        assert added.status_code == 200
        replaced = api.post(f"/pins/{added.json()['requestid']}", json={"cid": cid(2)})
        assert (replaced.status_code, replaced.content) == (201, b"")
        assert [p["pin"]["cid"] for p in pins(api)] == [cid(2)]


def test_replaces(odd: Any, cid: CidOf) -> None:
    with odd("replace=edits") as (_, api):
        first = api.post("/pins", json={"cid": cid(1)}).json()
        second = api.post(f"/pins/{first['requestid']}", json={"cid": cid(2)}).json()
        assert (second["requestid"], second["created"]) == (first["requestid"], first["created"])
        assert pins(api) == [second]
    with odd("replace=refused") as (_, api):
        first = api.post("/pins", json={"cid": cid(1)}).json()
        assert api.post(f"/pins/{first['requestid']}", json={"cid": cid(2)}).status_code == 501
        assert pins(api) == [first]
    with odd("second-add=refused") as (_, api):
        assert [api.post("/pins", json={"cid": cid(1)}).status_code for _ in range(2)] == [202, 400]


def test_a_failure_for_a_moment(odd: Any, clock: Any, cid: CidOf) -> None:
    with odd("failed-moment=2s", clock=clock) as (_, api):
        first = api.post("/pins", json={"cid": cid(1)}).json()
        second = api.post(f"/pins/{first['requestid']}", json={"cid": cid(2)}).json()
        assert second["status"] == "failed"
        clock.now += 3
        assert api.get(f"/pins/{second['requestid']}").json()["status"] == "pinned"


def test_queued_is_only_what_the_answer_says(odd: Any, cid: CidOf) -> None:
    with odd("starts=queued") as (_, api):
        added = api.post("/pins", json={"cid": cid(1)}).json()
        assert (added["status"], pins(api)[0]["status"]) == ("queued", "pinned")


@pytest.mark.parametrize(
    ("name", "status"),
    [("x", "queued"), ("pinned-x", "pinned"), ("failed-x", "failed"), ("pinning-x", "pinning")],
)
def test_statuses_by_name(odd: Any, cid: CidOf, name: str, status: str) -> None:
    with odd("starts=by-name") as (_, api):
        assert api.post("/pins", json={"cid": cid(1), "name": name}).json()["status"] == status


def test_any_body_will_do(odd: Any) -> None:
    with odd("body-check=none") as (sandbox, api):
        for body in ({"cid": "no cid"}, {"cid": V1, "name": "x" * 300, "meta": {"a": 1}}, {"name": "x"}):
            assert api.post("/pins", json=body).status_code == 202
        assert len(sandbox.store.all(TOKEN)) == 3
        assert api.post("/pins", content=b"{").status_code == 400


@pytest.mark.parametrize("sent", [b"", b"{}", b'{"name":"x"}', b"[]"])
def test_a_post_without_a_cid(odd: Any, sent: bytes) -> None:
    with odd() as (_, api):
        assert api.post("/pins", content=sent).status_code == 400
    with odd("no-cid=pins") as (_, api):
        answer = api.post("/pins", content=sent)
        assert (answer.status_code, "cid" in answer.json()["pin"]) == (202, False)
        assert pins(api) == [answer.json()]
        assert api.post("/pins", json={"cid": "no cid"}).status_code == 400
    with odd("no-cid=200-empty") as (_, api):
        answer = api.post("/pins", content=sent)
        assert (answer.status_code, answer.content) == ((202, b"") if sent else (400, answer.content))
        assert pins(api) == []


def test_a_body_that_is_made_to_fit(odd: Any) -> None:
    with odd("body-check=coerced") as (_, api):
        sent = {"name": "x" * 300, "meta": {"a": 1, "b": True}, "origins": "/ip4/1.2.3.4/tcp/1"}
        answer = api.post("/pins", json={"cid": V1, **sent})
        assert answer.status_code == 202
        kept = {**sent, "meta": {"a": "1", "b": "true"}, "origins": [sent["origins"]]}
        assert answer.json()["pin"] == {"cid": V1, **kept}
        assert pins(api, name="x" * 300) == [answer.json()]
        for body in (
            {},
            [],
            {"cid": "no cid"},
            {"cid": None},
            {"cid": V1, "meta": None},
            {"cid": V1, "name": []},
        ):
            assert api.post("/pins", json=body).status_code == 400, body
        assert api.post("/pins", json={"cid": V1, "origins": ["/x"] * 21}).status_code == 400


def test_spellings_that_are_one_cid_or_two(odd: Any) -> None:
    for quirk, count in (("dag", 1), ("text", 2)):
        with odd("second-add=same", f"same-cid={quirk}") as (_, api):
            ids = [api.post("/pins", json={"cid": cid}).json()["requestid"] for cid in (V0, V1, V0, V1)]
            assert (len(set(ids)), len(pins(api)), ids[:2]) == (count, count, ids[2:])
        with odd("same-cid-replace=inPlace", f"same-cid={quirk}") as (_, api):
            first = api.post("/pins", json={"cid": V0}).json()["requestid"]
            second = api.post(f"/pins/{first}", json={"cid": V1}).json()["requestid"]
            assert len({first, second}) == count


@pytest.mark.parametrize(
    ("quirk", "query", "status", "count"),
    [
        ("status-check=none", {"status": "bogus"}, 200, 0), ("status-check=none", {"status": ""}, 200, 0),
        ("status-check=none", {"status": "pinned,bogus"}, 200, 2),
        ("status-check=strict", {"status": "bogus"}, 400, 0),
        ("instant-check=none", {"before": "garbage"}, 200, 2), ("instant-check=none", {"after": ""}, 200, 2),
        ("instant-check=none", {"before": AT}, 200, 0), ("instant-check=none", {"after": AT}, 200, 2),
        ("instant-check=strict", {"before": "garbage"}, 400, 0),
        ("instant-check=strict", {"before": "2026-02-01T00:00:00+00:00"}, 200, 2),
        ("instant-check=z", {"before": "2026-02-01T00:00:00+00:00"}, 400, 0),
        ("instant-check=z", {"after": "2026-02-01T00:00:00z"}, 400, 0),
        ("instant-check=z", {"before": "2026-02-01T00:00:00Z"}, 200, 2),
    ],
    ids=str,
)  # fmt: skip
def test_what_of_a_query_is_checked(
    odd: Any, cid: CidOf, quirk: str, query: dict[str, str], status: int, count: int
) -> None:
    with odd(quirk) as (sandbox, api):
        for n in range(2):
            sandbox.store.put(TOKEN, cid(n), created=f"2026-01-02T00:00:0{n}Z")
        answer = api.get("/pins", params=query)
        assert (answer.status_code, answer.json().get("count", 0)) == (status, count)


@pytest.mark.parametrize("written", ["bearer {}", "BEARER {}", "Bearer  {}"])
def test_the_scheme_of_a_key(odd: Any, written: str) -> None:
    for how, status in (("any-case", 200), ("exact", 401)):
        with odd(f"bearer={how}") as (_, api):
            headers = {"authorization": written.format(TOKEN)}
            assert api.get("/pins", headers=headers).status_code == status
            assert api.get("/pins").status_code == 200


def test_paths_and_methods_that_are_not_there(odd: Any) -> None:
    for quirk, put, kind in (("405", 405, "application/json"), ("404", 404, "application/json"),
                             ("404-html", 404, "text/html; charset=utf-8")):  # fmt: skip
        with odd(f"unknown-path={quirk}") as (_, api):
            asked = [api.get("/x"), api.put("/pins"), api.put("/pins/x")]
            assert [answer.status_code for answer in asked] == [404, put, put]
            assert {answer.headers["content-type"] for answer in asked} == {kind}
            assert api.get("/pins/x").json()["error"]["reason"] == "NOT_FOUND"


def test_four_delegates(odd: Any) -> None:
    with odd("delegates=four") as (_, api):
        assert len(set(api.post("/pins", json={"cid": V1}).json()["delegates"])) == 4


def test_headers_of_a_limit_on_a_listing_alone(odd: Any, cid: CidOf) -> None:
    with odd("rate-headers=listing") as (sandbox, api):
        requestid = sandbox.store.put(TOKEN, cid(1))
        for _ in range(60):
            answer = api.get("/pins")
            assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, "30")
            assert 0 < int(answer.headers["x-ratelimit-remaining"]) < 30, "nobody need wait"
            now = parsedate_to_datetime(answer.headers["date"]).timestamp()
            assert -1 <= int(answer.headers["x-ratelimit-reset"]) - now <= 60
        for answer in (api.get(f"/pins/{requestid}"), api.post("/pins", json={"cid": V1})):
            assert not [name for name in answer.headers if "ratelimit" in name]


@pytest.mark.parametrize("key", ["missing-token", "wrong-token"])
@pytest.mark.parametrize("code", [200, 400, 403])
def test_tokens(odd: Any, key: str, code: int) -> None:
    with odd(f"{key}={code}") as (sandbox, _):
        headers = {"authorization": "Bearer wrong"} if key == "wrong-token" else {}
        assert httpx.get(f"{sandbox.url}/pins", headers=headers, trust_env=False).status_code == code


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("reason-only", b'{"error":{"reason":"There is no pin with requestid \'x\'"}}\n'),
        ("no-reason", b'{"error":{"reason":"","details":"There is no pin with requestid \'x\'"}}'),
        ("no-details", b'{"error":{"reason":"NOT_FOUND","details":""}}'),
        ("crust", b'{"Error":"There is no pin with requestid \'x\'"}'),
        ("text", b"Not Found"),
        (
            "fastify",
            b'{"statusCode":404,"error":"Not Found","message":"There is no pin with requestid \'x\'"}',
        ),
        ("array", b'[{"message":"There is no pin with requestid \'x\'"}]'),
        ("empty", b""),
    ],
)
def test_refusals_in_other_shapes(odd: Any, shape: str, body: bytes) -> None:
    with odd(f"error-shape={shape}") as (_, api):
        answer = api.get("/pins/x")
        assert (answer.status_code, answer.content) == (404, body)


def test_a_refusal_that_is_a_web_page(odd: Any) -> None:
    with odd("error-shape=html") as (_, api):
        answer = api.get("/pins/x")
        assert "<title>404 NOT_FOUND</title>" in answer.text
        assert answer.headers["content-type"].startswith("text/html")


def test_refusals_that_look_otherwise(odd: Any) -> None:
    with odd("error-shape=html", "missing-shape=failure", "bad-cid-shape=text") as (_, api):
        for answer in (api.get("/pins/x"), api.delete("/pins/x"), api.post("/pins/x", json={"cid": V1})):
            assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "NOT_FOUND")
        answer = api.post("/pins", json={"cid": "no cid"})
        assert (answer.status_code, answer.text) == (400, "Bad Request")
        assert "<title>" in api.get("/pins", params={"limit": "x"}).text


def test_a_clock_that_is_wrong(odd: Any, clock: Any, cid: CidOf) -> None:
    with odd("clock=-1h", clock=clock) as (_, api):
        answer = api.post("/pins", json={"cid": cid(1)})
        assert answer.json()["created"] == "2026-05-28T19:26:40.000Z"
        assert answer.headers["date"] == "Thu, 28 May 2026 19:26:40 GMT"


def test_what_cannot_be_found_fails_when_patience_is_over(talk: Talk, clock: Any, cid: CidOf) -> None:
    never = Lifecycle(ends=lambda sent: "pinning" if sent == cid(1) else "queued", patience=60)
    with Sandbox([TOKEN], lifecycle=never, clock=clock) as running, talk(running) as api:
        ids = [api.post("/pins", json={"cid": cid(n)}).json()["requestid"] for n in (1, 2)]
        for passed, statuses in (
            (0, ["pinning", "queued"]),
            (59, ["pinning", "queued"]),
            (2, ["failed"] * 2),
        ):
            clock.now += passed
            assert [api.get(f"/pins/{i}").json()["status"] for i in ids] == statuses
