import pytest

from reconciler.transport.proxy import proxy_for


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api.example", {}, None),
        ("https://api.example", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://api.example", {"https_proxy": "p:1"}, "http://p:1"),
        ("https://api.example", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("http://api.example", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://api.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"}, None),
        ("https://api.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other, api.example"}, None),
        ("https://api.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("https://myapi.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.example"}, "http://p:1"),
        ("http://127.0.0.1", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://localhost", {"ALL_PROXY": "http://p:1"}, None),
    ],
)
def test_a_proxy_is_used_where_the_environment_says_so(
    url: str, environ: dict[str, str], proxy: str | None
) -> None:
    scheme, host = url.split("://")
    assert proxy_for(scheme, host, environ) == proxy
