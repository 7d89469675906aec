"""What can be wrong with a manifest: each with its place, what it is and the likely fix, all at once."""

import pytest

V1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
V0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
ORIGIN = "/dns4/x/tcp/1/p2p/12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG"
TOO_MANY = ", ".join(ORIGIN.replace("x", f"n{i}.example") for i in range(21))
PEER = "12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG"

# One item of `pins` in line 8, or what stands there instead; where the problem is, and what it says.
PINS = [
    ("- {nmae: x, cid: bafkqaaa}", "8:4", '"nmae" is no key of a pin (did you mean name?)'),
    ("- {name: x}", "8:3", "`cid` is missing"),
    ("- {name: x, cid: }", "8:18", "`cid` must be a text or a mapping (key: value), not nothing"),
    ("- {name: 012, cid: bafkqaaa}", "8:10", '`name` must be a text, not a number (quote it: "012")'),
    ("- {name: 1e3, cid: bafkqaaa}", "8:10", '`name` must be a text, not a number (quote it: "1e3")'),
    ("- {name: true, cid: bafkqaaa}", "8:10", '`name` must be a text, not true or false (quote it: "true")'),
    ("- {name: null, cid: bafkqaaa}", "8:10", "`name` must be a text, not nothing"),
    ('- {name: "", cid: bafkqaaa}', "8:10", "`name` must not be empty"),
    ("- {cid: /ipfs/bafkqaaa}", "8:9", "not a CID: it is a path; write only bafkqaaa"),
    (f"- {{cid: {V0.lower()}}}", "8:9", "its case matters"),
    (
        "- {cid: k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8}",
        "8:9",
        "not content: it is the CID of a key; `path: /ipns/…` follows what it names",
    ),
    ("- {cid: {env: A, file: b}}", "8:9", "`cid` must have one key, not several"),
    ("- {cid: {env: A-B}}", "8:15", "`env` must be the name of an environment variable"),
    ("- {cid: {file: 'https://x/y'}}", "8:16", "`file` must be a local file, not a URL"),
    ("- {cid: {evn: A}}", "8:10", '"evn" is no key of `cid` (did you mean env?)'),
    ("- {cid: bafkqaaa, mode: direct}", "8:25", "its API knows no direct pins"),
    ("- {cid: bafkqaaa, protect: yes}", "8:28", "`protect` must be true or false, not a text (write true)"),
    ("- {cid: bafkqaaa, protect: Off}", "8:28", "`protect` must be true or false, not a text (write false)"),
    ("- {cid: bafkqaaa, protect: 'true'}", "8:28", "(write true or false, without quotes)"),
    ("- {cid: bafkqaaa, replace: modfy}", "8:28", "`replace` must be one of safe, modify (did you mean modify?)"),
    ("- {cid: bafkqaaa, expires: tomorrow}", "8:28", "`expires` must be a date such as 2027-06-30"),
    ("- {cid: bafkqaaa, expires: 2027-02-30}", "8:28", "there is no day 2027-02-30"),
    ("- {cid: bafkqaaa, expires: 20270630}", "8:28", '`expires` must be a text, not a number'),
    ("- {cid: bafkqaaa, meta: {v: 1}}", "8:29", '`v` must be a text, not a number (quote it: "1")'),
    ("- {cid: bafkqaaa, meta: {v: [a]}}", "8:29", "`v` must be a text, not a list"),
    ("- {cid: bafkqaaa, meta: {pinrec: x}}", "8:26", "reserved for our own marks"),
    ("- {cid: bafkqaaa, meta: {pinrec.size: x}}", "8:26", "reserved for our own marks"),
    ("- {cid: bafkqaaa, services: a}", "8:29", "`services` must be a list or a mapping (key: value), not a text"),
    ("- {cid: bafkqaaa, services: []}", "8:29", "`services` must not be empty"),
    ("- {cid: bafkqaaa, services: [a, a]}", "8:29", '`services` must not hold anything twice: "a"'),
    ("- {cid: bafkqaaa, services: [c]}", "8:30", 'there is no service "c" (known: a, b)'),
    ("- {cid: bafkqaaa, services: {replicas: 3, of: [a, b]}}", "8:40", "3 replicas are wanted, and `of` has 2"),
    ("- {cid: bafkqaaa, services: {replicas: 0, of: [a, b]}}", "8:40", "`replicas` must be at least 1"),
    ("- {cid: bafkqaaa, services: {replicas: 1, of: [a, c]}}", "8:51", 'there is no service "c"'),
    ("- {cid: bafkqaaa, services: {replicas: 1}}", "8:29", "`of` is missing (The services to choose from)"),
    ("- {cid: bafkqaaa, origins: [x]}", "8:29", "an origin is a multiaddr"),
    (f"- {{cid: bafkqaaa, origins: [/foo/x/p2p/{PEER}]}}", "8:29", "an origin begins with one of /ip4"),
    (f"- {{cid: bafkqaaa, origins: [/ip4/1.2.3/tcp/1/p2p/{PEER}]}}", "8:29", "what follows /ip4 is no such address"),
    (f"- {{cid: bafkqaaa, origins: ['/ip4/::1/tcp/1/p2p/{PEER}']}}", "8:29", "what follows /ip4 is no such address"),
    ("- {cid: bafkqaaa, origins: [/ip4/1.2.3.4/tcp/1]}", "8:29", "an origin ends in /p2p/<peer id>"),
    ("- {cid: bafkqaaa, origins: [/ip4/1.2.3.4/tcp/1/p2p/x]}", "8:29", "what follows /p2p/ is no peer id"),
    (f"- {{cid: bafkqaaa, origins: [/ip4/1.2.3.4/tcp/1/p2p/{V1}]}}", "8:29", "what follows /p2p/ is no peer id"),
    (f"- {{cid: bafkqaaa, origins: [/ip4/1.2.3.4//p2p/{PEER}]}}", "8:29", "no empty part"),
    (f"- {{cid: bafkqaaa, origins: [{TOO_MANY}]}}", "8:28", "`origins` must have at most 20 items, and has 21"),
    (f"- {{cid: bafkqaaa, origins: [{ORIGIN}, {ORIGIN}]}}", "8:28", "must not hold anything twice"),
    ("- {cid: bafkqaaa, name: legacy/x}", "8:25", '"legacy/x" matches ignore: "legacy/*"'),
    ("- {cid: bafkqaaa, name: pinrec/acme/x}", "8:25", "names that begin with pinrec/ are reserved"),
    ("- {cid: bafkqaaa, name: ' x'}", "8:25", 'begins or ends with whitespace (write "x")'),
    ('- {cid: bafkqaaa, name: "a\\tb"}', "8:25", "holds the control character U+0009 (remove it)"),
    ('- {cid: bafkqaaa, name: "a\\u2028b"}', "8:25", "holds the control character U+2028"),
    ('- {cid: bafkqaaa, name: "e\\u0301"}', "8:25", 'is not in Unicode NFC'),
    (f"- {{cid: bafkqaaa, name: {'x' * 244}}}", "8:25", "the name has 244 bytes of at most 243"),
    (f"- {{cid: bafkqaaa, name: {'é' * 122}}}", "8:25", "the name has 244 bytes of at most 243"),
    (f"- {{cid: f0155{'00'}9601{'61' * 150}}}", "8:9", "without a name the pin goes by its CID"),
    ("- {from: nowhere.txt}", "8:10", '"nowhere.txt": no such file or directory'),
    ("- {from: .}", "8:10", '".": is a directory'),
    ("- {from: 'https://x/y'}", "8:10", "`from` must be a local file, not a URL"),
    ("- {from: a.txt, cid: bafkqaaa}", "8:17", '"cid" is no key of a list of pins'),
    ("- x", "8:3", "item 1 of `pins` must be a mapping (key: value), not a text"),
    ("-", "8:2", "item 1 of `pins` must be a mapping (key: value), not nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "place", "message"), PINS, ids=[p[0][:60] for p in PINS])
def test_an_item_of_pins(folder, head: str, item: str, place: str, message: str) -> None:
    text = f"{head}pins:\n{item}\nignore: [legacy/*]\n"
    [problem] = folder.problems(text)
    assert problem.startswith(f"pinrec.yaml:{place}: "), problem
    assert message in problem


@pytest.mark.parametrize("name", ["x" * 243, "é" * 121, "a b", "日本/語", "012", "yes", "bafkq", "🎉"])
def test_names_that_are_fine(folder, name: str) -> None:
    assert [e.name for e in folder.pins(f'- {{name: "{name}", cid: bafkqaaa}}\n').entries] == [name]


SERVICES = [
    ("{preset: pinatta, key: {env: A}}", "4:15", "(did you mean pinata?)"),
    ("{key: {env: A}}", "4:3", "`endpoint` is missing (it has no preset)"),
    ("{preset: helia, key: {env: A}}", "4:3", "`endpoint` is missing (the preset helia has none of its own)"),
    ("{preset: pinata}", "4:6", "`key` is missing (Where the access token is found)"),
    ("{preset: pinata, key: SECRET}", "4:28", "a key is never written into a manifest"),
    ("{preset: pinata, key: 12345}", "4:28", "a key is never written into a manifest"),
    ("{preset: pinata, key: [SECRET]}", "4:28", "a key is never written into a manifest"),
    ("{preset: pinata, key: {}}", "4:28", "a key is never written into a manifest"),
    ("{preset: pinata, key: {env: A, file: b}}", "4:28", "a key is never written into a manifest"),
    ("{preset: pinata, key: {value: SECRET}}", "4:29", '"value" is no key of `key` (known: env, file, c'),
    ("{preset: pinata, key: {SECRET.x: SECRET}}", "4:29", "this key is no key of `key`"),
    ("{preset: pinata, key: {env: SECRET-x.y}}", "4:34", "`env` must be the name of an environment variable"),
    ("{preset: pinata, key: {env: 12345}}", "4:34", "`env` must be the name of an environment variable"),
    ("{preset: pinata, key: {command: pass SECRET}}", "4:38", "must be a list of the program and its arguments"),
    ("{preset: pinata, key: {keyring: SECRET}}", "4:38", "must be SERVICE/USER"),
    ("{preset: pinata, key: {file: 'https://SECRET'}}", "4:35", "must be the path of a local file"),
    ("{preset: pinata, token: SECRET, key: {env: A}}", "4:23", '"token" is no key of `a`'),
    ("{endpoint: 'http://example.com/SECRET', key: {env: A}}", "4:17", "plain http to a host"),
    ("{endpoint: 'https://SECRET@example.com', key: {env: A}}", "4:17", "no user name or password"),
    ("{endpoint: 'https://example.com/?k=SECRET', key: {env: A}}", "4:17", "no ? or # part"),
    ("{endpoint: SECRET, key: {env: A}}", "4:17", "`endpoint` must begin with https:// or http://"),
    ("{preset: pinata, key: {env: A}, state: gone}", "4:45", "`state` must be one of active, suspended, retiring"),
    ("{preset: pinata, key: {env: A}, policies: [mfs]}", "4:49", 'there is no policy "mfs" (declare it'),
    ("{preset: pinata, key: {env: A}, prune: no}", "4:45", "(write false)"),
    ("{preset: pinata, key: {env: A}, limits: {requests: 10/m}}", "4:57", "`requests` must be a rate such as 10/s"),
    ("{preset: pinata, key: {env: A}, limits: {requests: 0/s}}", "4:57", "`requests` must be a rate such as 10/s"),
    ("{preset: pinata, key: {env: A}, limits: {requests: 10}}", "4:57", "`requests` must be a rate such as 10/s"),
    ("{preset: pinata, key: {env: A}, limits: {concurrency: 0}}", "4:60", "`concurrency` must be at least 1"),
    ("{preset: pinata, key: {env: A}, limits: {timeout: 0}}", "4:56", "`timeout` must be more than 0"),
    ("{preset: pinata, key: {env: A}, limits: {timeout: 1h}}", "4:56", "`timeout` must be a duration such as 30s"),
    ("{preset: pinata, key: {env: A}, profile: pinatta}", "4:47", "(did you mean pinata?)"),
    ("{preset: pinata, key: {env: A}, profile: {second_add: new}}", "4:48", "(did you mean secondAdd?)"),
    ("{preset: pinata, key: {env: A}, profile: {meta: maybe}}", "4:54", "`meta` must be one of kept, dropped, unknown"),
    ("x", "4:6", "`a` must be a mapping (key: value), not a text"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "place", "message"), SERVICES, ids=[s[0] for s in SERVICES])
def test_a_service(folder, service: str, place: str, message: str) -> None:
    [problem] = folder.problems(
        f"version: 1\nname: acme\nservices:\n  a: {service}\npins: [{{cid: bafkqaaa}}]\n"
    )
    assert problem.startswith(f"pinrec.yaml:{place}: "), problem
    assert message in problem
    assert "SECRET" not in problem
    assert "12345" not in problem


TOP = [
    ("name: acme\n", "1:1", "`version` is missing"),
    ("version: 2\nname: acme\n", "1:10", "`version` must be 1, the one version"),
    ("version: 1\n", "1:1", "`name` is missing (The owner"),
    ("version: 1\nname: Acme Site\n", "2:7", "`name` must be 1 to 40 characters of a-z, 0-9 and -"),
    ("version: 1\nname: |\n  acme\n", "2:7", "`name` must be 1 to 40 characters"),
    (f"version: 1\nname: {'a' * 41}\n", "2:7", "`name` must be 1 to 40 characters"),
    ("version: 1\nname: 12\n", "2:7", '`name` must be a text, not a number (quote it: "12")'),
    ("version: 1\nname: a\npreviousOwners: [b, a]\n", "3:21", "this is the manifest's present name"),
    ("version: 1\nname: a\nServices: {}\n", "3:1", '"Services" is no key of a manifest (did you mean services?)'),
    ("version: 1\nname: a\nnodes: {api: x}\n", "3:1", '"nodes" is no key of a manifest (did you mean node?)'),
    ("version: 1\nname: a\npolicy: {}\n", "3:1", '"policy" is no key of a manifest (did you mean policies?)'),
    ("version: 1\nname: a\nguards: {maxDeletes: ten}\n", "3:22", "`maxDeletes` must be a count such as 20 or a"),
    ("version: 1\nname: a\nguards: {maxDeletes: -1}\n", "3:22", "`maxDeletes` must be at least 0"),
    ("version: 1\nname: a\nguards: {maxDeletes: 101%}\n", "3:22", "`maxDeletes` must be a count"),
    ("version: 1\nname: a\nadopt: [{prune: true}]\n", "3:9", "`match` is missing (A glob)"),
    ("version: 1\nname: a\nignore: x\n", "3:9", "`ignore` must be a list, not a text"),
    ("version: 1\nname: a\nservices: []\npins: [{cid: bafkqaaa, services: [a]}]\n", "3:11", "must be a mapping"),
    ("version: 1\nname: a\nservices: {a/b: {preset: pinata, key: {env: A}}}\n", "3:12", "a service's name is 1 to 63"),
    ("version: 1\nname: a\npins: {}\n", "3:7", "`pins` must be a list, not a mapping"),
    ("version: 1\nname: a\npins: [{cid: bafkqaaa}]\n", "3:8", "where shall this be pinned? (no services are declared)"),
    ("", "1:1", "the file is empty (`pinrec init` writes a manifest to start from)"),
    ("- a\n", "1:1", "the file must be a mapping (key: value)"),
    ("version: 1\nname: [a\n", "3:1", "this is not valid YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message"), TOP, ids=[t[0][:60] for t in TOP])
def test_the_manifest_as_a_whole(folder, text: str, place: str, message: str) -> None:
    [problem] = folder.problems(text)
    assert problem.startswith(f"pinrec.yaml:{place}: "), problem
    assert message in problem


def test_a_target_must_be_chosen_where_there_are_several_services(folder, head: str) -> None:
    head = head.replace("defaults: {services: [a]}\n", "")
    [problem] = folder.problems(f"{head}pins:\n- {{cid: bafkqaaa}}\n")
    assert problem == (
        "pinrec.yaml:7:3: where shall this be pinned? (say `services: […]` here or under `defaults`)"
    )


def test_unknown_services_in_the_defaults(folder, head: str) -> None:
    [problem] = folder.problems(head.replace("[a]", "[a, bb]") + "pins:\n- {cid: bafkqaaa}\n")
    assert problem.startswith('pinrec.yaml:6:26: there is no service "bb" (')


def test_two_cids_for_one_name_at_one_service_show_both_places(folder) -> None:
    [problem] = folder.pin_problems(f"""
      - {{name: site, cid: bafkqaaa, services: [a, b]}}
      - {{name: other, cid: bafkqaaa}}
      - {{name: site, cid: {V1}, services: [b]}}
    """)
    assert problem == (
        f'pinrec.yaml:11:21: "site" at b is wanted with two CIDs: {V1} here, bafkqaaa at pinrec.yaml:9 '
        "(one name holds one CID at a service; rename one or remove one)"
    )


@pytest.mark.parametrize("cid", ["{env: X}", "{file: x}"])
def test_a_cid_from_elsewhere_may_be_another_one(folder, cid: str) -> None:
    [problem] = folder.pin_problems(f"""
      - {{name: site, cid: bafkqaaa}}
      - {{name: site, cid: {cid}}}
    """)
    assert '"site" at a is wanted with two CIDs' in problem


def test_one_pin_wanted_in_two_ways(folder) -> None:
    [problem] = folder.pin_problems("""
      - {name: site, cid: bafkqaaa, protect: true, meta: {x: y}}
      - {name: site, cid: bafkqaaa}
    """)
    assert '"site" at a is wanted twice, and meta and protect is not the same at pinrec.yaml:9' in problem


def test_one_pin_at_other_replicas(folder) -> None:
    [problem] = folder.pin_problems("""
      - {name: site, cid: bafkqaaa, services: {replicas: 1, of: [a, b]}}
      - {name: site, cid: bafkqaaa, services: {replicas: 2, of: [a, b]}}
    """)
    assert '"site" at a, b is wanted twice, by other replicas at pinrec.yaml:9' in problem


def test_one_account_under_two_names(folder) -> None:
    [problem] = folder.problems(
        """\
        version: 1
        name: acme
        services:
          a: {preset: pinata, key: {env: A}}
          b: {endpoint: "https://API.pinata.cloud/psa/pins", key: {env: A}}
        """
    )
    assert problem.startswith(
        "pinrec.yaml:5:3: b has the endpoint and the key of a: one account under two names"
    )


def test_repeated_keys(folder, head: str) -> None:
    problems = folder.problems(head + "pins: []\nname: other\npins: []\n")
    assert problems == [
        "pinrec.yaml:8:1: the key 'name' is here for the second time (the first is at 2:1)",
        "pinrec.yaml:9:1: the key 'pins' is here for the second time (the first is at 7:1)",
    ]


def test_all_at_once_in_the_order_of_their_places(folder) -> None:
    folder.write("l.txt", "nonsense\n")
    problems = folder.problems(
        """\
        version: 1
        name: Acme
        servces: {}
        services:
          a: {preset: pinata, key: LITERAL}
          b: {preset: pinata, key: {env: B}}
        pins:
          - {name: x, cid: bafkqaaa, services: [a, c]}
          - {name: x, cid: nonsense, services: [a]}
          - {name: 5, cid: bafkqaaa, services: [b]}
          - {from: l.txt, services: [b]}
          - {from: m.txt, services: [b]}
        """
    )
    assert [p.split(" ")[0] for p in problems] == [
        "pinrec.yaml:2:7:",
        "pinrec.yaml:3:1:",
        "pinrec.yaml:5:28:",
        "pinrec.yaml:8:44:",
        "pinrec.yaml:9:20:",
        "pinrec.yaml:10:12:",
        "pinrec.yaml:12:12:",
        "l.txt:1:1:",
    ]


def test_only_so_many_are_shown_and_the_rest_is_counted(folder) -> None:
    problems = folder.pin_problems("".join(f"- {{name: n{i}, cid: nonsense}}\n" for i in range(250)))
    assert len(problems) == 101
    assert problems[0].startswith("pinrec.yaml:8:")
    assert problems[99].startswith("pinrec.yaml:107:")
    assert problems[100] == "pinrec.yaml: and 150 more problems"


def test_what_depends_on_something_wrong_is_no_problem_of_its_own(folder) -> None:
    """A service that is declared wrongly is declared, and defaults that do not fit are not missing."""
    problems = folder.problems(
        """\
        version: 1
        name: acme
        services:
          a: {preset: nothing, key: {env: A}}
          b: {preset: pinata, key: {env: B}}
        defaults: {services: a}
        pins:
          - {cid: bafkqaaa}
          - {name: x, cid: bafkqaaa, services: [a]}
        """
    )
    assert [p.split(" ")[0] for p in problems] == ["pinrec.yaml:4:15:", "pinrec.yaml:6:22:"]


def test_hostile_names_are_shown_without_their_controls(folder) -> None:
    [problem] = folder.pin_problems('- {name: "legacy/\\e[31m\\u202e\\n::error::x", cid: bafkqaaa}\n')
    assert problem.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        'version: 1\nname: a\n"\\e[2J\\u202e": 1\n',
        'version: 1\nname: a\nservices: {"\\e[2J": {preset: pinata, key: {env: A}}}\npins: [{services: [x]}]\n',
        'version: 1\nname: a\nversion: 1\n"\\e": 1\n"\\e": 1\n',
        'version: 1\nname: a\ninclude: "\\e[2J.yaml"\n',
        'version: 1\nname: a\nservices: {a: {preset: "\\e", key: {env: "\\e"}}}\n',
    ],
)
def test_nothing_that_steers_a_terminal_comes_through(folder, text: str) -> None:
    for problem in folder.problems(text):
        assert problem.isprintable()


@pytest.mark.parametrize("glob", ["*", "bafk*"])
def test_an_unnamed_pin_is_ignored_by_its_cid(folder, head: str, glob: str) -> None:
    [problem] = folder.problems(f'{head}pins:\n- {{cid: bafkqaaa}}\nignore: ["{glob}"]\n')
    assert f'8:9: without a name the pin goes by its CID: "bafkqaaa" matches ignore: "{glob}"' in problem


def test_a_glob_that_would_match_no_name_at_all_does_not_concern_unnamed_pins(folder, head: str) -> None:
    assert folder.load(head + "pins:\n- {cid: bafkqaaa}\nignore: ['?']\n").entries


def test_a_file_that_is_not_there_or_no_text(folder) -> None:
    from reconciler.core.errors import ManifestError
    from reconciler.manifest import load_manifest

    with pytest.raises(ManifestError, match=r"pinrec\.yaml: there is no such file \(`pinrec init`"):
        load_manifest("pinrec.yaml")
    folder.write("latin.yaml", "version: 1\nname: é\n".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"latin\.yaml:2:1: the file is not UTF-8"):
        load_manifest("latin.yaml")
    with pytest.raises(ManifestError, match="is a directory"):
        load_manifest(str(folder.path))


def test_no_message_of_the_validator_comes_through(folder, head: str) -> None:
    """jsonschema's own sentences quote whole documents and say `is not valid under any of the given schemas`."""
    for item, *_ in PINS:
        for problem in folder.problems(f"{head}pins:\n{item}\nignore: [legacy/*]\n"):
            assert "does not fit the schema" not in problem
            assert "schemas" not in problem


@pytest.mark.parametrize(
    ("item", "column"),
    [
        (r'{name: x, path: "/ipns/a\ud800b"}', 19),
        (r'{name: "x\udfff", path: /ipns/a.example}', 10),
        (r'{name: x, path: /ipns/a.example, meta: {k: "\ud83d"}}', 46),
        (r'{name: x, path: /ipns/a.example, meta: {"\ud83d": v}}', 43),
        (r'{"from": "\udc00.txt"}', 12),
    ],
)
def test_half_a_character_in_a_text(folder, item: str, column: int) -> None:
    [problem] = folder.pin_problems(f"- {item}\n")
    assert problem.startswith(f"pinrec.yaml:8:{column}: this text holds a surrogate")
