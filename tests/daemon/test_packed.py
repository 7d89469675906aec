"""What is packed comes back as it was."""

from hypothesis import given
from hypothesis import strategies as st
from support.looping import root

from reconciler.core.cid import parse
from reconciler.core.focus import Traces, entry_cids, entry_names, policy_names, without_entries
from reconciler.core.manifest import CidRef, Entry, GuardLimits, Manifest, Spec
from reconciler.core.model import Listing, Owner, Remote
from reconciler.core.policy import Policy, PolicyUse
from reconciler.daemon import packed
from reconciler.daemon.holding import Holding

V0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
SPECS = (
    Spec(services=("a",), file="m.yaml"),
    Spec(services=("b",), meta={"x": "y"}, source="l.txt", file="l.txt"),
)

entries = st.lists(
    st.builds(
        Entry,
        st.text(max_size=5),
        st.sampled_from(
            [
                parse(root(1)),
                parse(V0),
                CidRef(kind="env", value="SITE"),
                CidRef(kind="file", value="f", path="/f"),
            ]
        ),
        st.sampled_from(SPECS),
        st.integers(0, 10**6),
    ),
    max_size=20,
)


def _plain(entry: Entry) -> tuple[object, ...]:
    cid = entry.cid if isinstance(entry.cid, CidRef) else (entry.cid.text, entry.cid.canonical)
    return entry.name, cid, entry.spec, entry.line


@given(listed=entries, few=st.booleans())
def test_a_manifest(listed: list[Entry], few: bool) -> None:
    manifest = Manifest(owner="me", services={}, entries=listed)
    before, packed.FEW = packed.FEW, 1000 if few else -1
    try:
        small = packed.PackedManifest(manifest)
    finally:
        packed.FEW = before
    assert small.count == len(listed)
    assert small.head.entries == []
    back = small.unpacked()
    assert [_plain(e) for e in back.entries] == [_plain(e) for e in listed]
    # Specs are shared as before: planning tells them apart by identity.
    assert len({id(e.spec) for e in back.entries}) == len({id(e.spec) for e in listed})


def remote(number: int, *, name: str = "n", status: str = "pinned", cid: str = "", **more: object) -> Remote:
    return Remote(
        requestid=str(more.pop("requestid", f"r{number}")),
        cid=parse(cid or root(number)),
        name=name,
        listed_name=str(more.pop("listed_name", name)),
        status=status,
        created="2027-01-01T00:00:00Z",
        owner=Owner.OURS,
        **more,  # type: ignore[arg-type]
    )


def test_pins() -> None:
    pins = (
        remote(1, meta={"pinrec": "me"}),
        remote(2, cid=V0, listed_name="pinrec/me/n", info={"why": "not found"}, status="failed"),
        remote(3, requestid=root(3), name="", meta={"pinrec": "me", "x": "y"}),
    )
    before, packed.FEW = packed.FEW, -1
    try:
        small = packed.PackedPins(pins)
    finally:
        packed.FEW = before
    back = small.unpacked()
    assert back[:2] == pins[:2]
    assert back[2].requestid == root(3)
    assert [p.cid.text for p in back] == [p.cid.text for p in pins]


def test_a_holding_keeps_policies_near_and_everything_true() -> None:
    policies = {
        "mfs": Policy(name="mfs", kind="mfs", pin_name="policy/{peer_id}/mfs", uses={"a": PolicyUse()})
    }
    names = policy_names(Manifest(owner="me", services={}, entries=[], policies=policies))
    pins = (
        remote(1, name="policy/12D3/mfs"),
        remote(2, name="policy/12D3/mfs@2027-01-01T00:00:00Z"),
        remote(3, name="x"),
    )
    holding = Holding(Listing(service="a", remotes=pins, complete=True, requests=7), names)
    assert set(holding.near) == {"r1", "r2"}
    assert holding.elsewhere([root(3)])
    assert not holding.elsewhere([root(1)])
    assert holding.summary.requests == 7
    holding.update("r1", None)
    holding.update("r3", None)
    holding.update("r4", remote(4, name="y"))
    holding.update("r5", remote(5, name="policy/12D3/mfs"))
    assert {p.requestid for p in holding.whole().remotes} == {"r2", "r4", "r5"}
    assert {p.requestid for p in holding.nearby().remotes} == {"r2", "r5"}
    assert holding.elsewhere([root(4)])
    assert holding.nearby().complete
    assert set(holding.recent) == {"r1", "r3", "r4", "r5"}


@given(texts=st.sets(st.text(max_size=8), max_size=50), other=st.text(max_size=8))
def test_traces_deny_nothing_that_is_there(texts: set[str], other: str) -> None:
    traces = Traces(texts)
    assert all(text in traces for text in texts)
    assert (other in traces) is (other in texts)
    assert len(traces) == len(texts)


def test_what_a_plan_of_the_policies_alone_leaves_out() -> None:
    manifest = Manifest(
        owner="me",
        services={},
        entries=[Entry("n", parse(V0), SPECS[0]), Entry("", CidRef(kind="env", value="SITE"), SPECS[0])],
        guards=GuardLimits(delete_grace=60.0, max_deletes=5),
    )
    alone = without_entries(manifest)
    assert alone.entries == []
    # One that knows no other name would end the grace of all of them.
    assert alone.guards == GuardLimits(delete_grace=0.0, max_deletes=5)
    cids = entry_cids(manifest, {"env: SITE": root(9)})
    assert parse(V0).canonical in cids
    assert root(9) in cids
    assert "n" in entry_names(manifest)
