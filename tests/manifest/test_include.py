"""Files that a manifest includes."""

MAIN = """\
version: 1
name: acme
include: {include}
services:
  a: {{preset: pinata, key: {{env: A}}}}
defaults: {{services: [a], meta: {{x: "1"}}}}
pins:
  - {{name: one, cid: bafkqaaa}}
ignore: [x/*]
"""


def test_what_is_included_is_added(folder) -> None:
    folder.write(
        "team/more.yaml",
        """\
        services:
          b: {preset: filebase, key: {file: b.token}}
        include: deeper/pins.yaml
        pins:
          - {name: two, cid: bafkqaaa}
          - {from: list.txt, services: [b]}
        adopt: [y/*]
        protected: [p/*]
        unprotect: [u/*]
        x-anything: 1
        """,
    )
    folder.write(
        "team/deeper/pins.yaml", "pins:\n  - {name: four, cid: bafkqaaa, services: [a, b]}\nignore: [z/*]\n"
    )
    folder.write("team/list.txt", "bafkqaaa three\n")
    manifest = folder.load(MAIN.format(include="team/more.yaml"))
    assert [(e.name, e.spec.file, e.line, e.spec.services) for e in manifest.entries] == [
        ("one", "pinrec.yaml", 8, ("a",)),
        ("two", "team/more.yaml", 5, ("a",)),
        ("three", "team/list.txt", 1, ("b",)),
        ("four", "team/deeper/pins.yaml", 2, ("a", "b")),
    ]
    assert manifest.entries[1].spec.meta == {"x": "1"}, "defaults hold for included pins"
    assert manifest.services["b"].key.value == (str(folder.path / "team/b.token"),)
    assert (manifest.services["b"].file, manifest.services["b"].line) == ("team/more.yaml", 2)
    assert manifest.ignore == ("x/*", "z/*")
    assert [a.match for a in manifest.adopt] == ["y/*"]
    assert (manifest.protected, manifest.unprotect) == (("p/*",), ("u/*",))


def test_several_files_in_their_order(folder) -> None:
    folder.write("x.yaml", "pins: [{name: x, cid: bafkqaaa}]\n")
    folder.write("y.yaml", "pins: [{name: y, cid: bafkqaaa}]\n")
    manifest = folder.load(MAIN.format(include="[y.yaml, x.yaml]"))
    assert [e.name for e in manifest.entries] == ["one", "y", "x"]


def test_cycles(folder) -> None:
    folder.write("b.yaml", "include: sub/c.yaml\n")
    folder.write("sub/c.yaml", "include: ../pinrec.yaml\n")
    [problem] = folder.problems(MAIN.format(include="b.yaml"))
    assert problem == (
        "sub/c.yaml:1:10: the files include each other: pinrec.yaml → b.yaml → sub/c.yaml → pinrec.yaml"
    )


def test_a_file_that_includes_itself(folder) -> None:
    [problem] = folder.problems(MAIN.format(include="./pinrec.yaml"))
    assert problem == "pinrec.yaml:3:10: the files include each other: pinrec.yaml → pinrec.yaml"


def test_twice(folder) -> None:
    folder.write("x.yaml", "include: y.yaml\n")
    folder.write("y.yaml", "pins: []\n")
    [problem] = folder.problems(MAIN.format(include="[x.yaml, y.yaml]"))
    assert problem == "pinrec.yaml:3:19: y.yaml is included by x.yaml already"


def test_only_local_relative_files(folder) -> None:
    problems = folder.problems(MAIN.format(include="['https://x/y', /etc/passwd, ~/x, nothing.yaml]"))
    assert problems == [
        "pinrec.yaml:3:11: item 1 of `include` must be a local file, not a URL",
        "pinrec.yaml:3:26: an included file is named relative to the file that includes it",
        "pinrec.yaml:3:39: an included file is named relative to the file that includes it",
        "pinrec.yaml:3:44: nothing.yaml: there is no such file",
    ]


def test_what_belongs_into_the_manifest_itself(folder) -> None:
    folder.write("x.yaml", "name: other\nguards: {}\ndefaults: {}\npreviousOwners: []\npinz: []\n")
    problems = folder.problems(MAIN.format(include="x.yaml"))
    assert [p.partition(" ")[0] for p in problems] == [f"x.yaml:{n}:1:" for n in range(1, 6)]
    assert all("(it belongs into the manifest itself)" in p for p in problems[:4])
    assert problems[4] == 'x.yaml:5:1: "pinz" is no key of an included file (did you mean pins?)'


def test_a_service_of_two_files(folder) -> None:
    folder.write("x.yaml", "services: {a: {preset: filebase, key: {env: A}}}\n")
    [problem] = folder.problems(MAIN.format(include="x.yaml"))
    assert problem == 'x.yaml:1:12: the service "a" is declared in pinrec.yaml too'


def test_problems_of_included_files_have_their_places(folder) -> None:
    folder.write("x.yaml", "pins:\n  - {name: one, cid: bafkqaaa, protect: true}\n  - {name: q, cid: x}\n")
    folder.write("y.yaml", "a: b: c\n")
    problems = folder.problems(MAIN.format(include="[x.yaml, y.yaml]"))
    assert [p.partition(": ")[0] for p in problems] == ["x.yaml:2:12", "x.yaml:3:20", "y.yaml:1:5"]
    assert "pinrec.yaml:8" in problems[0]


def test_services_that_a_broken_file_may_declare_are_not_missed(folder) -> None:
    folder.write("x.yaml", "a: b: c\n")
    problems = folder.problems(MAIN.format(include="x.yaml").replace("services: [a]", "services: [b]"))
    assert [p.partition(": ")[0] for p in problems] == ["x.yaml:1:5"]


def test_empty_files_are_said_to_be_empty(folder) -> None:
    folder.write("x.yaml", "")
    assert folder.problems(MAIN.format(include="x.yaml")) == ["x.yaml:1:1: the file is empty"]
