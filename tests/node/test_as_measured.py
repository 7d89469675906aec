"""These services still do what profiles and personalities say of them. Where one changes, this tells first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from reconciler.sandbox import HELIA, Lifecycle, Sandbox

pytestmark = pytest.mark.node
NEVER_FOUND = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
ALL = "queued,pinning,pinned,failed"


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


HELIA_FACTS = [
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
