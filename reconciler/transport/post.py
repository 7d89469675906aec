"""One JSON document sent to an address that a person named: what a webhook needs, and no more."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

from reconciler import __version__
from reconciler.transport.proxy import proxy_for
from reconciler.transport.secret import Secret

#: Seconds for all of it.
TIMEOUT: Final = 10.0


class PostError(Exception):
    """It was not taken. The text says why, and holds neither the address, which may be a secret, nor the secret."""


async def post_json(url: Secret, body: bytes, *, secret: Secret | None, environ: Mapping[str, str]) -> None:
    """POST `body`, with `secret` as a bearer token. What is answered is not read. Raises PostError.

    No redirect is followed: it would carry the secret to wherever it leads.
    """
    headers = {"content-type": "application/json", "user-agent": f"pinrec/{__version__}"}
    if secret is not None:
        headers["authorization"] = f"Bearer {secret.reveal()}"
    problem = ""
    status = 0
    try:
        parts = urlsplit(url.reveal())
        proxy = proxy_for(parts.scheme, parts.hostname or "", environ)
        # Without TLS no CA bundle need be read, which takes 20 ms.
        verify = parts.scheme == "https" or proxy is not None
        async with (
            asyncio.timeout(TIMEOUT),
            httpx.AsyncClient(
                proxy=proxy,
                trust_env=False,
                follow_redirects=False,
                timeout=TIMEOUT,
                verify=verify,
            ) as client,
            client.stream("POST", url.reveal(), content=body, headers=headers) as response,
        ):
            status = response.status_code
    except TimeoutError:
        problem = f"no answer within {TIMEOUT:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError, ImportError) as error:
        # Only its kind: the texts of httpx may hold the address.
        problem = type(error).__name__
    if not problem and not 200 <= status < 300:
        problem = f"HTTP {status}"
    if problem:
        raise PostError(problem)
