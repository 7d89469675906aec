"""What every command has in common: help, usage errors, and that no traceback reaches a person."""

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from reconciler.cli.failure import tell
from reconciler.cli.main import COMMANDS, cli, load_command, run
from reconciler.core.errors import ManifestError, PinrecError, Problem, ServiceError, StalePlanError

COMMAND_NAMES = list(COMMANDS)


def command(name: str) -> click.Command:
    return load_command(name)


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_help_has_an_example_and_starts_with_the_line_of_the_overview(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Examples:" in out
    assert f"pinrec {name}" in out.partition("Examples:")[2]
    first = (command(name).help or "").strip().partition(".")[0].partition(";")[0]
    assert first.split()[:2] == COMMANDS[name].split()[:2]


def test_there_is_no_command_module_that_nobody_can_call() -> None:
    import reconciler.cli.commands

    found = {p.stem for p in Path(reconciler.cli.commands.__path__[0]).glob("[a-z]*.py")}
    assert found == {"imports" if name == "import" else name for name in COMMANDS}


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_help_names_every_command(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 0
    out = capsys.readouterr().out
    for name, text in COMMANDS.items():
        assert name in out
        assert text in out


@pytest.mark.parametrize("args", [["--version"], ["version"]])
def test_version(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 0
    assert capsys.readouterr().out.startswith("pinrec 0.")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["plann"], "No such command 'plann'. Did you mean 'plan'?"),
        (["xyzzy"], "`pinrec --help` lists them."),
        (["\x1b[2Jplan"], r"\\x1b[2Jplan"),
        (["plan", "--formt"], "No such option"),
        (["plan", "--format", "yaml"], "'yaml' is not one of"),
        (["plan", "--allow-deletes", "-1"], "--allow-deletes"),
        (["apply", "--timeout", "soon"], "'soon' is no duration"),
        (["run", "--interval", "99999999999999d"], "is longer than a hundred years"),
        (["explain"], "Missing argument 'NAME'"),
        (["--nonsense", "plan"], "No such option"),
        (["plan", "--target", ""], "--target '' matches nothing"),
    ],
)
def test_usage_errors_exit_64_and_say_one_line(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(args) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pinrec: ")
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_an_absent_manifest_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for args in (["plan"], ["validate"], ["ls"], ["apply", "--yes"], ["status"], ["history"], ["unlock"]):
        assert run(args) == 64
        err = capsys.readouterr().err
        assert "there is no pinrec.yaml here" in err
        assert "pinrec init" in err


@pytest.mark.parametrize("before", [True, False])
def test_common_options_are_taken_before_and_after_the_command(
    before: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("version: 1\nname: x\nservices: {}\npins: []\n")
    args = ["-f", str(path), "validate"] if before else ["validate", "-f", str(path)]
    run(args)
    assert "other.yaml" in capsys.readouterr().out


def test_a_bug_is_one_line_and_a_traceback_only_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    error = ZeroDivisionError("by \x1b[2J zero")
    assert tell(error, {}) == 1
    quiet = capsys.readouterr().err
    assert quiet.startswith(r"pinrec: internal error: ZeroDivisionError: by \x1b[2J zero")
    assert "PINREC_DEBUG=1" in quiet
    assert tell(error.with_traceback(None), {"PINREC_DEBUG": "1"}) == 1
    assert "ZeroDivisionError: by" in capsys.readouterr().err.partition("internal error")[0]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PinrecError("no", hint="do x"), 1, "pinrec: no\n  → do x\n"),
        (StalePlanError("old"), 5, "pinrec: old\n"),
        (ServiceError("503", service="box"), 3, "pinrec: box: 503\n"),
        (ServiceError("box: 503", service="box"), 3, "pinrec: box: 503\n"),
        (
            ManifestError([Problem(file="a", line=1, column=2, message="m", hint="h")]),
            64,
            "pinrec: the manifest has a problem:\n  a:1:2: m (h)\n",
        ),
        (
            OSError(28, "No space left on device", "plan.json"),
            1,
            "pinrec: plan.json: No space left on device\n",
        ),
        (ExceptionGroup("g", [PinrecError("a"), StalePlanError("b")]), 5, "pinrec: a\npinrec: b\n"),
        (PinrecError("line\n::error::x"), 1, "pinrec: line\\x0a::error::x\n"),
    ],
)
def test_errors_are_clear_lines_with_their_exit_codes(
    error: Exception, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tell(error, {}) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("args", [["init"], ["demo"], ["demo", "--dir", "x"], ["import", "--kubo"]])
def test_a_current_directory_that_is_gone_is_named(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(args) == 1
    told = capsys.readouterr().err
    assert told == "pinrec: the current directory is not there any more\n  → cd to one that is\n"


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler.cli.main", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "reconciler.cli.main", "schema"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_terminal_that_knows_no_unicode_is_written_to_all_the_same() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    before, sys.stdout = sys.stdout, stream
    try:
        assert run(["apply", "--help"]) == 0
        stream.flush()
    finally:
        sys.stdout = before
    assert b"allow-" in stream.buffer.getvalue()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_PINREC_COMPLETE" in capsys.readouterr().out


def test_completion_knows_the_commands() -> None:
    env = {**os.environ, "_PINREC_COMPLETE": "bash_complete", "COMP_WORDS": "pinrec ex", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from reconciler.cli.main import main; main()"],
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["plain,explain"]


def test_the_root_is_what_click_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(cli, click.Group)
    assert cli.list_commands(click.Context(cli)) == COMMAND_NAMES
