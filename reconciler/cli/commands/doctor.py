"""pinrec doctor"""

from typing import TYPE_CHECKING

import click

from reconciler.cli.options import DURATION, Options, common, pass_options

if TYPE_CHECKING:
    from reconciler.cli.interrupt import Interrupt
    from reconciler.core.manifest import Service
    from reconciler.engine.journal import Journal
    from reconciler.services.examination import Examination

#: Requests that an examination takes, and more.
_REQUESTS = 120
_TIMEOUT = 120.0

_EPILOG = """\b
Examples:
  pinrec doctor pinata                    asks before it makes throw-away pins
  pinrec doctor pinata --read-only        only what reading can tell
  pinrec doctor mine --cid bafybei…       with content that the service can find
  pinrec doctor mine --yes --write        in CI: into the manifest, as nothing else remembers
  pinrec doctor --node                    the Kubo node of the manifest
"""


@click.command("doctor", epilog=_EPILOG)
@click.argument("service", required=False)
@click.option("--node", is_flag=True, help="Look at the Kubo node of the manifest instead. Changes nothing.")
@click.option(
    "--cid",
    "cids",
    multiple=True,
    metavar="CID",
    help="Content that the service can find and does not hold yet, for what only a pinned pin shows. "
    "May be repeated; up to four are of use.",
)
@click.option("--read-only", is_flag=True, help="Make no pins: only what reading can tell.")
@click.option("--write", is_flag=True, help="Write what was found into the manifest, under the service.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before pins are made.")
@click.option(
    "--json", "as_json", is_flag=True, help="Write the result as JSON (see `pinrec schema doctor`)."
)
@click.option(
    "--timeout",
    type=DURATION,
    help="How long to probe; the pins are taken away after that, too. "
    "[default: 2m, more where the service's limits ask for it]",
)
@common
@pass_options
def command(
    options: Options,
    service: str | None,
    node: bool,
    cids: tuple[str, ...],
    read_only: bool,
    write: bool,
    yes: bool,
    as_json: bool,
    timeout: float | None,
) -> int:
    """Find out what a pinning service really does, and remember it.

    Makes up to 15 throw-away pins at a time, named `pinrec/doctor/…`, of content that nobody has or that the CID itself
    carries; lists, filters, adds and replaces them; and removes them. Nothing else in the account is changed. Shows
    what the API says, what the preset says and what was observed, what that means, and what pinrec does about it.

    What was found is used from the next plan on, where the manifest's own `profile:` says nothing else. Exits 3 if
    not all could be probed, or a pin could not be removed.

    With --node: version, peer id and reachability of the node, what a look at its MFS costs, what could freeze MFS,
    whether Kubo's own MFS policy is on for a service of the manifest, and garbage collection. Exits 3 if not all could
    be found out, 4 if something must be mended first.
    """
    if node:
        if service is not None or cids or read_only or write or yes:
            raise click.UsageError("--node goes with --json, --timeout and -f only")
        return _node(options, as_json=as_json, timeout=timeout)
    if service is None:
        raise click.UsageError("name a service of the manifest, or give --node")
    import os
    import sys

    from reconciler.cli import interrupt
    from reconciler.cli.ask import ask
    from reconciler.cli.declared import load
    from reconciler.cli.failure import tell
    from reconciler.cli.output import emit, say, style
    from reconciler.cli.render import doctor as render
    from reconciler.cli.render.escape import terminal
    from reconciler.core.errors import EXIT_ERROR, EXIT_PARTIAL, PinrecError, UsageError, worst_exit
    from reconciler.engine.journal import Journal
    from reconciler.engine.lock import Lock
    from reconciler.services.doctor import valid_cid

    for cid in cids:
        try:
            valid_cid(cid)
        except ValueError as error:
            raise click.UsageError(f"--cid {cid}: {error}") from error
    if read_only and cids:
        raise click.UsageError("--cid is for pins, and --read-only makes none")
    manifest = load(options)
    spec = manifest.services.get(service)
    if spec is None:
        known = ", ".join(manifest.services) or "none"
        raise UsageError(f"{service}: the manifest has no such service", hint=f"it has: {known}")
    if spec.state == "suspended" and not read_only:
        raise UsageError(
            f"{service} is suspended: nothing is changed there", hint="give --read-only, or take `state:` out"
        )
    if write and options.file == "-":
        raise UsageError(
            "--write cannot write a manifest that came by standard input", hint="name it with -f"
        )
    if write and "name" in spec.profile_declared:
        raise UsageError(
            f"{spec.file}:{spec.line}: `profile: {spec.profile.name}` names a whole row",
            hint="take it out first, so that what is found has a place",
        )
    if not read_only and not yes:
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask on", hint="give --yes, or --read-only")
        answer = ask(
            f"This makes about 15 throw-away pins at {terminal(spec.name)}, and removes them. Go on? [y/N] "
        )
        if answer.lower() not in ("y", "yes"):
            click.echo("Nothing was done.", err=True)
            return EXIT_ERROR

    def examined(journal: Journal | None) -> int:
        async def main(interrupted: interrupt.Interrupt) -> int:
            found = await _examine(
                options, spec, journal, interrupted, cids=cids, read_only=read_only, timeout=timeout
            )
            if journal is not None:
                _remember(journal, spec, found)
            emit(render.examination(found, as_json=as_json, style=style(options), verbose=options.verbose))
            code = found.exit_code
            if write:
                code = worst_exit(code, _write(options, spec, found))
            elif journal is not None and found.determined:
                say(options, f"Remembered as the profile of {terminal(spec.name)} on this machine.")
            return code

        return interrupt.run(main)

    try:
        journal = Journal.open(options.state_dir)
    except PinrecError as error:
        if not write:
            tell(error, os.environ)
            say(options, "pinrec: nothing will be remembered; --write puts it into the manifest")
        return worst_exit(examined(None), 0 if write else EXIT_PARTIAL)
    with journal, Lock(options.state_dir, f"doctor.{service}").hold(what="doctor"):
        return examined(journal)


def _node(options: Options, *, as_json: bool, timeout: float | None) -> int:
    import asyncio
    import os

    from reconciler.cli import interrupt
    from reconciler.cli.declared import load
    from reconciler.cli.output import emit, style
    from reconciler.cli.render import node_doctor as render
    from reconciler.core.errors import NodeError, UsageError
    from reconciler.node.doctor import examine
    from reconciler.node.open import open_node

    manifest = load(options)
    spec = manifest.node
    if spec is None:
        raise UsageError(
            f"{manifest.path}: the manifest names no node", hint="node: {api: http://127.0.0.1:5001} does"
        )

    async def main(_: "Interrupt") -> int:
        async with open_node(spec, environ=os.environ) as node:
            try:
                async with asyncio.timeout(timeout or _TIMEOUT):
                    found = await examine(node, list(manifest.services.values()), peer_id=spec.peer_id)
            except TimeoutError:
                raise NodeError(
                    f"the node at {node.where}: not examined within {timeout or _TIMEOUT:g} s",
                    late=True,
                    hint="--timeout gives it longer",
                ) from None
        emit(render.examination(found, as_json=as_json, style=style(options)))
        return found.exit_code

    return interrupt.run(main)


async def _examine(
    options: Options,
    spec: "Service",
    journal: "Journal | None",
    interrupted: "Interrupt",
    *,
    cids: tuple[str, ...],
    read_only: bool,
    timeout: float | None,
) -> "Examination":
    import os

    from reconciler.cli.output import say
    from reconciler.cli.render.escape import terminal
    from reconciler.core.learned import DOCTOR_RUN, place_of
    from reconciler.services.doctor import Doctor
    from reconciler.services.tape import open_taped

    place = place_of(spec.endpoint)
    known = journal.learned(spec.name, place=place).get(DOCTOR_RUN, "") if journal else ""

    def began(run: str) -> None:
        # Known to this machine before its first pin: whoever comes after a crash need not wait.
        if journal is not None:
            journal.learn(spec.name, DOCTOR_RUN, run, place=place)
            journal.learned(spec.name, place=place)

    async with open_taped(spec, environ=os.environ) as taped:
        doctor = Doctor(
            spec,
            taped,
            cids=cids,
            read_only=read_only,
            known=(known,),
            began=began,
            say=lambda text: say(options, f"{terminal(spec.name)}: {text}"),
        )
        with interrupted.graceful():
            return await doctor.examine(timeout=timeout or _patience(spec), stop=interrupted.stop)


def _patience(spec: "Service") -> float:
    rates = [r for r in (spec.limits.requests, spec.limits.listing) if r is not None]
    return max([_TIMEOUT, *(_REQUESTS * r.seconds / r.count for r in rates)])


def _remember(journal: "Journal", spec: "Service", found: "Examination") -> None:
    """A whole examination takes the place of an earlier one; a part of one joins it. Contradictions are settled."""
    from reconciler.core import learned

    if not found.determined:
        return
    partly = found.read_only or found.stopped
    place = learned.place_of(spec.endpoint)
    before = learned.diagnosis_of(spec, journal.learned(spec.name, place=place)) if partly else None
    diagnosis = learned.Diagnosis(
        date=found.date[:10],
        place=place,
        fields={**(before.fields if before else {}), **found.determined},
    )
    journal.learn(spec.name, learned.PROFILE, learned.encode(diagnosis), place=place)
    for field, fact in (
        ("meta", learned.META),
        ("secondAdd", learned.SECOND_ADD),
        ("idIsCid", learned.ID_IS_CID),
        *((fact, fact) for fact in learned.LISTED),
    ):
        if field in found.determined:
            journal.learn(spec.name, fact, "", place=place)


def _write(options: Options, spec: "Service", found: "Examination") -> int:
    from reconciler.cli.output import say
    from reconciler.cli.render.escape import terminal
    from reconciler.core.errors import EXIT_OK
    from reconciler.manifest.edit_profile import set_profile

    fields = {
        f.field: list(f.observed) if isinstance(f.observed, tuple) else f.observed
        for f in found.findings
        if f.observed is not None and f.by != "manifest" and f.observed != f.preset
    }
    if not fields:
        say(options, f"Nothing to write: the preset and the manifest say all that was found of {spec.name}.")
        return EXIT_OK
    set_profile(options.file, spec.name, fields)
    say(
        options,
        f"Wrote {', '.join(fields)} to the profile of {terminal(spec.name)} in {terminal(spec.file)}.",
    )
    return EXIT_OK
