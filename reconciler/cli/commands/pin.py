"""pinrec pin add, set, rm"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

from reconciler.cli.completions import complete_pins, complete_services
from reconciler.cli.options import Options, allowances, common, overrides, pass_options, waiting

if TYPE_CHECKING:
    from reconciler.core.plan import Overrides
    from reconciler.manifest.edit import Edit

_EPILOG = """\b
Examples:
  pinrec pin add bafy… --name website --service pinata,filebase --apply
  pinrec pin set website bafy… --apply
  pinrec pin rm website
"""
_ADD_EPILOG = """\b
Examples:
  pinrec pin add bafy… --name website --service pinata,filebase
  pinrec pin add bafy… --name website --meta team=web --apply
  pinrec pin add bafy… bafy…                two pins without names
"""
_SET_EPILOG = """\b
Examples:
  pinrec pin set website bafy…             the manifest wants another CID from now on
  pinrec pin set website bafy… --apply     and the services, once it is pinned there
"""
_RM_EPILOG = """\b
Examples:
  pinrec pin rm website
  pinrec pin rm website --service filebase --apply
"""

_apply = click.option("--apply", "now", is_flag=True, help="Plan and apply this entry, and nothing else.")


@click.group("pin", epilog=_EPILOG, invoke_without_command=True, no_args_is_help=False)
@common
@click.pass_context
def command(ctx: click.Context) -> int:
    """Add, change or remove one pin of the manifest.

    The file is edited in place: comments, order and style stay as they are. It is checked as a whole before it is
    replaced. With --apply the services follow at once, for this entry alone, with one line of result for each.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


@command.command("add", epilog=_ADD_EPILOG)
@click.argument("cids", metavar="CID...", nargs=-1, required=True)
@click.option("--name", metavar="NAME", help="What the pin is called. One CID only.")
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAMES",
    shell_complete=complete_services,
    help="Where to pin it, as a,b or repeated. [default: the manifest's]",
)
@click.option(
    "--origin", "origins", multiple=True, metavar="MULTIADDR", help="A node that has it. May be repeated."
)
@click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Meta data of the pin. May be repeated.")
@_apply
@waiting
@common
@pass_options
def add(
    options: Options,
    /,
    cids: tuple[str, ...],
    name: str | None,
    services: tuple[str, ...],
    origins: tuple[str, ...],
    meta: tuple[str, ...],
    **applying: Any,
) -> int:
    """Add a pin to the manifest.

    What is there already is left as it is; a pin that is wanted on other services gets these, too.
    """
    from reconciler.manifest.edit import add_pin

    if name is not None and len(cids) > 1:
        raise click.UsageError("--name names one pin: give one CID, or leave it out")
    if name == "":
        raise click.UsageError("--name '' is no name: an unset variable?")
    path = _file(options)
    wanted = [_cid(text) for text in dict.fromkeys(cids)]
    pairs = _pairs(meta)

    def edit(cid: Any, *, check_only: bool) -> "Edit":
        return add_pin(
            path,
            cid=cid,
            name=name or "",
            services=_split(services),
            meta=pairs,
            origins=origins,
            check_only=check_only,
        )

    # All or none: if one of several is refused, the others are not in the file either.
    if len(wanted) > 1:
        for one in wanted:
            edit(one, check_only=True)
    return _finish(options, [edit(one, check_only=False) for one in wanted], **applying)


@command.command("set", epilog=_SET_EPILOG)
@click.argument("name", shell_complete=complete_pins)
@click.argument("cid")
@_apply
@waiting
@common
@pass_options
def set_(options: Options, /, name: str, cid: str, **applying: Any) -> int:
    """Let a pin of the manifest hold another CID: what a deploy script calls.

    Prints "unchanged" and exits 0 if it holds that CID already, in whatever spelling. With --apply the new content is
    pinned before the old one goes.
    """
    from reconciler.manifest.edit import set_cid

    return _finish(options, [set_cid(_file(options), name, _cid(cid))], **applying)


@command.command("rm", epilog=_RM_EPILOG)
@click.argument("name", shell_complete=complete_pins)
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAMES",
    shell_complete=complete_services,
    help="Only there, as a,b or repeated.",
)
@_apply
@allowances
@waiting
@common
@pass_options
def rm(
    options: Options,
    /,
    name: str,
    services: tuple[str, ...],
    now: bool,
    wait: Literal["pinned", "none"],
    timeout: float,
    lock_timeout: float,
    **allowed: Any,
) -> int:
    """Remove a pin from the manifest; NAME is its CID if it has no name.

    The services keep it until the next apply. Comments on lines of their own stay.
    """
    from reconciler.manifest.edit import remove_pin

    only = _split(services)
    wanted = overrides(**allowed)
    return _finish(
        options,
        [remove_pin(_file(options), name, only)],
        now=now,
        wait=wait,
        timeout=timeout,
        lock_timeout=lock_timeout,
        everywhere=not only,
        allowed=wanted,
    )


def _finish(
    options: Options,
    edits: "Sequence[Edit]",
    *,
    now: bool,
    wait: Literal["pinned", "none"],
    timeout: float,
    lock_timeout: float,
    everywhere: bool = False,
    allowed: "Overrides | None" = None,
) -> int:
    from reconciler.cli.targeted import apply_names
    from reconciler.core.plan import Overrides

    for edit in edits:
        click.echo(_told(edit), err=now)
    if not now:
        return 0
    return apply_names(
        options,
        edits[-1].manifest,
        [edit.name for edit in edits],
        services=tuple(dict.fromkeys(s for edit in edits for s in edit.services)),
        everywhere=everywhere,
        allowed=allowed or Overrides(),
        wait=wait,
        timeout=timeout,
        lock_timeout=lock_timeout,
    )


def _told(edit: "Edit") -> str:
    from reconciler.cli.render.escape import quoted, terminal

    where = f" ({', '.join(edit.services)})" if edit.services else ""
    name = quoted(edit.name)
    file = terminal(edit.file)
    match edit.what:
        case "added":
            return f"added {name} to {file}{where}"
        case "extended":
            return f"added services to {name} in {file}{where}"
        case "changed":
            return f"changed {name} in {file}, was {terminal(edit.old)}"
        case "removed":
            return f"removed {name} from {file}{where}"
        case _:
            return f"unchanged {name} in {file}"


def _file(options: Options) -> str:
    from reconciler.cli.declared import named

    return named(options)


def _cid(text: str) -> Any:
    from reconciler.core.cid import CidError, parse_content

    if not text:
        raise click.UsageError("the CID is empty: an unset variable?")
    try:
        return parse_content(text)
    except CidError as error:
        raise click.UsageError(f"{text}: {error}") from error


def _split(services: tuple[str, ...]) -> tuple[str, ...]:
    names = [name.strip() for text in services for name in text.split(",")]
    if "" in names:
        raise click.UsageError("--service: a name is empty: an unset variable?")
    return tuple(dict.fromkeys(names))


def _pairs(meta: tuple[str, ...]) -> dict[str, str]:
    from reconciler.core.model import META_OWNER

    pairs = {}
    for text in meta:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--meta {text}: KEY=VALUE is wanted")
        if key == META_OWNER or key.startswith(f"{META_OWNER}."):
            raise click.UsageError(f"--meta {key}: keys that begin with {META_OWNER} are our own marks")
        pairs[key] = value
    return pairs
