"""Every combination of the diff table, against the table as `core.diff` draws it, written down a second time here."""

from itertools import combinations_with_replacement, permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scenario import LETTERS

from reconciler.core.cid import parse
from reconciler.core.diff import diff_service
from reconciler.core.manifest import SecretRef, Service, Spec
from reconciler.core.model import Desired, Listing, Owner, Remote
from reconciler.core.plan import Action, Add, Blocked, Delete, Keep, Replace, Retry
from reconciler.core.profile import PROFILES

A, B, C = (parse(LETTERS[x]) for x in "ABC")
SPEC = Spec(services=("s",), file="pinrec.yaml")


def remote(
    number: int, name: str, cid: Any, status: str = "pinned", owner: Owner = Owner.OURS, **more: Any
) -> Remote:
    """Pins are as old as their number is low."""
    created = f"2026-01-01T00:00:{number:02d}.000Z"
    listed = more.pop("listed_name", name)
    return Remote(
        requestid=more.pop("requestid", f"r{number}"), cid=cid, name=name, listed_name=listed,
        status=status, created=created, owner=owner, **more,
    )  # fmt: skip


def diff(
    wanted: dict[str, Any], remotes: list[Remote], profile: str = "spec", spec: Spec = SPEC
) -> list[Action]:
    service = Service(
        name="s", endpoint="http://x", key=SecretRef(kind="env", value=("K",)), profile=PROFILES[profile]
    )
    entries = {n: Desired(n, c, spec, line) for line, (n, c) in enumerate(wanted.items(), 1)}
    listing = Listing(service="s", remotes=tuple(remotes), complete=True)
    return diff_service(service, entries, {}, listing).actions


def deleted(actions: list[Action]) -> set[str]:
    """Everything that would go: now, or once a replace is true."""
    now = {a.victim.ref.requestid for a in actions if isinstance(a, Delete)}
    return now | {v.ref.requestid for a in actions if isinstance(a, Replace) for v in a.olds}


STATES = [
    ("W", "pinned"),
    ("W", "queued"),
    ("W", "failed"),
    ("O", "pinned"),
    ("O", "queued"),
    ("O", "failed"),
]
HISTORIES = sorted(
    {
        order
        for n in range(4)
        for kinds in combinations_with_replacement(STATES, n)
        for order in permutations(kinds)
    }
)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda h: " ".join(f"{k}-{s}" for k, s in h) or "nothing")
def test_every_history_of_a_key(history: tuple[tuple[str, str], ...]) -> None:
    pins = [remote(i, "n", A if kind == "W" else B, status) for i, (kind, status) in enumerate(history)]
    w, o = [p for p in pins if p.cid == A], [p for p in pins if p.cid == B]
    pinned = [p for p in pins if p.status == "pinned"]
    stand = pinned[-1] if pinned else None
    waiting_w = [p for p in w if p.status == "queued"]
    actions = diff({"n": A}, pins)
    changes = [a for a in actions if isinstance(a, Add | Replace | Retry)]

    waits = {p.requestid for p in pins if p.status == "queued"}
    assert not deleted(actions) & waits, "what waits is never deleted"
    if stand is not None and stand in w:
        assert changes == []
        assert deleted(actions) == {p.requestid for p in pins if p is not stand} - waits
        told = ["wait-second-half"] if pins[-1].status == "queued" else []
        assert [a.reason for a in actions if isinstance(a, Keep)] == told, "it is not over yet"
    elif waiting_w and (stand is None or waiting_w[-1].age > stand.age):
        assert changes == []
        assert [a.reason for a in actions if isinstance(a, Keep)] == ["waiting"]
        assert stand is None or stand.requestid not in deleted(actions)
        failed = {p.requestid for p in pins if p.status == "failed"}
        yields = {p.requestid for p in pinned if p is not stand}
        assert failed <= deleted(actions) <= failed | yields
    elif not w and not o:
        assert [type(a) for a in changes] == [Add]
    elif not w:
        assert [(type(a), a.reason) for a in changes] == [(Replace, "cid")]
        assert stand is None or stand.requestid in deleted(actions), "it goes once the new one is pinned"
        assert not any(
            isinstance(a, Delete) and stand and a.victim.ref.requestid == stand.requestid for a in actions
        )
    elif all(p.status == "failed" for p in w) and stand is None and not waiting_w:
        assert [type(a) for a in changes] == [Retry]
        newest = max(w, key=lambda p: p.age)
        assert newest.requestid not in deleted(actions)
    elif all(p.status == "failed" for p in w):
        assert [type(a) for a in changes] == [Retry]
    else:
        assert [(type(a), a.reason) for a in changes] == [(Replace, "revert")]


@pytest.mark.parametrize(
    ("owner", "status"), list(product([Owner.UNMARKED, Owner.OTHER], ["pinned", "queued", "failed"]))
)
@pytest.mark.parametrize("profile", ["spec", "ipfs-cluster", "unknown"])
def test_a_foreign_pin_of_the_wanted_cid(owner: Owner, status: str, profile: str) -> None:
    actions = diff({"n": A}, [remote(1, "theirs", A, status, owner)], profile)
    held = owner is Owner.UNMARKED and status == "pinned"
    if held:
        assert [(type(a), a.reason) for a in actions] == [(Keep, "held")]
    elif profile == "spec":
        assert [type(a) for a in actions] == [Add]
    else:
        assert [type(a) for a in actions] == [Blocked]
    assert deleted(actions) == set()


def test_a_pin_of_ours_under_another_wanted_name_ends_the_holding() -> None:
    actions = diff({"n": A, "m": A}, [remote(1, "theirs", A, owner=Owner.UNMARKED), remote(2, "m", A)])
    assert [(type(a), a.name) for a in actions] == [(Add, "n")]


def test_a_delete_waits_for_each_key_that_wants_its_cid() -> None:
    """Two keys want A; one has no copy of its own yet, so the third name's copy stays."""
    pins = [remote(1, "gone", A), remote(2, "one", A), remote(3, "two", A, "queued")]
    assert deleted(diff({"one": A, "two": A}, pins)) == set()
    pins[2] = remote(3, "two", A)
    assert deleted(diff({"one": A, "two": A}, pins)) == {"r1"}


def test_two_pinned_pins_of_one_cid_prove_that_pins_are_separate() -> None:
    pins = [remote(1, "one", A), remote(2, "x", A, owner=Owner.UNMARKED)]
    assert [type(a) for a in diff({"one": A, "two": A}, pins, "unknown")] == [Add]


def test_two_spellings_prove_nothing_where_the_id_is_the_cid() -> None:
    v0 = parse("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG")
    v1 = parse(v0.canonical)
    pins = [
        remote(1, "one", v0, requestid=v0.text),
        remote(2, "x", v1, requestid=v1.text, owner=Owner.UNMARKED),
    ]
    assert [a.reason for a in diff({"one": v0, "two": v0}, pins, "unknown") if isinstance(a, Keep)] == [
        "satisfied"
    ]


def test_adopted_pins_are_not_deleted_unless_prune_says_so() -> None:
    pins = [remote(1, "a", A, owner=Owner.ADOPTED), remote(2, "b", B, owner=Owner.PRUNABLE)]
    assert deleted(diff({}, pins)) == {"r2"}


def test_modify_is_used_only_where_the_old_cid_is_wanted_by_nobody() -> None:
    spec = Spec(services=("s",), file="f", replace="modify")
    old = remote(1, "n", A)
    alone = [a for a in diff({"n": B}, [old], spec=spec) if isinstance(a, Replace)]
    shared = [a for a in diff({"n": B, "m": A}, [old], spec=spec) if isinstance(a, Replace)]
    lossy = [a for a in diff({"n": B}, [old], "ipfs-cluster", spec=spec) if isinstance(a, Replace)]
    assert [a.how for a in (*alone, *shared, *lossy)] == ["modify", "safe", "safe"]


PINS = st.lists(
    st.builds(
        lambda n, name, cid, status, owner: remote(n, name, cid, status, owner),
        st.integers(0, 59), st.sampled_from("xyz"), st.sampled_from([A, B, C]),
        st.sampled_from(["pinned", "queued", "pinning", "failed"]), st.sampled_from(list(Owner)),
    ),
    max_size=7, unique_by=lambda p: p.requestid,
)  # fmt: skip


@given(
    PINS,
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from([A, B, C])),
    st.sampled_from(sorted(PROFILES)),
)
def test_nothing_foreign_is_in_any_action_and_a_settled_state_has_none(
    pins: list[Remote], wanted: dict[str, Any], profile: str
) -> None:
    foreign = {p.requestid for p in pins if not p.mine or p.owner is Owner.ADOPTED}
    actions = diff(wanted, pins, profile)
    undesired = {a.victim.ref.requestid for a in actions if isinstance(a, Delete) and a.name not in wanted}
    assert not undesired & foreign
    assert not deleted(actions) & {p.requestid for p in pins if not p.mine}
    assert actions == diff(wanted, list(reversed(pins)), profile) or _same(
        actions, diff(wanted, pins[::-1], profile)
    )


def _same(left: list[Action], right: list[Action]) -> bool:
    """The order of a listing decides nothing but the order in which actions are found."""
    key = repr
    return sorted(map(key, left)) == sorted(map(key, right))
