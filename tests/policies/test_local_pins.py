"""`kind: local-pins`: the node's own named pins, remotely."""

from typing import Any

import pytest
from support.model import raw_cid

from reconciler.core.cid import parse
from reconciler.core.policy import Policy
from reconciler.core.question import Facts, LocalPins, NamedPins, NotKnown
from reconciler.policies import KINDS

A, B, C = (parse(raw_cid(x)) for x in "ABC")


def policy(**more: Any) -> Policy:
    return Policy(name="keep", kind="local-pins", settings={"match": "release-*"}, pin_name="{name}", **more)


def names(*pins: tuple[str, Any]) -> dict[str, str]:
    facts = Facts({NamedPins("release-*"): LocalPins(pins)})
    wanted = KINDS["local-pins"].wanted(policy(), facts, {"s": "https://s.example"})
    assert not wanted.unknown
    return {w.name: w.cid.text for w in wanted.wants}


def test_each_named_pin_is_wanted_under_its_name() -> None:
    assert names(("release-1", A), ("release-2", B)) == {"release-1": A.text, "release-2": B.text}


def test_cids_that_share_a_name_are_told_apart_whatever_their_order() -> None:
    expected = {f"release-1-{A.text[-8:]}": A.text, f"release-1-{B.text[-8:]}": B.text, "release-2": C.text}
    assert names(("release-1", A), ("release-1", B), ("release-2", C)) == expected
    assert names(("release-2", C), ("release-1", B), ("release-1", A)) == expected


def test_one_cid_listed_twice_is_one_pin() -> None:
    assert names(("release-1", A), ("release-1", A)) == {"release-1": A.text}


def test_a_node_that_does_not_answer_is_unknown_and_what_it_could_own_is_named() -> None:
    facts = Facts({NamedPins("release-*"): NotKnown(why="it is down", hint="start it")})
    wanted = KINDS["local-pins"].wanted(policy(), facts, {})
    [unknown] = wanted.unknown
    assert (unknown.why, unknown.hint, unknown.patterns) == ("it is down", "start it", ("*",))
    assert not wanted.wants


def test_switched_off_asks_nothing_of_anybody() -> None:
    [unknown] = KINDS["local-pins"].wanted(policy(enabled=False), Facts(), {}).unknown
    assert unknown.meant


@pytest.mark.parametrize(("name", "fine"), [("{name}", True), ("mirror/{name}", True), ("mirror", False)])
def test_a_pin_name_without_the_local_name_is_refused(name: str, fine: bool) -> None:
    from msgspec.structs import replace

    assert (KINDS["local-pins"].problems(replace(policy(), pin_name=name)) == ()) is fine


def test_what_it_could_own_is_named_though_its_pin_name_looks_like_a_glob() -> None:
    from msgspec.structs import replace

    from reconciler.core.globs import Globs

    odd = replace(policy(enabled=False), pin_name="a[1]/{name}")
    [unknown] = KINDS["local-pins"].wanted(odd, Facts(), {}).unknown
    assert Globs(unknown.patterns).match("a[1]/release-1") is not None
