"""Multiaddrs: addresses of nodes, as Kubo writes them.

A multiaddr is a path of protocols, most of which have a value: `/ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3Koo…`.
Source of the table: the multiaddr specification, protocols.csv.
"""

import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

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
