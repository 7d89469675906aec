"""Multiaddrs: addresses of nodes, and of their RPC API, as Kubo writes them.

A multiaddr is a path of protocols, most of which have a value: `/ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3Koo…`.
Source of the table: the multiaddr specification, protocols.csv.
"""

import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

MAX_CHARACTERS: Final = 2048
#: Protocols that stand alone, and those with a value. `unix` takes all that is left.
BARE: Final = frozenset({
    "udt", "utp", "quic", "quic-v1", "ws", "wss", "tls", "noise", "http", "https", "p2p-circuit", "webrtc",
    "webrtc-direct", "webtransport", "p2p-websocket-star", "p2p-webrtc-star", "p2p-webrtc-direct",
    "p2p-stardust", "plaintextv2", "shs",
})  # fmt: skip
VALUED: Final = frozenset({
    "ip4", "ip6", "ip6zone", "ipcidr", "dns", "dns4", "dns6", "dnsaddr", "tcp", "udp", "dccp", "sctp", "p2p",
    "ipfs", "sni", "certhash", "onion", "onion3", "garlic64", "garlic32", "http-path", "memory",
})  # fmt: skip
IPS: Final = frozenset({"ip4", "ip6"})
NAMES: Final = frozenset({"dns", "dns4", "dns6", "dnsaddr"})
_PORTS: Final = frozenset({"tcp", "udp", "dccp", "sctp"})
_HOST: Final = re.compile(r"[A-Za-z0-9_*](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?")
_PEER: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{40,64}|[bkzf][0-9a-zA-Z]{40,120}")


class Component(Struct, frozen=True):
    """One protocol of a multiaddr and its value, "" if it has none. `ipfs` is given as `p2p`, its new name."""

    protocol: str
    value: str = ""


def parse(text: str) -> tuple[Component, ...]:
    """The components of a multiaddr. Raises ValueError with a reason that does not repeat the text."""
    if not text.startswith("/"):
        raise ValueError("a multiaddr begins with a slash")
    if len(text) > MAX_CHARACTERS or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a multiaddr is one line of ASCII without spaces")
    words = text.strip("/").split("/")
    parts: list[Component] = []
    at = 0
    while at < len(words):
        protocol = words[at]
        at += 1
        if protocol in BARE:
            parts.append(Component(protocol))
            continue
        if protocol == "unix":
            parts.append(Component("unix", "/" + "/".join(words[at:])))
            break
        if protocol not in VALUED:
            raise ValueError(f"{_shown(protocol)} is no protocol of a multiaddr that is known here")
        if at == len(words) or not words[at]:
            raise ValueError(f"/{protocol} lacks its value")
        protocol = "p2p" if protocol == "ipfs" else protocol
        parts.append(Component(protocol, _checked(protocol, words[at])))
        at += 1
    return tuple(parts)


def _checked(protocol: str, value: str) -> str:
    if protocol in IPS:
        version: int = 0
        with suppress(ValueError):
            version = ip_address(value).version
        if version != int(protocol[2]) or "%" in value:
            raise ValueError(f"/{protocol} is followed by something that is no address of its kind")
    elif protocol in _PORTS:
        if not (value.isdecimal() and len(value) <= 5 and int(value) < 65536):
            raise ValueError(f"/{protocol} is followed by something that is no port")
    elif protocol in NAMES or protocol == "sni":
        if not _HOST.fullmatch(value):
            raise ValueError(f"/{protocol} is followed by something that is no name of a host")
    elif protocol == "p2p" and not _PEER.fullmatch(value):
        raise ValueError("/p2p is followed by something that is no peer id")
    return value


def _shown(word: str) -> str:
    return f"/{word}" if re.fullmatch(r"[a-z0-9-]{1,32}", word) else "something in it"


# --- where an RPC API is ----------------------------------------------------------------------------------------


def api_url(text: str) -> str:
    """The URL, without a path, of the RPC API that a URL or a multiaddr names.

    Kubo writes a multiaddr into `$IPFS_PATH/api`. An address to listen on (`0.0.0.0`, `::`) becomes loopback.
    `/api/v0` at the end of a URL is taken off. Raises ValueError with a reason that does not repeat the text,
    which may hold a password where none belongs.
    """
    text = text.strip()
    if text.startswith("/"):
        return _from_multiaddr(parse(text))
    if "://" not in text:
        raise ValueError(
            "it is neither a URL (http://127.0.0.1:5001) nor a multiaddr (/ip4/127.0.0.1/tcp/5001)"
        )
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("a URL holds no spaces, backslashes or control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("this is not a URL") from None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https"):
        raise ValueError("it begins with http://, https:// or a multiaddr's slash")
    if "@" in parts.netloc:
        raise ValueError("it holds no user name or password; they belong under token: (basic:user:password)")
    if "?" in text or "#" in text:
        raise ValueError("it has no ? or # part; a token belongs under token:")
    if parts.path.rstrip("/") not in ("", "/api/v0"):
        raise ValueError("it has no path but /api/v0, which may be left out")
    if not parts.hostname:
        raise ValueError("the host is missing")
    return _url(scheme, parts.hostname, port)


def _from_multiaddr(parts: tuple[Component, ...]) -> str:
    protocols = [p.protocol for p in parts]
    if protocols[:1] == ["unix"]:
        raise ValueError(
            "a Unix socket cannot be used here; give the API an address, such as /ip4/127.0.0.1/tcp/5001"
        )
    if len(parts) < 2 or protocols[0] not in IPS | NAMES - {"dnsaddr"} or protocols[1] != "tcp":
        raise ValueError("the multiaddr of an API is /ip4/…/tcp/…, /ip6/…/tcp/… or /dns/…/tcp/…")
    rest = [p for p in protocols[2:] if p != "sni"]
    schemes = {
        (): "http",
        ("http",): "http",
        ("https",): "https",
        ("tls", "http"): "https",
        ("tls",): "https",
    }
    scheme = schemes.get(tuple(rest))
    if scheme is None:
        raise ValueError("behind the port of an API stands nothing, /http, /https or /tls/http")
    return _url(scheme, parts[0].value, int(parts[1].value))


def _url(scheme: str, host: str, port: int | None) -> str:
    host = host.lower().rstrip(".")
    with suppress(ValueError):
        ip = ip_address(host)
        if ip.is_unspecified:
            host = "127.0.0.1" if ip.version == 4 else "::1"
    if ":" in host:
        host = f"[{host}]"
    return f"{scheme}://{host}" + (f":{port}" if port else "")
