"""`kind: local-pins`: the node's own pins whose name matches a glob are pinned remotely, too, under their names.

Names of local pins need not be unique: where several CIDs bear one, each is pinned under the name and the end of
its CID. Pins of pinrec itself are none of its sources.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from reconciler.core.policy import Policy
from reconciler.core.question import Facts, LocalPins, NamedPins, Question
from reconciler.core.wanting import Want, Wanted
from reconciler.policies.unknown import not_known, switched_off

NAME: Final = "{name}"
#: So much of a CID tells it from others of one name.
_TAIL: Final = 8


def problems(policy: Policy) -> tuple[tuple[str, str], ...]:
    if NAME not in policy.pin_name:
        return (("pinName", "must hold {name}, or all pins would have one name"),)
    return ()


def questions(policy: Policy) -> tuple[Question, ...]:
    return (_question(policy),)


def wanted(policy: Policy, facts: Facts, endpoints: Mapping[str, str]) -> Wanted:
    if not policy.enabled:
        return switched_off(policy)
    answer = facts[_question(policy)]
    if not isinstance(answer, LocalPins):
        return not_known(policy, answer)
    pins = sorted(
        {(name, cid.canonical): (name, cid) for name, cid in answer.pins}.values(), key=lambda p: p[0]
    )
    times = Counter(name for name, _ in pins)
    return Wanted(
        wants=tuple(
            Want(
                name=policy.pin_name.replace(
                    NAME, name if times[name] == 1 else f"{name}-{cid.canonical[-_TAIL:]}"
                ),
                cid=cid,
                whence=f"local pin: {name}",
            )
            for name, cid in pins
        )
    )


def _question(policy: Policy) -> NamedPins:
    return NamedPins(str(policy.settings.get("match", "*")))
