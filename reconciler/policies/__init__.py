"""The kinds of policies: one module each, and this table. Nothing else in the tree knows them.

A module implements `core.wanting.Kind` with functions of its names: what must be known is asked with data, and what
is wanted is a pure function of the answers.
"""

from collections.abc import Mapping
from typing import Final

from reconciler.core.errors import ManifestError, Problem
from reconciler.core.manifest import Manifest
from reconciler.core.wanting import Kind
from reconciler.policies import directory, ipns, local_pins, mfs

KINDS: Final[Mapping[str, Kind]] = {
    "directory": directory,
    "ipns": ipns,
    "local-pins": local_pins,
    "mfs": mfs,
}


def check(manifest: Manifest) -> None:
    """What a kind knows of its settings beyond the schema. Raises ManifestError with all problems."""
    problems = [
        Problem(file=policy.file, line=policy.line, message=f"policy {policy.name}: `{setting}` {message}")
        for policy in manifest.policies.values()
        for setting, message in KINDS[policy.kind].problems(policy)
    ]
    if problems:
        raise ManifestError(problems)
