"""What every kind says where it wants nothing because it does not know: what it could own, and why."""

import re
from typing import Final

from reconciler.core.globs import escape
from reconciler.core.model import Unknown
from reconciler.core.policy import Policy
from reconciler.core.question import Answer, NotKnown
from reconciler.core.wanting import Wanted

_PLACEHOLDER: Final = re.compile(r"\{\w+\}")


def names(policy: Policy) -> tuple[str, ...]:
    """Globs of all names that a policy can ever have given: whatever a placeholder stood for, and with the time of a
    kept root behind it."""
    glob = _PLACEHOLDER.sub("*", escape(policy.pin_name))
    return (glob,) if glob.endswith("*") else (glob, f"{glob}@*")


def unknown(policy: Policy, why: str, *, service: str = "", hint: str = "", meant: bool = False) -> Unknown:
    return Unknown(
        source=policy.origin, why=why, service=service, patterns=names(policy), hint=hint, meant=meant
    )


def switched_off(policy: Policy) -> Wanted:
    """Its last pins stay."""
    return Wanted(unknown=(unknown(policy, "it is switched off (enabled: false)", meant=True),))


def not_known(policy: Policy, answer: Answer, *, what: str = "") -> Wanted:
    """The answer is none. `what` is put before the reason."""
    if not isinstance(answer, NotKnown):
        return Wanted(unknown=(unknown(policy, "no answer"),))
    why = f"{what}: {answer.why}" if what else answer.why
    return Wanted(unknown=(unknown(policy, why, hint=answer.hint),))
