"""`path:` in place of a CID, `kind: ipns`, and `names:`: what is read, and what is refused where it stands."""

import pytest

from reconciler.core.cid import parse
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest import GATEWAYS, CidRef, Names
from reconciler.core.policy import Retain
from reconciler.manifest.edit import add_pin, remove_pin, set_cid
from reconciler.policies import check

CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
KEY = "k51qzi5uqu5diqp3bshgmlffjq6xnrkgajoacouusu3pkilvc05h41hivsvv66"
PEER = "12D3KooWGj5sx51hBx5rKd87sKcAD4WxDtaJoU8igRhhGMHDpbmw"
POLICY = """\
version: 1
name: acme
services:
  a: {preset: pinata, key: {env: A}, policies: [docs]}
policies:
  docs: """


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/ipns/docs.example.org", "/ipns/docs.example.org"),
        ("ipns://Docs.example.org/a b/", "/ipns/docs.example.org/a b"),
        (f"/ipns/{PEER}", f"/ipns/{KEY}"),
        (f"/ipfs/{CID}/guide", f"/ipfs/{CID}/guide"),
    ],
)
def test_a_path_in_place_of_a_cid(folder, written: str, meant: str) -> None:
    [entry] = folder.pins(f"- {{path: {written}, name: docs}}").entries
    assert entry.cid == CidRef(kind="path", value=meant)
    assert str(entry.cid) == f"path: {meant}"


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("{path: /ipns/docs.example.org}", "`name` is missing"),
        ("{name: x}", "`cid` is missing"),
        (f"{{path: /ipns/docs.example.org, cid: {CID}, name: x}}", "a cid or a path, not both"),
        ("{path: docs.example.org, name: x}", "it must begin with /ipns/ or /ipfs/"),
        ("{path: /ipns/nothing, name: x}", "neither a domain nor the name of a key"),
        (f"{{path: /ipfs/{CID}/, name: x}}", f"write `cid: {CID}`"),
        ("{path: 5, name: x}", "must be a text"),
    ],
)
def test_what_is_no_path_is_refused_where_it_stands(folder, item: str, problem: str) -> None:
    [said] = folder.pin_problems(f"- {item}")
    assert said.startswith("pinrec.yaml:8:")
    assert problem in said


def test_one_name_with_two_paths_is_a_contradiction(folder) -> None:
    [said] = folder.pin_problems("- {path: /ipns/a.example, name: x}\n- {path: /ipns/b.example, name: x}")
    assert "is wanted with two CIDs: path: /ipns/b.example here, path: /ipns/a.example at" in said


def test_a_pin_with_a_path_is_removed_like_any_other_and_its_cid_is_not_set(folder) -> None:
    folder.pins(f"- {{path: /ipns/a.example, name: x}}\n- {{cid: {CID}, name: y}}")
    with pytest.raises(UsageError) as caught:
        set_cid("pinrec.yaml", "x", parse(CID))
    assert "'x' takes its CID from path: /ipns/a.example" in str(caught.value).replace('"', "'")
    assert "`pinrec apply` follows it" in caught.value.hint
    with pytest.raises((UsageError, ManifestError)):
        add_pin("pinrec.yaml", cid=parse(CID), name="x", services=["a"])
    remove_pin("pinrec.yaml", "x")
    text = (folder.path / "pinrec.yaml").read_text()
    assert "a.example" not in text
    assert CID in text


# --- the policy -----------------------------------------------------------------------------------------------


def test_a_policy_of_the_kind_ipns(folder) -> None:
    policy = folder.load(POLICY + "{kind: ipns, name: /ipns/docs.example.org/v1, retain: 3}").policies["docs"]
    assert policy.settings == {"name": "/ipns/docs.example.org/v1", "interval": "10m"}
    assert policy.pin_name == "docs.example.org/v1"
    assert policy.retain == Retain(count=3)
    named = folder.load(POLICY + f"{{kind: ipns, name: /ipns/{KEY}, pinName: mine, interval: 1h}}").policies[
        "docs"
    ]
    assert (named.pin_name, named.settings["interval"]) == ("mine", "1h")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{kind: ipns}", "`name` is missing"),
        ("{kind: ipns, name: docs.example.org}", "must be /ipns/ and a domain"),
        ("{kind: ipns, name: /ipns/docs.example.org/}", "without a / at its end"),
        (f"{{kind: ipns, name: /ipfs/{CID}}}", "must be /ipns/ and a domain"),
        ("{kind: ipns, name: /ipns/a.b, pinName: '{peer_id}'}", "must hold no { or }"),
        ("{kind: ipns, name: /ipns/a.b, interval: often}", "must be a duration"),
        ("{kind: ipns, name: /ipns/a.b, settle: 1s}", "settle"),
    ],
)
def test_what_is_wrong_with_a_policy(folder, written: str, problem: str) -> None:
    assert any(problem in said for said in folder.problems(POLICY + written))


def test_what_the_schema_cannot_tell_is_told_by_the_kind(folder) -> None:
    manifest = folder.load(POLICY + "{kind: ipns, name: /ipns/nothing}")
    with pytest.raises(ManifestError) as caught:
        check(manifest)
    assert "policy docs: `name` is no name that can be followed" in str(caught.value)


# --- whom to ask ----------------------------------------------------------------------------------------------


def names(folder, text: str) -> Names:
    loaded = folder.load(f"version: 1\nname: acme\n{text}")
    assert isinstance(loaded.names, Names)
    return loaded.names


def test_whom_to_ask(folder) -> None:
    assert names(folder, "") == Names() == Names(gateways=GATEWAYS, dns="")
    asked = names(folder, "names: {gateways: ['HTTPS://Gateway.example/'], dns: '[::1]:5353'}")
    assert asked == Names(gateways=("https://gateway.example",), dns="[::1]:5353")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("names: {dns: dns.example}", "pinrec.yaml:3:14: must be the address of a DNS server"),
        ("names: {gateways: [ftp://x]}", "pinrec.yaml:3:20: a gateway begins with https://"),
        ("names: {gateways: ['https://u:p@x']}", "a gateway holds no user name or password"),
        ("names: {gateways: []}", "`gateways` must not be empty"),
        ("names: {resolver: x}", "resolver"),
    ],
)
def test_what_is_wrong_with_them(folder, text: str, problem: str) -> None:
    [said] = folder.problems(f"version: 1\nname: acme\n{text}")
    assert problem in said
    assert "u:p" not in said


def test_the_defaults_of_the_schema_are_those_of_the_type() -> None:
    from reconciler.manifest.schema import definitions

    assert tuple(definitions()["names"]["properties"]["gateways"]["default"]) == GATEWAYS
