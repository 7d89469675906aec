"""Every example is run as far as it can run here: its manifest as it is, against sandboxes instead of its services."""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from support.names import DnsServer, Gateway, Key

from reconciler.core.unixfs import address, directory, params
from reconciler.sandbox import Sandbox
from reconciler.sandbox.node import SandboxNode

EXAMPLES = Path(__file__).parent.parent / "examples"
#: Those with a manifest; how a loop is started (cron, systemd) is tested with the loop.
NAMES = sorted(p.parent.name for p in EXAMPLES.glob("*/pinrec.yaml"))
FIRST = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
SECOND = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"

Pinrec = Callable[..., subprocess.CompletedProcess[str]]


def read(path: Path) -> dict[str, dict[str, object]]:
    return YAML(typ="safe").load(path.read_text())


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """No key of the person who runs this, a home without files, `pinrec` on PATH."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "pinrec").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m reconciler.cli.main "$@"\n'
    )
    (bin_dir / "pinrec").chmod(0o755)
    keep = {k: v for k, v in os.environ.items() if k.startswith(("COV", "LANG", "LC_"))}
    return keep | {
        "HOME": str(tmp_path),
        "PATH": f"{bin_dir}:/usr/bin:/bin",
        "PINREC_STATE_DIR": str(tmp_path / "state"),
    }


@pytest.fixture
def pinrec(environ: dict[str, str]) -> Pinrec:
    def run(*arguments: str, cwd: Path, exits: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["pinrec", *arguments], cwd=cwd, env=environ | more, capture_output=True, text=True, check=False
        )
        assert done.returncode == exits, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[[str], tuple[Path, Sandbox]]]:
    """Copies an example and puts a sandbox in the place of its services, an account for each."""
    with Sandbox(tokens=[f"token-{n}" for n in range(4)]) as sandbox:

        def copy(name: str) -> tuple[Path, Sandbox]:
            folder = tmp_path / name
            shutil.copytree(EXAMPLES / name, folder)
            manifest = read(folder / "pinrec.yaml")
            for number, (service, written) in enumerate(manifest["services"].items()):
                (folder / f"{service}.token").write_text(f"token-{number}\n")
                kept = {"policies": written["policies"]} if "policies" in written else {}
                manifest["services"][service] = kept | {
                    "preset": "sandbox",
                    "endpoint": sandbox.url,
                    "key": {"file": f"{service}.token"},
                }
            text = io.StringIO()
            YAML(typ="safe").dump(manifest, text)
            (folder / "pinrec.yaml").write_text(text.getvalue())
            return folder, sandbox

        yield copy


def test_each_example_has_what_it_needs() -> None:
    assert NAMES == [
        "bulk-list",
        "directory",
        "ipns",
        "mfs",
        "plan-on-pr",
        "replace-on-deploy",
        "site-to-two-services",
    ]
    owners = []
    for name in NAMES:
        first = (EXAMPLES / name / "pinrec.yaml").read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=../../schemas/manifest.schema.json"
        assert (EXAMPLES / name / "README.md").read_text().startswith("# ")
        owners.append(read(EXAMPLES / name / "pinrec.yaml")["name"])
    assert len(set(owners)) == len(owners), "two manifests with one owner would delete each other's pins"


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_valid_as_it_is(name: str, pinrec: Pinrec) -> None:
    pinrec("validate", cwd=EXAMPLES / name)


# mfs and directory need a node beside the services, ipns a DNS server and a gateway (below).
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("directory", "ipns", "mfs")])
def test_each_example_converges(
    name: str, pinrec: Pinrec, local: Callable[[str], tuple[Path, Sandbox]]
) -> None:
    folder, _ = local(name)
    pinrec("plan", "--detailed-exitcode", cwd=folder, exits=2, SITE_CID=FIRST)
    pinrec("apply", "--yes", cwd=folder, SITE_CID=FIRST)
    assert "No changes" in pinrec("plan", "--detailed-exitcode", cwd=folder, SITE_CID=FIRST).stdout


def test_a_site_is_planned_without_its_node_and_published_through_it(
    pinrec: Pinrec, local: Callable[[str], tuple[Path, Sandbox]]
) -> None:
    folder, _ = local("directory")
    with SandboxNode() as node:
        text = (folder / "pinrec.yaml").read_text()
        (folder / "pinrec.yaml").write_text(text.replace("http://127.0.0.1:5001", node.api))
        assert node.api in (folder / "pinrec.yaml").read_text()
        node.stop()
        planned = pinrec("plan", "--detailed-exitcode", cwd=folder, exits=2).stdout
        assert "directory: ./public" in planned
        node.start()
        pinrec("apply", "--yes", cwd=folder)
        assert "No changes" in pinrec("plan", "--detailed-exitcode", cwd=folder).stdout
        (folder / "public/.DS_Store").write_bytes(b"left out")
        assert "No changes" in pinrec("plan", "--detailed-exitcode", cwd=folder).stdout
        (folder / "public/index.html").write_text("<h1>Handbook, second edition</h1>" * 20)
        pinrec("apply", "--yes", cwd=folder)
        assert len(live(pinrec, folder)) == 2, "the earlier version is kept"
        (folder / "public").rename(folder / "gone")
        before = live(pinrec, folder)
        pinrec("apply", "--yes", cwd=folder, exits=3)
        assert live(pinrec, folder) == before


def live(pinrec: Pinrec, folder: Path) -> set[tuple[str, str]]:
    """(name, CID) of all pins that are there."""
    import json

    lines = pinrec("ls", "--format", "ndjson", cwd=folder, SITE_CID=FIRST).stdout.splitlines()
    pins = [json.loads(line) for line in lines]
    return {(p["pin"].get("name", ""), p["pin"]["cid"]) for p in pins}


def test_a_deploy_replaces_the_site_and_nothing_else(
    pinrec: Pinrec, environ: dict[str, str], local: Callable[[str], tuple[Path, Sandbox]]
) -> None:
    folder, _ = local("replace-on-deploy")
    pinrec("apply", "--yes", cwd=folder, SITE_CID=FIRST)
    deploy = [folder / "deploy.sh", SECOND]
    done = subprocess.run(deploy, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {cid for name, cid in live(pinrec, folder) if name == "website"} == {SECOND}
    assert len(live(pinrec, folder)) == 2
    missing = subprocess.run(deploy[:1], env=environ, capture_output=True, text=True, check=False)
    assert missing.returncode != 0
    assert "usage" in missing.stderr


def test_an_unset_cid_is_an_error_before_any_request(
    pinrec: Pinrec, local: Callable[[str], tuple[Path, Sandbox]]
) -> None:
    folder, sandbox = local("replace-on-deploy")
    for value in ({}, {"SITE_CID": ""}):
        assert "SITE_CID" in pinrec("apply", "--yes", cwd=folder, exits=64, **value).stderr
    assert sandbox.requests == ()


def test_a_list_that_was_cut_short_deletes_nothing(
    pinrec: Pinrec, local: Callable[[str], tuple[Path, Sandbox]]
) -> None:
    folder, _ = local("bulk-list")
    pinrec("apply", "--yes", cwd=folder)
    before = live(pinrec, folder)
    assert len(before) == 6
    lines = (folder / "datasets.txt").read_text().splitlines(keepends=True)
    (folder / "datasets.txt").write_text("".join(lines[:2]))
    assert "--allow-shrink" in pinrec("apply", "--yes", cwd=folder, exits=4).stdout
    assert live(pinrec, folder) == before


def test_sites_are_followed_and_never_lost(
    pinrec: Pinrec, local: Callable[[str], tuple[Path, Sandbox]]
) -> None:
    folder, _ = local("ipns")

    def undated(folder: Path) -> set[tuple[str, str]]:
        return {(name.partition("@")[0], cid) for name, cid in live(pinrec, folder)}

    key = Key.new()
    with Gateway() as gateway, DnsServer({}) as dns:
        page = directory.build({}, params.KUBO_V1, gateway.put).entry
        site = directory.build({"ipns": page}, params.KUBO_V1, gateway.put).entry
        dns.zone["_dnslink.docs.ipfs.tech"] = [f"dnslink=/ipfs/{FIRST}"]
        dns.zone["_dnslink.specs.ipfs.tech"] = [f"dnslink=/ipns/{key.name}"]
        gateway.publish(key, f"/ipfs/{address.to_text(site.cid)}")
        manifest = read(folder / "pinrec.yaml")
        for service in manifest["services"].values():
            service["policies"] = ["docs", "manual"]
        manifest["names"] = {"gateways": [gateway.url], "dns": dns.address}
        text = io.StringIO()
        YAML(typ="safe").dump(manifest, text)
        (folder / "pinrec.yaml").write_text(text.getvalue())

        plan = pinrec("plan", "--detailed-exitcode", cwd=folder, exits=2).stdout
        assert "/ipns/docs.ipfs.tech, by DNSLink" in plan
        assert f"path: /ipns/specs.ipfs.tech/ipns = {address.to_text(page.cid)}" in plan
        pinrec("apply", "--yes", cwd=folder)
        before = {("docs.ipfs.tech", FIRST), ("ipns-spec", address.to_text(page.cid))}
        assert undated(folder) == before
        assert "No changes" in pinrec("plan", "--detailed-exitcode", cwd=folder).stdout

        # Two that cannot be followed any more, and what they have pinned stays.
        gateway.records.clear()
        dns.zone["_dnslink.docs.ipfs.tech"] = [f"dnslink=/ipfs/{FIRST}", f"dnslink=/ipfs/{SECOND}"]
        said = pinrec("apply", "--yes", cwd=folder, exits=3)
        assert "there are 2 of them" in said.stdout + said.stderr
        assert "no gateway has a record" in said.stdout + said.stderr
        assert undated(folder) == before

        dns.zone["_dnslink.docs.ipfs.tech"] = [f"dnslink=/ipfs/{SECOND}"]
        gateway.publish(key, f"/ipfs/{address.to_text(site.cid)}", sequence=1)
        pinrec("apply", "--yes", cwd=folder)
        assert {cid for _, cid in live(pinrec, folder)} == {FIRST, SECOND, address.to_text(page.cid)}


# --- the workflow ---------------------------------------------------------------------------------------------


def workflow() -> dict[str, dict[str, dict[str, object]]]:
    return read(EXAMPLES / "plan-on-pr/.github/workflows/pins.yaml")


def commands(job: str) -> list[list[str]]:
    """The pinrec command lines of a job, redirections cut off."""
    scripts = [step["run"] for step in workflow()["jobs"][job]["steps"] if "run" in step]
    lines = [line.split(">")[0].strip() for script in scripts for line in script.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("pinrec ")]


def test_no_two_applies_run_at_once_and_none_is_cut_short() -> None:
    applying = [job for job in workflow()["jobs"] if any(c[0] in ("apply", "destroy") for c in commands(job))]
    assert applying == ["apply"]
    assert workflow()["jobs"]["apply"]["concurrency"] == {
        "group": "pinrec-acme-docs",
        "cancel-in-progress": False,
    }


def test_a_stranger_never_meets_a_key() -> None:
    text = (EXAMPLES / "plan-on-pr/.github/workflows/pins.yaml").read_text()
    assert "pull_request_target" not in text
    for name, job in workflow()["jobs"].items():
        if "secrets." in str(job):
            condition = str(job["if"])
            assert (
                "head.repo.full_name == github.repository" in condition or "!= 'pull_request'" in condition
            ), name


def test_the_workflow_s_commands_do_what_it_says(
    pinrec: Pinrec, local: Callable[[str], tuple[Path, Sandbox]], tmp_path: Path
) -> None:
    folder, sandbox = local("plan-on-pr")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    for job in ("validate", "plan"):
        for arguments in commands(job):
            done = pinrec(*arguments, cwd=folder, **github)
    assert re.search(r"docs/stable", done.stdout)
    assert not any(request.method != "GET" for request in sandbox.requests)
    for arguments in commands("apply"):
        pinrec(*arguments, cwd=folder, **github)
    assert "docs/stable" in (tmp_path / "summary.md").read_text()
    assert "No changes" in pinrec("plan", "--detailed-exitcode", cwd=folder).stdout
