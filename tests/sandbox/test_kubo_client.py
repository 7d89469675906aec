"""Everything that Kubo's own client sends to a pinning service (recorded, Kubo 0.44) is answered by the sandbox."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.core.cid import canonical
from reconciler.sandbox import PERSONALITIES, Lifecycle, Sandbox

DATA = json.loads((Path(__file__).parents[1] / "data/kubo-rpc/kubo-client-requests.json").read_bytes())
KEY = "secret"
STATUSES = {"queued", "pinning", "pinned", "failed"}


def fill(text: str) -> str:
    for name, example in DATA["placeholders"].items():
        text = text.replace(name, example)
    return text


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30) as running:
        yield running


class Replay:
    """Sends what was recorded, with our requestids in place of the recorded ones."""

    def __init__(self, service: Sandbox, client: httpx.Client) -> None:
        self._service = service
        self._client = client
        self._ids: dict[str, str] = {}

    def send(self, request: dict[str, Any]) -> httpx.Response:
        at = request["path"].index("/pins")
        path = request["path"][at:]
        if request["path"][at - 1] == "/":
            path = "/" + path  # the endpoint of its MFS policy had a slash at its end
        head, _, theirs = path.rpartition("/")
        if theirs in self._ids:
            path = f"{head}/{self._ids[theirs]}"
        query = f"?{request['query_raw']}" if request["query_raw"] else ""
        headers = [(k, v) for k, v in request["headers"] if k not in ("Host", "Content-Length")]
        answer = self._client.request(
            request["method"],
            self._service.url + path + query,
            headers=headers,
            content=fill(request["body"]),
        )
        if request["method"] == "POST" and answer.status_code < 300:
            body = request["answered"].get("body") or ""
            told = json.loads(fill(body)) if body.lstrip().startswith("{") else {}
            if "requestid" in told:
                self._ids[told["requestid"]] = answer.json()["requestid"]
        return answer


def test_all_of_it_is_answered_in_the_order_in_which_it_came(client: httpx.Client) -> None:
    with Sandbox([KEY], lifecycle=Lifecycle(pinning=3600)) as service:
        replay = Replay(service, client)
        for n, request in enumerate(DATA["requests"]):
            answer = replay.send(request)
            check(request, answer, f"{n} {request['during']}: {request['method']} {request['path']}")
        names = {pin.name for pin in service.store.all(KEY)}
    assert "pinned-mfs" in names
    assert any(name and name.startswith("policy/12D3Koo") for name in names)


def check(request: dict[str, Any], answer: httpx.Response, where: str) -> None:
    if dict(request["headers"])["Authorization"] != f"Bearer {KEY}":
        assert answer.status_code == 401, where
        assert answer.json()["error"]["reason"], where
        return
    if "//pins" in request["path"]:
        assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "NOT_FOUND"), where
        return
    one = "/pins/" in request["path"]
    match request["method"]:
        case "GET" if not one:
            listing(request, answer, where)
        case "DELETE":
            assert answer.status_code in (202, 404), where
            assert answer.status_code == 202 or "/mock/" not in request["path"], where
        case _:
            if answer.status_code == 404:
                assert "/mock/" not in request["path"], where
                assert answer.json()["error"]["reason"] == "NOT_FOUND", where
                return
            assert answer.status_code == (202 if request["method"] == "POST" else 200), where
            status = answer.json()
            assert status["status"] in STATUSES, where
            assert status["delegates"], where
            if request["body"]:
                sent = json.loads(fill(request["body"]))
                assert status["pin"] == sent, where


def listing(request: dict[str, Any], answer: httpx.Response, where: str) -> None:
    assert answer.status_code == 200, where
    page, query = answer.json(), dict(request["query"])
    assert page["count"] >= len(page["results"]), where
    assert len(page["results"]) <= int(query["limit"]), where
    for status in page["results"]:
        assert status["status"] in query["status"].split(","), where
        assert query.get("name", status["pin"].get("name")) == status["pin"].get("name"), where
        if "cid" in query:
            asked = {canonical(cid) for cid in query["cid"].split(",")}
            assert canonical(status["pin"]["cid"]) in asked, where


@pytest.mark.parametrize("personality", ["spec", "ipfs-cluster", "helia"])
def test_nothing_of_it_makes_a_service_stumble(personality: str, client: httpx.Client) -> None:
    with Sandbox([KEY], personality=PERSONALITIES[personality]) as service:
        replay = Replay(service, client)
        for request in DATA["requests"]:
            answer = replay.send(request)
            assert answer.status_code < 500, (personality, request["during"], answer.text)


def test_its_policy_replaces_by_the_id_that_it_was_given() -> None:
    changes = [r for r in DATA["requests"] if r["during"] == "policy: root changes"]
    assert {r["method"] for r in changes} == {"GET", "POST"}
    assert [r["path"] for r in changes if r["method"] == "POST"] == ["/mock/pins/req-11"]
