"""List files: text, CSV and NDJSON."""

import pytest

V1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


def listed(folder, name: str, content: str | bytes, extra: str = "") -> list[tuple[str, str, int]]:
    folder.write(name, content)
    manifest = folder.pins(f"- {{from: {name}{extra}}}\n")
    [source] = manifest.sources
    assert source.entries == len(manifest.entries)
    return [(e.name, str(e.cid), e.line) for e in manifest.entries]


def problems(folder, name: str, content: str | bytes) -> list[str]:
    folder.write(name, content)
    return folder.pin_problems(f"- {{from: {name}}}\n")


def test_text(folder) -> None:
    content = f"# comment\n\nbafkqaaa one\n  bafkqaaa\ttwo  words # and more \r\n   # comment\n{V1}\nbafkqaaa   three"
    assert listed(folder, "l.txt", content) == [
        ("one", "bafkqaaa", 3),
        ("two  words # and more", "bafkqaaa", 4),
        ("", V1, 6),
        ("three", "bafkqaaa", 7),
    ]


def test_csv(folder) -> None:
    content = f'cid,name\r\nbafkqaaa,one\r\n\r\nbafkqaaa,"two, with ""comma"""\r\n{V1},\r\n'
    assert listed(folder, "l.csv", content) == [
        ("one", "bafkqaaa", 2),
        ('two, with "comma"', "bafkqaaa", 4),
        ("", V1, 5),
    ]


@pytest.mark.parametrize("content", ["Name , CID\none,bafkqaaa\n", "name,cid\none,bafkqaaa\n"])
def test_csv_columns_in_any_order(folder, content: str) -> None:
    assert listed(folder, "L.CSV", content) == [("one", "bafkqaaa", 2)]


def test_csv_of_cids_alone(folder) -> None:
    assert listed(folder, "l.csv", "cid\nbafkqaaa\n") == [("", "bafkqaaa", 2)]


@pytest.mark.parametrize("name", ["l.ndjson", "l.jsonl"])
def test_ndjson(folder, name: str) -> None:
    content = f'''{{"cid": "bafkqaaa", "name": "one"}}

{{"name": null, "cid": "{V1}"}}
{{"cid": "bafkqaaa", "name": "z\\u00e9"}}
'''
    assert listed(folder, name, content) == [("one", "bafkqaaa", 1), ("", V1, 3), ("zé", "bafkqaaa", 4)]


@pytest.mark.parametrize("name", ["l.txt", "l.csv", "l.ndjson", "l"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n"])
def test_an_empty_file_is_valid(folder, name: str, content: bytes) -> None:
    if name == "l.csv" and content == b"\n\n":
        content = b"cid,name\n"
    assert listed(folder, name, content) == []


def test_a_byte_order_mark_is_skipped(folder) -> None:
    assert listed(folder, "l.txt", b"\xef\xbb\xbfbafkqaaa one\n") == [("one", "bafkqaaa", 1)]


def test_the_prefix_goes_before_names_and_nowhere_else(folder) -> None:
    got = listed(folder, "l.txt", f"bafkqaaa one\n{V1}\n", extra=", namePrefix: data/")
    assert [name for name, *_ in got] == ["data/one", ""]


def test_what_the_item_says_holds_for_every_line(folder) -> None:
    folder.write("l.txt", "bafkqaaa one\nbafkqaaa two\n")
    manifest = folder.pins(
        "- {from: l.txt, services: [b], meta: {x: y}, protect: true, expires: 2030-01-01}\n"
    )
    one, two = (e.spec for e in manifest.entries)
    assert one is two
    assert (one.services, one.meta, one.protect, str(one.expires)) == (("b",), {"x": "y"}, True, "2030-01-01")


PROBLEMS = [
    ("l.txt", "bafkqaaa ok\nnonsense name\n", "l.txt:2:1: not a CID: "),
    ("l.txt", "name bafkqaaa\n", "l.txt:1:1: not a CID: it begins like no CID"),
    ("l.txt", b"  /ipfs/bafkqaaa x\n", "l.txt:1:3: not a CID: it is a path; write only bafkqaaa"),
    ("l.txt", f"bafkqaaa x\n{V1} x\n", 'l.txt:2:1: "x" at a is wanted with two CIDs'),
    ("l.txt", "bafkqaaa   legacy/x\n", 'l.txt:1:12: "legacy/x" matches ignore: "legacy/*"'),
    ("l.txt", f"bafkqaaa {'x' * 244}\n", "l.txt:1:10: the name has 244 bytes"),
    ("l.txt", b"bafkqaaa x\nbafkqaaa \xff\n", 'pinrec.yaml:8:10: "l.txt": line 2 is not UTF-8'),
    ("l.csv", "bafkqaaa,x\n", "l.csv:1:1: the first line of a CSV file must name the columns (write: cid,name)"),
    ("l.csv", "cid,name,size\n", "l.csv:1:1: a CSV file has the columns cid and name, not \"size\""),
    ("l.csv", "cid,name,cid\n", "l.csv:1:1: a column is named twice (write: cid,name)"),
    ("l.txt", '[{"cid": "bafkqaaa"}]\n', "l.txt:1:1: this looks like JSON"),
    ("l.csv", "cid,name\nbafkqaaa,a,b\n", "l.csv:2:1: this line has 3 fields and the first line 2"),
    ("l.csv", "cid,name\nbafkqaaa\n", "l.csv:2:1: this line has 1 fields and the first line 2"),
    ("l.csv", 'cid,name\nbafkqaaa,"x"y\n', "l.csv:2:1: this is not valid CSV"),
    ("l.csv", "cid,name\nnonsense,x\n", 'l.csv:2:1: not a CID: it begins like no CID (Qm…, b…'),
    ("l.ndjson", '{"cid": "bafkqaaa"\n', "l.ndjson:1:1: this is no pin: "),
    ("l.ndjson", '{"name": "x"}\n', "l.ndjson:1:1: this is no pin: "),
    ("l.ndjson", '{"cid": "bafkqaaa", "nmae": "x"}\n', "l.ndjson:1:1: this is no pin: "),
    ("l.ndjson", '{"cid": "nonsense"}\n', "l.ndjson:1:1: not a CID: "),
    ("l.ndjson", '{"cid": "bafkqaaa", "name": "legacy/x"}\n', 'l.ndjson:1:1: "legacy/x" matches ignore'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "expected"), PROBLEMS)
def test_problems_have_the_place_in_the_list(
    folder, head: str, name: str, content: str | bytes, expected: str
) -> None:
    folder.write(name, content)
    [problem] = folder.problems(f"{head}pins:\n- {{from: {name}}}\nignore: [legacy/*]\n")
    assert problem.startswith(expected), problem


def test_a_list_of_nonsense_shows_some_and_counts_the_rest(folder) -> None:
    got = problems(folder, "l.txt", "nonsense\n" * 1000)
    assert len(got) == 21
    assert got[0].startswith("l.txt:1:1: ")
    assert got[-1] == "l.txt: and 980 more problems"


def test_a_conflict_between_a_list_and_the_manifest_shows_both(folder) -> None:
    folder.write("l.txt", f"{V1} x\n")
    [problem] = folder.pin_problems("- {name: x, cid: bafkqaaa}\n- {from: l.txt}\n")
    assert problem.startswith(
        f'l.txt:1:1: "x" at a is wanted with two CIDs: {V1} here, bafkqaaa at pinrec.yaml:8'
    )


def test_two_lists(folder) -> None:
    folder.write("one.txt", "bafkqaaa x\n")
    folder.write("two.txt", "bafkqaaa x\nbafkqaaa y\n")
    manifest = folder.pins("- {from: one.txt, namePrefix: a/}\n- {from: two.txt}\n- {from: one.txt}\n")
    assert [(s.name, s.entries, s.name_prefix) for s in manifest.sources] == [
        ("one.txt", 1, "a/"),
        ("two.txt", 2, ""),
        ("one.txt", 0, ""),
    ]
    assert [(n.file, n.line) for n in manifest.notes if "repeats" in n.message] == [("one.txt", 1)]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("l.txt", "bafkqaaa a\nk51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8 b\n"),
        ("l.csv", "cid,name\nk51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8,b\n"),
        (
            "l.ndjson",
            '{"cid": "bafkqaaa"}\n{"cid": "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"}\n',
        ),
    ],
)
def test_the_cid_of_a_key_is_no_content(folder, file: str, text: str) -> None:
    folder.write(file, text)
    [problem] = folder.pin_problems(f"- from: {file}\n")
    assert problem.startswith(f"{file}:2:1: not content: it is the CID of a key; `path: /ipns/…`")
