"""What `pinrec pause` and `pinrec resume` share."""

import getpass
from datetime import UTC, datetime

import click

from reconciler.cli.declared import check_services, load
from reconciler.cli.options import Options
from reconciler.core.errors import EXIT_OK


def change(options: Options, services: tuple[str, ...], *, pause: bool) -> int:
    """Write down what is paused from now on. Raises PinrecError."""
    from reconciler.daemon.lease import Lease
    from reconciler.daemon.state import Paused, StateFiles

    manifest = load(options)
    check_services(services, manifest)
    files = StateFiles(options.state_dir, manifest.owner)
    before = files.read_paused()
    now = {s for s in manifest.services if before.covers(s)}
    everything = not services and pause
    if everything:
        after = set(manifest.services)
    elif services:
        after = now | set(services) if pause else now - set(services)
    else:
        after = set()
    files.write_paused(
        Paused(
            services=tuple(s for s in manifest.services if s in after),
            everything=everything,
            since=datetime.now(UTC),
            by=_user(),
        )
    )
    running = "" if Lease(options.state_dir, manifest.owner).holder() else " No loop is running."
    if not after and not everything:
        click.echo(f"Nothing is paused.{running}")
    else:
        which = "everything" if everything else ", ".join(s for s in manifest.services if s in after)
        click.echo(f"Paused: {which}.{running}")
    return EXIT_OK


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
