"""`kind: directory`: what a build made stays pinned, here and there, and is replaced when it is built anew.

The CID is found out without a node; to pin it, the content has to come through one. A folder that cannot be read, or
that changes while it is, is not known: what is pinned stays. An empty one is held back by the guard `shrank`.
"""

import posixpath
from collections.abc import Mapping
from typing import Final

from reconciler.core.policy import Policy
from reconciler.core.question import Facts, Folder, FolderOf, Question
from reconciler.core.wanting import Want, Wanted
from reconciler.policies.unknown import not_known, switched_off

LAYOUT: Final = "kubo-v1"


def problems(policy: Policy) -> tuple[tuple[str, str], ...]:
    if "{" in policy.pin_name:
        return (("pinName", "is used as it is written: a folder has no {peer_id}"),)
    return ()


def questions(policy: Policy) -> tuple[Question, ...]:
    return (_question(policy),)


def wanted(policy: Policy, facts: Facts, endpoints: Mapping[str, str]) -> Wanted:
    if not policy.enabled:
        return switched_off(policy)
    answer = facts[_question(policy)]
    if not isinstance(answer, Folder):
        return not_known(policy, answer, what=_written(policy))
    want = Want(
        name=policy.pin_name,
        cid=answer.cid,
        size=answer.size,
        empty=answer.empty,
        barren=not answer.files,
        whence=f"directory: {_written(policy)}",
        made_here=True,
    )
    return Wanted(wants=(want,))


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
