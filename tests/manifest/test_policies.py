"""`policies:` and the services that use them: every setting, every mistake with its place, and names that clash."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.errors import ManifestError
from reconciler.core.manifest import Manifest
from reconciler.core.policy import Policy, PolicyUse, Retain
from reconciler.manifest import load_manifest, schema_text
from reconciler.manifest.edit import add_pin, remove_pin
from reconciler.manifest.edit_service import add_service, remove_service, set_key
from reconciler.manifest.loader import load
from reconciler.manifest.places import locate
from reconciler.manifest.policies import BUILT_IN, COMMON, kinds
from reconciler.policies import KINDS

SCHEMA: dict[str, Any] = json.loads(schema_text())
PEER = "12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG"

# As a person would write it first, the braces of {peer_id} without quotes among others.
EXAMPLE = """\
version: 1
name: acme
node: {api: http://127.0.0.1:5001, token: {env: KUBO_TOKEN}, timeout: 30s}
services:
  pinata: {preset: pinata, key: {env: A}, policies: [all-in-mfs]}
  cluster:
    preset: ipfs-cluster
    endpoint: http://127.0.0.1:9097
    key: {env: B}
    policies: [{all-in-mfs: {repinInterval: 5m, replace: safe}}, photos]
policies:
  all-in-mfs: {kind: mfs, path: /, pinName: policy/{peer_id}/mfs, repinInterval: 30s}
  photos: {kind: mfs, path: /photos, settle: 2s, retain: 3, enabled: true}
"""

#: One service in line 5, and a policy in line 7.
HEAD = """\
version: 1
name: acme
node: {}
services:
  a: {preset: pinata, key: {env: A}, policies: [p]}
policies:
"""


def policies(folder, text: str) -> dict[str, Policy]:
    found: Manifest = folder.load(text)
    assert found.notes == ()
    assert {p.base for p in found.policies.values()} <= {"", str(folder.path)}
    return {name: replace(policy, base="") for name, policy in found.policies.items()}


def one(folder, text: str) -> Policy:
    """The policy p of these settings."""
    [found] = policies(folder, f"{HEAD}  p: {text}\n").values()
    return found


# --- what is read -----------------------------------------------------------------------------------------------


def test_as_one_writes_it(folder) -> None:
    assert policies(folder, EXAMPLE) == {
        "all-in-mfs": Policy(
            name="all-in-mfs",
            kind="mfs",
            settings={"path": "/"},
            pin_name="policy/{peer_id}/mfs",
            repin_interval=30,
            uses={"pinata": PolicyUse(), "cluster": PolicyUse(repin_interval=300, replace="safe")},
            file="pinrec.yaml",
            line=12,
        ),
        "photos": Policy(
            name="photos",
            kind="mfs",
            settings={"path": "/photos"},
            pin_name="policy/{peer_id}/mfs/photos",
            settle=2,
            retain=Retain(count=3),
            uses={"cluster": PolicyUse()},
            file="pinrec.yaml",
            line=13,
        ),
    }


def test_all_settings(folder) -> None:
    text = (
        "{kind: mfs, path: '/a b/é', enabled: false, pinName: 'x {peer_id}', repinInterval: 1h30m, settle: 0s, "
        "retain: 7d, replace: modify, protect: true, meta: {team: web}}"
    )
    assert one(folder, text) == Policy(
        name="p",
        kind="mfs",
        settings={"path": "/a b/é"},
        pin_name="x {peer_id}",
        repin_interval=5400,
        settle=0,
        enabled=False,
        replace="modify",
        retain=Retain(age=604800),
        protect=True,
        meta={"team": "web"},
        uses={"a": PolicyUse()},
        file="pinrec.yaml",
        line=7,
    )


def test_the_built_in_one_needs_no_declaration(folder) -> None:
    found = policies(folder, HEAD.replace("[p]", "[all-in-mfs]").replace("policies:\n", ""))
    assert found == {
        "all-in-mfs": Policy(
            name="all-in-mfs",
            kind="mfs",
            settings={"path": "/"},
            pin_name="policy/{peer_id}/mfs",
            uses={"a": PolicyUse()},
            file="pinrec.yaml",
            line=5,
        )
    }


@pytest.mark.parametrize("kind", ["", "kind: mfs, "])
def test_what_is_said_of_a_built_in_one_changes_it(folder, kind: str) -> None:
    text = HEAD.replace("[p]", "[all-in-mfs]") + f"  all-in-mfs: {{{kind}path: /site, settle: 1s}}\n"
    found = policies(folder, text)["all-in-mfs"]
    assert (found.settings, found.settle, found.pin_name, found.line) == (
        {"path": "/site"},
        1,
        "policy/{peer_id}/mfs",
        7,
    )


@pytest.mark.parametrize("path", ["/", "/a", "/...", "/.x/..y", "/a b/é", "/..a"])
def test_paths(folder, path: str) -> None:
    assert one(folder, f"{{kind: mfs, path: '{path}'}}").settings == {"path": path}


@pytest.mark.parametrize(
    ("retain", "expected"),
    [("1", Retain(count=1)), ("12h", Retain(age=43200)), ("30m", Retain(age=1800)), ("1d12h", Retain(age=129600))],
)  # fmt: skip
def test_what_is_kept(folder, retain: str, expected: Retain) -> None:
    assert one(folder, f"{{kind: mfs, retain: {retain}}}").retain == expected


def test_manual_is_implied_and_may_be_said(folder) -> None:
    found = folder.load(
        HEAD.replace("[p]", "[manual, p]") + "  p: {kind: mfs}\npins: [{name: x, cid: bafkqaaa}]\n"
    )
    assert list(found.policies) == ["p"]
    assert [e.spec.services for e in found.entries] == [("a",)]


def test_policies_and_services_keep_their_order(folder) -> None:
    found = policies(
        folder,
        """
        version: 1
        name: acme
        node: {}
        services:
          z: {preset: pinata, key: {env: Z}, policies: [all-in-mfs, b, a]}
          y: {preset: pinata, key: {env: Y}, policies: [a]}
        policies:
          b: {kind: mfs, path: /b}
          a: {kind: mfs, path: /a}
        """,
    )
    assert list(found) == ["b", "a", "all-in-mfs"]
    assert list(found["a"].uses) == ["z", "y"]


def test_they_may_stand_in_included_files(folder) -> None:
    folder.write("p.yaml", "policies:\n  p: {kind: mfs, path: /p}\n")
    folder.write(
        "s.yaml",
        "services:\n  b: {preset: pinata, key: {env: B}, policies: [p, all-in-mfs]}\nnode: {}\n",
    )
    found = folder.load("version: 1\nname: acme\ninclude: [p.yaml, s.yaml]\n").policies
    assert {n: (p.file, p.line, list(p.uses)) for n, p in found.items()} == {
        "p": ("p.yaml", 2, ["b"]),
        "all-in-mfs": ("s.yaml", 2, ["b"]),
    }


def test_anchors(folder) -> None:
    found = policies(
        folder,
        """
        version: 1
        name: acme
        node: {}
        x-mfs: &mfs {kind: mfs, retain: 3}
        services: {a: {preset: pinata, key: {env: A}, policies: [p, q]}}
        policies:
          p: {<<: *mfs, path: /p}
          q: {<<: *mfs, path: /q, retain: 5}
        """,
    )
    assert [(p.settings["path"], p.retain) for p in found.values()] == [
        ("/p", Retain(count=3)),
        ("/q", Retain(count=5)),
    ]


# --- notes ------------------------------------------------------------------------------------------------------


def test_a_policy_that_nothing_uses_is_noted(folder) -> None:
    found = folder.load(HEAD + "  p: {kind: mfs}\n  q: {kind: mfs, path: /q}\n  all-in-mfs: {settle: 1s}\n")
    assert [(n.file, n.line, n.message) for n in found.notes] == [
        ("pinrec.yaml", 8, "no service uses the policy q: `policies: [q]` at a service does"),
        (
            "pinrec.yaml",
            9,
            "no service uses the policy all-in-mfs: `policies: [all-in-mfs]` at a service does",
        ),
    ]
    assert list(found.policies) == ["p", "q", "all-in-mfs"]


def test_it_needs_no_node_as_long_as_nothing_uses_it(folder) -> None:
    found = folder.load("version: 1\nname: acme\npolicies: {q: {kind: mfs}}\n")
    assert [n.line for n in found.notes] == [3]


def test_a_service_whose_pins_are_those_of_a_policy_is_used(folder) -> None:
    found = folder.load(
        HEAD.replace("policies:\n", "  b: {preset: pinata, key: {env: B}}\npolicies:\n")
        + "  p: {kind: mfs}\n"
    )
    assert [n.message for n in found.notes] == ["no pin is wanted on the service b"]


# --- mistakes ---------------------------------------------------------------------------------------------------

# A policy p in line 7, the place of the problem, and what it says.
WRONG = [
    ("{path: /x}", "7:6", "`kind` is missing (What the policy follows)"),
    ("{kidn: mfs, path: /x}", "7:7", '"kidn" is no key of `p` (did you mean kind?)'),
    ("{path: /x, Kind: mfs}", "7:17", '"Kind" is no key of `p` (did you mean kind?)'),
    ("", "7:5", "`p` must be a mapping (key: value), not nothing"),
    ("mfs", "7:6", "`p` must be a mapping (key: value), not a text"),
    ("{kind: mfx}", "7:13", "`kind` must be one of "),
    ("{kind: 1}", "7:13", "`kind` must be one of "),
    ("{kind: mfs, pathh: /x}", "7:18", '"pathh" is no key of a policy of the kind mfs (did you mean path?)'),
    ("{kind: mfs, pin_name: x}", "7:18", "(did you mean pinName?)"),
    ("{kind: mfs, path: photos}", "7:24", "`path` must be an absolute path in MFS"),
    ("{kind: mfs, path: /photos/}", "7:24", "`path` must be an absolute path in MFS"),
    ("{kind: mfs, path: //photos}", "7:24", "`path` must be an absolute path in MFS"),
    ("{kind: mfs, path: /a/../b}", "7:24", "`path` must be an absolute path in MFS"),
    ("{kind: mfs, path: /a/..}", "7:24", "`path` must be an absolute path in MFS"),
    ("{kind: mfs, path: /.}", "7:24", "`path` must be an absolute path in MFS"),
    ('{kind: mfs, path: ""}', "7:24", "`path` must be an absolute path in MFS"),
    ('{kind: mfs, path: "/a\\tb"}', "7:24", "`path` must be an absolute path in MFS"),
    ("{kind: mfs, path: 7}", "7:24", '`path` must be a text, not a number (quote it: "7")'),
    ("{kind: mfs, enabled: no}", "7:27", "`enabled` must be true or false, not a text (write false)"),
    ("{kind: mfs, repinInterval: 30}", "7:33", "`repinInterval` must be a duration such as 300ms, 30s, 5m, 1h or 7d"),
    ("{kind: mfs, repinInterval: 0s}", "7:33", "`repinInterval` must be a duration"),
    ("{kind: mfs, repinInterval: 1w}", "7:33", "`repinInterval` must be a duration"),
    ("{kind: mfs, settle: 5}", "7:26", "`settle` must be a duration such as 300ms or 2s"),
    ("{kind: mfs, settle: 1m}", "7:26", "`settle` must be a duration such as 300ms or 2s"),
    ("{kind: mfs, settle: 5001ms}", "7:26", "`settle` must be at most 5s (a change that goes on for longer"),
    ("{kind: mfs, retain: 0}", "7:26", "`retain` must be at least 1"),
    ("{kind: mfs, retain: 1001}", "7:26", "`retain` must be at most 1000"),
    ("{kind: mfs, retain: '3'}", "7:26", "`retain` must be a count such as 3, without quotes, or an age such as"),
    ("{kind: mfs, retain: 0d}", "7:26", "`retain` must be a count such as 3"),
    ("{kind: mfs, retain: 30s}", "7:26", "`retain` must be a count such as 3"),
    ("{kind: mfs, retain: 1.5}", "7:26", "`retain` must be a whole number or a text, not a number"),
    ("{kind: mfs, replace: modfy}", "7:27", "one of auto, safe, modify (did you mean modify?)"),
    ("{kind: mfs, protect: 1}", "7:27", "`protect` must be true or false"),
    ("{kind: mfs, meta: {pinrec.x: y}}", "7:25", "reserved for our own marks"),
    ("{kind: mfs, meta: {a: 1}}", "7:28", '`a` must be a text, not a number (quote it: "1")'),
    ('{kind: mfs, pinName: ""}', "7:27", "`pinName` must not be empty"),
    ("{kind: mfs, pinName: 'x {peer}'}", "7:27", "`pinName` must hold no { or } other than {peer_id}"),
    ("{kind: mfs, pinName: 'x {{peer_id}}'}", "7:27", "`pinName` must hold no { or } other than {peer_id}"),
    ("{kind: mfs, pinName: 'x }'}", "7:27", "`pinName` must hold no { or } other"),
    ("{kind: mfs, pinName: ' x'}", "7:27", 'begins or ends with whitespace (write "x")'),
    ("{kind: mfs, pinName: pinrec/x}", "7:27", "names that begin with pinrec/ are reserved"),
    ('{kind: mfs, pinName: "a\\u0007"}', "7:27", "control character U+0007"),
    (f"{{kind: mfs, pinName: {'x' * 216}}}", "7:27", "may take 244 bytes of at most 243"),
    (f"{{kind: mfs, pinName: '{'x' * 157}{{peer_id}}'}}", "7:27", "may take 244 bytes of at most 243"),
    ("{kind: mfs, pinName: legacy/x}", "7:27", 'matches ignore: "legacy/*", and what is ignored is never touched'),
    ("{kind: mfs, pinName: 'old/{peer_id}/x'}", "7:27", "(narrow the glob, or choose another pinName)"),
    ("{kind: mfs, pinName: kept, retain: 2}", "7:27", 'matches ignore: "kept@*"'),
    ("{kind: mfs, pinName: x/{other}}", "7:29", "this is not valid YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "place", "message"), WRONG, ids=[w[0][:60] or "nothing" for w in WRONG])
def test_a_policy(folder, policy: str, place: str, message: str) -> None:
    [problem] = folder.problems(f"{HEAD}  p: {policy}\nignore: [legacy/*, old/12D3KooW*/x, kept@*]\n")
    assert problem.startswith(f"pinrec.yaml:{place}: "), problem
    assert message in problem
    assert "does not fit the schema" not in problem


@pytest.mark.parametrize(
    "policy",
    [
        f"{{kind: mfs, pinName: {'x' * 215}}}",
        f"{{kind: mfs, pinName: '{'x' * 156}{{peer_id}}'}}",
        "{kind: mfs, pinName: kept}",
    ],
)
def test_names_that_just_fit(folder, policy: str) -> None:
    assert folder.load(f"{HEAD}  p: {policy}\nignore: [kept@*]\n").policies


def test_other_braces_in_braces_are_told_to_be_quoted(folder) -> None:
    [problem] = folder.problems(HEAD + "  p: {kind: mfs, pinName: x/{other}}\n")
    assert "quote a text that holds one of { } [ ] ," in problem


NAMES = [
    ("manual", "is not manual, which is the list under `pins`"),
    ("a/b", "a policy's name is 1 to 63"),
    ("-a", "a policy's name is 1 to 63"),
    ("x" * 64, "a policy's name is 1 to 63"),
]


@pytest.mark.parametrize(("name", "message"), NAMES)
def test_a_name(folder, name: str, message: str) -> None:
    [problem] = folder.problems(f"version: 1\nname: acme\npolicies:\n  {name}: {{kind: mfs}}\n")
    assert problem.startswith("pinrec.yaml:4:3: ")
    assert message in problem


@pytest.mark.parametrize("name", ["manually", "x" * 63, "1.0_a-B"])
def test_other_names(folder, name: str) -> None:
    assert list(folder.load(f"version: 1\nname: acme\npolicies: {{{name}: {{kind: mfs}}}}\n").policies) == [
        name
    ]


# What stands under `policies` of the service in line 5.
USES = [
    ("p", "5:48", "`policies` must be a list, not a text"),
    ("[p, p]", "5:48", "`policies` must not hold anything twice"),
    ("[p, {p: {replace: safe}}]", "5:52", 'the policy "p" is named twice (remove one)'),
    ("['']", "5:49", "item 1 of `policies` must not be empty"),
    ("[5]", "5:49", "item 1 of `policies` must be a text or a mapping (key: value), not a number"),
    ("[{}]", "5:49", "item 1 of `policies` must not be empty"),
    ("[{p: {}, q: {}}]", "5:49", "item 1 of `policies` must have one key, not several"),
    ("[{p: }]", "5:53", "`p` must be a mapping (key: value), not nothing"),
    ("[{p: {settle: 1s}}]", "5:54", '"settle" is no key of a policy\'s use (known: repinInterval, replace)'),
    ("[{p: {repinIntervall: 1s}}]", "5:54", "(did you mean repinInterval?)"),
    ("[{p: {repinInterval: 0s}}]", "5:69", "`repinInterval` must be a duration"),
    ("[{p: {replace: maybe}}]", "5:63", "`replace` must be one of auto, safe, modify"),
    ("[pp]", "5:49", 'there is no policy "pp" (did you mean p?)'),
    ("[all-in-mf]", "5:49", 'there is no policy "all-in-mf" (did you mean all-in-mfs?)'),
    ("[manuel]", "5:49", "(did you mean manual?)"),
    ("[zzz]", "5:49", "(declare it under `policies`; known: p, all-in-mfs, manual)"),
    ("[{zzz: {replace: safe}}]", "5:49", 'there is no policy "zzz"'),
    ("[{manual: {replace: safe}}]", "5:49", "manual has no settings: it stands for the list under `pins`"),
]


@pytest.mark.parametrize(("uses", "place", "message"), USES, ids=[u[0] for u in USES])
def test_what_a_service_names(folder, uses: str, place: str, message: str) -> None:
    [problem] = folder.problems(HEAD.replace("[p]", uses) + "  p: {kind: mfs}\n")
    assert problem.startswith(f"pinrec.yaml:{place}: "), problem
    assert message in problem
    assert "does not fit the schema" not in problem


def test_policies_that_are_no_mapping(folder) -> None:
    [problem] = folder.problems(HEAD.replace("policies:\n", "policies: []\n"))
    assert problem.startswith("pinrec.yaml:6:11: `policies` must be a mapping (key: value), not a list")


@pytest.mark.parametrize("policy", ["p", "all-in-mfs"])
def test_a_policy_without_its_node(folder, policy: str) -> None:
    text = HEAD.replace("node: {}\n", "").replace("[p]", f"[{policy}]") + "  p: {kind: mfs}\n"
    [problem] = folder.problems(text)
    assert problem == (
        f"pinrec.yaml:4:49: the policy {policy} needs a node, and the manifest has none "
        '(add `node: {api: "http://127.0.0.1:5001"}`, or `node: {}` for the one that $IPFS_PATH/api names)'
    )


def test_a_policy_that_is_declared_twice(folder) -> None:
    folder.write("more.yaml", "x-a: 1\npolicies:\n  p: {kind: mfs, path: /p}\n")
    [problem] = folder.problems(HEAD + "  p: {kind: mfs}\ninclude: more.yaml\n")
    assert problem == 'more.yaml:3:3: the policy "p" is declared at pinrec.yaml:7 too'


@pytest.mark.parametrize(
    "text",
    [
        "include: gone.yaml\nservices: {a: {preset: pinata, key: {env: A}, policies: [x]}}\n",
        "node: {api: ''}\nservices: {a: {preset: pinata, key: {env: A}, policies: [all-in-mfs]}}\n",
        "node: {api: ftp://x}\nservices: {a: {preset: pinata, key: {env: A}, policies: [all-in-mfs]}}\n",
        "node: {}\npolicies: []\nservices: {a: {preset: pinata, key: {env: A}, policies: [x]}}\n",
        "node: {}\npolicies: {x: {}}\nservices: {a: {preset: pinata, key: {env: A}, policies: [x]}}\n",
        "policies: {x: {kind: mfs, settle: 9s}}\nservices: {a: {preset: pinata, key: {env: A}, policies: [x]}}\n",
    ],
)  # fmt: skip
def test_what_depends_on_something_wrong_is_no_problem_of_its_own(folder, text: str) -> None:
    assert len(folder.problems(f"version: 1\nname: acme\n{text}")) == 1


# --- names that clash -------------------------------------------------------------------------------------------


def test_two_policies_of_one_pin_name(folder) -> None:
    text = HEAD.replace("[p]", "[p, q, r]") + (
        "  p: {kind: mfs, path: /p, pinName: same}\n"
        "  q: {kind: mfs, path: /q, pinName: same}\n"
        "  r: {kind: mfs, path: /r, pinName: other}\n"
    )
    [problem] = folder.problems(text)
    assert problem == (
        'pinrec.yaml:8:37: the policies p (pinrec.yaml:7) and q have one pin name on a: "same" '
        "(give one of them another pinName)"
    )


def test_two_policies_of_one_pin_name_on_different_services(folder) -> None:
    text = HEAD.replace("policies:\n", "  b: {preset: pinata, key: {env: B}, policies: [q]}\npolicies:\n") + (
        "  p: {kind: mfs, path: /p, pinName: same}\n  q: {kind: mfs, path: /q, pinName: same}\n"
    )
    assert len(folder.load(text).policies) == 2


def test_one_name_with_the_peer_id_and_one_without(folder) -> None:
    """Whether they are alike shows only when the node's peer id is known."""
    text = (
        HEAD.replace("[p]", "[p, all-in-mfs]") + f"  p: {{kind: mfs, path: /p, pinName: policy/{PEER}/mfs}}\n"
    )
    assert len(folder.load(text).policies) == 2
    [problem] = folder.problems(text.replace("node: {}", f"node: {{peerId: {PEER}}}"))
    assert problem == (
        f"pinrec.yaml:5:52: the policies p (pinrec.yaml:7) and all-in-mfs have one pin name on a: "
        f'"policy/{PEER}/mfs" (give one of them another pinName)'
    )


@given(
    names=st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True), unique=True, max_size=6)
)
def test_pin_names_that_nobody_chose_are_never_alike(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    declared = {name: {"kind": "mfs"} for name in [*names, "all-in-mfs", "mfs"] if name != "manual"}
    found = read(tmp_path_factory, {"policies": declared}).policies
    assert len({p.pin_name for p in found.values()}) == len(declared)
    assert all(p.pin_name.startswith("policy/{peer_id}/mfs") for p in found.values())


PINS = [
    ("{name: site, cid: bafkqaaa}", "site", True),
    ("{name: site, cid: bafkqaaa, services: [b]}", "site", False),
    ("{name: site, cid: bafkqaaa, services: {replicas: 1, of: [a, b]}}", "site", True),
    ("{name: other, cid: bafkqaaa}", "site", False),
    ("{name: policy/X/mfs, cid: bafkqaaa}", "policy/{peer_id}/mfs", False),
    (f"{{name: {PEER}, cid: bafkqaaa}}", "'{peer_id}'", False),
    ("{name: 'site@2026-01-01T00:00:00Z', cid: bafkqaaa}", "site, retain: 2", True),
    ("{name: 'site@2026-01-01T00:00:00Z', cid: bafkqaaa}", "site", False),
    ("{name: 'a@Z', cid: bafkqaaa}", "site, retain: 2", False),
    ("{cid: bafkqaaa}", "site", False),
]


@pytest.mark.parametrize(("pin", "name", "clash"), PINS)
def test_a_pin_of_the_name_of_a_policys(folder, pin: str, name: str, clash: bool) -> None:
    text = (
        HEAD.replace("policies:\n", "  b: {preset: pinata, key: {env: B}}\npolicies:\n")
        + f"  p: {{kind: mfs, pinName: {name}}}\ndefaults: {{services: [a]}}\npins:\n  - {pin}\n"
    )
    if not clash:
        assert folder.load(text).entries
        return
    [problem] = folder.problems(text)
    assert problem.startswith(
        'pinrec.yaml:8:27: the pin of the policy p would have the name of another on a: "site'
    ), problem
    assert "at pinrec.yaml:11 (give one of them another name)" in problem


def test_a_pin_of_the_name_of_a_policys_once_the_peer_id_is_known(folder) -> None:
    text = HEAD.replace("[p]", "[all-in-mfs]").replace("policies:\n", "") + (
        f"pins:\n  - {{name: policy/{PEER}/mfs, cid: bafkqaaa}}\n"
    )
    assert folder.load(text).entries
    [problem] = folder.problems(text.replace("node: {}", f"node: {{peerId: {PEER}}}"))
    assert problem.startswith(
        "pinrec.yaml:5:49: the pin of the policy all-in-mfs would have the name of another"
    )


# --- {peer_id} in braces ------------------------------------------------------------------------------------------

BRACES = [
    "a: {n: policy/{peer_id}/mfs, m: 1}\n",
    "a: {n: 'policy/{peer_id}/mfs', m: [\"{peer_id}\", {peer_id}]}\n",
    "a: [{peer_id}, x{peer_id}y, {peer_id}{peer_id}]\n",
    "a:\n  n: policy/{peer_id}/mfs # {peer_id}\n  m: |\n    {peer_id}\n",
    "{peer_id}: {peer_id}\n",
    "a: {n: {name}, m: x/{name}-{peer_id}}\n",
]


@pytest.mark.parametrize("text", BRACES)
@pytest.mark.parametrize("pure", [False, True])
def test_the_placeholder_is_a_text_everywhere(text: str, pure: bool) -> None:
    quoted = text.replace("{peer_id}", "PEERPEER9").replace("{name}", "NAME6_")
    plain = json.dumps(load(quoted, pure=pure).value)
    want = json.loads(plain.replace("PEERPEER9", "{peer_id}").replace("NAME6_", "{name}"))
    assert load(text, pure=pure).value == want


@pytest.mark.parametrize("text", BRACES[:2])
def test_places_stay_what_they_are(text: str) -> None:
    paths = {("a",), ("a", "n"), ("a", "m")}
    same = text.replace("{peer_id}", "PEERPEER9")
    assert {p: (x.line, x.column) for p, x in locate(text, paths).items()} == {
        p: (x.line, x.column) for p, x in locate(same, paths).items()
    }


def test_a_text_that_holds_the_stand_in_already_is_left_alone() -> None:
    assert load("a: '\ue000peer_id\ue001'\nb: '{peer_id}'\n").value == {
        "a": "\ue000peer_id\ue001",
        "b": "{peer_id}",
    }


# --- the schema and the types -------------------------------------------------------------------------------------


def test_the_kinds_of_the_schema_are_those_that_exist() -> None:
    assert set(kinds()) == set(KINDS)
    assert SCHEMA["definitions"]["policy"]["properties"]["kind"]["enum"] == sorted(KINDS)
    branches = {
        branch["if"]["properties"]["kind"]["enum"][0]: branch["then"]["$ref"]
        for branch in SCHEMA["definitions"]["policy"]["allOf"]
    }
    assert branches == {kind: f"#/definitions/policy-{kind}" for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_what_all_have(kind: str) -> None:
    branch = SCHEMA["definitions"][f"policy-{kind}"]
    assert set(branch["properties"]) >= COMMON - {"settle", "retain", "local"}
    assert branch["properties"]["kind"]["enum"] == [kind]
    assert branch["additionalProperties"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_of_the_schema_are_those_of_the_type(folder, kind: str) -> None:
    """So that a policy with all of them written is the policy with none."""
    properties = SCHEMA["definitions"][f"policy-{kind}"]["properties"]
    written = {}
    for key, prop in properties.items():
        while "$ref" in prop:
            prop = SCHEMA["definitions"][prop["$ref"].rpartition("/")[2]] | {
                k: v for k, v in prop.items() if k != "$ref"
            }
        if "default" in prop:
            written[key] = prop["default"]
    assert len(written) >= 5
    branch = SCHEMA["definitions"][f"policy-{kind}"]
    least = {key: branch["examples"][0][key] for key in ("kind", *branch.get("required", ()))}
    assert one(folder, json.dumps({**least, **written})) == one(folder, json.dumps(least))


def test_the_built_in_ones_are_those_of_the_schema(folder) -> None:
    assert set(SCHEMA["definitions"]["policies"]["properties"]) == set(BUILT_IN)
    for name, raw in BUILT_IN.items():
        assert SCHEMA["definitions"]["policies"]["properties"][name]["$ref"].endswith(f"policy-{raw['kind']}")


settings = st.fixed_dictionaries(
    {},
    optional={
        "path": st.sampled_from(["/", "/a", "/a b/.c", "/ü/…"]),
        "enabled": st.booleans(),
        "pinName": st.sampled_from(["x", "policy/{peer_id}/x", "{peer_id}", "é: #"]),
        "repinInterval": st.sampled_from(["300ms", "2s", "5m", "5min", "1h30m", "7d"]),
        "settle": st.sampled_from(["0s", "300ms", "5s", "0.5s"]),
        "retain": st.sampled_from([1, 3, 1000, "7d", "12h"]),
        "replace": st.sampled_from(["auto", "safe", "modify"]),
        "protect": st.booleans(),
        "meta": st.dictionaries(st.sampled_from(["a", "ü"]), st.text("xyz é", max_size=3), max_size=2),
    },
)


@given(raw=settings)
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, raw: dict[str, Any]
) -> None:
    service = {"preset": "pinata", "key": {"env": "A"}, "policies": ["p"]}
    manifest = {"node": {}, "services": {"a": service}, "policies": {"p": {"kind": "mfs", **raw}}}
    found = msgspec.to_builtins(read(tmp_path_factory, manifest).policies["p"])
    kept = {
        "enabled": "enabled",
        "pinName": "pin_name",
        "replace": "replace",
        "protect": "protect",
        "meta": "meta",
    }
    assert {key: found[field] for key, field in kept.items() if key in raw} == {
        k: raw[k] for k in kept if k in raw
    }
    assert found["settings"] == {"path": raw.get("path", "/")}


def read(folder: pytest.TempPathFactory, manifest: dict[str, Any]) -> Manifest:
    path = folder.getbasetemp() / "written.yaml"
    path.write_text(json.dumps({"version": 1, "name": "acme", **manifest}, ensure_ascii=False))
    return load_manifest(str(path))


# --- editing ------------------------------------------------------------------------------------------------------

EDITS = [
    lambda path: add_service(path, "new", {"preset": "pinata", "key": {"env": "N"}}),
    lambda path: set_key(path, "pinata", {"env": "C"}),
    lambda path: add_pin(path, cid=load_cid(), name="x", services=["pinata"]),
    lambda path: remove_pin(path, "there"),
    lambda path: remove_service(path, "spare"),
]


def load_cid() -> Any:
    from reconciler.core.cid import parse

    return parse("bafkqaaa")


@pytest.mark.parametrize("edit", range(len(EDITS)))
def test_editing_leaves_them_as_they_are(folder, edit: int) -> None:
    text = EXAMPLE + "pins:\n  - {name: there, cid: bafkqaaa, services: [cluster]}\n"
    text = text.replace(
        "services:\n  pinata", "services:\n  spare: {preset: filebase, key: {env: S}}\n  pinata"
    )
    path = folder.write("pinrec.yaml", text)
    before = load_manifest(path)
    EDITS[edit](path)
    after = (folder.path / path).read_text()
    assert after != text
    for line in text.splitlines():
        if line.startswith(("node:", "policies:", "  all-in-mfs:", "  photos:", "    policies:")):
            assert line in after.splitlines()
    now = load_manifest(path)
    assert (now.node, list(now.policies)) == (before.node, list(before.policies))
    assert [p.uses for p in now.policies.values()] == [p.uses for p in before.policies.values()]


def test_a_service_that_holds_the_pins_of_a_policy_is_not_removed(folder) -> None:
    from reconciler.core.errors import UsageError

    path = folder.write("pinrec.yaml", EXAMPLE)
    with pytest.raises(UsageError, match="cluster holds the pins of all-in-mfs, photos"):
        remove_service(path, "cluster")
    assert (folder.path / path).read_text() == EXAMPLE


# --- local -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "defaults", "item", "local"),
    [
        ("node: {api: 'http://127.0.0.1:5001'}", "", "", True),
        ("", "", "", False),
        ("node: {}", "defaults: {local: false}", "", False),
        ("node: {}", "defaults: {local: false}", ", local: true", True),
        ("node: {}", "", ", local: false", False),
        ("", "defaults: {local: true}", "", False),
    ],
)
def test_entries_occur_locally_where_there_is_a_node_unless_it_is_said(
    tmp_path, node: str, defaults: str, item: str, local: bool
) -> None:
    assert _local(tmp_path, node, defaults, f"{{cid: {CID}{item}}}") is local


def test_list_files_occur_locally_only_if_it_is_said(tmp_path) -> None:
    (tmp_path / "pins.txt").write_text(f"{CID} a\n")
    assert _local(tmp_path, "node: {}", "", "{from: pins.txt}") is False
    assert _local(tmp_path, "node: {}", "", "{from: pins.txt, local: true}") is True
    assert _local(tmp_path, "node: {}", "defaults: {local: true}", "{from: pins.txt}") is True


def test_local_without_a_node_is_told_where_it_is_said(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"pinrec\.yaml:6:\d+: there is no node to hold it locally"):
        _local(tmp_path, "", "", f"{{cid: {CID}, local: true}}")


CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def _local(folder, node: str, defaults: str, item: str) -> bool:
    path = folder / "pinrec.yaml"
    path.write_text(
        f"version: 1\nname: acme\nservices: {{s: {{endpoint: 'http://127.0.0.1:1', key: {{env: K}}}}}}\n"
        f"{node}\n{defaults}\npins: [{item}]\n"
    )
    [entry] = load_manifest(str(path)).entries
    return entry.spec.local
