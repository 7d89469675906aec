"""`kind: mfs`: the root of an MFS path stays pinned, whatever becomes of it.

Kubo's own policy (cmd/ipfs/kubo/pinmfs.go) does this for the whole MFS under `policy/<PeerID>/mfs`; where it is
switched off, the pin that it left under that name is taken over.
"""

from collections.abc import Mapping

from reconciler.core.endpoint import EndpointError, normalise
from reconciler.core.globs import escape
from reconciler.core.kubo_config import switch_off
from reconciler.core.model import Unknown
from reconciler.core.policy import Policy
from reconciler.core.question import (
    Facts,
    Identity,
    KuboPolicies,
    KuboService,
    KuboServices,
    Missing,
    NotKnown,
    Question,
    Stat,
    StatOf,
    WhoIsIt,
)
from reconciler.core.wanting import Want, Wanted

PEER = "{peer_id}"


def problems(policy: Policy) -> tuple[tuple[str, str], ...]:
    path = policy.settings.get("path", "/")
    if not isinstance(path, str) or not path.startswith("/") or path != _normal(path):
        return (("path", "must be an absolute MFS path without `//`, `.` or `..`, such as /photos"),)
    return ()


def questions(policy: Policy) -> tuple[Question, ...]:
    return WhoIsIt(), StatOf(_path(policy)), KuboPolicies()


def wanted(policy: Policy, facts: Facts, endpoints: Mapping[str, str]) -> Wanted:
    names = _names(policy)
    if not policy.enabled:
        return Wanted(unknown=(_unknown(policy, "it is switched off (enabled: false)", names, meant=True),))
    who, stat, kubo = facts[WhoIsIt()], facts[StatOf(_path(policy))], facts[KuboPolicies()]
    if not isinstance(who, Identity):
        return _not_known(policy, who, names)
    if isinstance(stat, Missing):
        return Wanted(unknown=(_unknown(policy, f"there is no {stat.what} in MFS", names),))
    if not isinstance(stat, Stat):
        return _not_known(policy, stat, names)
    name = policy.pin_name.replace(PEER, who.peer_id)
    fighting = _fighting(kubo, name, endpoints)
    want = Want(
        name=name,
        cid=stat.cid,
        size=stat.size,
        empty=stat.empty,
        former=escape(policy.pin_name).replace(PEER, "*") if PEER in policy.pin_name else "",
        takeover=name == f"policy/{who.peer_id}/mfs" and _kubo_is_off(kubo, name),
        services=tuple(s for s in endpoints if s not in fighting) if fighting else None,
        whence=f"mfs: {_path(policy)}",
        node=who.peer_id,
    )
    return Wanted(
        wants=(want,),
        unknown=tuple(
            _unknown(
                policy,
                f"Kubo's own MFS policy pins under {name} there too, as {theirs.name}",
                names,
                service=service,
                hint=f"switch it off: {switch_off(theirs.name)}",
            )
            for service, theirs in fighting.items()
        ),
    )


def _path(policy: Policy) -> str:
    return str(policy.settings.get("path", "/"))


def _normal(path: str) -> str:
    parts = [p for p in path.split("/") if p and p != "."]
    return "" if ".." in parts else "/" + "/".join(parts)


def _names(policy: Policy) -> tuple[str, ...]:
    """Globs of all names that the policy can ever have given: for any node, and with the time of a kept root."""
    glob = escape(policy.pin_name).replace(PEER, "*")
    return glob, glob + "@*"


def _unknown(
    policy: Policy,
    why: str,
    patterns: tuple[str, ...],
    *,
    service: str = "",
    hint: str = "",
    meant: bool = False,
) -> Unknown:
    return Unknown(source=policy.origin, why=why, service=service, patterns=patterns, hint=hint, meant=meant)


def _not_known(policy: Policy, answer: object, patterns: tuple[str, ...]) -> Wanted:
    why, hint = (answer.why, answer.hint) if isinstance(answer, NotKnown) else ("no answer", "")
    return Wanted(unknown=(_unknown(policy, why, patterns, hint=hint),))


def _fighting(kubo: object, name: str, endpoints: Mapping[str, str]) -> dict[str, KuboService]:
    """The services at which Kubo itself keeps a pin of this name: two writers of one name would take turns."""
    if not isinstance(kubo, KuboServices):
        return {}
    theirs = {_normalised(k.endpoint): k for k in kubo.services if k.mfs_enabled and k.pin_name == name}
    return {service: theirs[at] for service, at in endpoints.items() if at in theirs}


def _kubo_is_off(kubo: object, name: str) -> bool:
    return isinstance(kubo, KuboServices) and not any(
        k.mfs_enabled and k.pin_name == name for k in kubo.services
    )


def _normalised(endpoint: str) -> str:
    """Kubo keeps an endpoint as it was written with `ipfs config`."""
    try:
        return normalise(endpoint)
    except EndpointError:
        return endpoint
