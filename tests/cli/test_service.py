"""pinrec service: declared in place, keys handed over without being shown, and whether they are let in."""

import os
import pty
import stat
import sys
import types
from pathlib import Path

import pytest

from reconciler.cli.options import PRESET_NAMES
from reconciler.core.presets import PRESETS
from reconciler.manifest import load_manifest
from reconciler.sandbox.server import Sandbox
from tests.cli.conftest import KEY, A, World

OTHER_KEY = "canary-other-9876543210"


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
    return folder


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """What the command reads from standard input."""
    given = types.SimpleNamespace(text="")

    class Stream:
        def read(self, size: int = -1) -> str:
            return str(given.text)[:size]

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", Stream())
    return given


def text() -> str:
    return Path("pinrec.yaml").read_text()


def test_add_with_a_reference(world: World) -> None:
    world.manifest(f"name: a, cid: {A}")
    before = text()
    args = ["--preset", "sandbox", "--endpoint", world.sandbox.url, "--key-env", "OTHER"]
    result = world.run("service", "add", "two", *args)
    assert (result.code, result.out) == (
        0,
        "added two to pinrec.yaml. Next: pinrec service test two\n",
    )
    line = f'  two: {{preset: sandbox, endpoint: "{world.sandbox.url}", key: {{env: OTHER}}}}\n'
    assert text() == before.replace("defaults:", line + "defaults:")
    assert world.sandbox.requests == ()


def test_add_to_what_init_writes_and_in_blocks(world: World) -> None:
    world.run("init")
    before = text()
    assert world.run("service", "add", "pinata", "--preset", "pinata", "--key-env", "PINATA_JWT").code == 0
    added = "  pinata:\n    preset: pinata\n    key: {env: PINATA_JWT}\n"
    assert added in text()
    assert text().replace(added, "") == before


def test_a_key_from_standard_input_is_kept_in_a_file_of_its_own(
    world: World, home: Path, stdin: types.SimpleNamespace
) -> None:
    world.manifest()
    stdin.text = f"{KEY}\n"
    args = ["service", "add", "two", "--preset", "sandbox", "--endpoint", world.sandbox.url]
    result = world.run(*args, "--key-stdin")
    assert result.code == 0
    path = home / ".config/pinrec/acme/two.token"
    assert path.read_text() == f"{KEY}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "key: {file: ~/.config/pinrec/acme/two.token}" in text()
    assert KEY not in text()
    assert world.run("service", "test", "two").out == (
        "two: ok: 127.0.0.1 takes the key (file ~/.config/pinrec/acme/two.token)\n"
    )
    stdin.text = OTHER_KEY
    replaced = world.run("service", "key", "two", "--key-stdin")
    assert (replaced.code, OTHER_KEY in replaced.out + replaced.err) == (0, False)
    assert path.read_text() == f"{OTHER_KEY}\n"
    refused = world.run("service", "test", "two")
    assert (refused.code, refused.out) == (3, "")
    assert refused.err.startswith("pinrec: two: ")


def test_a_key_is_replaced_without_being_read(
    world: World, home: Path, stdin: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it could not be: what is there is no key at all."""
    path = home / "two.token"
    path.write_bytes(b"\xff\xfe")
    world.manifest(services=f"  two: {{endpoint: '{world.sandbox.url}', key: {{file: '{path}'}}}}\n")
    before = text()
    stdin.text = KEY
    assert world.run("service", "key", "two", "--key-stdin").code == 0
    assert path.read_text() == f"{KEY}\n"
    assert text() == before


@pytest.mark.parametrize("args", [["key", "box"], ["add", "two", "--preset", "pinata"]])
def test_a_key_as_an_argument_is_refused_and_not_repeated(world: World, args: list[str]) -> None:
    world.manifest()
    result = world.run("service", *args, KEY)  # which looks for the key in all that is printed
    assert (result.code, "a key is never an argument" in result.err) == (64, True)


def test_a_prompt_does_not_echo(world: World) -> None:
    world.manifest()
    master, slave = pty.openpty()
    process = world.process(
        *("service", "add", "two", "--preset", "sandbox", "--endpoint", world.sandbox.url),
        stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = b""
    while b"key of two" not in seen:
        seen += os.read(master, 1000)
    os.write(master, f"{KEY}\n".encode())
    while True:
        try:
            chunk = os.read(master, 1000)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    assert process.wait(timeout=30) == 0, seen
    os.close(master)
    assert KEY.encode() not in seen
    assert "two.token" in text()


def test_without_a_terminal_the_key_must_be_said(world: World, stdin: types.SimpleNamespace) -> None:
    world.manifest()
    before = text()
    result = world.run("service", "add", "two", "--preset", "pinata")
    assert (result.code, "--key-stdin" in result.err) == (64, True)
    assert text() == before


@pytest.mark.parametrize("key", ["", "\n", "two words", f"Bearer {KEY}", "ü", "a\nb"])
def test_what_is_no_key_is_not_stored(
    world: World, home: Path, stdin: types.SimpleNamespace, key: str
) -> None:
    world.manifest()
    before = text()
    stdin.text = key
    result = world.run("service", "add", "two", "--preset", "pinata", "--key-stdin")
    assert result.code == 64 or key == "two words"
    if result.code:
        assert text() == before
        assert not (home / ".config").exists()


class FakeKeyring(types.ModuleType):
    def __init__(self) -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.errors = types.ModuleType("keyring.errors")
        self.errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]

    def set_password(self, service: str, user: str, password: str) -> None:
        self.kept[service, user] = password

    def get_password(self, service: str, user: str) -> str | None:
        return self.kept.get((service, user))


def test_the_keyring(
    world: World, stdin: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """The library is optional; this stands in for it and for what it opens."""
    fake = FakeKeyring()
    monkeypatch.setitem(sys.modules, "keyring", fake)
    monkeypatch.setitem(sys.modules, "keyring.errors", fake.errors)
    world.manifest()
    stdin.text = OTHER_KEY
    args = ["service", "add", "two", "--preset", "sandbox", "--endpoint", world.sandbox.url]
    assert world.run(*args, "--keyring", "--key-stdin").code == 0
    assert fake.kept == {("pinrec", "acme-two"): OTHER_KEY}
    assert "key: {keyring: pinrec/acme-two}" in text()
    stdin.text = KEY
    assert world.run("service", "key", "two", "--key-stdin").code == 0
    assert fake.kept == {("pinrec", "acme-two"): KEY}
    assert world.run("service", "test", "two").code == 0
    assert not (home / ".config").exists()


def test_without_the_keyring_library(
    world: World, stdin: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    world.manifest()
    before = text()
    stdin.text = KEY
    result = world.run("service", "add", "two", "--preset", "pinata", "--keyring", "--key-stdin")
    assert (result.code, "pip install 'pinrec[keyring]'" in result.err) == (1, True)
    assert text() == before


def test_key_points_elsewhere(world: World) -> None:
    world.manifest()
    before = text()
    assert (
        world.run("service", "key", "box", "--key-env", "OTHER").out
        == "box: the key is replaced (env OTHER)\n"
    )
    assert text() == before.replace("{env: BOX_KEY}", "{env: OTHER}")
    Path("secrets").mkdir()
    Path("secrets/box").write_text(KEY)
    Path("secrets/box").chmod(0o600)
    assert world.run("service", "key", "box", "--key-file", "secrets/box").code == 0
    assert "key: {file: secrets/box}" in text()
    assert world.run("service", "test", "box").code == 0


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    "token",
    [
        KEY,
        JWT,
        f"./{JWT}",
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo6MTIz",
        "QUJDREVGR0hJ/1tMTU5PUFFSU1RVVldYWVo6",
        "k" * 300,
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["service", "add", "two", "--preset", "pinata"],
        ["service", "key", "box"],
        ["import", "--preset", "pinata", "--out", "new.yaml"],
        ["import", "--kubo", "http://127.0.0.1:1", "--out", "new.yaml"],
    ],
)
def test_a_key_given_for_a_file_is_refused_and_not_shown(
    world: World, command: list[str], token: str
) -> None:
    world.manifest()
    before = text()
    result = world.run(*command, "--key-file", token)
    assert (result.code, "--key-stdin reads a key" in result.err) == (64, True), result.err
    assert token not in result.out + result.err
    assert text() == before
    assert world.sandbox.requests == ()


@pytest.mark.parametrize(
    "path", ["secrets/two.token", "/run/secrets/Pinata1Token2Production3", "./two", "~/two"]
)
def test_a_key_file_of_another_machine_is_taken_and_told_of(world: World, path: str) -> None:
    world.manifest()
    result = world.run("service", "add", "two", "--preset", "pinata", "--key-file", path)
    assert (result.code, result.err) == (
        0,
        f"There is no {path} on this machine: the key has to be there.\n",
    )
    assert f"key: {{file: {path.removeprefix('./')}}}" in text()


def test_a_key_from_a_variable_is_replaced_there(world: World, stdin: types.SimpleNamespace) -> None:
    world.manifest()
    stdin.text = KEY
    result = world.run("service", "key", "box", "--key-stdin")
    assert (result.code, "env BOX_KEY: it is replaced there" in result.err) == (64, True)


def test_ls(world: World) -> None:
    world.manifest(
        services="  cluster: {preset: ipfs-cluster, key: {command: [pass, show, secret-name]}, state: suspended}\n"
        "  own: {endpoint: 'https://pins.example.com/api', key: {keyring: a/b}}\n"
    )
    result = world.run("service", "ls")
    assert result.code == 0
    assert result.out.split()[:5] == ["SERVICE", "ENDPOINT", "PRESET", "KEY", "STATE"]
    rows = [line.split() for line in result.out.splitlines()[1:]]
    assert rows == [
        ["box", "127.0.0.1", "sandbox", "env", "BOX_KEY", "active"],
        ["cluster", "127.0.0.1", "ipfs-cluster", "command", "pass", "…", "suspended"],
        ["own", "pins.example.com", "(unknown)", "keyring", "a/b", "active"],
    ]
    assert world.run("service", "ls", "--format", "json").json[1]["key"] == "command pass …"
    assert world.sandbox.requests == ()


def test_ls_counts_by_status_and_a_service_that_is_down_hides_no_other(world: World) -> None:
    world.manifest(
        services="  off: {preset: sandbox, endpoint: 'http://127.0.0.1:1', key: {env: BOX_KEY}}\n"
        "  nokey: {preset: pinata, key: {env: NOT_SET}}\n"
        f"  swept: {{endpoint: '{world.sandbox.url}', profile: unknown, key: {{file: key}}}}\n"
    )
    Path("key").write_text(KEY)
    Path("key").chmod(0o600)
    world.foreign("a")
    world.foreign("b")
    world.sandbox.store.put(KEY, A, name="c", status="failed")
    result = world.run("service", "ls", "--stat")
    rows = [line.split()[-4:] for line in result.out.splitlines()[1:5]]
    assert rows == [["0", "0", "2", "1"], ["?"] * 4, ["?"] * 4, ["0", "0", "2", "1"]]
    assert result.code in (1, 3)
    assert "NOT_SET" in result.out
    assert world.run("service", "ls", "--stat", "--format", "json").json[0]["pins"] == {
        "queued": 0,
        "pinning": 0,
        "pinned": 2,
        "failed": 1,
    }


def test_one_request_tests_a_service(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.manifest(services="  off: {preset: sandbox, endpoint: 'http://127.0.0.1:1', key: {env: BOX_KEY}}\n")
    assert world.run("service", "test", "box").out == "box: ok: 127.0.0.1 takes the key (env BOX_KEY)\n"
    assert [(r.method, r.path) for r in world.sandbox.requests] == [("GET", "/pins")]
    off = world.run("service", "test", "off")
    assert (off.code, off.err.startswith("pinrec: off: ")) == (3, True)
    monkeypatch.setenv("BOX_KEY", "wrong")
    wrong = world.run("service", "test", "box")
    assert (wrong.code, "401" in wrong.err) == (3, True)
    monkeypatch.delenv("BOX_KEY")
    assert world.run("service", "test", "box").code == 1
    nobody = world.run("service", "test", "bux")
    assert (nobody.code, "did you mean box?" in nobody.err) == (64, True)


def test_rm(world: World) -> None:
    with Sandbox((KEY,)) as second:
        url = second.url
    world.manifest(
        f"name: a, cid: {A}, services: [two]",
        services=f"  two: {{preset: sandbox, endpoint: '{url}', key: {{env: BOX_KEY}}}}  # second\n",
    )
    before = text()
    used = world.run("service", "rm", "two")
    assert (used.code, '1 of the manifest\'s pins are wanted on two: "a"' in used.err) == (64, True)
    default = world.run("service", "rm", "box")
    assert (default.code, "`defaults: services:` names box" in default.err) == (64, True)
    assert text() == before
    assert world.run("pin", "rm", "a").code == 0
    gone = world.run("service", "rm", "two")
    assert (gone.code, gone.out) == (0, "removed two from pinrec.yaml\n")
    assert "two" not in text()
    assert list(load_manifest("pinrec.yaml").services) == ["box"]


def test_a_service_in_an_included_file(world: World) -> None:
    Path("services.yaml").write_text(
        "services:\n  two:   # second\n    preset: pinata\n    key:\n      env: X\n"
    )
    world.manifest(extra="include: services.yaml\n")
    assert world.run("service", "key", "two", "--key-env", "OTHER").code == 0
    assert Path("services.yaml").read_text() == (
        "services:\n  two:   # second\n    preset: pinata\n    key:\n      {env: OTHER}\n"
    )
    assert world.run("service", "rm", "two").out == "removed two from services.yaml\n"
    assert Path("services.yaml").read_text() == "services: {}\n"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["add", "two"], "Give --preset, --endpoint, or both"),
        (["add", "box", "--preset", "pinata", "--key-env", "X"], "has a service box already"),
        (["add", "a b", "--preset", "pinata", "--key-env", "X"], "a service's name is"),
        (["add", "two", "--preset", "helia", "--key-env", "X"], "`endpoint` is missing"),
        (["add", "two", "--endpoint", "http://far.example.com", "--key-env", "X"], "plain http"),
        (["add", "two", "--preset", "pinata", "--key-env", KEY], "environment variable"),
        (["add", "two", "--preset", "pinata", "--key-env", "X", "--key-file", "y"], "one place for the key"),
        (["add", "two", "--preset", "pinata", "--key-file", ""], "unset variable"),
        (["rm", "two"], "has no service"),
        (["key", "two", "--key-env", "X"], "has no service"),
        (["-f", "-", "rm", "box"], "-f - is no file"),
    ],
)
def test_what_is_refused_changes_nothing(world: World, args: list[str], why: str) -> None:
    world.manifest()
    before = text()
    result = world.run("service", *args)
    assert (result.code, why in result.err) == (64, True), result.err
    assert text() == before
    assert world.sandbox.requests == ()


def test_every_preset_can_be_named() -> None:
    assert set(PRESET_NAMES) == set(PRESETS)


def test_the_help_of_the_group(world: World) -> None:
    assert "pinrec service ls --stat" in world.run("service").out
