"""Which addresses of a node are worth telling a pinning service, as `origins`.

public                                       always
loopback, private, CGNAT, link-local         only to a service that is as near as that
through a relay (`/p2p-circuit`)             never: the service would fetch through a relay's few kB
without a peer id, unknown transport         never: nobody can dial it, and some services refuse the whole
                                             request for one (Pinata, 400 INVALID_ORIGINS; ipfs-webui#2096)
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Literal

from reconciler.core.multiaddr import IPS, NAMES, Component, parse

#: `origins` of the pinning API holds at most so many.
MOST: Final = 20

Reach = Literal["public", "loopback", "private", "cgnat", "link-local", "none"]

#: How near a service is → the addresses that it can reach, the best first.
_REACHED: Final[dict[Reach, tuple[Reach, ...]]] = {
    "public": ("public",),
    "loopback": ("loopback", "private", "cgnat", "public"),
    "private": ("private", "public"),
    "cgnat": ("cgnat", "private", "public"),
    "link-local": ("link-local", "private", "public"),
    "none": ("public",),
}
#: What follows host and port, the most reachable first: what stands before /p2p, without values.
_TRANSPORTS: Final[dict[tuple[str, ...], int]] = {
    ("udp", "quic-v1"): 0,
    ("tcp",): 1,
    ("tcp", "tls", "ws"): 2,
    ("tcp", "tls", "sni", "ws"): 2,
    ("tcp", "wss"): 2,
    ("tcp", "ws"): 3,
    ("udp", "quic-v1", "webtransport"): 4,
    ("udp", "webrtc-direct"): 5,
}
_CGNAT: Final = ip_network("100.64.0.0/10")
_NAT64: Final = ip_network("64:ff9b::/96")
_NEAR_NAMES: Final = (".local", ".internal", ".lan", ".home.arpa", ".home", ".corp", ".intranet")
_NO_NAMES: Final = (".invalid", ".test", ".example", ".onion")


def public(addresses: Sequence[str], *, beside: str) -> tuple[str, ...]:
    """Those of `addresses` that a service at the host `beside` may dial, the most useful first, at most 20.

    `addresses` are multiaddrs as the node gives them; what is no multiaddr is dropped. Names are not resolved.
    """
    reached = _REACHED[reach_of(beside)]
    found: dict[str, tuple[int, int, int]] = {}
    for text in addresses:
        parts = _parsed(text)
        kind = reach(parts)
        rank = _TRANSPORTS.get(_transport(parts))
        if kind not in reached or rank is None or parts[-1].protocol != "p2p":
            continue
        found.setdefault(text, (reached.index(kind), rank, _host_rank(parts[0].protocol)))
    return tuple(sorted(found, key=lambda text: found[text])[:MOST])


def reach(parts: Sequence[Component]) -> Reach:
    """From where a multiaddr can be dialled directly; "none" if it leads through a relay or nowhere."""
    if not parts or any(p.protocol == "p2p-circuit" for p in parts):
        return "none"
    first = parts[0]
    return reach_of(first.value) if first.protocol in IPS | NAMES else "none"


def reach_of(host: str) -> Reach:
    """From where a host, an IP address or a name, can be reached."""
    host = host.lower().strip("[]").partition("%")[0].rstrip(".")
    try:
        return _reach_of_ip(ip_address(host))
    except ValueError:
        pass
    if host == "localhost" or host.endswith(".localhost"):
        return "loopback"
    if not host or host.endswith(_NO_NAMES):
        return "none"
    return "private" if "." not in host or host.endswith(_NEAR_NAMES) else "public"


def _reach_of_ip(ip: IPv4Address | IPv6Address) -> Reach:
    if isinstance(ip, IPv6Address):
        # An IPv4 address in an IPv6 one leads where the IPv4 address leads.
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return _reach_of_ip(inner)
    if ip.is_loopback:
        return "loopback"
    if ip.is_unspecified or ip.is_multicast or ip.is_reserved:
        return "none"
    if ip.is_link_local:
        return "link-local"
    if ip in _CGNAT:
        return "cgnat"
    if ip.is_global:
        return "public"
    return "private" if _is_site(ip) else "none"


def _is_site(ip: IPv4Address | IPv6Address) -> bool:
    """Whether it is one of the ranges that networks give out: `is_private` also holds those for documentation."""
    ranges = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16") if ip.version == 4 else ("fc00::/7",)
    return any(ip in ip_network(r) for r in ranges)


def _parsed(text: str) -> tuple[Component, ...]:
    try:
        return parse(text)
    except ValueError:
        return ()


def _transport(parts: Sequence[Component]) -> tuple[str, ...]:
    """The protocols between host and peer id. `/dnsaddr` has none: what it leads to has."""
    if parts and parts[0].protocol == "dnsaddr":
        return ("tcp",)
    return tuple(p.protocol for p in parts[1:-1] if p.protocol != "certhash")


def _host_rank(protocol: str) -> int:
    return {"ip4": 0, "ip6": 2}.get(protocol, 1)
