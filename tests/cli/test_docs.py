"""docs/cli.md is what the commands say of themselves. UPDATE=1 writes it anew."""

import os
from pathlib import Path

import click

from reconciler.cli.main import COMMANDS, cli, load_command

DOCS = Path(__file__).parents[2] / "docs/cli.md"

HEAD = """\
# Command reference

Written from the commands themselves (`UPDATE=1 pytest tests/cli/test_docs.py`); a test compares. Every command
takes `-f`, `--state-dir`, `--color`, `-v` and `-q`, before or after its name.

Results go to stdout, notes and progress to stderr. Colour only on a terminal; `NO_COLOR` is obeyed.

| Exit code | Meaning |
| --- | --- |
| 0 | as wished; notes (suspended, `prune: false`, held) are no findings |
| 1 | an error, or no was the answer: nothing done |
| 2 | there are changes (`plan --detailed-exitcode`) |
| 3 | partial: an action failed, a service or fact is unknown, a wait timed out |
| 4 | something is blocked by a guard, the rest is done |
| 5 | the saved plan is stale: nothing done |
| 6 | another run holds the lock |
| 64 | wrong usage, an invalid manifest, no terminal to ask on |
| 130, 143 | interrupted by SIGINT, SIGTERM |

If several fit: 130/143, 64, 6, 5, 1, 3, 4, 2.

"""


def reference() -> str:
    def block(command: click.Command, path: str) -> str:
        context = click.Context(command, info_name=path, terminal_width=100, max_content_width=100)
        context.help_option_names = ["-h", "--help"]
        return f"```console\n$ {path} --help\n{command.get_help(context).rstrip()}\n```\n"

    parts = [HEAD, block(cli, "pinrec")]
    for name, text in COMMANDS.items():
        command = load_command(name)
        parts.append(f"\n## pinrec {name}\n\n{text}\n\n{block(command, f'pinrec {name}')}")
        if isinstance(command, click.Group):
            parts += ["\n" + block(sub, f"pinrec {name} {sub.name}") for sub in command.commands.values()]
    return "".join(parts)


def test_the_reference_is_up_to_date() -> None:
    if os.environ.get("UPDATE"):
        DOCS.write_text(reference(), encoding="utf-8")
    assert DOCS.read_text(encoding="utf-8") == reference()
