"""What is done, and told, where a source could not say what it wants: nothing that it could own changes."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from reconciler.core.globs import Globs
from reconciler.core.model import Unknown
from reconciler.core.plan import Action, Change, Delete, Finding, Keep, Replace
from reconciler.core.service_diff import ServiceDiff


def could_own(unknown: Unknown) -> Callable[[Change], bool]:
    """Whether a change would delete or replace what `unknown` could own."""
    own = owns(unknown)

    def concerned(action: Change) -> bool:
        if isinstance(action, Replace):
            return own(action.name) or (bool(action.was) and own(action.was))
        return isinstance(action, Delete) and own(action.name)

    return concerned


def without_knowing(actions: Sequence[Action], unknown: Unknown) -> tuple[list[Action], int]:
    """What looks unwanted only because nobody knows what is wanted, kept; and how much that is."""
    own = owns(unknown)
    result: list[Action] = []
    kept = 0
    for action in actions:
        if isinstance(action, Delete) and action.leaves and own(action.name):
            kept += 1
            action = Keep(  # noqa: PLW2901  # the same pin, seen with other eyes
                service=action.service,
                name=action.name,
                cid=action.cid,
                origin=unknown.source,
                reason="switched-off" if unknown.meant else "unknown",
                detail="" if unknown.meant else unknown.why,
            )
        result.append(action)
    return result, kept


def findings_of(unknowns: Iterable[Unknown], diffs: Mapping[str, ServiceDiff]) -> list[Finding]:
    """One for each thing that is not known, whether or not something is held back for it."""
    return [
        Finding(
            guard="unknown",
            severity="unknown",
            service=unknown.service,
            message=f"{unknown.source}: {unknown.why}; what it has pinned stays",
            override=unknown.hint,
        )
        for unknown in unknowns
        if not unknown.meant and (not unknown.service or unknown.service in diffs)
    ]


def owns(unknown: Unknown) -> Callable[[str], bool]:
    """Whether a name could be one that `unknown` is about."""
    names, globs = frozenset(unknown.names), Globs(unknown.patterns)
    return lambda name: name in names or globs.match(name) is not None
