"""One number for what a manifest means, so that a saved plan and a journal can tell whether it changed."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from reconciler.core.cid import Cid, CidError, canonical
from reconciler.core.manifest import Manifest, Replicas, Service, Spec
from reconciler.core.policy import Policy

#: Entries hashed at once: few calls, little memory.
_BATCH = 4096


def digest(manifest: Manifest, resolved: Mapping[str, str]) -> str:
    """SHA-256, in hex, over everything that can change a plan: comments, format and places do not.

    `resolved` maps `str(CidRef)` to the CID it led to. Keys are represented by their references. The order of
    entries counts, since the first of two pins of one CID may be the one that carries it.
    """
    encode = msgspec.json.Encoder(order="deterministic").encode
    head: dict[str, object] = {
        "owner": manifest.owner,
        "previousOwners": sorted(manifest.previous_owners),
        "services": {name: _service(service) for name, service in manifest.services.items()},
        "adopt": sorted((a.match, a.prune) for a in manifest.adopt),
        "ignore": sorted(manifest.ignore),
        "protected": sorted(manifest.protected),
        "unprotect": sorted(manifest.unprotect),
        "guards": manifest.guards,
    }
    # How a node is reached changes nothing, and a policy that no service uses wants nothing. What is not there is
    # left out, so that manifests without policies have the digest they always had.
    policies = [_policy(policy) for policy in manifest.policies.values() if policy.uses]
    if policies:
        head["policies"] = policies
    if manifest.node is not None and manifest.node.peer_id:
        head["peerId"] = manifest.node.peer_id
    total = sha256(encode(head))
    # Keyed by identity: a spec is shared by up to a million entries, and hashing it each time would cost more
    # than all the rest. The manifest keeps every spec alive meanwhile.
    specs: dict[int, bytes] = {}
    batch: list[bytes] = []
    for entry in manifest.entries:
        spec = entry.spec
        shared = specs.get(id(spec))
        if shared is None:
            shared = specs[id(spec)] = sha256(encode(_spec(spec))).digest()
        cid = entry.cid
        if isinstance(cid, Cid):
            text = cid.canonical
        else:
            # Where a path leads is the world's affair and not the manifest's: it may be another place tomorrow.
            text = str(cid) if cid.kind == "path" else _resolved(str(cid), resolved)
        batch += (encode((entry.name, text)), shared)
        if len(batch) >= _BATCH:
            total.update(b"".join(batch))
            batch.clear()
    total.update(b"".join(batch))
    return total.hexdigest()


def _service(service: Service) -> list[object]:
    """All but where it stands in the file, its own name, and the preset it came from."""
    return [
        service.endpoint,
        service.key,
        service.profile,
        service.limits,
        service.ownership,
        service.state,
        service.prune,
        service.insecure,
    ]


def _policy(policy: Policy) -> list[object]:
    """All but where it stands in the file. The order of policies counts, as that of entries does."""
    return [
        policy.name,
        policy.kind,
        policy.settings,
        policy.pin_name,
        policy.repin_interval,
        policy.settle,
        policy.enabled,
        policy.replace,
        policy.retain,
        policy.protect,
        policy.local,
        policy.meta,
        policy.uses,
    ]


def _spec(spec: Spec) -> list[object]:
    services = spec.services
    where: object = sorted(services) if isinstance(services, tuple) else [services.count, sorted(services.of)]
    kind = "replicas" if isinstance(services, Replicas) else "all"
    fields: list[object] = [
        kind, where, spec.meta, spec.origins, spec.protect, spec.expires, spec.replace, spec.source,
    ]  # fmt: skip
    return [*fields, "local"] if spec.local else fields


def _resolved(ref: str, resolved: Mapping[str, str]) -> str:
    text = resolved.get(ref)
    if text is None:
        return ref
    try:
        return canonical(text)
    except CidError:
        return text
