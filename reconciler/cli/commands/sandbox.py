"""pinrec sandbox"""

import textwrap
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import DURATION, Options, common, pass_options
from reconciler.sandbox.mishaps import MISHAPS
from reconciler.sandbox.node.faults import USAGE as NODE_FAULTS
from reconciler.sandbox.personalities import PERSONALITIES
from reconciler.sandbox.quirks import QUIRKS

if TYPE_CHECKING:
    from reconciler.sandbox.faults import Faults
    from reconciler.sandbox.node import NodeFaults, SandboxNode
    from reconciler.sandbox.personality import Personality
    from reconciler.sandbox.script import Script

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105  # known to everybody, for a service on loopback


def _epilog() -> str:
    quirks = "\n".join(f"  {quirk.usage}\n      {quirk.help}" for quirk in QUIRKS.values())
    mishaps = "\n".join(
        f"  {m.name}{f': {m.usual:g}  ({m.unit})' if m.unit else ''}\n      {m.help}"
        for m in MISHAPS.values()
    )
    node_faults = "\n".join(
        f"  {fault.name}{f'={fault.value}' if fault.value else ''}\n      {fault.help}"
        for fault in NODE_FAULTS.values()
    )
    return f"""\b
Examples:
  pinrec sandbox                             http://127.0.0.1:5010, pins in memory
  pinrec sandbox --store pins.db --delay 5s  pins outlive it, and take 5 s to be pinned
  pinrec sandbox --token one --token two     two accounts
  pinrec sandbox --personality ipfs-cluster  as that service answers
  pinrec sandbox --quirk count=plus1 --quirk page-cap=10
  pinrec sandbox --fault-rate 0.2 --seed 7   each fifth request goes wrong, the same ones each time
  pinrec sandbox --faults faults.yaml        what goes wrong is written down
  pinrec sandbox --node                      with a small node like Kubo, from which pins are fetched
  pinrec sandbox --node --node-fault stat=2s --node-fault error=swarm/connect

\b
A script of faults, here: the first POST is done and its answer lost, the key expires after 20 requests:
{textwrap.indent(_SCRIPT, "  ")}
\b
What can go wrong, for `do` and for --fault, with the usual value:
{mishaps}

\b
What may be wrong with the node, for --node-fault:
{node_faults}

\b
Quirks. Where none is named the personality's own habit holds:
{quirks}
"""


_SCRIPT = """\
- when: {method: POST, path: /pins, nth: 1}   # also first, after, every
  do: reset-after
- when: {after: 20}
  do: auth
- when: {every: 3}
  do: {error: 503}
"""


@click.command("sandbox", epilog=_epilog())
@click.option("--port", type=click.IntRange(0, 65535), default=5010, show_default=True, help="0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--store", metavar="FILE", help="Keep pins in this file. [default: in memory]")
@click.option(
    "--token",
    "tokens",
    multiple=True,
    metavar="TOKEN",
    help=f"A key that is let in, with an account of its own. May be repeated. [default: {DEFAULT_TOKEN}]",
)
@click.option(
    "--delay", type=DURATION, default="0s", show_default=True, help="How long a pin takes to be pinned."
)
@click.option(
    "--missing", multiple=True, metavar="CID", help="Content that cannot be found. May be repeated."
)
@click.option(
    "--patience",
    type=DURATION,
    default="2m",
    show_default=True,
    help="How long such content is looked for before its pin has failed.",
)
@click.option(
    "--personality",
    type=click.Choice(tuple(PERSONALITIES)),
    default="spec",
    show_default=True,
    help="The service to behave like.",
)
@click.option(
    "--quirk", "quirks", multiple=True, metavar="NAME=VALUE", help="One habit, see below. May be repeated."
)
@click.option("--rate", metavar="N/TIME", help="Answer 429 to what exceeds it: 60/min, 100/s.")
@click.option("--faults", metavar="FILE", help="A script of what goes wrong, see below.")
@click.option(
    "--fault-rate",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="The part of the requests that goes wrong by chance.",
)
@click.option(
    "--fault",
    "kinds",
    multiple=True,
    metavar="NAME",
    help="What may go wrong by chance. May be repeated. [default: everything that takes no hours]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Chance can be played again.")
@click.option(
    "--node",
    "with_node",
    is_flag=True,
    help="Start a small node too: the part of Kubo's RPC that pinrec uses.",
)
@click.option(
    "--node-port",
    type=click.IntRange(0, 65535),
    default=5011,
    show_default=True,
    help="Of the node's API. 0: a free one.",
)
@click.option(
    "--node-fault",
    "node_faults",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="What is wrong with the node, see below. May be repeated.",
)
@common
@pass_options
def command(
    _options: Options,
    port: int,
    host: str,
    store: str | None,
    tokens: tuple[str, ...],
    delay: float,
    missing: tuple[str, ...],
    patience: float,
    personality: str,
    quirks: tuple[str, ...],
    rate: str | None,
    faults: str | None,
    fault_rate: float,
    kinds: tuple[str, ...],
    seed: int,
    with_node: bool,
    node_port: int,
    node_faults: tuple[str, ...],
) -> int:
    """Run a local pinning service to try things on: API v1.0.0, on this machine only, until Ctrl-C.

    It holds pins, not content: every CID is found unless it is said to be missing. It behaves to the letter of the
    API, or as a service that departs from it, or goes wrong as services do.

    With --node there is a small node beside it, and a pin is pinned when its content was fetched from there: once
    the two are connected, by the pin's origins or by the answer's delegates. It is for trying out and testing: what
    it holds is in memory, and it reaches no network.
    """
    import contextlib
    import signal

    from reconciler.cli.interrupt import raise_interrupted
    from reconciler.core.errors import EXIT_SIGINT, InterruptedRunError, PinrecError, UsageError
    from reconciler.sandbox.lifecycle import Lifecycle
    from reconciler.sandbox.server import Sandbox, serve
    from reconciler.sandbox.tables import StoreError

    local = host in ("127.0.0.1", "::1", "localhost")
    if not local and not tokens:
        raise UsageError(f"--host {host}: others can reach it there", hint="choose a key with --token")
    habits = _habits(personality, quirks)
    trouble = _trouble(rate, faults, fault_rate, kinds, seed)
    lost = _canonical(missing)
    if not local:
        click.echo(f"pinrec: warning: {host} can be reached from other machines, without TLS", err=True)
    keys = tokens or (DEFAULT_TOKEN,)

    if node_faults and not with_node:
        raise UsageError("--node-fault says what is wrong with the node, and --node is missing")
    node = _node(host, node_port, _node_faults(node_faults)) if with_node else None

    def ready(sandbox: Sandbox) -> None:
        click.echo(_welcome(sandbox.url, known=not tokens, preset=_preset(personality), node=node))

    before = signal.signal(signal.SIGTERM, raise_interrupted)
    stack = contextlib.ExitStack()
    try:
        if node is not None:
            stack.enter_context(node)
        serve(
            keys,
            port=port,
            host=host,
            store=store,
            lifecycle=Lifecycle(
                queued=delay / 2,
                pinning=delay / 2,
                ends=lambda cid: "pinning" if lost and _compared(cid) in lost else "pinned",
                patience=patience,
            ),
            personality=habits,
            faults=trouble,
            ready=ready,
            network=None if node is None else node.network,
        )
    except KeyboardInterrupt:
        return EXIT_SIGINT
    except InterruptedRunError as error:
        return error.exit_code
    except StoreError as error:
        raise PinrecError(f"--store {store}: {error}") from error
    except OSError as error:
        taken = node is not None and not node.running
        where, option = (node_port, "--node-port 0") if taken else (port, "--port 0")
        raise PinrecError(
            f"{host}:{where} cannot be had: {error.strerror}", hint=f"{option} takes a free one"
        ) from error
    finally:
        stack.close()
        signal.signal(signal.SIGTERM, before)
    return 0


def _habits(personality: str, quirks: tuple[str, ...]) -> "Personality":
    from reconciler.core.errors import UsageError
    from reconciler.sandbox.quirks import QuirkError, with_quirks

    try:
        return with_quirks(PERSONALITIES[personality], quirks)
    except QuirkError as error:
        raise UsageError(f"--quirk {error}", hint=_near(error.given, error.known)) from None


def _trouble(
    rate: str | None, script: str | None, part: float, kinds: tuple[str, ...], seed: int
) -> "Faults | None":
    """All that is to go wrong, in the order in which it is asked; None if nothing is."""
    from reconciler.core.errors import UsageError
    from reconciler.sandbox.faults import AllOf
    from reconciler.sandbox.pace import Rate, RateLimit
    from reconciler.sandbox.script import Chance

    parts: list[Faults] = []
    if rate is not None:
        try:
            parts.append(RateLimit(Rate.parse(rate)))
        except ValueError as error:
            raise UsageError(f"--rate {error}") from None
    if script is not None:
        parts.append(_script(script))
    for kind in kinds:
        if kind not in MISHAPS:
            near = _near(kind, tuple(MISHAPS))
            raise UsageError(f"--fault {kind}: there is no such mishap", hint=near)
    if kinds and not part:
        raise UsageError("--fault says what may happen, and --fault-rate is missing that says how often")
    if part:
        parts.append(Chance(part, seed=seed, mishaps=kinds or None))
    return AllOf(*parts) if parts else None


def _script(path: str) -> "Script":
    from pathlib import Path

    from reconciler.core.errors import UsageError
    from reconciler.manifest.events import YamlSyntaxError
    from reconciler.manifest.loader import load
    from reconciler.sandbox.script import ScriptError, read_script

    try:
        loaded = load(Path(path).read_text(encoding="utf-8"))
        problems = loaded.problems
    except OSError as error:
        raise UsageError(f"--faults {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--faults {path}: it is not UTF-8") from None
    except YamlSyntaxError as error:
        problems = [error.problem]
    if problems:
        first = problems[0]
        place = f"{path}:{first.line}:{first.column}"
        raise UsageError(f"--faults {place}: {first.message}", hint=first.hint)
    try:
        return read_script(loaded.value)
    except ScriptError as error:
        raise UsageError(f"--faults {path}: {error}", hint=_near(error.given, error.known)) from None


def _node(host: str, port: int, faults: "NodeFaults") -> "SandboxNode":
    from reconciler.sandbox.node import SandboxNode

    return SandboxNode(host=host, port=port, faults=faults, log=0)


def _node_faults(texts: tuple[str, ...]) -> "NodeFaults":
    from reconciler.core.errors import UsageError
    from reconciler.sandbox.node.faults import FaultError, read

    try:
        return read(texts, lambda text: DURATION.convert(text, None, None))
    except FaultError as error:
        raise UsageError(f"--node-fault {error}", hint=_near(error.given, error.known)) from None


def _canonical(missing: tuple[str, ...]) -> frozenset[str]:
    from reconciler.core.cid import CidError, canonical
    from reconciler.core.errors import UsageError

    try:
        return frozenset(canonical(cid) for cid in missing)
    except CidError as error:
        raise UsageError(f"--missing: {error}") from None


def _compared(cid: str) -> str:
    from reconciler.sandbox.pin import compared

    return compared(cid)


def _near(given: str, known: tuple[str, ...]) -> str:
    import difflib

    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(known)}" if known else ""


def _preset(personality: str) -> str:
    """What a manifest says of it. Nobody has measured the others' habits for a preset."""
    from reconciler.core.presets import PRESETS

    if personality == "spec":
        return "preset: sandbox"
    return f"preset: {personality}" if personality in PRESETS else "profile: unknown"


def _welcome(url: str, *, known: bool, preset: str, node: "SandboxNode | None") -> str:
    """A key that a person chose is not shown again."""
    key = DEFAULT_TOKEN if known else "$TOKEN"
    beside = uses = change = ""
    if node is not None:
        beside = f"""
A node is running at {node.api}
It is for trying out and testing: its content is in memory and goes with it, and it reaches no network.
"""
        uses = "\n      policies: [all-in-mfs]"
        change = f"""
  curl -X POST -F 'file=hello' '{node.api}/api/v0/files/write?arg=/hello.txt&create=true'
  curl -X POST '{node.api}/api/v0/files/stat?arg=/'"""
    above = "" if node is None else f"\n  node: {{api: {node.api}}}"
    return f"""A pinning service is running at {url}
{beside}
In a manifest:{above}
  services:
    sandbox:
      {preset}
      endpoint: {url}
      key: {{env: PINREC_SANDBOX_TOKEN}}      # export PINREC_SANDBOX_TOKEN={key}{uses}

By hand:
  curl -H 'Authorization: Bearer {key}' {url}/pins{change}

Ctrl-C stops it."""
