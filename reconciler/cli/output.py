"""Writing: results to stdout, everything else to stderr, files whole or not at all."""

import os
import sys
import tempfile
from pathlib import Path

import click

from reconciler.cli.options import Options
from reconciler.cli.render.style import Style, wants_color


def emit(text: str) -> bool:
    """Write a result to stdout; False if its reader has gone away (`| head`).

    A run that has done its work still ends with its own exit code then.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whatever is written later, also by the interpreter at its end, goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def say(options: Options, text: str) -> None:
    """A note for the person, on stderr, unless --quiet."""
    if not options.quiet:
        click.echo(text, err=True)


def style(options: Options) -> Style:
    """Colours for stdout."""
    return Style(wants_color(options.color, os.environ, sys.stdout))


def whole(full: bool) -> bool:
    """Whether long lists are written whole: always, unless a person looks at them on a terminal."""
    return full or not sys.stdout.isatty()


def write_file(path: str, text: str, *, mode: int = 0o600) -> None:
    """Write a file so that it is there whole or not at all; raises OSError, with the path the person gave."""
    target = Path(path)
    if target.exists() and not target.is_file():
        # A device or a pipe is written to: a file put in the place of /dev/stdout would be a poor surprise.
        try:
            with target.open("w", encoding="utf-8") as stream:
                stream.write(text)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        return
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, path) from error
        raise


def step_summary(text: str) -> None:
    """Append to the summary of a GitHub Actions step, if there is one. A failure is told and changes nothing."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        click.echo(f"pinrec: the step summary could not be written: {error.strerror}", err=True)
