"""Options that several commands share, and what they are read into.

The common ones are taken before and after the command's name: `pinrec -f x plan` is `pinrec plan -f x`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.cli.render.style import ColorChoice
    from reconciler.core.plan import Overrides

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_FILE = "pinrec.yaml"
DEFAULT_TIMEOUT = 600.0
#: Those of core.presets, which `--help` does not import.
PRESET_NAMES = ("pinata", "filebase", "4everland", "ipfs-cluster", "helia", "functionland", "sandbox")


@dataclass(slots=True)
class Options:
    """The common options of one invocation."""

    file: str = DEFAULT_FILE
    state: str = ""
    color: "ColorChoice" = "auto"
    verbose: bool = False
    quiet: bool = False
    #: Where events go, "" for nowhere, and the command that writes them.
    events: str = ""
    command: str = ""

    @property
    def state_dir(self) -> "Path":
        """--state-dir, else PINREC_STATE_DIR, else the state directory of this system (XDG_STATE_HOME)."""
        from pathlib import Path

        if self.state:
            return Path(self.state).expanduser()
        from platformdirs import user_state_path

        return user_state_path("pinrec", appauthor=False)


def _store(ctx: click.Context, param: click.Parameter, value: object) -> None:
    options = ctx.ensure_object(Options)
    if value in (None, False, ""):
        return
    source = ctx.get_parameter_source(str(param.name))
    if source is not None and source.name == "ENVIRONMENT" and getattr(options, str(param.name)):
        return  # given before the command's name, as an option: the environment does not overrule it
    setattr(options, str(param.name), value)


def common(function: F) -> F:
    """-f, --state-dir, --color, -v, -q: kept in the context's `Options`."""
    for decorate in reversed(
        (
            click.option(
                "-f",
                "--file",
                # `Path` for the sake of completion: it checks nothing here, the loader says more.
                type=click.Path(allow_dash=True),
                metavar="FILE",
                help="The manifest; - is stdin. [default: pinrec.yaml]",
            ),
            click.option(
                "--state-dir",
                "state",
                type=click.Path(file_okay=False),
                metavar="DIR",
                envvar="PINREC_STATE_DIR",
                help="Where journal and lock live. [env: PINREC_STATE_DIR; default: the XDG state directory]",
            ),
            click.option(
                "--color",
                type=click.Choice(("auto", "always", "never")),
                help="Colour the output. [default: auto; NO_COLOR is obeyed]",
            ),
            click.option("-v", "--verbose", is_flag=True, help="Whole CIDs, and more detail on stderr."),
            click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr."),
        )
    ):
        function = _hidden_value(decorate)(function)
    return function


def _hidden_value(decorate: Callable[[F], F]) -> Callable[[F], F]:
    def apply(function: F) -> F:
        decorated = decorate(function)
        params = getattr(decorated, "params", None) or decorated.__click_params__  # type: ignore[attr-defined]  # where click keeps options until the command is made
        params[-1].expose_value = False
        params[-1].callback = _store
        return decorated

    return apply


def _store_events(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    options = ctx.ensure_object(Options)
    if value == "":
        raise click.UsageError("--events '' is no file: an unset variable?")
    options.events, options.command = value or "", ctx.info_name or ""


events_option = click.option(
    "--events",
    type=click.Path(),
    metavar="FILE",
    expose_value=False,
    callback=_store_events,
    help="Also write what happens to FILE, one JSON object a line (`pinrec schema events`).",
)

pass_options = click.make_pass_decorator(Options, ensure=True)


def formats(*names: str, default: str = "text") -> Callable[[F], F]:
    return click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default=default,
        show_default=True,
        help="How the result is written.",
    )


def _stack(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def apply(function: F) -> F:
        for decorate in reversed(decorators):
            function = decorate(function)
        return function

    return apply


def _complete_services(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from reconciler.cli.completions import complete_services

    return complete_services(ctx, param, incomplete)


def _complete_pins(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from reconciler.cli.completions import complete_pins

    return complete_pins(ctx, param, incomplete)


service_option = click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_services,
    help="Only this service. May be repeated.",
)

narrowing = _stack(
    click.option(
        "--target",
        "targets",
        multiple=True,
        metavar="GLOB",
        shell_complete=_complete_pins,
        help="Only pins whose name matches. May be repeated; an error if nothing matches.",
    ),
    service_option,
    click.option("--no-prune", is_flag=True, help="Delete nothing that the manifest no longer names."),
)

allowances = _stack(
    click.option("--allow-empty", is_flag=True, help="Lift guard `empty`: nothing is desired."),
    click.option(
        "--allow-deletes",
        type=click.IntRange(min=0),
        metavar="N",
        help="Lift guard `deletes` for up to N names in all.",
    ),
    click.option(
        "--allow-replaces",
        type=click.IntRange(min=0),
        metavar="N",
        help="Lift guard `replaces` for up to N names in all.",
    ),
    click.option(
        "--allow-shrink", multiple=True, metavar="KEY", help="Lift guard `shrank` for this source or key."
    ),
    click.option("--allow-disjoint", is_flag=True, help="Lift guard `disjoint`."),
)

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


#: In seconds. Far beyond it, clocks and calendars overflow.
_LONGEST = 100 * 366 * 86400


class DurationType(click.ParamType[float]):
    """`30s`, `10m`, `1h30m`; a bare number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        text = str(value).strip()
        parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|min|[smhd]?)", text)
        if (
            not parts
            or "".join(n + u for n, u in parts) != text
            or sum(u == "" for _, u in parts) > (len(parts) == 1)
        ):
            self.fail(f"{text!r} is no duration: write 30s, 10m or 1h30m", param, ctx)
        seconds = sum(float(n) * _UNITS[u] for n, u in parts)
        if seconds > _LONGEST:
            self.fail(f"{text!r} is longer than a hundred years", param, ctx)
        return seconds


DURATION = DurationType()

waiting = _stack(
    click.option(
        "--wait",
        type=click.Choice(("pinned", "none")),
        default="pinned",
        show_default=True,
        help="Wait until new pins are pinned, or only until they are accepted.",
    ),
    click.option(
        "--timeout",
        type=DURATION,
        default="10m",
        show_default=True,
        help="How long to wait; what is still pending then exits 3.",
    ),
    click.option(
        "--lock-timeout",
        type=DURATION,
        default="0s",
        show_default=True,
        help="How long to wait for another run to finish.",
    ),
)


def overrides(
    *,
    targets: tuple[str, ...] = (),
    services: tuple[str, ...] = (),
    no_prune: bool = False,
    allow_empty: bool = False,
    allow_deletes: int | None = None,
    allow_replaces: int | None = None,
    allow_shrink: tuple[str, ...] = (),
    allow_disjoint: bool = False,
    destroy: bool = False,
) -> "Overrides":
    """What `narrowing` and `allowances` gave, as the engine takes it. Raises click.UsageError."""
    from reconciler.core.plan import Overrides

    if "" in targets:
        raise click.UsageError("--target '' matches nothing: an unset variable?")
    return Overrides(
        allow_empty=allow_empty,
        allow_deletes=allow_deletes,
        allow_replaces=allow_replaces,
        allow_shrink=allow_shrink,
        allow_disjoint=allow_disjoint,
        prune=not no_prune,
        destroy=destroy,
        services=services,
        targets=targets,
    )
