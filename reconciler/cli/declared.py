"""The manifest of an invocation. Imports nothing that talks to services: `validate` needs no more than this."""

import gc
import sys
from collections.abc import Iterable

from reconciler.cli.options import DEFAULT_FILE, Options
from reconciler.core.errors import UsageError
from reconciler.core.manifest import Manifest


def named(options: Options) -> str:
    """The file of a command that edits it. Raises UsageError for stdin, or if there is none."""
    if options.file == "-":
        raise UsageError("-f - is no file that could be edited", hint="name it with -f FILE")
    _check_default(options)
    return options.file


def load(options: Options) -> Manifest:
    """The manifest of this invocation. Raises ManifestError, or UsageError if there is none."""
    from reconciler.manifest import load_manifest
    from reconciler.policies import check

    _check_default(options)
    manifest = load_manifest(options.file, stdin=sys.stdin if options.file == "-" else None)
    check(manifest)
    # A manifest may be a million objects that stay until the end: the collector need not go through them again.
    gc.freeze()
    return manifest


def _check_default(options: Options) -> None:
    from pathlib import Path

    if options.file == DEFAULT_FILE and not Path(DEFAULT_FILE).exists():
        raise UsageError(
            f"there is no {DEFAULT_FILE} here",
            hint="`pinrec init` writes a starter, `-f FILE` names another",
        )


def check_services(names: Iterable[str], manifest: Manifest) -> None:
    """Raises UsageError for a --service that the manifest does not have."""
    import difflib

    for name in names:
        if name not in manifest.services:
            close = difflib.get_close_matches(name, manifest.services, n=1, cutoff=0.5)
            known = ", ".join(manifest.services) or "none"
            raise UsageError(
                f"--service {name}: the manifest has no such service",
                hint=f"did you mean {close[0]}?" if close else f"it has: {known}",
            )
