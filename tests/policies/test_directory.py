"""`kind: directory`: a local folder, here and there."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.model import raw_cid

from reconciler.core.cid import parse
from reconciler.core.policy import Policy
from reconciler.core.question import Facts, Folder, FolderOf, NotKnown
from reconciler.core.wanting import Want, Wanted
from reconciler.manifest import load_manifest
from reconciler.policies import KINDS

KIND = KINDS["directory"]
CID = parse(raw_cid("site"))
ASKED = FolderOf(path="/srv/site/dist")


def policy(**more: Any) -> Policy:
    base = Policy(
        name="site", kind="directory", settings={"path": "./dist"}, pin_name="site", base="/srv/site"
    )
    return replace(base, **more)


def wanted(answer: Any, of: Policy | None = None) -> Wanted:
    of = of or policy()
    return KIND.wanted(of, Facts(dict.fromkeys(KIND.questions(of), answer)), {"s": "https://s.example"})


def test_one_question_and_its_answer_is_what_is_wanted() -> None:
    assert KIND.questions(policy()) == (ASKED,)
    assert wanted(Folder(cid=CID, size=70, files=3)) == Wanted(
        wants=(Want(name="site", cid=CID, size=70, whence="directory: ./dist", made_here=True),)
    )


def test_an_empty_folder_says_so() -> None:
    [want] = wanted(Folder(cid=CID, size=4, files=0, empty=True)).wants
    assert want.empty
    assert want.barren
    [want] = wanted(Folder(cid=CID, size=4, files=1, empty=True)).wants
    assert not want.barren, "an empty file may be meant"


def test_what_cannot_be_read_is_unknown_under_every_name_that_it_can_have_given() -> None:
    of = policy(pin_name="site[1]")
    [unknown] = wanted(NotKnown(why="there is no such folder or file", hint="has the build run?"), of).unknown
    assert unknown.source == "policy site"
    assert unknown.why == "./dist: there is no such folder or file"
    assert unknown.hint == "has the build run?"
    assert unknown.patterns == ("site[[]1]", "site[[]1]@*")
    assert unknown.service == ""


def test_nothing_is_wanted_of_what_nobody_answered() -> None:
    assert KIND.wanted(policy(), Facts(), {}).wants == ()
    assert KIND.wanted(policy(), Facts(), {}).unknown


def test_switched_off() -> None:
    off = policy(enabled=False)
    [unknown] = KIND.wanted(off, Facts({ASKED: Folder(cid=CID, size=1, files=1)}), {}).unknown
    assert unknown.meant


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("./dist", "/srv/site/dist"),
        ("dist/", "/srv/site/dist"),
        (".", "/srv/site"),
        ("../out/./x", "/srv/out/x"),
        ("/abs", "/abs"),
    ],
)
def test_paths_are_relative_to_the_manifest(written: str, path: str) -> None:
    [asked] = KIND.questions(policy(settings={"path": written}))
    assert isinstance(asked, FolderOf)
    assert asked.path == path


def test_settings_make_the_question() -> None:
    settings = {"path": "dist", "ignore": (".DS_Store", "*.map"), "wrap": True, "layout": "unixfs-v1-2025"}
    assert KIND.questions(policy(settings=settings)) == (
        FolderOf(path="/srv/site/dist", ignore=(".DS_Store", "*.map"), wrap=True, layout="unixfs-v1-2025"),
    )


def test_a_peer_id_is_nothing_that_a_folder_has() -> None:
    assert not KIND.problems(policy())
    assert [setting for setting, _ in KIND.problems(policy(pin_name="{peer_id}/site"))] == ["pinName"]


def test_as_one_writes_it(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part/site.yaml").write_text(
        "policies: {site: {kind: directory, path: ./dist, ignore: [.DS_Store]}}\n"
    )
    (tmp_path / "pinrec.yaml").write_text(
        "version: 1\nname: acme\ninclude: [part/site.yaml]\n"
        "services: {a: {preset: pinata, key: {env: A}, policies: [site]}}\n"
    )
    found = load_manifest(str(tmp_path / "pinrec.yaml")).policies["site"]
    # The folder of the file that it is declared in, as for list files.
    assert KIND.questions(found) == (FolderOf(path=str(tmp_path / "part/dist"), ignore=(".DS_Store",)),)
    assert found.pin_name == "site"
    assert found.local
