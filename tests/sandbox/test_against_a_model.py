"""Random requests to a sandbox and to a naive model of the API answer alike."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from reconciler.sandbox import Lifecycle, Sandbox

TOKENS = ("one", "two")
STATUSES = ("queued", "pinning", "pinned", "failed")


def _cid(n: int) -> str:
    digest = hashlib.sha256(str(n).encode()).digest()
    return "b" + base64.b32encode(b"\x01\x55\x12\x20" + digest).decode().lower().rstrip("=")


CIDS = [_cid(n) for n in range(4)]
#: Of these content is slow to come, or never found.
ENDS = {CIDS[2]: "failed", CIDS[3]: "pinning"}

names = st.one_of(
    st.sampled_from(["", "a", "A", "ab", "Straße", "STRASSE", "σς", "ΣΣ", "İ", "%", "a_b"]),
    st.text(max_size=6),
)
metas = st.dictionaries(st.sampled_from(["k", "app", ""]), st.sampled_from(["v", "w", ""]), max_size=3)
bodies = st.builds(
    lambda cid, **more: {"cid": cid} | {key: value for key, value in more.items() if value is not None},
    st.sampled_from(CIDS),
    name=st.none() | names,
    meta=st.none() | metas,
    origins=st.none() | st.just(["/ip4/203.0.113.9/tcp/4001/p2p/QmPeer"]),
)
queries = st.fixed_dictionaries(
    {},
    optional={
        "status": st.lists(st.sampled_from(STATUSES), min_size=1, unique=True),
        "cid": st.lists(st.sampled_from(CIDS), min_size=1, unique=True),
        "name": names,
        "match": st.sampled_from(["exact", "iexact", "partial", "ipartial"]),
        "meta": metas,
        "limit": st.integers(1, 5) | st.just(1000),
        "before": st.integers(-2, 12),
        "after": st.integers(-2, 12),
    },
)


@dataclass
class Pinned:
    """A pin of the model: what the service answered when it was added, and when that was."""

    token: str
    answer: dict[str, Any]
    at: float
    body: dict[str, Any] = field(default_factory=dict)

    def status(self, now: float) -> str:
        if now < self.at + 1:
            return "queued"
        return "pinning" if now < self.at + 3 else ENDS.get(self.body["cid"], "pinned")

    def matches(self, query: dict[str, Any], now: float) -> bool:
        name, wanted, created = self.body.get("name"), query.get("name"), self.answer["created"]
        if wanted is not None:
            if name is None:
                return False
            kind = query.get("match", "exact")
            if kind.startswith("i"):
                name, wanted = name.casefold(), wanted.casefold()
            if not (wanted in name if kind.endswith("partial") else wanted == name):
                return False
        return (
            self.status(now) in query.get("status", ["pinned"])
            and self.body["cid"] in query.get("cid", CIDS)
            and query.get("meta", {}).items() <= self.body.get("meta", {}).items()
            and created < query.get("before", "9")
            and created > query.get("after", "0")
        )

    def shown(self, now: float) -> dict[str, Any]:
        status = self.status(now)
        info = {"status_details": "The content could not be found"} if status == "failed" else {}
        return self.answer | {"status": status, "info": info}


class SandboxAndModel(RuleBasedStateMachine):
    ids = Bundle("ids")

    @initialize()
    def start(self) -> None:
        self.now = 1_780_000_000.0
        lifecycle = Lifecycle(queued=1, pinning=2, ends=lambda sent: ENDS.get(sent, "pinned"))  # type: ignore[arg-type, return-value]
        self.sandbox = Sandbox(TOKENS, lifecycle=lifecycle, clock=lambda: self.now)
        self.sandbox.__enter__()
        self.http = httpx.Client(base_url=self.sandbox.url, trust_env=False, timeout=30)
        self.pins: dict[str, Pinned] = {}

    def teardown(self) -> None:
        if hasattr(self, "http"):
            self.http.close()
            self.sandbox.__exit__(None, None, None)

    def ask(self, token: str, verb: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(verb, path, headers={"authorization": f"Bearer {token}"}, **more)

    def remember(self, token: str, body: dict[str, Any], answer: httpx.Response) -> str:
        assert answer.status_code == 202, answer.text
        added = answer.json()
        requestid: str = added["requestid"]
        assert requestid not in self.pins
        assert added["pin"] == body
        assert all(
            pin.answer["created"] < added["created"] for pin in self.pins.values() if pin.token == token
        )
        self.pins[requestid] = Pinned(token, added, self.now, body)
        return requestid

    @rule(target=ids, token=st.sampled_from(TOKENS), body=bodies)
    def add(self, token: str, body: dict[str, Any]) -> str:
        return self.remember(token, body, self.ask(token, "POST", "/pins", json=body))

    @rule(target=ids, old=consumes(ids), token=st.sampled_from(TOKENS), body=bodies)
    def replace(self, old: str, token: str, body: dict[str, Any]) -> Any:
        answer = self.ask(token, "POST", f"/pins/{old}", json=body)
        if self.pins[old].token != token:
            assert answer.status_code == 404
            return old
        new = self.remember(token, body, answer)
        del self.pins[old]
        return new

    @rule(target=ids, requestid=consumes(ids), token=st.sampled_from(TOKENS))
    def delete(self, requestid: str, token: str) -> Any:
        answer = self.ask(token, "DELETE", f"/pins/{requestid}")
        if self.pins[requestid].token != token:
            assert answer.status_code == 404
            return requestid
        assert (answer.status_code, answer.content) == (202, b"")
        del self.pins[requestid]
        assert self.ask(token, "GET", f"/pins/{requestid}").status_code == 404
        return multiple()

    @rule(requestid=ids, token=st.sampled_from(TOKENS))
    def get(self, requestid: str, token: str) -> None:
        answer = self.ask(token, "GET", f"/pins/{requestid}")
        pin = self.pins[requestid]
        assert answer.status_code == (200 if pin.token == token else 404)
        if pin.token == token:
            assert answer.json() == pin.shown(self.now)

    @rule(seconds=st.sampled_from([0.0004, 0.001, 0.5, 1.0, 2.0, 300.0, 90_000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(token=st.sampled_from(TOKENS), query=queries)
    def find(self, token: str, query: dict[str, Any]) -> None:
        for key in ("before", "after"):
            if key in query:
                query[key] = self.instant(token, query[key])
        sent = {key: ",".join(value) if isinstance(value, list) else value for key, value in query.items()}
        if "meta" in sent:
            sent["meta"] = json.dumps(sent["meta"])
        answer = self.ask(token, "GET", "/pins", params=sent)
        assert answer.status_code == 200, answer.text
        found = [
            pin.shown(self.now)
            for pin in self.pins.values()
            if pin.token == token and pin.matches(query, self.now)
        ]
        found.sort(key=lambda shown: str(shown["created"]), reverse=True)
        assert answer.json() == {"count": len(found), "results": found[: query.get("limit", 10)]}

    def instant(self, token: str, place: int) -> str:
        """The `created` of a pin, or an instant that is near to none."""
        created = sorted(pin.answer["created"] for pin in self.pins.values() if pin.token == token)
        if 0 <= place < len(created):
            return str(created[place])
        return datetime.fromtimestamp(self.now + place, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    @invariant()
    def counts_add_up(self) -> None:
        if hasattr(self, "http"):
            for token in TOKENS:
                answer = self.ask(token, "GET", "/pins", params={"status": ",".join(STATUSES), "limit": 1})
                assert answer.json()["count"] == sum(pin.token == token for pin in self.pins.values())


TestSandboxAndModel = SandboxAndModel.TestCase
# A step is a request or two, so half as many examples are enough.
TestSandboxAndModel.settings = settings(max_examples=settings().max_examples // 2)
