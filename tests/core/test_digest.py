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
    Note,
    Percent,
    Rate,
    Replicas,
    SecretRef,
    Service,
    Spec,
)
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
RESOLVED = {"env: SITE_CID": "bafkqaaa"}


def change(manifest: Manifest = BASE, **changes: object) -> Manifest:
    return msgspec.structs.replace(manifest, **changes)


def service(**changes: object) -> Manifest:
    return change(services={**BASE.services, "a": msgspec.structs.replace(SERVICE, **changes)})


def entry(**changes: object) -> Manifest:
    return change(entries=[msgspec.structs.replace(BASE.entries[0], **changes), BASE.entries[1]])


def spec(**changes: object) -> Manifest:
    return entry(spec=msgspec.structs.replace(SPEC, **changes))


SAME = {
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
}


@pytest.mark.parametrize("what", SAME)
def test_what_means_the_same_has_one_digest(what: str) -> None:
    assert digest(SAME[what], RESOLVED) == digest(BASE, RESOLVED)


def test_what_means_something_else_has_another() -> None:
    digests = {what: digest(manifest, RESOLVED) for what, manifest in OTHER.items()}
    digests["base"] = digest(BASE, RESOLVED)
    assert len(set(digests.values())) == len(digests)


def test_a_resolved_cid_counts_by_what_it_is() -> None:
    ref_to = change(entries=[Entry("one", REF, SPEC)])
    assert digest(ref_to, {str(REF): V0}) == digest(ref_to, {str(REF): V1})
    assert digest(ref_to, {str(REF): V0}) == digest(change(entries=[Entry("one", parse(V1), SPEC)]), {})
    assert digest(ref_to, {str(REF): V0}) != digest(ref_to, {})


def test_more_entries_than_one_batch() -> None:
    many = [Entry(f"n{i}", parse(V0), SPEC, i) for i in range(5000)]
    assert digest(change(entries=many), {}) != digest(change(entries=many[:-1]), {})
