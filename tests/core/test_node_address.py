"""Where the API of a node is reached. What a manifest says of it, and its errors: `tests/manifest/test_node.py`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.node_address import AddressError, api_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        # What a daemon listens on is not where it is reached.
        ("/ip4/0.0.0.0/tcp/5001", "http://127.0.0.1:5001"),
        ("/ip6/::/tcp/5001", "http://[::1]:5001"),
        ("http://0.0.0.0:5001", "http://127.0.0.1:5001"),
        ("http://[::]/api/v0", "http://[::1]"),
        ("http://[2001:db8::1]:5001", "http://[2001:db8::1]:5001"),
        ("http://0.0.0.0.example.com", "http://0.0.0.0.example.com"),
        ("/dns/node.example.com/tcp/443/tls/sni/node.example.com/http", "https://node.example.com:443"),
    ],
)
def test_where_an_api_is_reached(text: str, url: str) -> None:
    assert api_url(text) == url


@given(st.text(max_size=80) | st.text(max_size=40).map(lambda t: f"http://user:{t}@localhost"))
def test_a_refusal_does_not_repeat_what_may_hold_a_password(text: str) -> None:
    try:
        api_url(text)
    except AddressError as error:
        assert len(text) < 12 or text not in error.reason + error.hint  # noqa: PT017  whatever is raised
