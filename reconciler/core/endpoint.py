"""Endpoints of pinning services: one normal form, and whether a key may travel there in the clear."""

from ipaddress import ip_address
from urllib.parse import urlsplit


class EndpointError(ValueError):
    """`reason` never repeats the endpoint, which may hold a key where none belongs."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def normalise(url: str) -> str:
    """Scheme and host in lower case, no trailing slash, and without the `/pins` that requests add.

    Kubo's `normalizeEndpoint` (core/commands/pin/remotepin.go) refuses an endpoint that ends in `/pins`; here
    it is taken off, once. Raises EndpointError.
    """
    if not url.isprintable() or " " in url or "\\" in url:
        raise EndpointError("an endpoint holds no spaces, backslashes or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise EndpointError("this is not a URL", hint="e.g. https://api.example.com/psa") from None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https"):
        raise EndpointError(
            "an endpoint begins with https:// or http://", hint="e.g. https://api.example.com/psa"
        )
    if "@" in parts.netloc:
        raise EndpointError("an endpoint holds no user name or password", hint="the key belongs under key:")
    if "?" in url or "#" in url:
        raise EndpointError("an endpoint has no ? or # part", hint="a key belongs under key:")
    host = (parts.hostname or "").lower()
    if not host or not host.isascii():
        raise EndpointError("the host is missing or not in ASCII", hint="e.g. https://api.example.com/psa")
    if ":" in host:
        host = f"[{host}]"
    path = parts.path.rstrip("/")
    if path == "/pins" or path.endswith("/pins"):
        path = path[: -len("/pins")].rstrip("/")
    return f"{scheme}://{host}{'' if port is None else f':{port}'}{path}"


def host_of(endpoint: str) -> str:
    """The host of a normalised endpoint, without brackets."""
    return urlsplit(endpoint).hostname or ""


def comparable(endpoint: str) -> str:
    """One text for all ways of writing an endpoint: `localhost` is 127.0.0.1, https has port 443.

    Kubo keeps one as it was written with `ipfs config`; what is none is compared as it is.
    """
    try:
        parts = urlsplit(normalise(endpoint))
    except EndpointError:
        return endpoint
    host = parts.hostname or ""
    if host in ("localhost", "::1"):
        host = "127.0.0.1"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{host}:{port}{parts.path}"


def is_private(host: str) -> bool:
    """Whether `host` is loopback or an address of a private network.

    Names other than `localhost` are not resolved: where they lead may change between two looks.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_link_local


def needs_insecure(endpoint: str) -> bool:
    """Whether a key sent there could be read on the way, so that the manifest must say `insecure: true`."""
    return endpoint.startswith("http://") and not is_private(host_of(endpoint))
