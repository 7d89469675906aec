"""The unit and the cron table are what their programs read, and the commands in them are ours."""

import configparser
import shutil
import subprocess
from pathlib import Path

from click.testing import CliRunner

from reconciler.cli.main import cli, load_command
from reconciler.daemon.schedule import check_cron

EXAMPLES = Path(__file__).parents[2] / "examples"
UNIT = EXAMPLES / "systemd/pinrec.service"


def _unit() -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_unit_says_what_the_program_does() -> None:
    unit = _unit()
    command = unit["Service"]["ExecStart"].split()
    assert command[:2] == ["/usr/bin/env", "pinrec"]
    assert command[2] == "run"
    assert load_command("run").name == "run"
    # Drained by SIGTERM it exits 143; a lease that another holds and a wrong manifest are not mended by a restart.
    assert unit["Service"]["SuccessExitStatus"] == "143"
    assert unit["Service"]["RestartPreventExitStatus"] == "6 64"
    assert unit["Service"]["Environment"] == "PINREC_STATE_DIR=/var/lib/pinrec"
    assert unit["Service"]["StateDirectory"] == "pinrec"
    if shutil.which("systemd-analyze") is not None:  # where there is one, it has a say, too
        done = subprocess.run(
            ["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False
        )
        assert [line for line in done.stderr.splitlines() if "pinrec.service" in line] == []


def test_the_cron_table_holds_a_time_and_our_command() -> None:
    lines = (EXAMPLES / "cron/pinrec.cron").read_text().splitlines()
    [line] = [line for line in lines if line and not line.startswith("#") and "=" not in line.split()[0]]
    *when, user, program = line.split()[:7]
    check_cron(" ".join(when))
    assert (user, program) == ("pinrec", "pinrec")
    arguments = [a for a in line.split()[7:] if not a.startswith("/")]
    assert arguments == ["run", "--once", "--quiet", "-f"]
    shown = CliRunner().invoke(cli, ["run", "--help"]).output
    assert all(a in shown for a in arguments[1:])
