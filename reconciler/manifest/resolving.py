"""`names:` of a manifest that fits the schema: whom to ask where names and paths lead, without a node."""

from reconciler.core.dns_address import address_of
from reconciler.core.endpoint import EndpointError, normalise
from reconciler.core.manifest import Names
from reconciler.manifest.problems import Document, Problems, Raw


def build_names(raw: Raw, *, document: Document, problems: Problems) -> Names:
    """The settings; what is wrong with them is noted."""
    usual = Names()
    gateways: list[str] = []
    for i, url in enumerate(raw.get("gateways", usual.gateways)):
        try:
            gateways.append(normalise(url))
        except EndpointError as error:
            hint = "e.g. https://trustless-gateway.link"
            problems.at(
                document,
                ("names", "gateways", i),
                error.reason.replace("an endpoint", "a gateway"),
                hint=hint,
            )
    dns = raw.get("dns", usual.dns)
    if "dns" in raw:
        try:
            address_of(dns)
        except ValueError as error:
            problems.at(document, ("names", "dns"), str(error))
    return Names(gateways=tuple(dict.fromkeys(gateways)), dns=dns)
