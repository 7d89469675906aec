"""pinrec sandbox"""

import click

from reconciler.cli.options import DURATION, Options, common, pass_options

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105  # known to everybody, for a service on loopback

_EPILOG = """\b
Examples:
  pinrec sandbox                             http://127.0.0.1:5010, pins in memory
  pinrec sandbox --store pins.db --delay 5s  pins outlive it, and take 5 s to be pinned
  pinrec sandbox --token one --token two     two accounts
"""


@click.command("sandbox", epilog=_EPILOG)
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
@common
@pass_options
def command(
    _options: Options, port: int, host: str, store: str | None, tokens: tuple[str, ...], delay: float
) -> int:
    """Run a local pinning service to try things on: API v1.0.0, on this machine only, until Ctrl-C.

    It holds pins, not content: every CID is found.
    """
    import signal

    from reconciler.cli.interrupt import raise_interrupted
    from reconciler.core.errors import EXIT_SIGINT, InterruptedRunError, PinrecError, UsageError
    from reconciler.sandbox.lifecycle import Lifecycle
    from reconciler.sandbox.server import Sandbox, serve
    from reconciler.sandbox.tables import StoreError

    local = host in ("127.0.0.1", "::1", "localhost")
    if not local and not tokens:
        raise UsageError(f"--host {host}: others can reach it there", hint="choose a key with --token")
    if not local:
        click.echo(f"pinrec: warning: {host} can be reached from other machines, without TLS", err=True)
    keys = tokens or (DEFAULT_TOKEN,)

    def ready(sandbox: Sandbox) -> None:
        click.echo(_welcome(sandbox.url, known=not tokens))

    before = signal.signal(signal.SIGTERM, raise_interrupted)
    try:
        serve(
            keys,
            port=port,
            host=host,
            store=store,
            lifecycle=Lifecycle(queued=delay / 2, pinning=delay / 2),
            ready=ready,
        )
    except KeyboardInterrupt:
        return EXIT_SIGINT
    except InterruptedRunError as error:
        return error.exit_code
    except StoreError as error:
        raise PinrecError(f"--store {store}: {error}") from error
    except OSError as error:
        raise PinrecError(
            f"{host}:{port} cannot be had: {error.strerror}", hint="--port 0 takes a free one"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _welcome(url: str, *, known: bool) -> str:
    """A key that a person chose is not shown again."""
    key = DEFAULT_TOKEN if known else "$TOKEN"
    return f"""A pinning service is running at {url}

In a manifest:
  services:
    sandbox:
      preset: sandbox
      endpoint: {url}
      key: {{env: PINREC_SANDBOX_TOKEN}}      # export PINREC_SANDBOX_TOKEN={key}

By hand:
  curl -H 'Authorization: Bearer {key}' {url}/pins

Ctrl-C stops it."""
