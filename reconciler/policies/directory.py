"""`kind: directory`: what a build made stays pinned, here and there, and is replaced when it is built anew.

The CID is found out without a node; to pin it, the content has to come through one. A folder that cannot be read, or
that changes while it is, is not known: what is pinned stays. An empty one is held back by the guard `shrank`.
"""

import posixpath
from collections.abc import Mapping
from typing import Final

from reconciler.core.globs import escape
from reconciler.core.model import Unknown
from reconciler.core.policy import Policy
from reconciler.core.question import Facts, Folder, FolderOf, NotKnown, Question
from reconciler.core.wanting import Want, Wanted

LAYOUT: Final = "kubo-v1"


def problems(policy: Policy) -> tuple[tuple[str, str], ...]:
    if "{" in policy.pin_name:
        return (("pinName", "is used as it is written: a folder has no {peer_id}"),)
    return ()


def questions(policy: Policy) -> tuple[Question, ...]:
    return (_question(policy),)


def wanted(policy: Policy, facts: Facts, endpoints: Mapping[str, str]) -> Wanted:
    if not policy.enabled:
        return Wanted(unknown=(_unknown(policy, "it is switched off (enabled: false)", meant=True),))
    match facts[_question(policy)]:
        case Folder(cid=cid, size=size, empty=empty):
            want = Want(
                name=policy.pin_name,
                cid=cid,
                size=size,
                empty=empty,
                whence=f"directory: {_written(policy)}",
                made_here=True,
            )
            return Wanted(wants=(want,))
        case NotKnown(why=why, hint=hint):
            return Wanted(unknown=(_unknown(policy, f"{_written(policy)}: {why}", hint=hint),))
    return Wanted(unknown=(_unknown(policy, "no answer"),))


def _question(policy: Policy) -> FolderOf:
    ignore = policy.settings.get("ignore", ())
    return FolderOf(
        path=posixpath.normpath(posixpath.join(policy.base, _written(policy))),
        ignore=ignore if isinstance(ignore, tuple) else (),
        wrap=policy.settings.get("wrap") is True,
        layout=str(policy.settings.get("layout", LAYOUT)),
    )


def _written(policy: Policy) -> str:
    return str(policy.settings.get("path", ""))


def _unknown(policy: Policy, why: str, *, hint: str = "", meant: bool = False) -> Unknown:
    """With globs of all names that it can have given: the time of a kept root may follow."""
    name = escape(policy.pin_name)
    return Unknown(source=policy.origin, why=why, patterns=(name, f"{name}@*"), hint=hint, meant=meant)
