"""POST and DELETE, tokens, and what is refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest

from reconciler.sandbox import Sandbox

TOKEN = "first-token"
ALL = "queued,pinning,pinned,failed"
CidOf = Callable[[int], str]
Talk = Callable[..., httpx.Client]
ORIGIN = "/ip4/203.0.113.142/tcp/4001/p2p/QmSourcePeerId"


class _Pin(msgspec.Struct, forbid_unknown_fields=True):
    cid: str
    name: str | msgspec.UnsetType = msgspec.UNSET
    origins: list[str] | msgspec.UnsetType = msgspec.UNSET
    meta: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class _PinStatus(msgspec.Struct, forbid_unknown_fields=True):
    """The schema, with no key beyond it: strict clients refuse others."""

    requestid: str
    status: str
    created: str
    pin: _Pin
    delegates: list[str]
    info: dict[str, str]


def pin_status(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    checked = msgspec.json.decode(answer.content, type=_PinStatus)
    assert checked.status in ALL.split(",")
    assert 1 <= len(set(checked.delegates)) == len(checked.delegates) <= 20
    return dict(answer.json())


def failure(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"reason", "details"}
    assert error["reason"]
    assert error["details"]
    return str(error["reason"])


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": "", "meta": {}, "origins": []},
        {"name": "x" * 255, "meta": {"k": "v", "": "", "ключ": "значение \u0000 \\ \" 🜚"}, "origins": [ORIGIN]},
        {"name": "🜚" * 255},
        {"name": 'line\nbreak "quoted" \u202e', "origins": [f"{ORIGIN}{n}" for n in range(20)]},
    ],
)  # fmt: skip
def test_what_is_sent_is_kept_and_echoed_everywhere(
    api: httpx.Client, cid: CidOf, more: dict[str, Any]
) -> None:
    sent = {"cid": cid(1), **more}
    answer = api.post("/pins", json=sent)
    assert answer.status_code == 202
    added = pin_status(answer)
    assert added["pin"] == sent
    got = api.get(f"/pins/{added['requestid']}")
    assert got.status_code == 200
    assert pin_status(got) == added
    assert api.get("/pins").json() == {"count": 1, "results": [added]}


def test_keys_that_a_pin_does_not_have_are_not_echoed(api: httpx.Client, cid: CidOf) -> None:
    assert pin_status(api.post("/pins", json={"cid": cid(1), "mode": "x"}))["pin"] == {"cid": cid(1)}


def test_one_cid_is_pinned_as_often_as_it_is_sent(api: httpx.Client, cid: CidOf) -> None:
    added = [pin_status(api.post("/pins", json={"cid": cid(1), "name": "same"})) for _ in range(3)]
    assert len({pin["requestid"] for pin in added}) == 3
    assert api.get("/pins").json()["count"] == 3


def test_created_grows_and_is_unique_when_many_add_at_once(sandbox: Sandbox, talk: Talk, cid: CidOf) -> None:
    def add(worker: int) -> list[str]:
        with talk(sandbox) as client:
            answers = [client.post("/pins", json={"cid": cid(worker * 100 + n)}) for n in range(40)]
        return [pin_status(answer)["created"] for answer in answers]

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(add, range(8)))
    assert all(row == sorted(set(row)) for row in rows)
    everything = sorted(created for row in rows for created in row)
    assert len(set(everything)) == 320
    assert everything == sorted(pin.created for pin in sandbox.store.all(TOKEN))


def test_delete(api: httpx.Client, cid: CidOf) -> None:
    requestid = api.post("/pins", json={"cid": cid(1), "meta": {"a": "b"}}).json()["requestid"]
    answer = api.delete(f"/pins/{requestid}")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (202, b"", "0")
    assert api.get("/pins", params={"status": ALL}).json() == {"count": 0, "results": []}
    assert api.get("/pins", params={"meta": '{"a":"b"}'}).json()["count"] == 0
    for verb in ("GET", "DELETE"):
        assert failure(api.request(verb, f"/pins/{requestid}"), 404) == "NOT_FOUND"


@pytest.mark.parametrize("same", [True, False])
def test_replace_is_a_new_pin_in_place_of_the_old(api: httpx.Client, cid: CidOf, same: bool) -> None:
    first = pin_status(api.post("/pins", json={"cid": cid(1), "name": "old", "meta": {"k": "old"}}))
    sent = {"cid": cid(1 if same else 2), "name": "new", "meta": {"k": "new"}, "origins": [ORIGIN]}
    answer = api.post(f"/pins/{first['requestid']}", json=sent)
    assert answer.status_code == 202
    second = pin_status(answer)
    assert second["pin"] == sent
    assert second["requestid"] != first["requestid"]
    assert second["created"] > first["created"]
    assert failure(api.get(f"/pins/{first['requestid']}"), 404) == "NOT_FOUND"
    assert api.get("/pins").json() == {"count": 1, "results": [second]}
    assert api.get("/pins", params={"meta": '{"k":"old"}'}).json()["count"] == 0


def test_a_replace_that_is_refused_changes_nothing(api: httpx.Client, cid: CidOf) -> None:
    first = pin_status(api.post("/pins", json={"cid": cid(1)}))
    assert failure(api.post(f"/pins/{first['requestid']}", json={"cid": "Qm"}), 400) == "BAD_REQUEST"
    assert failure(api.post("/pins/unknown", json={"cid": cid(2)}), 404) == "NOT_FOUND"
    assert api.get("/pins", params={"status": ALL}).json() == {"count": 1, "results": [first]}


@pytest.mark.parametrize("requestid", ["a/b", "ä ö", "%2F", "..", "x?y=z", "x" * 3000])
def test_ids_of_any_form_can_be_asked_for(
    sandbox: Sandbox, api: httpx.Client, cid: CidOf, requestid: str
) -> None:
    sandbox.store.put(TOKEN, cid(1), requestid=requestid)
    path = "/pins/" + "".join(f"%{byte:02X}" for byte in requestid.encode())
    assert pin_status(api.get(path))["requestid"] == requestid
    assert api.delete(path).status_code == 202
    assert failure(api.delete(path), 404) == "NOT_FOUND"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"bafkqaaa"', b"{}", b'{"cid":null}', b'{"cid":1}', b'{"cid":""}', b'{"cid":"Qm"}',
        b'{"cid":"/ipfs/bafkqaaa"}', b'{"cid":"bafkqaaa","name":1}', b'{"cid":"bafkqaaa","name":null}',
        b'{"cid":"bafkqaaa","name":"' + b"x" * 256 + b'"}', b'{"cid":"bafkqaaa","meta":[]}',
        b'{"cid":"bafkqaaa","meta":null}', b'{"cid":"bafkqaaa","meta":{"a":1}}',
        b'{"cid":"bafkqaaa","meta":{"a":{"b":"c"}}}', b'{"cid":"bafkqaaa","origins":"/p2p/x"}',
        b'{"cid":"bafkqaaa","origins":null}', b'{"cid":"bafkqaaa","origins":["not-an-address"]}',
        b'{"cid":"bafkqaaa","origins":["/ip4/203.0.113.1/tcp/4001"]}',
        b'{"cid":"bafkqaaa","origins":["/p2p/x","/p2p/x"]}',
        b'{"cid":"bafkqaaa","origins":[' + b",".join(b'"/p2p/%d"' % n for n in range(21)) + b"]}",
        b'{"cid":"bafkqaaa","name":"\xff"}', b'{"cid":"bafkqaaa","name":"\\ud800"}',
    ],
)  # fmt: skip
def test_bad_bodies_are_refused_and_nothing_is_added(
    sandbox: Sandbox, api: httpx.Client, body: bytes
) -> None:
    assert failure(api.post("/pins", content=body), 400) == "BAD_REQUEST"
    assert sandbox.store.all(TOKEN) == []


def test_a_body_has_a_bound(sandbox: Sandbox, api: httpx.Client, cid: CidOf) -> None:
    meta = {"k": "x" * (1 << 20)}
    assert failure(api.post("/pins", json={"cid": cid(1), "meta": meta}), 413) == "PAYLOAD_TOO_LARGE"
    assert sandbox.store.all(TOKEN) == []
    assert api.get("/pins").status_code == 200


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic first-token", "first-token", "Bearer first-token x"]
)
@pytest.mark.parametrize("path", ["/pins", "/pins/any"])
def test_without_a_valid_token_nobody_is_let_in(sandbox: Sandbox, header: str | None, path: str) -> None:
    headers = {} if header is None else {"authorization": header}
    for verb in ("GET", "POST"):
        answer = httpx.request(verb, sandbox.url + path, headers=headers, trust_env=False)
        assert failure(answer, 401) == "UNAUTHORIZED"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_scheme_has_no_case(sandbox: Sandbox) -> None:
    answer = httpx.get(
        f"{sandbox.url}/pins", headers={"authorization": "bEARER first-token"}, trust_env=False
    )
    assert answer.status_code == 200


def test_accounts_do_not_see_each_other(sandbox: Sandbox, api: httpx.Client, talk: Talk, cid: CidOf) -> None:
    mine = api.post("/pins", json={"cid": cid(1), "name": "mine", "meta": {"a": "b"}}).json()["requestid"]
    with talk(sandbox, "second-token") as other:
        for query in ({}, {"cid": cid(1)}, {"name": "mine"}, {"meta": '{"a":"b"}'}):
            assert other.get("/pins", params=query).json() == {"count": 0, "results": []}
        failure(other.get(f"/pins/{mine}"), 404)
        failure(other.delete(f"/pins/{mine}"), 404)
        failure(other.post(f"/pins/{mine}", json={"cid": cid(2)}), 404)
        other.post("/pins", json={"cid": cid(1)})
    assert [pin.requestid for pin in sandbox.store.all(TOKEN)] == [mine]


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("PUT", "/pins", 405), ("DELETE", "/pins", 405), ("PATCH", "/pins/x", 405), ("GET", "/", 404),
        ("GET", "/api/v0/version", 404), ("POST", "/pin", 404), ("GET", "/pins/", 404),
    ],
)  # fmt: skip
def test_unknown_paths_and_methods_are_failures_too(
    api: httpx.Client, verb: str, path: str, status: int
) -> None:
    answer = api.request(verb, path)
    failure(answer, status)
    assert ("allow" in answer.headers) is (status == 405)
