import datetime

import msgspec
import pytest

from reconciler.core.cid import parse
from reconciler.core.digest import digest
from reconciler.core.manifest import (
    Adopt,
    CidRef,
    Entry,
    GuardLimits,
    Limits,
    Manifest,
    Node,
    Note,
    Percent,
    Rate,
    Replicas,
    SecretRef,
    Service,
    Spec,
)
from reconciler.core.policy import Policy, PolicyUse, Retain
from reconciler.core.profile import PROFILES

V0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
V1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
REF = CidRef(kind="env", value="SITE_CID")

SERVICE = Service(
    name="a", endpoint="https://a.example", key=SecretRef(kind="env", value=("A",)), profile=PROFILES["spec"]
)
SPEC = Spec(services=("a", "b"), meta={"x": "1", "y": "2"}, file="pinrec.yaml")
BASE = Manifest(
    owner="acme",
    services={"a": SERVICE, "b": msgspec.structs.replace(SERVICE, name="b", endpoint="https://b.example")},
    entries=[Entry("one", parse(V0), SPEC, 10), Entry("two", REF, SPEC, 11)],
    adopt=(Adopt(match="x"), Adopt(match="y")),
)
POLICY = Policy(
    name="photos",
    kind="mfs",
    settings={"path": "/photos"},
    pin_name="x",
    uses={"a": PolicyUse(), "b": PolicyUse()},
)
RESOLVED = {"env: SITE_CID": "bafkqaaa"}


def change(manifest: Manifest = BASE, **changes: object) -> Manifest:
    return msgspec.structs.replace(manifest, **changes)


def service(**changes: object) -> Manifest:
    return change(services={**BASE.services, "a": msgspec.structs.replace(SERVICE, **changes)})


def entry(**changes: object) -> Manifest:
    return change(entries=[msgspec.structs.replace(BASE.entries[0], **changes), BASE.entries[1]])


def spec(**changes: object) -> Manifest:
    return entry(spec=msgspec.structs.replace(SPEC, **changes))


def policy(**changes: object) -> Manifest:
    return change(policies={"photos": msgspec.structs.replace(POLICY, **changes)})


SAME = {
    "how a node is reached": change(node=Node(api="http://127.0.0.1:5001", timeout=5)),
    "a policy that nothing uses": policy(uses={}),
    "another spelling": entry(cid=parse(V1)),
    "another line": entry(line=99),
    "another file": spec(file="other.yaml"),
    "keys of meta in another order": spec(meta={"y": "2", "x": "1"}),
    "services in another order": spec(services=("b", "a")),
    "services declared in another order": change(services=dict(reversed(BASE.services.items()))),
    "globs in another order": change(adopt=BASE.adopt[::-1]),
    "notes": change(notes=(Note(file="x", message="y"),)),
    "the manifest's own path": change(path="elsewhere.yaml"),
    "a preset that says the same": service(preset="pinata"),
    "a spec of its own": spec(),
}
OTHER = {
    "owner": change(owner="acme2"),
    "previous owner": change(previous_owners=("old",)),
    "name": entry(name="one2"),
    "no name": entry(name=""),
    "cid": entry(cid=parse("bafkqaaa")),
    "order of entries": change(entries=BASE.entries[::-1]),
    "one entry less": change(entries=BASE.entries[:1]),
    "meta": spec(meta={"x": "2", "y": "2"}),
    "services": spec(services=("a",)),
    "replicas": spec(services=Replicas(count=2, of=("a", "b"))),
    "origins": spec(origins=("/dns4/x/tcp/1/p2p/y",)),
    "protect": spec(protect=True),
    "expires": spec(expires=datetime.date(2030, 1, 1)),
    "replace": spec(replace="modify"),
    "endpoint": service(endpoint="https://c.example"),
    "key": service(key=SecretRef(kind="file", value=("A",))),
    "limits": service(limits=Limits(requests=Rate(1.0, 1.0))),
    "profile": service(profile=PROFILES["unknown"]),
    "ownership": service(ownership="prefix"),
    "state": service(state="suspended"),
    "prune": service(prune=False),
    "adopt": change(adopt=(Adopt(match="x", prune=True), Adopt(match="y"))),
    "ignore": change(ignore=("x",)),
    "protected": change(protected=("x",)),
    "unprotect": change(unprotect=("x",)),
    "guards": change(guards=GuardLimits(max_deletes=10)),
    "guards in percent": change(guards=GuardLimits(max_deletes=Percent(10.0))),
    "the node that is believed": change(node=Node(peer_id="12D3KooW")),
    "a policy": policy(),
    "a policy of another name": change(policies={"p": msgspec.structs.replace(POLICY, name="p")}),
    "a policy's kind": policy(kind="ipns"),
    "a policy's settings": policy(settings={"path": "/"}),
    "a policy's pin name": policy(pin_name="y"),
    "a policy's repinInterval": policy(repin_interval=1.0),
    "a policy's settle": policy(settle=1.0),
    "a policy that is off": policy(enabled=False),
    "a policy's replace": policy(replace="safe"),
    "a number of roots": policy(retain=Retain(count=3)),
    "an age of roots": policy(retain=Retain(age=3.0)),
    "a policy's protect": policy(protect=True),
    "a policy that is local too": policy(local=True),
    "a pin that is local too": spec(local=True),
    "a policy's meta": policy(meta={"a": "b"}),
    "a policy on fewer services": policy(uses={"a": PolicyUse()}),
    "a policy's interval at a service": policy(uses={"a": PolicyUse(repin_interval=1.0), "b": PolicyUse()}),
    "two policies": change(policies={"photos": POLICY, "q": msgspec.structs.replace(POLICY, name="q")}),
    "two policies the other way round": change(
        policies={"q": msgspec.structs.replace(POLICY, name="q"), "photos": POLICY}
    ),
}


@pytest.mark.parametrize("what", SAME)
def test_what_means_the_same_has_one_digest(what: str) -> None:
    assert digest(SAME[what], RESOLVED) == digest(BASE, RESOLVED)


def test_what_means_something_else_has_another() -> None:
    digests = {what: digest(manifest, RESOLVED) for what, manifest in OTHER.items()}
    digests["base"] = digest(BASE, RESOLVED)
    assert len(set(digests.values())) == len(digests)


def test_where_a_policy_stands_and_in_what_order_its_services_do_changes_nothing() -> None:
    same = policy(file="x.yaml", line=7, uses=dict(reversed(POLICY.uses.items())))
    assert digest(same, RESOLVED) == digest(policy(), RESOLVED)


def test_a_resolved_cid_counts_by_what_it_is() -> None:
    ref_to = change(entries=[Entry("one", REF, SPEC)])
    assert digest(ref_to, {str(REF): V0}) == digest(ref_to, {str(REF): V1})
    assert digest(ref_to, {str(REF): V0}) == digest(change(entries=[Entry("one", parse(V1), SPEC)]), {})
    assert digest(ref_to, {str(REF): V0}) != digest(ref_to, {})


def test_more_entries_than_one_batch() -> None:
    many = [Entry(f"n{i}", parse(V0), SPEC, i) for i in range(5000)]
    assert digest(change(entries=many), {}) != digest(change(entries=many[:-1]), {})
