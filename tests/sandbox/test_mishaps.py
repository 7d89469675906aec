"""What goes wrong, by a script, by chance and by a limit of requests."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from reconciler.sandbox import (
    MISHAPS,
    AllOf,
    Chance,
    Rate,
    RateLimit,
    Sandbox,
    ScriptError,
    read_script,
)

TOKEN = "first-token"
Talk = Callable[..., httpx.Client]
CidOf = Callable[[int], str]


def played(do: object, **when: Any) -> Any:
    return read_script([{"when": when, "do": do}])


@pytest.mark.parametrize(
    ("do", "status", "headers"),
    [
        ("limited", 429, {}),
        ("retry-after", 429, {"retry-after": "1"}),
        ({"retry-after": 7}, 429, {"retry-after": "7"}),
        ("rate-reset", 429, {"x-ratelimit-remaining": "0"}),
        ("error", 500, {}),
        ({"error": 503}, 503, {}),
        ("quota", 409, {}),
        ("auth", 401, {}),
    ],
)
def test_refused_and_nothing_done(
    talk: Talk, cid: CidOf, do: object, status: int, headers: dict[str, str]
) -> None:
    with Sandbox([TOKEN], faults=played(do, method="POST")) as running, talk(running) as api:
        answer = api.post("/pins", json={"cid": cid(1)})
        assert answer.status_code == status
        assert answer.json()["error"]["reason"]
        assert headers.items() <= answer.headers.items()
        assert "retry-after" in headers or "retry-after" not in answer.headers
        assert running.store.all(TOKEN) == []
        assert api.get("/pins").status_code == 200


@pytest.mark.parametrize("status", [500, 400, 404])
def test_refused_and_done_all_the_same(talk: Talk, cid: CidOf, status: int) -> None:
    with Sandbox([TOKEN], faults=played({"error-after": status})) as running, talk(running) as api:
        assert api.post("/pins", json={"cid": cid(1)}).status_code == status
        assert len(running.store.all(TOKEN)) == 1


@pytest.mark.parametrize(
    ("do", "there"), [("reset", 0), ("reset-after", 1), ({"hang": 0.05}, 0), ({"hang-after": 0.05}, 1)]
)
def test_no_answer(talk: Talk, cid: CidOf, do: object, there: int) -> None:
    with Sandbox([TOKEN], faults=played(do, method="POST")) as running, talk(running) as api:
        with pytest.raises(httpx.RemoteProtocolError):
            api.post("/pins", json={"cid": cid(1)})
        assert len(running.store.all(TOKEN)) == there


def test_a_body_that_is_cut_within(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], faults=played({"truncated": 0.5})) as running, talk(running) as api:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            api.post("/pins", json={"cid": cid(1)})
        assert len(running.store.all(TOKEN)) == 1


@pytest.mark.parametrize("do", ["half-json", "html", "empty"])
def test_a_success_that_cannot_be_read(talk: Talk, cid: CidOf, do: str) -> None:
    with Sandbox([TOKEN], faults=played(do)) as running, talk(running) as api:
        answer = api.post("/pins", json={"cid": cid(1)})
        assert answer.status_code == 202
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(answer.content)
        assert len(running.store.all(TOKEN)) == 1


def test_a_body_without_end(talk: Talk) -> None:
    with Sandbox([TOKEN], faults=played({"oversized": 2})) as running, talk(running) as api:
        assert len(api.get("/pins").content) > 2_000_000


def test_a_body_in_drops(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], faults=played({"slow-body": 0.2})) as running, talk(running) as api:
        begun = time.monotonic()
        assert api.post("/pins", json={"cid": cid(1)}).json()["pin"]["cid"] == cid(1)
        assert time.monotonic() - begun >= 0.2


def test_the_page_before_once_more(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], faults=played("repeat-page", nth=2)) as running, talk(running) as api:
        for n in range(3):
            running.store.put(TOKEN, cid(n), name=str(n))
        names = [
            api.get("/pins", params={"name": str(n)}).json()["results"][0]["pin"]["name"] for n in range(3)
        ]
        assert names == ["0", "0", "2"]


def test_a_clock_that_is_ahead(talk: Talk) -> None:
    with Sandbox([TOKEN], faults=played({"clock": 86400}), clock=lambda: 0) as running, talk(running) as api:
        assert not api.get("/pins").headers["date"].startswith("Thu, 01 Jan 1970")


def test_pins_fail_seem_to_and_come_back(talk: Talk, clock: Any, cid: CidOf) -> None:
    script = read_script(
        [
            {"when": {"method": "POST", "nth": 1}, "do": "fails"},
            {"when": {"method": "POST", "nth": 2}, "do": {"seems-failed": 5}},
            {"when": {"method": "DELETE"}, "do": {"returns": 5}},
        ]
    )
    with Sandbox([TOKEN], faults=script, clock=clock) as running, talk(running) as api:
        ids = [api.post("/pins", json={"cid": cid(n)}).json()["requestid"] for n in range(3)]

        def now() -> list[str]:
            return [api.get(f"/pins/{i}").json().get("status", "gone") for i in ids]

        assert now() == ["failed", "failed", "pinned"]
        assert api.delete(f"/pins/{ids[2]}").status_code == 202
        assert now() == ["failed", "failed", "gone"]
        clock.now += 6
        assert now() == ["failed", "pinned", "pinned"]


def test_any_pinned_pin_may_fail(talk: Talk, cid: CidOf) -> None:
    with Sandbox([TOKEN], faults=played("fails", method="GET")) as running, talk(running) as api:
        api.get("/pins")
        for n in range(3):
            running.store.put(TOKEN, cid(n))
        for left in (2, 1, 0, 0):
            api.get("/pins")
            assert sum(p.status == "pinned" for p in running.store.all(TOKEN)) == left


@pytest.mark.parametrize(
    ("when", "hit"),
    [
        ({}, [1, 2, 3, 4, 5, 6]), ({"nth": 2}, [2]), ({"first": 2}, [1, 2]), ({"after": 4}, [5, 6]),
        ({"every": 3}, [3, 6]), ({"after": 3, "every": 2}, [4, 6]), ({"method": "POST"}, []),
        ({"path": "/pins"}, [1, 2, 3, 4, 5, 6]), ({"path": "/pins/*"}, []),
    ],
    ids=str,
)  # fmt: skip
def test_which_requests_a_rule_is_for(talk: Talk, when: dict[str, Any], hit: list[int]) -> None:
    with Sandbox([TOKEN], faults=played("error", **when)) as running, talk(running) as api:
        assert [n for n in range(1, 7) if api.get("/pins").status_code == 500] == hit


def test_the_first_rule_that_holds_decides_and_all_count(talk: Talk) -> None:
    script = read_script(
        [
            {"when": {"nth": 1}, "do": {"error": 501}},
            {"when": {"first": 2}, "do": "error"},
            {"when": {"after": 3}, "do": "auth"},
        ]
    )
    with Sandbox([TOKEN], faults=script) as running, talk(running) as api:
        assert [api.get("/pins").status_code for _ in range(5)] == [501, 500, 200, 401, 401]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "a list of rules"), ([], "a list of rules"), ([{}], "rule 1: it has no `do`"),
        ([{"do": "reset"}, {"do": "resett"}], "rule 2: there is no mishap 'resett'"),
        ([{"do": {"error": "x"}}], "'x' is no number (status)"), ([{"do": {"error": 1, "reset": 2}}], "one word"),
        ([{"do": "reset", "wehn": {}}], "no key 'wehn'"), ([{"do": "reset", "when": {"nht": 1}}], "no key 'nht'"),
        ([{"do": "reset", "when": {"nth": 0}}], "no number above 0"), ([{"do": "reset", "when": 3}], "no mapping"),
        ([{"do": "reset", "when": {"method": "PUT"}}], "'PUT' is not one of"),
        ([{"do": "quota", "when": {"method": "GET"}}], "cannot befall a GET"),
    ],
    ids=str,
)  # fmt: skip
def test_scripts_that_cannot_be_played(document: object, said: str) -> None:
    with pytest.raises(ScriptError) as raised:
        read_script(document)
    assert said in str(raised.value)


def test_chance_is_the_same_with_the_same_seed(talk: Talk, cid: CidOf) -> None:
    def history(seed: int) -> list[str]:
        chance = Chance(0.5, seed=seed, mishaps=["limited", "error", "quota", "html"])
        with Sandbox([TOKEN], faults=chance) as running, talk(running) as api:
            codes = [str(api.post("/pins", json={"cid": cid(n)}).status_code) for n in range(30)]
        assert sum(chance.played.values()) > 5
        return codes

    assert history(1) == history(1) != history(2)


def test_chance_meets_every_mishap_that_takes_no_hours(talk: Talk, cid: CidOf) -> None:
    chance = Chance(0.9, seed=1)
    with Sandbox([TOKEN], faults=chance) as running, talk(running) as api:
        for n in range(150):
            for verb, path, body in (
                ("POST", "/pins", {"cid": cid(n)}),
                ("GET", "/pins", None),
                ("DELETE", "/pins/x", None),
            ):
                try:
                    api.request(verb, path, json=body)
                except httpx.TransportError:
                    continue
    assert set(chance.played) == {m.name for m in MISHAPS.values() if m.common}


@pytest.mark.parametrize(
    ("text", "rate"),
    [("60/min", Rate(60, 60)), ("100/s", Rate(100, 1)), ("5/10s", Rate(5, 10)), ("7/hour", Rate(7, 3600))],
)
def test_rates(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("text", ["", "60", "60/", "/min", "60/day", "0/s", "60/0s", "-1/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="no rate"):
        Rate.parse(text)


def test_a_limit_of_requests(talk: Talk, clock: Any) -> None:
    limit = RateLimit(Rate(3, 60), clock=clock)
    with Sandbox([TOKEN], faults=limit) as running, talk(running) as api:
        answers = [api.get("/pins") for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["2", "1", "0", "0", "0"]
        assert 60 <= int(answers[3].headers["retry-after"]) <= 61
        assert limit.refused == 2
        clock.now += 60
        assert api.get("/pins").status_code == 200


def test_a_limit_without_a_word(talk: Talk, clock: Any) -> None:
    with (
        Sandbox([TOKEN], faults=RateLimit(Rate(1, 60), hints=False, clock=clock)) as running,
        talk(running) as api,
    ):
        answers = [api.get("/pins") for _ in range(2)]
        assert [a.status_code for a in answers] == [200, 429]
        assert not any(name.startswith(("retry", "x-rate")) for a in answers for name in a.headers)


def test_all_of_several(talk: Talk, clock: Any, cid: CidOf) -> None:
    faults = AllOf(
        RateLimit(Rate(3, 60), clock=clock), played("error-after", method="POST"), played({"delay": 0.01})
    )
    with Sandbox([TOKEN], faults=faults) as running, talk(running) as api:
        spoiled = api.post("/pins", json={"cid": cid(1)})
        assert (spoiled.status_code, spoiled.headers["x-ratelimit-remaining"]) == (500, "2")
        assert [api.get("/pins").status_code for _ in range(3)] == [200, 200, 429]
        assert len(running.store.all(TOKEN)) == 1
