"""`verify:` of a service in a document that fits the schema: its gateway, and who may be sent which key."""

from typing import Any  # a YAML value is whatever was written

from reconciler.core.endpoint import EndpointError, host_of, needs_insecure, normalise
from reconciler.core.manifest import SecretRef, Verify
from reconciler.manifest.problems import Document, Problems


def build_verify(
    raw: dict[str, Any] | None,
    *,
    endpoint: str,
    service_key: SecretRef,
    own_key: SecretRef | None,
    insecure: bool,
    document: Document,
    path: tuple[str, ...],
    problems: Problems,
) -> Verify | None:
    """`own_key` is what stands under `key:` if that is a place; None also after a problem was noted."""
    if raw is None:
        return None
    try:
        gateway = normalise(raw["gateway"])
    except EndpointError as error:
        reason = error.reason.replace("an endpoint", "the address of a gateway")
        problems.at(document, (*path, "gateway"), reason, hint=error.hint if "key" in error.hint else "")
        return None
    # What follows it is added to each request.
    gateway = gateway.removesuffix("/ipfs")
    key = own_key
    if raw.get("key") is True:
        if not _is_same_place(gateway, endpoint):
            problems.at(
                document,
                (*path, "key"),
                f"the key of the service goes to {host_of(endpoint)} only, and the gateway is "
                f"{host_of(gateway)}",
                hint="a key of the gateway's own is written as key: {env: NAME}",
            )
            return None
        key = service_key
    if key is not None and needs_insecure(gateway) and not insecure:
        problems.at(
            document,
            (*path, "gateway"),
            "plain http to a host that is not on loopback or a private address: the key could be read on the way",
            hint="use https, or say insecure: true",
        )
        return None
    return Verify(gateway=gateway, key=key)


def _is_same_place(gateway: str, endpoint: str) -> bool:
    """The same host, and not over http what the API gets over https."""
    return host_of(gateway) == host_of(endpoint) and (
        gateway.startswith("https://") or endpoint.startswith("http://")
    )
