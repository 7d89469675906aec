"""How the RPC API of a Kubo node is written, and the one form in which it is used: a URL without a path.

Kubo writes its API's address as a multiaddr into `$IPFS_PATH/api` (repo/fsrepo `SetAPIAddr`); people write URLs.
"""

import re
from contextlib import suppress
from ipaddress import ip_address

from reconciler.core.endpoint import EndpointError, host_of, normalise

_PROTOCOLS = ("ip4", "ip6", "dns", "dns4", "dns6")
#: What may follow the port. Kubo's client takes `https` and `tls` for TLS, anything else for plain HTTP.
_SCHEMES = {
    (): "http",
    ("http",): "http",
    ("https",): "https",
    ("tls",): "https",
    ("tls", "http"): "https",
}
#: First parts of multiaddrs that are no address of an API that is reached by HTTP over TCP.
_OTHER = ("dnsaddr", "ip6zone", "ipcidr", "onion", "onion3", "p2p", "unix")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?")
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}(?:/.*)?")
_EXAMPLES = "e.g. http://127.0.0.1:5001, /ip4/127.0.0.1/tcp/5001 or ~/.ipfs/api"


class AddressError(ValueError):
    """`reason` never repeats the address, which may hold a token where none belongs."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def is_path(text: str) -> bool:
    """Whether `text` names a file that holds the address. Raises AddressError if it is nothing of the kind."""
    if not text.isprintable() or text != text.strip():
        raise AddressError("the address holds control characters, or begins or ends with a space")
    if "://" in text:
        return False
    if text.startswith("/"):
        return text.split("/")[1] not in (*_PROTOCOLS, *_OTHER)
    if _HOST_AND_PORT.fullmatch(text):
        raise AddressError("the address has no scheme", hint=f"write http://{text.partition('/')[0]}")
    if "/" not in text:
        raise AddressError("this is no URL, no multiaddr, and no path with a / in it", hint=_EXAMPLES)
    return True


def api_url(text: str) -> str:
    """The URL of an API, without a path: `http://127.0.0.1:5001`, of a URL or a multiaddr. Raises AddressError.

    An address to listen on (`0.0.0.0`, `::`) becomes loopback.
    """
    url = _from_multiaddr(text) if text.startswith("/") else _from_url(text)
    with suppress(ValueError):
        host = ip_address(host_of(url))
        if host.is_unspecified:
            reached = "127.0.0.1" if host.version == 4 else "::1"
            return url.replace(str(host), reached, 1)
    return url


def _from_url(text: str) -> str:
    if not text.lower().startswith(("http://", "https://")):
        raise AddressError("the address of an API begins with http:// or https://", hint=_EXAMPLES)
    try:
        url = normalise(text)
    except EndpointError as error:
        hint = "a token belongs under token:" if "key" in error.hint else _EXAMPLES
        raise AddressError(error.reason.replace("an endpoint", "the address of an API"), hint=hint) from None
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    if path not in ("", "api/v0"):
        raise AddressError("the address of an API has no path", hint="requests add /api/v0 by themselves")
    return f"{scheme}://{host}"


def _from_multiaddr(text: str) -> str:
    parts = text.removesuffix("/").split("/")[1:]
    if parts[0] == "unix":
        raise AddressError("an API at a unix socket is not supported", hint="let Kubo listen on TCP as well")
    if parts[0] not in _PROTOCOLS:
        raise AddressError(
            f"the multiaddr of an API begins with one of /{', /'.join(_PROTOCOLS)}", hint=_EXAMPLES
        )
    if len(parts) < 4 or parts[2] != "tcp":
        raise AddressError("the multiaddr of an API has a /tcp/<port>", hint=_EXAMPLES)
    kind, host, port = parts[0], parts[1], parts[3]
    if kind in ("ip4", "ip6"):
        try:
            version = ip_address(host).version if "%" not in host else 0
        except ValueError:
            version = 0
        if version != int(kind[2]):
            raise AddressError(f"what follows /{kind} is no such address", hint=_EXAMPLES)
    elif not _HOST.fullmatch(host):
        raise AddressError(f"what follows /{kind} is no name of a host", hint=_EXAMPLES)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise AddressError("what follows /tcp is no port", hint=_EXAMPLES)
    rest = parts[4:]
    if rest[:2] == ["tls", "sni"]:
        del rest[1:3]
    scheme = _SCHEMES.get(tuple(rest))
    if scheme is None:
        raise AddressError(
            "after the port there may be /http, /https or /tls/http, and nothing else", hint=_EXAMPLES
        )
    return f"{scheme}://{f'[{host}]' if kind == 'ip6' else host}:{int(port)}".lower()
