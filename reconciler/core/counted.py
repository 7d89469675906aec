"""What the guards `deletes` and `replaces` count, in names at one service, and how much of it goes without asking."""

from collections.abc import Collection, Iterable

from reconciler.core.manifest import GuardLimits, Percent
from reconciler.core.plan import Action, Delete, Replace


def deletes_limit(limits: GuardLimits, ours: int) -> int:
    """How many names may leave a service at once. A percentage replaces percentage and cap, an integer all."""
    declared = limits.max_deletes
    if isinstance(declared, int):
        return declared
    if isinstance(declared, Percent):
        return max(3, int(ours * declared.value / 100))
    return max(3, min(ours // 10, 100))


def replaces_limit(limits: GuardLimits, ours: int) -> int:
    """How many names may change their CID at a service at once."""
    declared = limits.max_replaces
    if isinstance(declared, int):
        return declared
    percent = declared.value if isinstance(declared, Percent) else 30.0
    return max(10, int(ours * percent / 100))


def is_undesired(action: Action) -> bool:
    return isinstance(action, Delete) and action.reason == "undesired"


def leaving_names(actions: Iterable[Action]) -> set[str]:
    return {a.name for a in actions if is_undesired(a)}


def changing_names(actions: Collection[Action]) -> set[str]:
    """Names that go on to another CID.

    Where there is one pin per CID it may be there under another name and take theirs: a rename, and a clean-up of what
    had the name until then.
    """
    old = {a.name for a in actions if _is_superseded(a)}
    reasons = ("cid", "revert"), ("cid", "revert", "rename")
    return {a.name for a in actions if isinstance(a, Replace) and a.reason in reasons[a.name in old]}


def is_change(names: Collection[str], action: Action) -> bool:
    """Whether it is a part of what `changing_names` found."""
    return action.name in names and (isinstance(action, Replace) or _is_superseded(action))


def _is_superseded(action: Action) -> bool:
    return isinstance(action, Delete) and action.reason == "superseded"
