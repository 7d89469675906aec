"""`pinrec`: finds the command, runs it, and turns whatever happens into a clear line and an exit code.

Nothing heavy is imported here: a command's module is loaded when it is called, and the table below is all that
`--help` needs.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from reconciler.cli.options import common

#: Every command in the order a newcomer meets them, with the line that `pinrec --help` shows.
COMMANDS = {
    "init": "Write a commented starter manifest.",
    "validate": "Check the manifest; report every problem with its place.",
    "plan": "Show what apply would do, and why.",
    "apply": "Make the services hold what the manifest says.",
    "run": "Keep the services as the manifest says, until stopped.",
    "pause": "Have the loop leave services alone.",
    "resume": "Have the loop go on.",
    "destroy": "Remove everything that is ours from the services.",
    "pin": "Add, change or remove one pin of the manifest, and apply it.",
    "service": "Add, list, test or remove a service, or replace its key.",
    "import": "Write a manifest from live accounts or from a list.",
    "status": "Show how each service stands.",
    "ls": "List live pins of the services.",
    "doctor": "Find out what a service really does.",
    "verify": "Find out whether what services call pinned can be retrieved.",
    "explain": "Tell the whole story of one pin.",
    "history": "Show past runs.",
    "unlock": "Show who holds the lock, and remove it.",
    "schema": "Print a JSON Schema: of the manifest, a plan or a report.",
    "sandbox": "Run a local pinning service to try things on.",
    "demo": "See the whole cycle in a few seconds, without an account.",
    "completion": "Print a completion script for a shell.",
    "version": "Print the version.",
}
#: Where the module of a command is not called as the command is: a keyword of Python.
_MODULES = {"import": "imports"}
_EXIT_USAGE, _EXIT_SIGINT = 64, 130  # as in core.errors, which `--help` does not import


def load_command(name: str) -> click.Command:
    """The command of that name in `COMMANDS`."""
    command = import_module(f"reconciler.cli.commands.{_MODULES.get(name, name)}").command
    assert isinstance(command, click.Command)
    return command


class LazyGroup(click.Group):
    """Commands by name; the module of one is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            hint = f" Did you mean '{close[0]}'?" if close else " `pinrec --help` lists them."
            ctx.fail(f"No such command {_safe(args[0])!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


_EPILOG = """\b
Examples:
  pinrec demo                     see it work, without an account
  pinrec init                     write pinrec.yaml
  pinrec plan                     show what would change, and why
  pinrec apply                    do it, after a question

\b
Exit codes: 0 as wished, 1 error (nothing done), 2 changes (plan --detailed-exitcode),
3 partial or unknown, 4 blocked by a guard, 5 stale plan, 6 locked, 64 usage or an
invalid manifest, 130/143 interrupted.
"""


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from reconciler import __version__

        click.echo(f"pinrec {__version__}")
        ctx.exit(0)


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
@common
@click.pass_context
def cli(ctx: click.Context) -> int:
    """Declare which pins your IPFS pinning services hold; pinrec plans and makes it so.

    A manifest (pinrec.yaml) says what is wanted. `plan` shows what would be added, replaced and deleted, each with
    its reason; `apply` does it and waits until it is true. Pins that are not yours are never touched.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The console script."""
    sys.exit(run(argv))


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. No exception leaves this function."""
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # a terminal that knows no `·` or `→`
    try:
        result = cli.main(
            args=None if argv is None else list(argv), prog_name="pinrec", standalone_mode=False
        )
        code = result if isinstance(result, int) else 0
    except (click.Abort, KeyboardInterrupt):
        click.echo("pinrec: interrupted", err=True)
        code = _EXIT_SIGINT
    except click.ClickException as error:
        _usage(error)
        code = _EXIT_USAGE
    except BrokenPipeError:
        code = 0
    except Exception as error:  # noqa: BLE001  # the one place where everything ends: no traceback reaches a user
        from reconciler.cli.failure import tell

        code = tell(error, os.environ)
    return _flushed(code)


def _open_closed() -> None:
    """A caller may close the standard streams (`>&-`); Python then has None in their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  # for the life of the process, and pathlib is not needed for it


def _usage(error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    click.echo(f"pinrec: {_safe(error.format_message())}", err=True)
    if context is not None:
        click.echo(f"Try '{context.command_path} --help'.", err=True)


def _safe(text: str) -> str:
    from reconciler.cli.render.escape import terminal

    return terminal(text)


def _flushed(code: int) -> int:
    """Flush now, so that a reader that went away (`| head`) or a full disk is not met at shutdown."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        click.echo(f"pinrec: cannot write the output: {error.strerror}", err=True)
        return code or 1
    return code


if __name__ == "__main__":
    main()
