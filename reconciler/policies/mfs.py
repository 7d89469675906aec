"""`kind: mfs`: the root of an MFS path stays pinned, whatever becomes of it.

Kubo's own policy (cmd/ipfs/kubo/pinmfs.go) does this for the whole MFS under `policy/<PeerID>/mfs`; where it is
switched off, the pin that it left under that name is taken over.
"""

from collections.abc import Mapping

from reconciler.core.endpoint import comparable
from reconciler.core.globs import escape
from reconciler.core.kubo_config import switch_off
from reconciler.core.policy import Policy
from reconciler.core.question import (
    Facts,
    Identity,
    KuboPolicies,
    KuboService,
    KuboServices,
    Missing,
    Question,
    Stat,
    StatOf,
    WhoIsIt,
)
from reconciler.core.wanting import Want, Wanted
from reconciler.policies.unknown import not_known, switched_off, unknown

PEER = "{peer_id}"


def problems(policy: Policy) -> tuple[tuple[str, str], ...]:
    path = policy.settings.get("path", "/")
    if not isinstance(path, str) or not path.startswith("/") or path != _normal(path):
        return (("path", "must be an absolute MFS path without `//`, `.` or `..`, such as /photos"),)
    return ()


def questions(policy: Policy) -> tuple[Question, ...]:
    return WhoIsIt(), StatOf(_path(policy)), KuboPolicies()


def wanted(policy: Policy, facts: Facts, endpoints: Mapping[str, str]) -> Wanted:
    if not policy.enabled:
        return switched_off(policy)
    who, stat, kubo = facts[WhoIsIt()], facts[StatOf(_path(policy))], facts[KuboPolicies()]
    if not isinstance(who, Identity):
        return not_known(policy, who)
    if isinstance(stat, Missing):
        return Wanted(unknown=(unknown(policy, f"there is no {stat.what} in MFS"),))
    if not isinstance(stat, Stat):
        return not_known(policy, stat)
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
            unknown(
                policy,
                f"Kubo's own MFS policy pins under {name} there too, as {theirs.name}",
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


def _fighting(kubo: object, name: str, endpoints: Mapping[str, str]) -> dict[str, KuboService]:
    """The services at which Kubo itself keeps a pin of this name: two writers of one name would take turns."""
    if not isinstance(kubo, KuboServices):
        return {}
    theirs = {comparable(k.endpoint): k for k in kubo.services if k.mfs_enabled and k.pin_name == name}
    return {s: theirs[at] for s, endpoint in endpoints.items() if (at := comparable(endpoint)) in theirs}


def _kubo_is_off(kubo: object, name: str) -> bool:
    return isinstance(kubo, KuboServices) and not any(
        k.mfs_enabled and k.pin_name == name for k in kubo.services
    )
