"""CIDs that a build left outside the manifest: read once, before any request."""

from collections.abc import Mapping
from pathlib import Path

from reconciler.core.cid import CidError, parse_content
from reconciler.core.errors import ManifestError, Problem
from reconciler.core.manifest import CidRef, Entry, Manifest


def resolve_cids(
    manifest: Manifest, environ: Mapping[str, str], *, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The CID of each reference, by `str(CidRef)`, but those of paths. `given` (a saved plan's) is taken before the
    world is asked.

    Raises ManifestError, all problems at once, if one is unset, empty, unreadable or no CID.
    """
    resolved = dict(given or {})
    problems: list[Problem] = []
    for entry in manifest.entries:
        ref = entry.cid
        if not isinstance(ref, CidRef) or ref.kind == "path" or str(ref) in resolved:
            continue
        text, trouble, hint = _environ(ref, environ) if ref.kind == "env" else _file(ref)
        if not trouble:
            try:
                parse_content(text)
            except CidError as error:
                trouble, hint = f"{ref} holds no CID: {error}", "it must hold one CID and nothing else"
        if trouble:
            problems.append(_problem(entry, trouble, hint))
        else:
            resolved[str(ref)] = text
    if problems:
        raise ManifestError(problems)
    return resolved


def _environ(ref: CidRef, environ: Mapping[str, str]) -> tuple[str, str, str]:
    text = environ.get(ref.value, "").strip()
    if ref.value not in environ:
        return "", f"the environment variable {ref.value} is not set", f"export {ref.value}=<cid>"
    return text, "" if text else f"the environment variable {ref.value} is empty", f"export {ref.value}=<cid>"


def _file(ref: CidRef) -> tuple[str, str, str]:
    try:
        # One CID and a newline; a build that wrote something else must not be read as a whole.
        with Path(ref.path).open(encoding="utf-8") as f:
            text = f.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        return "", f"{ref.value} cannot be read: {why}", "the build that writes it has to run first"
    return text, "" if text else f"{ref.value} is empty", "the build that writes it has to run first"


def _problem(entry: Entry, message: str, hint: str) -> Problem:
    return Problem(file=entry.spec.file, line=entry.line, column=1, message=message, hint=hint)
