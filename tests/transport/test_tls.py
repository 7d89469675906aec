"""What a person is told when TLS, or a proxy, is in the way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.errors import PinrecError, UnreachableError
from reconciler.core.manifest import Limits
from reconciler.transport.fetch import Fetch, FetchError
from reconciler.transport.http import HttpClient
from reconciler.transport.secret import Secret
from reconciler.transport.tls import advice


def _client(endpoint: str, **environ: str) -> HttpClient:
    return HttpClient(service="svc", endpoint=endpoint, key=Secret("k"), limits=Limits(), environ=environ)


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_of_certificates_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = tmp_path / "company.pem"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    async def main() -> None:
        with pytest.raises(PinrecError, match=r"SSL_CERT_FILE=\S+company\.pem\): \S") as caught:
            await _client("https://a.example").__aenter__()
        assert caught.value.hint
        async with Fetch(environ={}) as fetch:
            with pytest.raises(FetchError, match=r"company\.pem"):
                await fetch.get("https://a.example/", accept="*/*", max_body=10, deadline=5)

    asyncio.run(main())


def test_where_a_proxy_is_used_the_advice_names_it(kit: Any) -> None:
    async def main() -> None:
        clock = kit.clock()
        async with _client("http://a.invalid", HTTP_PROXY="http://127.0.0.1:1") as client:
            client._seams = type(client._seams)(clock=clock, now=clock, sleep=clock.sleep)
            with pytest.raises(UnreachableError) as caught:
                await client.request("GET", "/pins", repeat=False)
        assert "HTTP_PROXY" in caught.value.hint

    asyncio.run(main())


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
            "SSL_CERT_FILE",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch", "another host"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "http://"),
        ("All connection attempts failed", "is the service up"),
    ],
)
def test_the_advice_follows_what_went_wrong(why: str, says: str) -> None:
    assert says in advice(why, None)
