"""What a real ipfs-cluster answers, line by line, and the sandbox that passes itself off as one: the same assertions.

Measured on ipfs-cluster 1.1.6 over Kubo. Where the two run in CI, only the sandbox does.
"""

import base64
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx
import msgspec
import pytest

from reconciler.sandbox import CLUSTER, Lifecycle, Sandbox, with_quirks

ALL = "queued,pinning,pinned,failed"
_texts = (f"content {n} of {time.time_ns()}" for n in itertools.count())
_B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def raw_cid(text: str) -> str:
    return "b" + base64.b32encode(
        b"\x01\x55\x12\x20" + sha256(text.encode()).digest()
    ).decode().lower().rstrip("=")


def v0_cid(text: str) -> str:
    n, out = int.from_bytes(b"\x12\x20" + sha256(text.encode()).digest(), "big"), ""
    while n:
        n, digit = divmod(n, 58)
        out = _B58[digit] + out
    return out


@dataclass(frozen=True, slots=True)
class Service:
    """`content` gives the CID of something that can be found, `nowhere` of something that cannot."""

    api: httpx.Client
    found: Callable[[str, str], str]

    def content(self, version: str = "1") -> str:
        return self.found(next(_texts), version)

    def nowhere(self) -> str:
        return raw_cid("nowhere " + next(_texts))

    def add(self, cid: str, **more: Any) -> dict[str, Any]:
        answer = self.api.post("/pins", json={"cid": cid, **more})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def pinned(self, cid: str, **more: Any) -> dict[str, Any]:
        """Adds, and waits until it is pinned."""
        self.add(cid, **more)
        return self.settled(cid, "pinned")

    def settled(self, cid: str, *statuses: str) -> dict[str, Any]:
        end = time.monotonic() + 30
        while True:
            answer = self.api.get(f"/pins/{cid}")
            if answer.status_code == 200 and answer.json()["status"] in statuses:
                return dict(answer.json())
            assert time.monotonic() < end, f"{answer.status_code} {answer.text}"
            time.sleep(0.05)

    def gone(self, cid: str) -> bool:
        """Whether it is gone now, or within a moment."""
        end = time.monotonic() + 5
        while self.api.get(f"/pins/{cid}").status_code != 404:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def listed(self, **query: Any) -> dict[str, Any]:
        answer = self.api.get("/pins", params={"status": ALL, "limit": 1000, **query})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.cluster)])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    if request.param == "real":
        cluster = request.getfixturevalue("shared_cluster")
        with httpx.Client(base_url=cluster.endpoint, trust_env=False, timeout=30) as api:
            yield Service(api, lambda text, version: cluster.add(text, version))
        return
    known: set[str] = set()

    def found(text: str, version: str) -> str:
        cid = v0_cid(text) if version == "0" else raw_cid(text)
        known.add(cid)
        return cid

    lifecycle = Lifecycle(ends=lambda cid: "pinned" if cid in known else "pinning", patience=0.3)
    habits = with_quirks(CLUSTER, ["missing-token=200"])
    with (
        Sandbox(["token"], personality=habits, lifecycle=lifecycle) as running,
        httpx.Client(base_url=running.url, trust_env=False, timeout=30) as api,
    ):
        yield Service(api, found)


def test_the_requestid_is_the_cid_as_written(service: Service) -> None:
    for cid in (service.content("1"), service.content("0")):
        assert service.add(cid)["requestid"] == cid


def test_an_add_of_what_is_there_overwrites_the_name(service: Service) -> None:
    cid = service.content()
    service.pinned(cid, name="theirs")
    service.pinned(cid, name="ours")
    assert [p["pin"]["name"] for p in service.listed(cid=cid)["results"]] == ["ours"]


def test_an_add_of_what_is_there_overwrites_the_meta(service: Service) -> None:
    cid = service.content()
    service.pinned(cid, meta={"owner": "they", "more": "x"})
    assert service.pinned(cid, meta={"owner": "we"})["pin"]["meta"] == {"owner": "we"}


def test_meta_that_is_not_sent_is_dropped(service: Service) -> None:
    cid = service.content()
    service.pinned(cid, meta={"owner": "they"})
    assert not service.pinned(cid)["pin"].get("meta")


def test_v0_and_v1_of_one_dag_are_two_pins(service: Service) -> None:
    v0 = service.content("0")
    n = 0
    for char in v0:
        n = n * 58 + _B58.index(char)
    v1 = "b" + base64.b32encode(b"\x01\x70" + n.to_bytes(34, "big")).decode().lower().rstrip("=")
    service.add(v0, name="v0")
    service.add(v1, name="v1")
    assert service.settled(v0, "pinned", "pinning", "failed")["pin"]["name"] == "v0"
    assert service.settled(v1, "pinned", "pinning", "failed")["pin"]["name"] == "v1"
    assert [p["requestid"] for p in service.listed(cid=v1)["results"]] == [v1]


def test_another_base_is_written_in_base32(service: Service) -> None:
    cid = service.content()
    hexadecimal = "f" + base64.b32decode(cid[1:].upper() + "=" * (-len(cid[1:]) % 8)).hex()
    assert service.add(hexadecimal)["requestid"] == cid


def test_a_replace_with_the_same_cid_says_queued_and_loses_the_pin(service: Service) -> None:
    cid = service.content()
    service.pinned(cid, name="old")
    answer = service.api.post(f"/pins/{cid}", json={"cid": cid, "name": "new"})
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert service.gone(cid)


@pytest.mark.parametrize("found", [True, False])
def test_a_replace_loses_the_old_pin_at_once(service: Service, found: bool) -> None:
    old, new = service.content(), service.content() if found else service.nowhere()
    service.pinned(old)
    answer = service.api.post(f"/pins/{old}", json={"cid": new})
    assert (answer.status_code, answer.json()["status"], answer.json()["requestid"]) == (200, "queued", new)
    assert service.api.get(f"/pins/{old}").status_code == 404
    # Even what is there was once seen failed after a replace.
    assert service.settled(new, *(["pinned", "failed"] if found else ["pinning", "failed"]))


def test_a_replaced_pin_has_the_old_meta_and_no_origins(service: Service) -> None:
    old, new = service.content(), service.content()
    service.pinned(old, name="a", meta={"owner": "old"})
    sent = {"cid": new, "name": "b", "meta": {"owner": "new"}, "origins": ["/ip4/127.0.0.1/tcp/1"]}
    pin = service.api.post(f"/pins/{old}", json=sent).json()["pin"]
    assert pin == {"cid": new, "name": "b", "meta": {"owner": "old"}}
    assert service.settled(new, "pinned", "failed")["pin"] == pin


def test_a_replace_of_what_is_not_there_is_404(service: Service) -> None:
    old, new = service.content(), service.content()
    assert service.api.post(f"/pins/{old}", json={"cid": new}).status_code == 404
    assert service.api.get(f"/pins/{new}").status_code == 404


def test_an_id_that_cannot_be_one_is_400_with_two_documents_and_the_pin_is_there(service: Service) -> None:
    cid = service.content()
    answer = service.api.post("/pins/xyz", json={"cid": cid, "name": "n"})
    assert answer.status_code == 400
    documents = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    assert "error decoding requestID" in documents[0]["error"]["reason"]
    assert documents[1]["requestid"] == cid
    assert service.settled(cid, "pinned")["pin"]["name"] == "n"


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_an_id_that_cannot_be_one_is_400_elsewhere(service: Service, verb: str) -> None:
    answer = service.api.request(verb, "/pins/xyz")
    assert answer.status_code == 400
    assert "error decoding requestID" in answer.json()["error"]["reason"]


def test_a_post_without_a_cid_is_an_empty_success(service: Service) -> None:
    before = service.listed()["count"]
    answer = service.api.post("/pins", json={"name": "n"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert service.listed()["count"] == before


def test_created_has_nanoseconds_in_the_answer_and_seconds_afterwards(service: Service) -> None:
    cid = service.content()
    created = service.add(cid)["created"]
    assert len(created.removesuffix("Z").partition(".")[2]) > 6 or created.endswith("0Z")
    seconds = service.settled(cid, "pinned")["created"]
    assert seconds == created[:19] + "Z"
    assert service.listed(cid=cid)["results"][0]["created"] == seconds


def test_more_pins_than_a_page(service: Service) -> None:
    cids = [raw_cid(f"many {n}") for n in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(service.add, cids))
    n = service.listed()["count"]
    assert n >= 1100
    first, second = ([p["requestid"] for p in service.listed()["results"]] for _ in range(2))
    assert len(first) == len(second) == 1000
    assert len(set(first)) == 1000, "no pin twice in a page"
    assert first != second, "the order differs between two calls"
    whole = service.listed(limit=10_000)
    assert whole["count"] == len(whole["results"]) == n
    assert {p["requestid"] for p in whole["results"]} >= set(cids)
    for cid in cids:
        service.api.delete(f"/pins/{cid}")


@pytest.mark.parametrize("key", ["before", "after"])
def test_edges_are_inclusive(service: Service, key: str) -> None:
    cid = service.content()
    pin = service.pinned(cid)
    shown = service.listed(**{key: pin["created"], "limit": 10_000})["results"]
    assert cid in {p["requestid"] for p in shown}


@pytest.mark.parametrize("limit", [0, 1001, 5000])
def test_limits_that_the_api_does_not_have(service: Service, limit: int) -> None:
    service.pinned(service.content())
    page = service.listed(limit=limit)
    assert page["count"] >= 1
    assert len(page["results"]) == min(limit, page["count"])


@pytest.mark.parametrize(
    "query",
    [
        {"status": "bogus"}, {"meta": "map[a:b]"}, {"limit": "abc"}, {"limit": "-1"}, {"before": "x"},
        {"cid": "zzz"}, {"name": "x" * 256},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_parameter_is_500_with_a_reason(service: Service, query: dict[str, str]) -> None:
    answer = service.api.get("/pins", params=query)
    assert answer.status_code == 500
    assert list(answer.json()["error"]) == ["reason"]
    assert answer.json()["error"]["reason"]


@pytest.mark.parametrize("query", [{"status": ""}, {"match": "bogus"}, {}], ids=str)
def test_parameters_that_are_taken_for_absent(service: Service, query: dict[str, str]) -> None:
    service.pinned(service.content())
    assert service.api.get("/pins", params=query).json()["count"] >= 1


def test_without_a_status_filter_every_status_is_listed(service: Service) -> None:
    cid = service.nowhere()
    service.add(cid)
    service.settled(cid, "pinning", "failed")
    assert service.api.get("/pins", params={"cid": cid}).json()["count"] == 1


def test_with_a_cid_every_other_filter_is_ignored(service: Service) -> None:
    cid, other = service.content(), service.content()
    service.pinned(cid, name="a")
    service.pinned(other, name="b")
    query = {"cid": f"{cid},{other}", "name": "none", "before": "2001-01-01T00:00:00Z", "limit": 1}
    page = service.api.get("/pins", params=query).json()
    assert (page["count"], len(page["results"])) == (2, 1)


def test_a_delete_of_what_is_not_there_is_404(service: Service) -> None:
    assert service.api.delete(f"/pins/{service.content()}").status_code == 404


def test_a_delete_is_visible_at_once(service: Service) -> None:
    cid = service.content()
    service.pinned(cid)
    answer = service.api.delete(f"/pins/{cid}")
    assert (answer.status_code, answer.content) == (202, b"")
    assert service.api.get(f"/pins/{cid}").status_code == 404
    assert service.listed(cid=cid) == {"count": 0, "results": []}


@pytest.mark.parametrize(
    ("match", "asked"),
    [("exact", "Name-{}"), ("partial", "ame-{}"), ("iexact", "nAME-{}"), ("ipartial", "AME-{}")],
)
def test_names_are_matched(service: Service, match: str, asked: str) -> None:
    cid = service.content()
    mark = cid[-12:]
    service.pinned(cid, name=f"Name-{mark}")
    page = service.listed(name=asked.format(mark), match=match)
    assert [p["requestid"] for p in page["results"]] == [cid]
    assert service.listed(name=f"ame-{mark}", match="exact")["count"] == 0


def test_meta_is_filtered_by(service: Service) -> None:
    cid = service.content()
    service.pinned(cid, meta={"mark": cid})
    assert [p["requestid"] for p in service.listed(meta=f'{{"mark":"{cid}"}}')["results"]] == [cid]


def test_origins_need_no_peer(service: Service) -> None:
    origins = ["/ip4/127.0.0.1/tcp/4001"]
    assert service.pinned(service.content(), origins=origins)["pin"]["origins"] == origins


def test_there_are_no_delegates(service: Service) -> None:
    cid = service.content()
    assert service.add(cid)["delegates"] == []
    assert service.settled(cid, "pinned")["delegates"] == []


def test_its_info_says_what_it_is(service: Service) -> None:
    info = service.add(service.content())["info"]
    assert info == {
        "source": "IPFS cluster API",
        "warning1": "CID used for requestID. Conflicts possible",
        "warning2": "experimental",
    }


@pytest.mark.parametrize(("length", "status"), [(255, 200), (256, 400)])
def test_the_length_of_a_name(service: Service, length: int, status: int) -> None:
    answer = service.api.post("/pins", json={"cid": service.content(), "name": "x" * length})
    assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"cid":"xx"}', b'{"cid":"bafkqaaa","meta":{"a":1}}', b'{"cid":"bafkqaaa","origins":["x"]}'],
)
def test_a_wrong_body_is_400_with_a_reason(service: Service, body: bytes) -> None:
    answer = service.api.post("/pins", content=body)
    assert answer.status_code == 400
    assert "error decoding request body" in answer.json()["error"]["reason"]


def test_null_is_absent(service: Service) -> None:
    cid = service.content()
    assert service.add(cid, name=None, meta=None, origins=None)["pin"] == {"cid": cid}


def test_content_that_cannot_be_found_fails_after_a_while(service: Service) -> None:
    cid = service.nowhere()
    assert service.add(cid)["status"] == "queued"
    assert service.settled(cid, "failed")["pin"]["cid"] == cid
