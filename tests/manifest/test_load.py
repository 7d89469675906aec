"""What a valid manifest turns into."""

import datetime
import io
from pathlib import Path

import pytest

from reconciler.core.cid import parse
from reconciler.core.manifest import (
    Adopt,
    CidRef,
    GuardLimits,
    Limits,
    Percent,
    Rate,
    Replicas,
    SecretRef,
    Source,
)
from reconciler.core.profile import PROFILES
from reconciler.manifest import load_manifest, schema_text
from reconciler.manifest.starter import starter

V1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
V0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"

EXAMPLE = f"""\
# yaml-language-server: $schema=manifest.schema.json
version: 1
name: acme-site
previousOwners: [old-name]
services:
  pinata:
    preset: pinata
    key: {{env: PINATA_JWT}}
  cluster:
    preset: ipfs-cluster
    endpoint: http://127.0.0.1:9097/pins/
    key: {{file: keys/cluster.token}}
    limits: {{requests: 10/s, concurrency: 16, timeout: 2min}}
    ownership: prefix
    policies: [manual]
    state: suspended
    prune: false
defaults: {{services: [pinata, cluster], replace: safe, meta: {{team: all, site: x}}}}
pins:
  - name: website
    cid: {V1}
    services: [pinata]
    meta: {{team: web}}
    origins: [/dns4/node.example.com/tcp/4001/p2p/12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG]
    protect: true
    expires: 2027-06-30
  - cid: {{env: SITE_CID}}
    name: site
    services: {{replicas: 1, of: [pinata, cluster]}}
    replace: modify
    mode: recursive
  - cid: {{file: dist.cid}}
    name: dist
  - cid: bafkqaaa
  - from: datasets.txt
    namePrefix: data/
adopt: ["website", {{match: "old/*", prune: true}}]
ignore: ["legacy/*"]
protected: ["releases/*"]
unprotect: ["releases/0*"]
guards: {{maxDeletes: 10%, maxReplaces: 30}}
"""


def test_every_construct(folder) -> None:
    folder.write("datasets.txt", f"{V0} one two\n")
    manifest = folder.load(EXAMPLE)
    assert (manifest.owner, manifest.previous_owners, manifest.path) == (
        "acme-site",
        ("old-name",),
        "pinrec.yaml",
    )
    pinata, cluster = manifest.services.values()
    assert (pinata.name, pinata.endpoint, pinata.line) == ("pinata", "https://api.pinata.cloud/psa", 6)
    assert pinata.key == SecretRef(kind="env", value=("PINATA_JWT",))
    assert pinata.limits == Limits(requests=Rate(60, 60), listing=Rate(30, 60), concurrency=4)
    assert (pinata.ownership, pinata.state, pinata.prune, pinata.preset) == ("meta", "active", True, "pinata")
    assert (cluster.endpoint, cluster.line) == ("http://127.0.0.1:9097", 9)
    assert cluster.key == SecretRef(kind="file", value=(str(folder.path / "keys/cluster.token"),))
    assert cluster.limits == Limits(requests=Rate(10, 1), concurrency=16, timeout=120)
    assert (cluster.ownership, cluster.state, cluster.prune) == ("prefix", "suspended", False)
    assert cluster.profile == PROFILES["ipfs-cluster"]

    website, site, dist, unnamed, data = manifest.entries
    assert (website.name, website.cid, website.line) == ("website", parse(V1), 20)
    assert website.spec.services == ("pinata",)
    assert website.spec.meta == {"team": "web", "site": "x"}
    assert len(website.spec.origins) == 1
    assert website.spec.protect
    assert website.spec.expires == datetime.date(2027, 6, 30)
    assert (website.spec.file, website.spec.source) == ("pinrec.yaml", "")
    assert site.cid == CidRef(kind="env", value="SITE_CID")
    assert site.spec.services == Replicas(count=1, of=("pinata", "cluster"))
    assert site.spec.replace == "modify"
    assert dist.cid == CidRef(kind="file", value="dist.cid", path=str(folder.path / "dist.cid"))
    assert dist.spec.services == ("pinata", "cluster")
    assert (unnamed.name, str(unnamed.cid)) == ("", "bafkqaaa")
    assert (data.name, data.cid, data.line) == ("data/one two", parse(V0), 1)
    assert (data.spec.file, data.spec.source) == ("datasets.txt", "datasets.txt")
    assert manifest.sources == (
        Source(name="datasets.txt", entries=1, name_prefix="data/", services=("pinata", "cluster")),
    )
    assert manifest.adopt == (Adopt(match="website"), Adopt(match="old/*", prune=True))
    assert (manifest.ignore, manifest.protected, manifest.unprotect) == (
        ("legacy/*",),
        ("releases/*",),
        ("releases/0*",),
    )
    assert manifest.guards == GuardLimits(max_deletes=Percent(10.0), max_replaces=30)
    assert manifest.notes == ()


@pytest.mark.parametrize("pins", ["", "pins: []\n"])
def test_nothing_wanted_is_valid(folder, pins: str) -> None:
    manifest = folder.load("version: 1\nname: a\nservices: {s: {preset: pinata, key: {env: S}}}\n" + pins)
    assert manifest.entries == []
    assert list(manifest.services) == ["s"]


def test_no_services_are_valid_as_long_as_nothing_is_wanted(folder) -> None:
    assert folder.load("version: 1\nname: a\n").services == {}


def test_from_stdin_paths_are_relative_to_the_working_directory(folder) -> None:
    folder.write("list.txt", "bafkqaaa x\n")
    text = "version: 1\nname: a\nservices: {s: {preset: pinata, key: {file: k}}}\npins: [{from: list.txt}]\n"
    manifest = load_manifest("-", stdin=io.StringIO(text))
    assert manifest.path == "stdin"
    assert manifest.services["s"].key.value == (str(folder.path / "k"),)
    assert [e.name for e in manifest.entries] == ["x"]


def test_paths_are_relative_to_the_file_they_stand_in(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    folder.write("conf/lists/l.csv", "cid,name\nbafkqaaa,x\n")
    manifest = folder.load(
        """
        version: 1
        name: a
        services:
          s: {preset: pinata, key: {file: k}}
          h: {preset: filebase, key: {file: ~/k}}
        pins:
          - {from: lists/l.csv, services: [s]}
          - {cid: {file: ../dist.cid}, name: d, services: [h]}
        """,
        name="conf/pinrec.yaml",
    )
    assert manifest.services["s"].key.value == (str(folder.path / "conf/k"),)
    assert manifest.services["h"].key.value == ("/home/somebody/k",)
    x, d = manifest.entries
    assert x.spec.file == "conf/lists/l.csv"
    assert d.cid == CidRef(kind="file", value="../dist.cid", path=str(folder.path / "dist.cid"))


def test_the_only_service_is_meant_without_saying(folder) -> None:
    manifest = folder.load(
        "version: 1\nname: a\nservices: {s: {preset: pinata, key: {env: S}}}\npins: [{cid: bafkqaaa}]\n"
    )
    assert manifest.entries[0].spec.services == ("s",)


KEYS = [
    ("{env: A_B1}", SecretRef(kind="env", value=("A_B1",))),
    ("{command: [pass, show, x y]}", SecretRef(kind="command", value=("pass", "show", "x y"))),
    ("{keyring: pinrec/me/x}", SecretRef(kind="keyring", value=("pinrec", "me/x"))),
    ("{file: /run/secrets/k}", SecretRef(kind="file", value=("/run/secrets/k",))),
]


@pytest.mark.parametrize(("key", "expected"), KEYS)
def test_keys(folder, key: str, expected: SecretRef) -> None:
    manifest = folder.load(f"version: 1\nname: a\nservices: {{s: {{preset: pinata, key: {key}}}}}\n")
    assert manifest.services["s"].key == expected


@pytest.mark.parametrize(
    ("service", "profile", "ownership"),
    [
        ("preset: pinata", "pinata", "meta"),
        ("preset: 4everland", "4everland", "prefix"),
        ("preset: 4everland, ownership: meta", "4everland", "meta"),
        ("preset: functionland", "unknown", "meta"),
        ("endpoint: https://x.example", "unknown", "meta"),
        ("endpoint: https://x.example, profile: helia", "helia", "meta"),
        ("endpoint: https://x.example, profile: 4everland", "4everland", "prefix"),
        ("preset: pinata, profile: {meta: dropped}", "pinata", "prefix"),
    ],
)
def test_profile_and_ownership(folder, service: str, profile: str, ownership: str) -> None:
    manifest = folder.load(f"version: 1\nname: a\nservices: {{s: {{{service}, key: {{env: S}}}}}}\n")
    got = manifest.services["s"]
    assert (got.profile.name, got.ownership) == (profile, ownership)


def test_single_fields_of_a_profile_and_of_limits_override_the_preset(folder) -> None:
    service = folder.load(
        """
        version: 1
        name: a
        services:
          s:
            preset: pinata
            key: {env: S}
            limits: {listing: 100/h}
            profile: {filters: [cid, name], secondAdd: new, precisionMs: 1000, idIsCid: false, limit: 500}
        """
    ).services["s"]
    assert service.limits == Limits(requests=Rate(60, 60), listing=Rate(100, 3600), concurrency=4)
    assert service.profile.filters == ("cid", "name")
    assert (service.profile.second_add, service.profile.precision_ms, service.profile.limit) == (
        "new",
        1000,
        500,
    )
    assert service.profile.count == "plus1", "the rest is the preset's row"


def test_entries_of_one_shape_share_a_spec(folder) -> None:
    manifest = folder.pins(
        """
          - {name: one, cid: bafkqaaa, services: [a, b]}
          - {name: two, cid: bafkqaaa, services: [a, b]}
          - {name: three, cid: bafkqaaa}
          - {name: four, cid: bafkqaaa, meta: {x: y}, services: [a, b]}
          - {name: five, cid: bafkqaaa, protect: true}
        """
    )
    one, two, three, four, five = (e.spec for e in manifest.entries)
    assert one is two
    assert [s.services for s in (one, three, four, five)] == [("a", "b"), ("a",), ("a", "b"), ("a",)]
    assert (four.meta, five.protect) == ({"x": "y"}, True)


def test_a_pin_named_by_its_own_cid_is_unnamed(folder) -> None:
    manifest = folder.pins(f"""
          - {{name: {V0}, cid: {V1}}}
          - {{name: {V0}, cid: bafkqaaa}}
    """)
    assert [e.name for e in manifest.entries] == ["", V0]


def test_equal_lines_are_folded_and_counted(folder) -> None:
    folder.write("l.txt", f"bafkqaaa one\n{V0} two\n{V1} two\n{V1} two\n")
    manifest = folder.pins(
        """
          - {name: one, cid: bafkqaaa, services: [a, b]}
          - {name: one, cid: BAFKQAAA, services: [b]}
          - {from: l.txt}
        """
    )
    assert [e.name for e in manifest.entries] == ["one", "two"]
    assert [s.entries for s in manifest.sources] == [1]
    assert [(n.file, n.line, n.message) for n in manifest.notes] == [
        ("pinrec.yaml", 10, "1 line repeats an earlier one and was folded into it"),
        ("l.txt", 1, "3 lines repeat earlier ones and were folded into them, the first here"),
    ]


def test_a_name_may_hold_different_cids_at_different_services(folder) -> None:
    manifest = folder.pins(
        """
          - {name: one, cid: bafkqaaa, services: [a]}
          - {name: one, cid: bafkqaba, services: [b]}
          - {name: two, cid: bafkqaaa, services: [a]}
          - {name: two, cid: bafkqaaa, services: [a, b]}
          - {cid: {env: X}}
          - {cid: {env: X}}
        """.replace("bafkqaba", V1)
    )
    assert [(e.name, e.spec.services) for e in manifest.entries] == [
        ("one", ("a",)),
        ("one", ("b",)),
        ("two", ("a",)),
        ("two", ("b",)),
        ("", ("a",)),
        ("", ("a",)),
    ]


def test_anchors(folder) -> None:
    manifest = folder.load(
        """
        version: 1
        name: a
        x-common:
          service: &service {preset: pinata, prune: false}
          pin: &pin {services: &both [s, t], meta: {team: web}}
        services:
          s: {<<: *service, key: {env: S}}
          t: {<<: *service, key: {env: T}, prune: true}
        pins:
          - {<<: *pin, name: one, cid: bafkqaaa}
          - {<<: *pin, name: two, cid: bafkqaaa, services: [s]}
        """
    )
    assert [s.prune for s in manifest.services.values()] == [False, True]
    assert [(e.name, e.spec.services, e.spec.meta) for e in manifest.entries] == [
        ("one", ("s", "t"), {"team": "web"}),
        ("two", ("s",), {"team": "web"}),
    ]


def test_pins_through_an_alias_have_a_line_too(folder) -> None:
    manifest = folder.load(
        "version: 1\nname: a\nservices: {s: {preset: pinata, key: {env: S}}}\n"
        "x-pins: &pins\n  - {cid: bafkqaaa}\npins: *pins\n"
    )
    assert [e.line for e in manifest.entries] == [6]


def test_a_service_that_nothing_uses_and_an_origin_that_nobody_reaches_are_noted(folder) -> None:
    manifest = folder.pins("""
      - cid: bafkqaaa
        origins: [/ip4/192.168.1.2/tcp/4001/p2p/12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG]
    """)
    assert [(n.line, n.message[:50]) for n in manifest.notes] == [
        (
            9,
            'a cannot reach the private address "/ip4/192.168.1',
        ),
        (5, "no pin is wanted on the service b"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_text(folder) -> None:
    assert folder.load("\ufeffversion: 1\nname: a\n").owner == "a"


def test_the_starter_is_a_valid_manifest_also_with_all_of_it_switched_on(folder) -> None:
    text = starter("acme-1a2b", schema="./manifest.schema.json")
    assert text.splitlines()[0] == "# yaml-language-server: $schema=./manifest.schema.json"
    manifest = folder.load(text)
    assert (manifest.owner, manifest.entries, list(manifest.services)) == ("acme-1a2b", [], ["local"])

    folder.write("datasets.txt", "")
    lines = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        body = line.lstrip().removeprefix("# ")
        # Comments that hold YAML: a key, an item, or a value below one.
        yaml = (
            "yaml-language-server" not in line
            and line.lstrip().startswith("# ")
            and (body.lstrip().startswith("- ") or body.split()[0].endswith(":"))
        )
        lines.append(" " * indent + body if yaml else line.replace("pins: []", "pins:"))
    manifest = folder.load("\n".join(lines))
    assert list(manifest.services) == ["local", "pinata", "cluster"]
    assert [e.name for e in manifest.entries] == ["website", "docs"]
    assert manifest.sources[0].entries == 0
    assert manifest.guards == GuardLimits(max_deletes=Percent(10.0), max_replaces=Percent(30.0))


def test_the_schema_is_the_published_file() -> None:
    path = Path(__file__).parent.parent.parent / "schemas" / "manifest.schema.json"
    assert schema_text() == path.read_text()
