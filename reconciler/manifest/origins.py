"""A light check of multiaddrs under `origins`: enough to catch a mistake, no parser of every protocol."""

import re
from ipaddress import ip_address

from reconciler.core.cid import LIBP2P_KEY, CidError, parse
from reconciler.core.endpoint import is_private

_FIRST = ("ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr")
#: A bare multihash in base58btc: an identity-coded Ed25519 or secp256k1 key, or the sha2-256 of an RSA key.
_PEER_ID = re.compile(
    r"(?:12D3KooW[1-9A-HJ-NP-Za-km-z]{44}|16Uiu2HA[1-9A-HJ-NP-Za-km-z]{46}|Qm[1-9A-HJ-NP-Za-km-z]{44})"
)


def wrong_origin(text: str) -> tuple[str, str] | None:
    """What is wrong with a multiaddr and the likely fix, or None."""
    example = "e.g. /dns4/node.example.com/tcp/4001/p2p/12D3KooW…"
    parts = text.split("/")
    if parts[0] or len(parts) < 3 or not text.isprintable() or " " in text:
        return "an origin is a multiaddr", example
    if parts[1] not in _FIRST:
        return f"an origin begins with one of /{', /'.join(_FIRST)}", example
    if parts[1] in ("ip4", "ip6"):
        try:
            version = int(ip_address(parts[2].partition("%")[0]).version)
        except ValueError:
            version = 0
        if version != int(parts[1][2]):
            return f"what follows /{parts[1]} is no such address", example
    if len(parts) < 5 or parts[-2] not in ("p2p", "ipfs"):
        return "an origin ends in /p2p/<peer id>, or a service cannot tell whom it reaches", example
    if "" in parts[1:]:
        return "an origin has no empty part", example
    if not _is_peer_id(parts[-1]):
        return "what follows /p2p/ is no peer id", "`ipfs id` shows it: 12D3KooW…, Qm…, k51…"
    return None


def is_private_origin(text: str) -> bool:
    """Whether a service on the internet could not reach a valid origin."""
    parts = text.split("/")
    return parts[1] in ("ip4", "ip6", "dns", "dns4", "dns6") and is_private(parts[2].lower())


def _is_peer_id(text: str) -> bool:
    if _PEER_ID.fullmatch(text):
        return True
    try:
        cid = parse(text)
    except CidError:
        return False
    return cid.version == 1 and cid.codec == LIBP2P_KEY
