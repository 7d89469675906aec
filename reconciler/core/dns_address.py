"""Addresses of DNS servers as manifests write them."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

PORT: Final = 53


def address_of(text: str) -> tuple[str, int]:
    """Host and port of `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`.

    Names are refused: what could answer for them? Raises ValueError with a reason.
    """
    try:
        # Without brackets there is no port in IPv6.
        return str(ip_address(text)), PORT
    except ValueError:
        pass
    try:
        parts = urlsplit(f"//{text}")
        host, port = str(ip_address(parts.hostname or "")), parts.port
    except ValueError:
        raise ValueError(_WRONG) from None
    if port == 0 or parts.path or parts.query or parts.fragment or "@" in text:
        raise ValueError(_WRONG)
    return host, PORT if port is None else port


_WRONG = "must be the address of a DNS server, such as 192.0.2.1 or 127.0.0.1:5353"
