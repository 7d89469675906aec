"""How an error is told: one clear line and what to do next, never a traceback."""

import errno
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from reconciler.cli.render.escape import clip, terminal
from reconciler.core.errors import (
    EXIT_ERROR,
    ManifestError,
    PinrecError,
    ServiceError,
    worst_exit,
)


def tell(error: BaseException, environ: Mapping[str, str]) -> int:
    """Print `error` on stderr and return the exit code it calls for. PINREC_DEBUG=1 adds the traceback."""
    if environ.get("PINREC_DEBUG") not in (None, "", "0"):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    leaves = list(_leaves(error))
    lines: dict[str, None] = {}
    for leaf in leaves:
        lines.update(dict.fromkeys(_lines(leaf)))
    for line in lines:
        click.echo(line, err=True)
    return worst_exit(*(_code(leaf) for leaf in leaves))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, as task groups raise them."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _code(error: BaseException) -> int:
    return error.exit_code if isinstance(error, PinrecError) else EXIT_ERROR


def _lines(error: BaseException) -> Iterator[str]:
    if isinstance(error, ManifestError):
        count = len(error.problems)
        yield f"pinrec: the manifest has {'a problem' if count == 1 else f'{count} problems'}:"
        for problem in error.problems:
            yield f"  {terminal(str(problem))}"
    elif isinstance(error, PinrecError):
        service = f"{error.service}: " if isinstance(error, ServiceError) and error.service else ""
        message = error.message if error.message.startswith(service) else service + error.message
        yield f"pinrec: {terminal(clip(message, 2000))}"
        if error.hint:
            yield f"  → {terminal(error.hint)}"
    elif (
        isinstance(error, FileNotFoundError) and not str(error.filename or "").startswith("/") and _nowhere()
    ):
        yield "pinrec: the current directory is not there any more"
        yield "  → cd to one that is"
    elif isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if not place and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            place = "cannot write the output: "  # a file of ours is told with its name
        yield f"pinrec: {terminal(place + (error.strerror or str(error)))}"
    else:
        text = terminal(clip(str(error) or "no message", 300))
        yield f"pinrec: internal error: {type(error).__name__}: {text}"
        yield "  → this is a bug in pinrec: set PINREC_DEBUG=1 to see the traceback, and report it"


def _nowhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


@contextmanager
def github_problems(form: str) -> Iterator[None]:
    """With `--format github` the problems of a manifest are annotations, too."""
    try:
        yield
    except ManifestError as error:
        if form == "github":
            from reconciler.cli.render.github import problem_annotations

            for line in problem_annotations(error.problems):
                click.echo(line)
        raise
