import pytest

from reconciler.core.endpoint import EndpointError, host_of, is_private, needs_insecure, normalise


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("https://api.pinata.cloud/psa", "https://api.pinata.cloud/psa"),
        ("https://api.pinata.cloud/psa/", "https://api.pinata.cloud/psa"),
        ("https://api.pinata.cloud/psa/pins", "https://api.pinata.cloud/psa"),
        ("https://api.pinata.cloud/psa/pins//", "https://api.pinata.cloud/psa"),
        ("HTTPS://API.Example.COM/PSA", "https://api.example.com/PSA"),
        ("http://127.0.0.1:9097", "http://127.0.0.1:9097"),
        ("http://127.0.0.1:9097/pins", "http://127.0.0.1:9097"),
        ("http://[::1]:9097/", "http://[::1]:9097"),
        # Only the whole segment, and only once.
        ("https://example.com/mypins", "https://example.com/mypins"),
        ("https://example.com/pins/pins", "https://example.com/pins"),
    ],
)
def test_normal_form(given: str, normal: str) -> None:
    assert normalise(given) == normal
    if not normal.endswith("/pins"):
        assert normalise(normal) == normal


@pytest.mark.parametrize(
    "given",
    [
        "api.pinata.cloud/psa",
        "ftp://example.com",
        "https://",
        "https://user:SECRET@example.com",
        "https://SECRET@example.com",
        "https://example.com/?token=SECRET",
        "https://example.com/#SECRET",
        "https://example.com/?",
        "https://example.com:99999/",
        "https://example.com:SECRET/",
        "https://exa mple.com/",
        "https://example.com/\nX: SECRET",
        "https://example.com\\@SECRET",
        "https://[::1/",
        "https://münchen.example/",
    ],
)
def test_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(EndpointError) as caught:
        normalise(given)
    assert "SECRET" not in caught.value.reason + caught.value.hint


@pytest.mark.parametrize(
    ("endpoint", "insecure"),
    [
        ("https://example.com", False),
        ("http://example.com", True),
        ("http://8.8.8.8", True),
        ("http://127.0.0.1:5010", False),
        ("http://[::1]:5010", False),
        ("http://10.1.2.3", False),
        ("http://192.168.1.4", False),
        ("http://[fd00::1]", False),
        ("http://[fe80::1]", False),
        ("http://localhost:5010", False),
        ("http://sandbox.localhost", False),
        # Names may lead anywhere, also those that look local.
        ("http://localhost.example.com", True),
        ("http://127.0.0.1.example.com", True),
        ("http://cluster:9097", True),
    ],
)
def test_plain_http_is_for_private_addresses(endpoint: str, insecure: bool) -> None:
    assert needs_insecure(endpoint) is insecure


def test_host() -> None:
    assert host_of("http://[::1]:9097/x") == "::1"
    assert is_private("LOCALHOST".lower())
