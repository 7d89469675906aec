"""What the shell offers: services and names of the manifest, and silence where something is wrong."""

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from reconciler.cli.main import cli
from tests.cli.conftest import A, World


def offered(*args: str) -> list[str]:
    """What is offered for the last of `args`."""
    found = ShellComplete(cli, {}, "pinrec", "_PINREC_COMPLETE").get_completions(list(args[:-1]), args[-1])
    return [item.value for item in found]


@pytest.fixture
def declared(world: World) -> World:
    world.manifest(
        f"name: website, cid: {A}",
        "name: docs, cid: {env: X}",
        "from: more.txt, namePrefix: d/",
        services="  pinata: {preset: pinata, key: {env: P}}\n",
        extra="include: team.yaml\n",
    )
    Path("more.txt").write_text(f"# comment\n{A} one two\n{A}\n")
    Path("team.yaml").write_text(
        f"services: {{far: {{preset: pinata, key: {{env: Q}}}}}}\npins: [{{name: web, cid: {A}}}]\n"
    )
    return world


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["pin", "set", ""], ["website", "docs", "d/one two", "web"]),
        (["pin", "rm", "web"], ["website", "web"]),
        (["pin", "rm", "x", "--service", "p"], ["pinata"]),
        (["pin", "add", A, "--service", "box,"], ["box,pinata", "box,far"]),
        (["service", "test", ""], ["box", "pinata", "far"]),
        (["plan", "--service", "f"], ["far"]),
        (["plan", "--target", "d"], ["docs", "d/one two"]),
        (["import", "b"], ["box"]),
        (["pi"], ["pin"]),
        (["pin", "s"], ["set"]),
    ],
)
def test_names_of_the_manifest(declared: World, args: list[str], wanted: list[str]) -> None:
    assert offered(*args) == wanted
    assert declared.sandbox.requests == ()


def test_the_manifest_that_was_named(declared: World) -> None:
    Path("other.yaml").write_text(f"pins: [{{name: there, cid: {A}}}]\n")
    assert offered("-f", "other.yaml", "pin", "set", "") == ["there"]
    assert offered("pin", "set", "-f", "other.yaml", "") == ["there"]


@pytest.mark.parametrize(
    "text", [None, "", "[", "- 1\n", "pins: 3\n", "pins: [1, {name: [x]}]\n", "include: [no.yaml]\n", "\x00"]
)
def test_silence(world: World, text: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if text is not None:
        Path("pinrec.yaml").write_text(text)
    assert offered("pin", "set", "") == []
    assert offered("service", "rm", "") == []
    assert offered("-f", "-", "pin", "set", "") == []
    assert capsys.readouterr() == ("", "")


def test_a_manifest_with_a_mistake_completes_all_the_same(world: World) -> None:
    world.manifest(f"name: a, cid: {A}", "name: b, cid: nonsense, servises: [x]")
    assert offered("pin", "set", "") == ["a", "b"]
