"""pinrec import"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import click

from reconciler.cli.completions import complete_services
from reconciler.cli.options import PRESET_NAMES, Options, common, pass_options

if TYPE_CHECKING:
    from reconciler.core.manifest import Manifest, Service
    from reconciler.core.model import PinStatus
    from reconciler.core.takeover import Takeover
    from reconciler.manifest.generate import Generated

_EPILOG = """\b
Examples:
  pinrec import pinata filebase --out pins.yaml
  pinrec import --preset pinata --key-env PINATA_JWT --out pinrec.yaml
  pinrec import --kubo --out pinrec.yaml
  ipfs pin remote ls --service=pinata | pinrec import pinata --from - --format kubo
  pinrec import pinata --from pins.csv --out pins.yaml
"""


@click.command("import", epilog=_EPILOG)
@click.argument("services", metavar="[SERVICE]...", nargs=-1, shell_complete=complete_services)
@click.option("--preset", type=click.Choice(PRESET_NAMES), help="Read an account that no manifest declares.")
@click.option("--endpoint", metavar="URL", help="Where it is, if the preset has none, or without a preset.")
@click.option(
    "--key-env", metavar="NAME", help="The variable that holds its key; with --kubo, the node's token."
)
@click.option("--key-file", type=click.Path(), metavar="FILE", help="The file that holds it.")
@click.option("--as", "called", metavar="NAME", help="What to call it. [default: the preset's name]")
@click.option(
    "--kubo",
    metavar="[API]",
    is_flag=False,
    flag_value="",
    help="Read what a Kubo node pins remotely. API is a URL, a multiaddr or a repository. "
    "[default: what $IPFS_PATH/api names]",
)
@click.option(
    "--local-pins", is_flag=True, help="With --kubo: write a policy for the node's own pins, commented out."
)
@click.option("--from", "source", type=click.Path(), metavar="FILE", help="Read a list instead; - is stdin.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "ndjson", "kubo")),
    help="What the list is: kubo is `ipfs pin remote ls`. [default: by the file's name]",
)
@click.option(
    "--owner", metavar="NAME", help="`name` of the new manifest. [default: the manifest's, or a new one]"
)
@click.option("--out", type=click.Path(), metavar="FILE", help="Where to write it. [default: stdout]")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@common
@pass_options
def command(
    options: Options,
    /,
    services: tuple[str, ...],
    preset: str | None,
    endpoint: str | None,
    key_env: str | None,
    key_file: str | None,
    called: str | None,
    kubo: str | None,
    local_pins: bool,
    source: str | None,
    form: Literal["csv", "ndjson", "kubo"] | None,
    owner: str | None,
    out: str | None,
    force: bool,
) -> int:
    """Write a manifest of what accounts hold, so that a plan of it says "No changes".

    Names are kept. What several services hold alike is one entry; more than 200 pins on the same services go into a
    list file beside --out. Pins that were made without pinrec are adopted by name. What a manifest cannot say, such as
    a name with several CIDs, is left out, with a comment. Changes nothing at the services.

    With --kubo, the services are those of the node (`ipfs pin remote service ls`), its MFS policies become policies,
    and entries say what the node holds, too. No key is asked for: the manifest has references, and what to put there
    is said. Set the variables, and the services themselves are asked instead of Kubo, which does not list all pins.
    """
    from reconciler.cli.output import emit, say
    from reconciler.core.errors import EXIT_OK
    from reconciler.core.globs import Globs
    from reconciler.manifest.generate import generate
    from reconciler.manifest.names import Names

    declared = preset is not None or endpoint is not None
    if declared and services:
        raise click.UsageError("give services of the manifest, or --preset and --endpoint, not both")
    if kubo is not None and (services or declared or called or source):
        raise click.UsageError("--kubo reads the services that the node names: give none, and no list")
    if not declared and kubo is None and (key_env or key_file or called):
        raise click.UsageError("--key-env, --key-file and --as go with --preset or --endpoint")
    if local_pins and kubo is None:
        raise click.UsageError("--local-pins goes with --kubo")
    if form and not source:
        raise click.UsageError("--format goes with --from")
    if out == "":
        raise click.UsageError("--out '' is no file: an unset variable?")
    told: tuple[str, ...] = ()
    code = EXIT_OK
    stem = _stem(out) if out else ""
    if kubo is not None:
        _check_free(out, (), force)
        found, made, told, code = _from_kubo(options, kubo, key_env, key_file, owner, out, stem, local_pins)
    else:
        if declared:
            manifest, raws = _declare(preset, endpoint, key_env, key_file, called, owner, out)
        else:
            manifest, raws = _declared(options, services, owner, out)
        _check_free(out, (), force)
        check = Names(manifest.owner, Globs(())).check
        if source is not None:
            found = _listed(source, form, tuple(manifest.services), check)
            what = "stdin" if source == "-" else source
        else:
            found = _live(options, manifest, check)
            what = ", ".join(manifest.services)
        made = generate(
            found,
            owner=manifest.owner,
            services=raws,
            source=what,
            previous=manifest.previous_owners,
            stem=stem,
            proved=source is None,
        )
    if out is None:
        _valid(made.text)
        emit(made.text)
    else:
        _check_free(out, made.lists, force)
        _write(out, made)
        beside = f", and {', '.join(made.lists)} beside it" if made.lists else ""
        say(options, f"Wrote {out}{beside}. Next: pinrec plan -f {out}")
    for line in (*_summary(found), *told):
        say(options, line)
    return code


def _from_kubo(
    options: Options,
    api: str,
    key_env: str | None,
    key_file: str | None,
    owner: str | None,
    out: str | None,
    stem: str,
    local_pins: bool,
) -> tuple["Takeover", "Generated", tuple[str, ...], int]:
    from pathlib import Path

    from reconciler.cli import from_kubo
    from reconciler.cli.commands.init import new_owner
    from reconciler.cli.keys import is_there
    from reconciler.core.errors import EXIT_OK, EXIT_PARTIAL
    from reconciler.manifest.generate import generate

    if key_env is not None and key_file is not None:
        raise click.UsageError("where is the node's token? Give --key-env NAME or --key-file FILE, not both")
    if key_file is not None:
        is_there(key_file)
    token = {"env": key_env} if key_env is not None else {"file": key_file} if key_file is not None else None
    owner = owner or new_owner(Path(out or "pinrec.yaml"))
    got = from_kubo.read(
        options,
        api,
        token=token,
        written=lambda raw, key: _moved(raw, key, out),
        owner=owner,
        local_pins=local_pins,
    )
    made = generate(
        got.found,
        owner=owner,
        services=got.services,
        source=f"the node at {got.where}",
        stem=stem,
        proved=got.proved,
        side=got.side,
    )
    return got.found, made, got.told, EXIT_PARTIAL if got.missing else EXIT_OK


# --- which services -----------------------------------------------------------------------------------------------


def _declared(
    options: Options, services: tuple[str, ...], owner: str | None, out: str | None
) -> tuple["Manifest", dict[str, Mapping[str, Any]]]:
    """Services of the manifest, as they are written there."""
    from msgspec.structs import replace

    from reconciler.cli.declared import check_services, load, named
    from reconciler.manifest.edit_service import written

    named(options)
    manifest = load(options)
    check_services(services, manifest)
    chosen = {name: manifest.services[name] for name in services or manifest.services}
    if not chosen:
        raise click.UsageError("the manifest has no services: declare one, or give --preset")
    raws = {name: _moved(written(service), service.key, out) for name, service in chosen.items()}
    if owner and owner != manifest.owner:
        manifest = replace(manifest, owner=owner, previous_owners=())
    return replace(manifest, services=chosen, entries=[], sources=()), raws


def _declare(
    preset: str | None,
    endpoint: str | None,
    key_env: str | None,
    key_file: str | None,
    called: str | None,
    owner: str | None,
    out: str | None,
) -> tuple["Manifest", dict[str, Mapping[str, Any]]]:
    """A service that no manifest declares."""
    from io import StringIO
    from pathlib import Path

    from reconciler.cli.commands.init import new_owner
    from reconciler.cli.keys import is_there
    from reconciler.manifest import load_manifest
    from reconciler.manifest.compose import flow

    if (key_env is None) == (key_file is None):
        raise click.UsageError("where is the key? Give --key-env NAME or --key-file FILE")
    if key_file is not None:
        is_there(key_file)
    raw: dict[str, Any] = {"preset": preset} if preset else {}
    if endpoint:
        raw["endpoint"] = endpoint
    raw["key"] = {"env": key_env} if key_env is not None else {"file": key_file}
    name = called or preset or "service"
    owner = owner or new_owner(Path(out or "pinrec.yaml"))
    text = flow({"version": 1, "name": owner, "services": {name: raw}, "pins": []})
    manifest = load_manifest("-", stdin=StringIO(text))
    return manifest, {name: _moved(raw, manifest.services[name].key, out)}


def _moved(raw: Mapping[str, Any], key: Any, out: str | None) -> Mapping[str, Any]:
    """A service as it is written in a file elsewhere: the path of its key file leads to the same file."""
    from pathlib import Path

    if key.kind != "file" or str(raw["key"]["file"]).startswith(("/", "~")):
        return raw
    path = Path(key.value[0])
    folder = Path(out or ".").resolve().parent if out else Path.cwd()
    return {**raw, "key": {"file": str(path.relative_to(folder) if path.is_relative_to(folder) else path)}}


# --- what they hold -----------------------------------------------------------------------------------------------


def _live(options: Options, manifest: "Manifest", check: Any) -> "Takeover":
    """Everything that the accounts hold. Raises ServiceError if one cannot be read whole."""
    import asyncio
    from datetime import UTC, datetime

    from reconciler.cli import accounts, interrupt, runtime
    from reconciler.core.takeover import take_over

    pins: dict[str, list[PinStatus]] = {}

    async def main(interrupted: interrupt.Interrupt) -> int:
        async with runtime.opened(options, manifest, interrupted, resolved={}) as run:

            async def read(service: "Service") -> None:
                pins[service.name] = await accounts.whole(run.context, service)

            async with asyncio.TaskGroup() as group:
                for service in manifest.services.values():
                    group.create_task(read(service))
        return 0

    if code := interrupt.run(main):
        raise click.exceptions.Exit(code)
    return take_over(
        manifest.owner,
        manifest.services,
        {name: pins[name] for name in manifest.services},
        check=check,
        now=datetime.now(UTC),
        previous=manifest.previous_owners,
    )


def _listed(
    source: str, form: Literal["csv", "ndjson", "kubo"] | None, services: tuple[str, ...], check: Any
) -> "Takeover":
    import sys
    from pathlib import Path

    from reconciler.cli.importing import from_rows, read_rows
    from reconciler.core.errors import UsageError

    suffix = Path(source).suffix.lower()
    if form is None:
        if suffix not in (".csv", ".ndjson", ".jsonl"):
            raise click.UsageError(f"--from {source}: say what it is with --format csv, ndjson or kubo")
        form = "csv" if suffix == ".csv" else "ndjson"
    if source == "-":
        return from_rows(read_rows(sys.stdin, form, file="stdin"), services, check)
    try:
        with Path(source).open(encoding="utf-8-sig", newline="" if form == "csv" else None) as stream:
            return from_rows(read_rows(stream, form, file=source), services, check)
    except OSError as error:
        raise UsageError(f"--from {source}: {(error.strerror or 'it cannot be read').lower()}") from error


# --- writing ------------------------------------------------------------------------------------------------------


def _stem(out: str) -> str:
    from pathlib import Path

    return Path(out).stem


def _check_free(out: str | None, lists: Mapping[str, str] | tuple[()], force: bool) -> None:
    from pathlib import Path

    from reconciler.core.errors import UsageError

    if out is None or force:
        return
    for path in (Path(out), *(Path(out).parent / name for name in lists)):
        if path.exists():
            raise UsageError(f"{path} is there already", hint="--force overwrites it")


def _write(out: str, made: "Generated") -> None:
    """The lists first, then the manifest that names them, once it is known to be valid with them."""
    import os
    from pathlib import Path

    from reconciler.cli.output import write_file
    from reconciler.manifest import load_manifest

    for name, text in made.lists.items():
        write_file(str(Path(out).parent / name), text, mode=0o644)
    load_manifest(out, instead={os.path.realpath(out): made.text})
    write_file(out, made.text, mode=0o644)


def _valid(text: str) -> None:
    from io import StringIO

    from reconciler.manifest import load_manifest

    load_manifest("-", stdin=StringIO(text))


def _summary(found: "Takeover") -> list[str]:
    from reconciler.cli.render.words import plural

    lines = [f"{plural(len(found.wanted), 'entry', 'entries')}."]
    if found.left_out:
        lines.append(f"{plural(len(found.left_out), 'name')} left out; the comments in the manifest say why.")
    if found.foreign:
        lines.append(f"{plural(sum(found.foreign.values()), 'pin')} of other owners left out.")
    return lines
