"""pinrec service add, ls, rm, test, key"""

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from reconciler.cli.completions import complete_services
from reconciler.cli.options import PRESET_NAMES, Options, common, formats, pass_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.cli.probe import Answer
    from reconciler.core.manifest import SecretRef, Service

F = TypeVar("F", bound="Callable[..., Any]")

_EPILOG = """\b
Examples:
  pinrec service add pinata --preset pinata --key-env PINATA_JWT
  pinrec service test pinata
  pinrec service ls --stat
"""
_ADD_EPILOG = """\b
Examples:
  pinrec service add pinata --preset pinata --key-env PINATA_JWT
  pinrec service add mine --endpoint https://pins.example.com/api
                                       asks for the key, and keeps it in a file
  pass show filebase | pinrec service add filebase --preset filebase --key-stdin
"""
_LS_EPILOG = """\b
Examples:
  pinrec service ls
  pinrec service ls --stat                 pins by status, asked of each service
"""
_RM_EPILOG = """\b
Examples:
  pinrec service rm pinata
"""
_TEST_EPILOG = """\b
Examples:
  pinrec service test pinata
"""
_KEY_EPILOG = """\b
Examples:
  pinrec service key pinata                           asks, and replaces the stored key
  printf %s "$NEW" | pinrec service key pinata --key-stdin
  pinrec service key pinata --key-env PINATA_JWT      is found there from now on
"""


@click.group("service", epilog=_EPILOG, invoke_without_command=True, no_args_is_help=False)
@common
@click.pass_context
def command(ctx: click.Context) -> int:
    """Add, list, test or remove a service of the manifest, or replace its key.

    Keys are asked for, or read from standard input, or stay in a variable or file that is named here: never in the
    arguments, where other users and the history of the shell see them. Nothing prints them.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


def _key_options(function: F) -> F:
    for decorate in reversed(
        (
            click.option("--key-env", metavar="NAME", help="The key is in this environment variable."),
            click.option("--key-file", type=click.Path(), metavar="FILE", help="The key is in this file."),
            click.option("--key-stdin", is_flag=True, help="Read the key from standard input, and store it."),
            click.option(
                "--keyring", is_flag=True, help="Store it in the system's keyring instead of a file."
            ),
        )
    ):
        function = decorate(function)
    return function


_name = click.argument("name", shell_complete=complete_services)


#: What is too much on the line may be a key, which click would print.
_MUTE = {"allow_extra_args": True}


def _no_more() -> None:
    """Raises UsageError for an argument too many."""
    if click.get_current_context().args:
        raise click.UsageError("one NAME, and nothing else: a key is never an argument, --key-stdin reads it")


@command.command("add", epilog=_ADD_EPILOG, context_settings=_MUTE)
@click.argument("name")
@click.option("--preset", type=click.Choice(PRESET_NAMES), help="A service that pinrec knows.")
@click.option("--endpoint", metavar="URL", help="Its API, without /pins. [default: the preset's]")
@_key_options
@common
@pass_options
def add(options: Options, /, name: str, preset: str | None, endpoint: str | None, **given: Any) -> int:
    """Declare a service in the manifest.

    Without --key-env and --key-file the key is stored in a file of its own that only you can read, below the
    configuration directory, or in the keyring.
    """
    from reconciler.cli.declared import load, named
    from reconciler.core.errors import UsageError
    from reconciler.manifest.edit_service import add_service

    _no_more()
    if preset is None and endpoint is None:
        raise click.UsageError("which service? Give --preset, --endpoint, or both")
    path = named(options)
    manifest = load(options)
    if name in manifest.services:
        raise UsageError(f"the manifest has a service {name} already", hint=f"pinrec service key {name}")
    raw: dict[str, Any] = {"preset": preset} if preset else {}
    if endpoint:
        raw["endpoint"] = endpoint
    # First with a key that is nowhere, so that nothing is asked for or stored for a service that cannot be.
    add_service(path, name, {**raw, "key": {"env": "PINREC_NEW_KEY"}}, check_only=True)
    key = _key(manifest.owner, name, None, path, **given)
    add_service(path, name, {**raw, "key": key})
    from reconciler.cli.render.escape import terminal

    click.echo(f"added {terminal(name)} to {terminal(path)}. Next: pinrec service test {terminal(name)}")
    return 0


@command.command("ls", epilog=_LS_EPILOG)
@click.option("--stat", "counted", is_flag=True, help="Ask each service how many pins it holds, by status.")
@formats("table", "json", default="table")
@common
@pass_options
def ls(options: Options, /, counted: bool, form: Literal["table", "json"]) -> int:
    """List the services of the manifest: where each is, and where its key is found.

    With --stat, exits 3 if one could not be asked.
    """
    import asyncio

    from reconciler.cli import interrupt
    from reconciler.cli.declared import load
    from reconciler.cli.output import emit, style
    from reconciler.cli.render.services import services
    from reconciler.core.errors import worst_exit

    manifest = load(options)
    answers: dict[str, Answer] = {}

    async def main(_: interrupt.Interrupt) -> int:
        from reconciler.cli.probe import stat

        found = await asyncio.gather(*(stat(spec) for spec in manifest.services.values()))
        answers.update({answer.service: answer for answer in found})
        return worst_exit(0, *(a.exit_code or (3 if a.partial else 0) for a in found))

    code = interrupt.run(main) if counted else 0
    emit(services(manifest.services, answers if counted else None, form, style=style(options)))
    return code


@command.command("rm", epilog=_RM_EPILOG)
@_name
@common
@pass_options
def rm(options: Options, /, name: str) -> int:
    """Remove a service from the manifest, if no pin is wanted on it.

    What it holds stays there, and its key stays where it is.
    """
    from reconciler.cli.declared import load, named
    from reconciler.cli.keys import shown
    from reconciler.cli.render.escape import terminal
    from reconciler.manifest.edit_service import remove_service

    path = named(options)
    before = load(options)
    remove_service(path, name)
    click.echo(f"removed {terminal(name)} from {terminal(before.services[name].file)}")
    click.echo(
        f"Its pins stay there. Its key is not touched: {terminal(shown(before.services[name].key))}", err=True
    )
    return 0


@command.command("test", epilog=_TEST_EPILOG)
@_name
@common
@pass_options
def test(options: Options, /, name: str) -> int:
    """Ask a service for one pin, with its key, and say whether it answers.

    Exits 3 if it does not, 1 if there is no key.
    """
    from reconciler.cli import interrupt
    from reconciler.cli.declared import load
    from reconciler.cli.keys import shown
    from reconciler.cli.render.escape import clip, terminal
    from reconciler.core.endpoint import host_of

    spec = _service(load(options).services, name)
    answers: list[Answer] = []

    async def main(_: interrupt.Interrupt) -> int:
        from reconciler.cli.probe import test as ask

        answers.append(await ask(spec))
        return answers[0].exit_code

    code = interrupt.run(main)
    answer = answers[0]
    if answer.why:
        why = answer.why if answer.why.startswith(f"{name}: ") else f"{name}: {answer.why}"
        click.echo(f"pinrec: {terminal(clip(why, 2000))}", err=True)
        if answer.hint:
            click.echo(f"  → {terminal(answer.hint)}", err=True)
        return code
    where = terminal(host_of(spec.endpoint))
    click.echo(f"{terminal(name)}: ok: {where} takes the key ({terminal(shown(spec.key))})")
    return code


@command.command("key", epilog=_KEY_EPILOG, context_settings=_MUTE)
@_name
@_key_options
@common
@pass_options
def key(options: Options, /, name: str, **given: Any) -> int:
    """Replace the key of a service, or say where it is found from now on.

    A stored key is overwritten, and never read for it. A key in an environment variable or from a command is not
    ours to replace.
    """
    from reconciler.cli.declared import load, named
    from reconciler.cli.keys import shown
    from reconciler.cli.render.escape import terminal
    from reconciler.manifest.edit_service import set_key, written

    _no_more()
    path = named(options)
    manifest = load(options)
    spec = _service(manifest.services, name)
    new = _key(manifest.owner, name, spec.key, spec.file, **given)
    if new is not None and dict(written(spec)["key"]) != new:
        manifest = set_key(path, name, new)
        spec = manifest.services[name]
    click.echo(f"{terminal(name)}: the key is replaced ({terminal(shown(spec.key))})")
    return 0


def _key(
    owner: str,
    name: str,
    current: "SecretRef | None",
    file: str,
    *,
    key_env: str | None,
    key_file: str | None,
    key_stdin: bool,
    keyring: bool,
) -> dict[str, Any] | None:
    """Where the key is from now on, as in a manifest; None: where it was. What is to be stored is stored."""
    import os
    from pathlib import Path

    from reconciler.cli.keys import as_written, is_there, key_path, read_key, shown, store_file, store_keyring
    from reconciler.cli.render.escape import terminal
    from reconciler.core.errors import UsageError

    if (key_env is not None) + (key_file is not None) + (key_stdin or keyring) > 1:
        raise click.UsageError("one place for the key: --key-env, --key-file, or a key that is stored")
    if key_env is not None:
        return {"env": key_env}
    if key_file is not None:
        if not key_file:
            raise click.UsageError("--key-file '' is no file: an unset variable?")
        if not is_there(key_file):
            click.echo(
                f"There is no {terminal(key_file)} on this machine: the key has to be there.", err=True
            )
        if key_file.startswith("~"):
            return {"file": key_file}
        # Given relative to where we are, written relative to the file it is written in.
        path, folder = Path(key_file).absolute(), Path(file).absolute().parent
        return {"file": os.path.relpath(path, folder) if not Path(key_file).is_absolute() else key_file}
    if current is not None and not keyring and current.kind in ("env", "command"):
        raise UsageError(
            f"the key of {name} comes from {shown(current)}: it is replaced there",
            hint="or name another place with --key-env, --key-file or --keyring",
        )
    secret = read_key(f"the key of {name}", from_stdin=key_stdin)
    if keyring or (current is not None and current.kind == "keyring"):
        entry, user = (
            current.value
            if current is not None and current.kind == "keyring"
            else ("pinrec", f"{owner}-{name}")
        )
        store_keyring(entry, user, secret)
        return {"keyring": f"{entry}/{user}"}
    if current is not None:
        store_file(Path(current.value[0]), secret)
        return None
    path = key_path(owner, name)
    store_file(path, secret)
    return as_written(path)


def _service(services: "Mapping[str, Service]", name: str) -> "Service":
    from reconciler.core.errors import UsageError
    from reconciler.manifest.problems import did_you_mean, shown

    if name not in services:
        hint = did_you_mean(name, list(services)) or "`pinrec service ls` lists them"
        raise UsageError(f"the manifest has no service {shown(name)}", hint=hint)
    return services[name]
