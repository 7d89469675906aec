"""These services still do what profiles and personalities say of them. Where one changes, this tells first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from reconciler.sandbox import HELIA, PERSONALITIES, Lifecycle, Sandbox

pytestmark = pytest.mark.node
NEVER_FOUND = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
ALL = "queued,pinning,pinned,failed"
V0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
V1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
ORIGIN = "/ip4/1.2.3.4/tcp/4001"


class Talk:
    """Just enough of a client, and none of ours."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def add(self, cid: str, *, at: str = "", **more: Any) -> dict[str, Any]:
        answer = self._http.post(f"/pins/{at}" if at else "/pins", json={"cid": cid, **more})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def get(self, requestid: str) -> dict[str, Any] | None:
        answer = self._http.get(f"/pins/{requestid}")
        return None if answer.status_code == 404 else dict(answer.json())

    def settled(self, requestid: str) -> dict[str, Any]:
        while True:
            pin = self.get(requestid)
            assert pin
            if pin["status"] in ("pinned", "failed"):
                return pin

    def delete(self, requestid: str) -> int:
        return self._http.delete(f"/pins/{requestid}").status_code

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._http.request(method, path, **more)

    def pins(self, **query: Any) -> dict[str, Any]:
        return dict(self._http.get("/pins", params=query).json())


@contextmanager
def talk(endpoint: str, token: str) -> Iterator[Talk]:
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=endpoint, headers=headers, trust_env=False, timeout=30) as http:
        yield Talk(http)


def _in_place(api: Talk, cids: tuple[str, ...]) -> None:
    first = api.settled(api.add(cids[0], name="a", meta={"k": "v"})["requestid"])
    edited = api.add(cids[0], at=first["requestid"], name="b")
    assert (edited["requestid"], edited["created"]) == (first["requestid"], first["created"])
    assert edited["pin"] == {"cid": cids[0], "name": "b", "meta": {"k": "v"}}
    assert api.pins(name="b", status=ALL)["results"] == [edited]


def _second_add_is_stuck(api: Talk, cids: tuple[str, ...]) -> None:
    first = api.settled(api.add(cids[0])["requestid"])
    stuck = api.add(cids[0])
    # Each of these lets the service finish what it has in hand.
    for cid in cids[1:]:
        api.settled(api.add(cid)["requestid"])
    again = api.get(stuck["requestid"])
    assert again
    assert (again["status"], again["requestid"] != first["requestid"]) == ("queued", True)
    assert api.delete(stuck["requestid"]) == 202
    assert api.get(stuck["requestid"]) is None


def _replace_gives_up_the_old(api: Talk, cids: tuple[str, ...]) -> None:
    first = api.settled(api.add(cids[0], name="a", meta={"k": "old"})["requestid"])
    new = api.add(NEVER_FOUND, at=first["requestid"], name="b", meta={"k": "new"})
    assert new["requestid"] != first["requestid"]
    assert new["pin"] == {"cid": NEVER_FOUND, "name": "b", "meta": {"k": "new"}}
    assert api.get(first["requestid"]) is None
    assert api.settled(new["requestid"])["status"] == "failed"


def _filters_of_cid_and_meta_are_ignored(api: Talk, cids: tuple[str, ...]) -> None:
    for cid in cids:
        api.settled(api.add(cid, name=cid[-4:])["requestid"])
    for query in ({"cid": cids[0]}, {"meta": '{"k":"v"}'}, {}):
        assert api.pins(**query)["count"] == len(cids)
    assert api.pins(name=cids[0][-4:])["count"] == 1
    assert api.pins(limit=2)["count"] == len(cids)


def _anybody_is_let_in(api: Talk, cids: tuple[str, ...]) -> None:
    api.settled(api.add(cids[0])["requestid"])
    for authorization in ("", "Bearer wrong"):
        answer = api.ask("GET", "/pins", headers={"authorization": authorization})
        assert (answer.status_code, answer.json()["count"]) == (200, 1)


def _little_is_checked(api: Talk, cids: tuple[str, ...]) -> None:
    sent: dict[str, Any] = {"name": "x" * 300, "meta": {"a": 1, "b": True}, "origins": [ORIGIN]}
    added = api.add(cids[0], **sent)
    assert added["pin"] == {"cid": cids[0], **sent, "meta": {"a": "1", "b": "true"}}
    api.settled(added["requestid"])
    assert api.pins(status="bogus") == {"count": 0, "results": []}
    assert api.pins(status="")["count"] == 0
    assert api.pins(status="pinned,bogus")["count"] == 1
    for query in ({"before": "garbage"}, {"after": "garbage"}, {"before": ""}, {"name": "x" * 300}):
        assert api.pins(**query)["count"] == 1


def _refusals_are_of_three_kinds(api: Talk, cids: tuple[str, ...]) -> None:
    for method in ("GET", "DELETE", "POST"):
        answer = api.ask(method, "/pins/none", json={"cid": cids[0]} if method == "POST" else None)
        assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "NOT_FOUND")
    for cid in ("no cid", "", None):
        answer = api.ask("POST", "/pins", json={"cid": cid})
        assert (answer.status_code, answer.text) == (400, "Bad Request")
    for body in ({}, {"name": "x"}, [], {"cid": cids[0], "meta": None}):
        answer = api.ask("POST", "/pins", json=body)
        assert (answer.status_code, answer.json()["error"], answer.json()["statusCode"]) == (
            400,
            "Bad Request",
            400,
        )
    for method, path in (("GET", "/x"), ("PUT", "/pins"), ("PUT", "/pins/none")):
        answer = api.ask(method, path)
        assert (answer.status_code, answer.json()["error"], answer.json()["statusCode"]) == (
            404,
            "Not Found",
            404,
        )


HELIA_FACTS = [
    _anybody_is_let_in,
    _little_is_checked,
    _refusals_are_of_three_kinds,
    _in_place,
    _second_add_is_stuck,
    _replace_gives_up_the_old,
    _filters_of_cid_and_meta_are_ignored,
]


@pytest.mark.parametrize("fact", HELIA_FACTS)
def test_helia(helia: Any, fact: Callable[[Talk, tuple[str, ...]], None]) -> None:
    with talk(helia.endpoint, helia.token) as api:
        fact(api, helia.cids[:5])


@pytest.mark.parametrize("fact", HELIA_FACTS)
def test_the_sandbox_plays_helia(fact: Callable[[Talk, tuple[str, ...]], None]) -> None:
    cids = ("bafkqaaia", "bafkqaaib", "bafkqaaic", "bafkqaaid")
    lifecycle = Lifecycle(ends=lambda cid: "failed" if cid == NEVER_FOUND else "pinned")
    with Sandbox(["t"], personality=HELIA, lifecycle=lifecycle) as sandbox, talk(sandbox.url, "t") as api:
        fact(api, cids)


def test_mock(mock: Any) -> None:
    with talk(mock.endpoint, mock.token) as api:
        cids = [NEVER_FOUND, "bafkqaaa", "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"]
        first = api.add(cids[0], name="pinned-a", meta={"k": "v"})
        assert first["status"] == "pinned"
        assert api.add(cids[0], name="pinned-b")["requestid"] == first["requestid"]
        assert api.get(first["requestid"]) == first, "the new name is dropped"
        assert api.add(cids[1], name="failed-b")["status"] == "failed"
        assert api.add(cids[2], name="c")["status"] == "queued"
        page = api.pins(limit=2)
        assert page["count"] == len(page["results"]) == 2, "count is that of the page"
        assert page["results"][0]["requestid"] == first["requestid"], "oldest first"
        assert api.delete(first["requestid"]) == 202
        assert api.delete(first["requestid"]) == 404


def _spellings_are_two_pins(api: Talk, token: str) -> None:
    first, second = api.add(V0), api.add(V1)
    assert first["requestid"] != second["requestid"]
    assert api.add(V0) == first
    assert api.pins(cid=V1)["results"] == [second]
    assert len(first["delegates"]) == 4


def _a_cid_is_not_missed(api: Talk, token: str) -> None:
    answers = [api.ask("POST", "/pins", content=sent) for sent in (b"", b"{}")]
    answers.append(api.ask("POST", "/pins", json={"name": "x"}))
    assert [answer.status_code for answer in answers] == [202] * 3
    assert [answer.json() for answer in answers] == [answers[0].json()] * 3
    assert answers[0].json()["pin"] == {}
    assert api.pins()["count"] == 1


def _what_is_not_there_is_a_web_page(api: Talk, token: str) -> None:
    for method, path in (("GET", "/x"), ("PUT", "/pins"), ("PUT", "/pins/x"), ("DELETE", "/pins")):
        answer = api.ask(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    error = api.ask("GET", "/pins/none").json()["error"]
    assert error["reason"]
    assert error["details"]


def _the_scheme_is_bearer(api: Talk, token: str) -> None:
    for written, status in (("Bearer {}", 200), ("bearer {}", 401), ("BEARER {}", 401), ("Bearer  {}", 401)):
        answer = api.ask("GET", "/pins", headers={"authorization": written.format(token)})
        assert answer.status_code == status
        assert answer.status_code == 200 or answer.json()["error"]["details"] == ""


MOCK_FACTS = [
    _spellings_are_two_pins,
    _a_cid_is_not_missed,
    _what_is_not_there_is_a_web_page,
    _the_scheme_is_bearer,
]


@pytest.mark.parametrize("fact", MOCK_FACTS)
def test_more_of_mock(mock: Any, fact: Callable[[Talk, str], None]) -> None:
    with talk(mock.endpoint, mock.token) as api:
        fact(api, mock.token)


@pytest.mark.parametrize("fact", MOCK_FACTS)
def test_the_sandbox_plays_mock(fact: Callable[[Talk, str], None]) -> None:
    with Sandbox(["t"], personality=PERSONALITIES["mock"]) as sandbox, talk(sandbox.url, "t") as api:
        fact(api, "t")
