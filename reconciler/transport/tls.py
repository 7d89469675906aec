"""Whom to trust: the authorities that come with Python's certifi, or those that the environment names."""

import os
import ssl
from typing import Final

import httpx

from reconciler.core.errors import PinrecError

#: Looked at by httpx, in this order.
_PLACES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def trusted() -> ssl.SSLContext:
    """A context that checks certificates. Raises PinrecError if the authorities cannot be read."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        why = error.strerror or str(error)
    place = next((f"{name}={value}" for name in _PLACES if (value := os.environ.get(name))), "certifi's")
    raise PinrecError(
        f"the certificates of those to be trusted cannot be read ({place}): {why}",
        hint="SSL_CERT_FILE names a file of certificates in PEM; without it certifi's are used",
    )


def advice(why: str, proxy: str | None) -> str:
    """What to look at when no connection came about, by what the TLS library or httpx said."""
    if "CERTIFICATE_VERIFY_FAILED" in why:
        if "mismatch" in why:
            return "its certificate is for another host: is the endpoint right?"
        return (
            "nobody who is trusted has signed its certificate: SSL_CERT_FILE can name a file of those who are"
        )
    if "WRONG_VERSION_NUMBER" in why:
        return "it speaks no TLS there: is the port right, or is it http://?"
    if proxy:
        return "is the proxy of the environment right (HTTPS_PROXY, HTTP_PROXY), and the endpoint?"
    return "is the endpoint right, and is the service up?"
