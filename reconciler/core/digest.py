"""One number for what a manifest means, so that a saved plan and a journal can tell whether it changed."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from reconciler.core.cid import Cid, CidError, canonical
from reconciler.core.manifest import Manifest, Replicas, Service, Spec

#: Entries hashed at once: few calls, little memory.
_BATCH = 4096


def digest(manifest: Manifest, resolved: Mapping[str, str]) -> str:
    """SHA-256, in hex, over everything that can change a plan: comments, format and places do not.

    `resolved` maps `str(CidRef)` to the CID it led to. Keys are represented by their references. The order of
    entries counts, since the first of two pins of one CID may be the one that carries it.
    """
    encode = msgspec.json.Encoder(order="deterministic").encode
    head = {
        "owner": manifest.owner,
        "previousOwners": sorted(manifest.previous_owners),
        "services": {name: _service(service) for name, service in manifest.services.items()},
        "adopt": sorted((a.match, a.prune) for a in manifest.adopt),
        "ignore": sorted(manifest.ignore),
        "protected": sorted(manifest.protected),
        "unprotect": sorted(manifest.unprotect),
        "guards": manifest.guards,
    }
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
        text = cid.canonical if isinstance(cid, Cid) else _resolved(str(cid), resolved)
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


def _spec(spec: Spec) -> list[object]:
    services = spec.services
    where: object = sorted(services) if isinstance(services, tuple) else [services.count, sorted(services.of)]
    kind = "replicas" if isinstance(services, Replicas) else "all"
    return [kind, where, spec.meta, spec.origins, spec.protect, spec.expires, spec.replace, spec.source]


def _resolved(ref: str, resolved: Mapping[str, str]) -> str:
    text = resolved.get(ref)
    if text is None:
        return ref
    try:
        return canonical(text)
    except CidError:
        return text
