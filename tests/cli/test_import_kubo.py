"""pinrec import --kubo: what a node pins, as a manifest whose plan says that there is nothing to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.kubo_home import KEY, SECOND, Home, put
from support.remote_pins import serve_remote_pins

from reconciler.manifest import load_manifest
from reconciler.sandbox import CLUSTER, SPEC, Sandbox
from reconciler.sandbox.node import SandboxNode
from tests.cli.conftest import A, B, C, World


@pytest.fixture
def second() -> Iterator[Sandbox]:
    with Sandbox((SECOND,)) as sandbox:
        yield sandbox


@pytest.fixture
def home(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    serve_remote_pins(monkeypatch)
    for name in ("IPFS_PATH", "MINE_KEY", "OTHER_KEY"):
        monkeypatch.delenv(name, raising=False)
    with SandboxNode() as node:
        yield Home(world, node)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", SECOND)


def pins() -> dict[tuple[str, str], tuple[object, bool]]:
    return {(e.name, str(e.cid)): (e.spec.services, e.spec.local) for e in load_manifest("new.yaml").entries}


def through(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the services are asked, or Kubo: the keys make the difference."""
    if how == "service":
        monkeypatch.setenv("MINE_KEY", KEY)
        monkeypatch.setenv("OTHER_KEY", SECOND)


both = pytest.mark.parametrize("how", ["service", "kubo"])


@both
def test_remote_pins_and_those_held_locally(home: Home, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home.service("mine", home.world.sandbox)
    here = home.pin(b"here", "held")
    home.pin(b"only here", "local only")
    for i, (name, of) in enumerate([("website", A), ("docs #1: *", B), ("held", here), (None, C)]):
        put(home.world.sandbox, name, of, at=i)
    through(how, monkeypatch)
    text, said = home.imported()
    assert pins() == {
        ("website", A): (("mine",), False),
        ("docs #1: *", B): (("mine",), False),
        ("held", here): (("mine",), True),
        ("", C): (("mine",), False),
    }
    assert f'node: {{api: "{home.node.api}"}}\n' in text
    assert "mine: {endpoint: " in text
    assert "key: {env: MINE_KEY}}" in text
    assert "  local: false\n" in text
    assert ("MINE_KEY  Pinning.RemoteServices.mine.API.Key" in said) == (how == "kubo")
    assert ("Listed through Kubo, and the service counts as many: 4." in text) == (how == "kubo")
    through("service", monkeypatch)
    # What the user has pinned at the node is held there, not ours, and is no news.
    home.nothing_to_do("No changes. The services hold what the manifest says.\n")


@both
def test_an_mfs_policy_goes_on_with_the_pin_that_kubo_made(
    home: Home, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.service("mine", home.world.sandbox, enable=True)
    root = home.node.write("/photos/a.jpg", b"a")
    put(home.world.sandbox, home.mfs, root)
    put(home.world.sandbox, "website", A, at=1)
    through(how, monkeypatch)
    text, said = home.imported()
    command = "ipfs config --json Pinning.RemoteServices.mine.Policies.MFS.Enable false"
    assert command in text
    assert command in said
    assert "  all-in-mfs: {repinInterval: 5m}\n" in text
    assert "policies: [all-in-mfs]}" in text
    assert list(pins()) == [("website", A)]

    through("service", monkeypatch)
    fighting = home.plan()
    assert fighting.code == 3
    assert "Kubo's own MFS policy pins under" in fighting.out
    home.switch_off("mine")
    home.nothing_to_do()

    changed = home.node.write("/photos/b.jpg", b"b")
    assert home.world.run("apply", "-f", "new.yaml", "--yes").code == 0
    assert home.world.there() == {home.mfs: changed, "website": A}
    home.nothing_to_do()
    if how == "service":
        text, _ = home.imported("--force")
        assert "  all-in-mfs: {repinInterval: 5m}\n" in text
        home.nothing_to_do()


def test_intervals_and_names_that_differ(
    home: Home, second: Sandbox, key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THIRD_KEY", KEY)
    monkeypatch.setenv("NAMED_KEY", KEY)
    with Sandbox((KEY,)) as named, Sandbox((KEY,)) as third:
        home.service("mine", home.world.sandbox, enable=True, interval="1m30s")
        home.service("other", second, SECOND, enable=True)
        home.service("third", third, enable=True, pin_name="backup of {x}")
        home.service("named", named, enable=True, pin_name="my backup", interval=".5h")
        root = home.node.write("/a", b"a")
        put(home.world.sandbox, home.mfs, root)
        put(home.world.sandbox, "my backup", A, at=1)
        put(named, "my backup", root)
        put(second, home.mfs, root, key=SECOND)
        text, said = home.imported()
        manifest = load_manifest("new.yaml")
        assert {name: (p.pin_name, p.repin_interval) for name, p in manifest.policies.items()} == {
            "all-in-mfs": ("policy/{peer_id}/mfs", 90.0),
            "mfs-my-backup": ("my backup", 1800.0),
        }
        assert manifest.policies["all-in-mfs"].interval("other") == 300.0
        assert '# Kubo\'s RepinInterval here is ".5h".' in text
        assert 'Kubo keeps MFS pinned here as "backup of {x}", which no policy can: it holds a brace.' in text
        assert "adopt: [my backup]" in text
        assert said.count("Policies.MFS.Enable false") == 4
        home.switch_off("mine", "other", "third", "named")
        home.nothing_to_do()
        changed = home.node.write("/b", b"b")
        assert home.world.run("apply", "-f", "new.yaml", "--yes").code == 0
        assert home.world.there() == {home.mfs: changed, "my backup": A}
        assert [kept.cid for kept in named.store.all(KEY)] == [changed]
        home.nothing_to_do()


def test_a_policy_that_is_off_stays_off(home: Home, key: None) -> None:
    home.service("mine", home.world.sandbox, interval="1h")
    put(home.world.sandbox, home.mfs, A)
    text, _ = home.imported()
    assert "  all-in-mfs: {enabled: false, repinInterval: 1h}\n" in text
    assert "# Kubo keeps MFS pinned here no more, and its last pin is still there." in text
    home.node.write("/changed", b"since")
    home.nothing_to_do()


def test_on_here_and_off_there(home: Home, second: Sandbox, key: None) -> None:
    home.service("mine", home.world.sandbox, enable=True)
    home.service("other", second, SECOND)
    root = home.node.write("/a", b"a")
    put(home.world.sandbox, home.mfs, root)
    put(second, home.mfs, A, key=SECOND)
    text, _ = home.imported()
    assert "With all-in-mfs among its `policies` pinrec goes on with it." in text
    assert list(load_manifest("new.yaml").policies["all-in-mfs"].uses) == ["mine"]
    home.switch_off("mine")
    home.nothing_to_do()


def test_the_mfs_of_another_node_is_left_to_it(home: Home, key: None) -> None:
    theirs = "policy/12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG/mfs"
    home.service("mine", home.world.sandbox, enable=True)
    root = home.node.write("/a", b"a")
    put(home.world.sandbox, home.mfs, root)
    put(home.world.sandbox, theirs, A)
    for i in range(210):  # so many that all are adopted with one glob
        put(home.world.sandbox, f"n{i}", home.node.add(b"%d" % i), at=i)
    text, _ = home.imported()
    assert f"ignore: [{theirs}]" in text
    assert 'adopt: ["*"]' in text
    assert "the MFS policy of another node keeps it" in text
    home.switch_off("mine")
    home.nothing_to_do()


def test_duplicates_that_kubo_left_under_its_name_are_told_of(home: Home, key: None) -> None:
    home.service("mine", home.world.sandbox, enable=True)
    root = home.node.write("/a", b"a")
    for at, of in enumerate((A, B, root)):
        put(home.world.sandbox, home.mfs, of, at=at)
    text, _ = home.imported()
    assert "# Kubo left 3 pins as" in text
    home.switch_off("mine")
    assert home.plan("--detailed-exitcode").code == 2
    assert home.world.run("apply", "-f", "new.yaml", "--yes").code == 0
    assert home.world.there() == {home.mfs: root}
    home.nothing_to_do()


def test_what_kubo_does_not_list_is_counted_and_never_touched(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.service("mine", home.world.sandbox)
    for i in range(15):
        put(home.world.sandbox, f"n{i}", home.node.add(b"%d" % i), at=7)
    text, said = home.imported()
    assert len(pins()) == 10
    assert "Kubo, which does not list all pins (10 of 15)" in text
    assert "With MINE_KEY set, `pinrec import --kubo` asks the service itself." in text
    assert "Kubo did not list all pins of mine: set the keys and import again, before all else." in said
    through("service", monkeypatch)
    home.nothing_to_do()
    text, said = home.imported("--force")
    assert len(pins()) == 15
    assert "Kubo did not list" not in text + said
    home.nothing_to_do()


def test_more_than_the_service_counts_is_told_as_that(home: Home) -> None:
    with Sandbox((KEY,), personality=replace(SPEC, count="page")) as paged:
        home.service("mine", paged)
        for i in range(3):
            put(paged, f"n{i}", home.node.add(b"%d" % i), at=i)
        text, said = home.imported()
    assert "Listed through Kubo: 3, more than the" in text
    assert "With MINE_KEY set, `pinrec import --kubo` asks the service itself." in text
    assert "Kubo lists more pins of mine than are counted there: set the keys and import again." in said
    assert "not list all" not in text + said


def test_what_kubo_lists_twice_is_there_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox((KEY,), personality=CLUSTER) as cluster:
        home.service("mine", cluster)
        for i in range(12):
            put(cluster, f"n{i}", home.node.add(b"%d" % i), at=i)
        text, _ = home.imported()
        assert "Left out" not in text
        assert pins()
        through("service", monkeypatch)
        home.nothing_to_do()


def test_services_hold_alike_with_one_asked_and_one_through_kubo(
    home: Home, second: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.service("mine", home.world.sandbox)
    home.service("other", second, SECOND)
    for i, name in enumerate("abc"):
        put(home.world.sandbox, name, A if i else B, at=i)
        put(second, name, A if i else B, key=SECOND, at=i)
    monkeypatch.setenv("MINE_KEY", KEY)
    text, said = home.imported()
    assert {where for where, _ in pins().values()} == {("mine", "other")}
    assert "OTHER_KEY" in said
    assert "MINE_KEY" not in said
    assert text.count("Listed through Kubo") == 1
    through("service", monkeypatch)
    home.nothing_to_do()


def test_a_service_that_is_gone_is_commented_out(home: Home, key: None) -> None:
    home.service("mine", home.world.sandbox)
    home.node.state.settings.add_service("gone", "http://127.0.0.1:9/psa", key="x")
    home.node.state.settings.add_service("odd", "http://user:secret-in-url@127.0.0.1/", key="x")
    put(home.world.sandbox, "website", A)
    text, said = home.imported(code=3)
    assert (
        '  # gone: {endpoint: "http://127.0.0.1:9/psa", key: {env: GONE_KEY}}   # Kubo cannot list it' in text
    )
    assert "secret-in-url" not in text + said
    assert "gone could not be read, and is commented out" in said
    home.nothing_to_do()


def test_a_key_that_is_refused_is_told_of(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.service("mine", home.world.sandbox)
    monkeypatch.setenv("MINE_KEY", "wrong-key-0123456789")
    result = home.world.run("import", "--kubo", home.node.api, "--out", "new.yaml")
    assert result.code == 3
    assert "no service of the node could be read: mine: " in result.err
    assert "wrong-key" not in result.err
    assert not Path("new.yaml").exists()


def test_names_that_no_manifest_can_have(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["", "node", "dot.ted", "a b", "a-b", "4ever", "$(rm -rf)", "\u202eevil\n# x"]
    for name in names:
        home.service(name, home.world.sandbox, enable=True)
    root = home.node.write("/a", b"a")
    put(home.world.sandbox, home.mfs, root)
    text, said = home.imported()
    manifest = load_manifest("new.yaml")
    assert len(manifest.services) == len(names)
    assert {"4ever", "a-b", "a-b-2", "dot.ted", "node-service", "kubo-service"} <= set(manifest.services)
    keys = {s.key.value[0] for s in manifest.services.values()}
    assert len(keys) == len(names)
    assert "'Pinning.RemoteServices.a b.Policies.MFS.Enable'" in said
    assert "cannot be named to `ipfs config`" in said
    assert "\u202e" not in text + said
    for variable in keys:
        monkeypatch.setenv(variable, KEY)
    for name in names:
        home.node.state.settings.add_service(name, home.world.sandbox.url, key=KEY)
    home.nothing_to_do()


def test_a_policy_for_local_pins_is_offered(home: Home, key: None) -> None:
    home.service("mine", home.world.sandbox)
    kept = home.pin(b"one", "release-1")
    home.pin(b"two")
    both = home.pin(b"at both", "at both")
    put(home.world.sandbox, "website", A)
    put(home.world.sandbox, "at both", both, at=1)
    text, _ = home.imported("--local-pins")
    assert '# policies:\n#   keep: {kind: local-pins, match: "*"}\n' in text
    assert "that have a name (2 now)" in text
    home.nothing_to_do("No changes. The services hold what the manifest says.\n")
    text = text.replace("# policies:\n#  ", "policies:\n ").replace(
        "MINE_KEY}}", "MINE_KEY}, policies: [keep]}"
    )
    Path("new.yaml").write_text(text)
    assert home.world.run("apply", "-f", "new.yaml", "--yes").code == 0
    assert home.world.there() == {"website": A, "release-1": kept, "at both": both}


def test_where_the_node_is(home: Home, key: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home.service("mine", home.world.sandbox)
    put(home.world.sandbox, "website", A)
    repository = tmp_path / "repo"
    repository.mkdir()
    (repository / "api").write_text(home.node.multiaddr)
    monkeypatch.setenv("IPFS_PATH", str(repository))
    for given, written in {
        (): "node: {}\n",
        ("$IPFS_PATH",): "node: {}\n",
        (str(repository),): f"node: {{api: {repository}/api}}\n",
        (f"{repository}/api",): f"node: {{api: {repository}/api}}\n",
        (home.node.multiaddr,): f"node: {{api: {home.node.multiaddr}}}\n",
    }.items():
        result = home.world.run("import", "--out", "new.yaml", "--force", "--kubo", *given)
        assert result.code == 0, result.err
        assert written in Path("new.yaml").read_text()
        home.nothing_to_do()


def test_a_node_that_wants_a_token(home: Home, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "token-of-the-node-012345"
    monkeypatch.setenv("KUBO_TOKEN", token)
    with SandboxNode(token=token) as node:
        node.state.settings.add_service("mine", home.world.sandbox.url, key=KEY)
        put(home.world.sandbox, "website", A)
        result = home.world.run("import", "--kubo", node.api, "--key-env", "KUBO_TOKEN", "--out", "new.yaml")
        assert result.code == 0, result.err
        text = Path("new.yaml").read_text()
        assert "token: {env: KUBO_TOKEN}" in text
        assert token not in text + result.err
        home.nothing_to_do()


def test_no_node_and_no_services(home: Home) -> None:
    result = home.world.run("import", "--kubo", home.node.api)
    assert result.code == 64
    assert "has no remote pinning services" in result.err
    home.node.stop()
    result = home.world.run("import", "--kubo", home.node.api)
    assert result.code == 3
    assert "cannot be reached" in result.err
    result = home.world.run("import", "--kubo", "nonsense")
    assert result.code == 64
    result = home.world.run("import", "mine", "--kubo", home.node.api)
    assert result.code == 64
