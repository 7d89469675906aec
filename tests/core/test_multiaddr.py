"""Multiaddrs of nodes, and the ways in which people and Kubo write where an API is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.multiaddr import BARE, VALUED, Component, parse

PEER = "12D3KooWEJX1NVfZeL2UXLUjNamJoqeryBWz4ppC2mVXUUZQLB6s"
SAMPLES = {
    "ip4": "192.0.2.1", "ip6": "2001:db8::1", "tcp": "4001", "udp": "4001", "dccp": "1", "sctp": "1",
    "dns": "example.com", "dns4": "example.com", "dns6": "example.com", "dnsaddr": "bootstrap.libp2p.io",
    "sni": "*.example.com", "p2p": PEER, "ipfs": PEER,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "components"),
    [
        ("/ip4/192.0.2.1/tcp/4001", [("ip4", "192.0.2.1"), ("tcp", "4001")]),
        (f"/ip6/2001:db8::1/udp/4001/quic-v1/p2p/{PEER}",
         [("ip6", "2001:db8::1"), ("udp", "4001"), ("quic-v1", ""), ("p2p", PEER)]),
        (f"/dns4/a.example.com/tcp/443/tls/sni/a.example.com/ws/ipfs/{PEER}",
         [("dns4", "a.example.com"), ("tcp", "443"), ("tls", ""), ("sni", "a.example.com"), ("ws", ""), ("p2p", PEER)]),
        (f"/ip4/192.0.2.1/tcp/1/p2p/{PEER}/p2p-circuit",
         [("ip4", "192.0.2.1"), ("tcp", "1"), ("p2p", PEER), ("p2p-circuit", "")]),
        ("/ip4/192.0.2.1/udp/1/quic-v1/webtransport/certhash/uEiA/certhash/uEiB",
         [("ip4", "192.0.2.1"), ("udp", "1"), ("quic-v1", ""), ("webtransport", ""), ("certhash", "uEiA"),
          ("certhash", "uEiB")]),
        ("/unix/run/ipfs.sock", [("unix", "/run/ipfs.sock")]),
    ],
)  # fmt: skip
def test_a_multiaddr_has_its_components(text: str, components: list[tuple[str, str]]) -> None:
    assert parse(text) == tuple(Component(*c) for c in components)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "begins with a slash"),
        ("ip4/192.0.2.1", "begins with a slash"),
        ("/", "no protocol"),
        ("/ip4", "lacks its value"),
        ("/ip4//tcp/1", "lacks its value"),
        ("/ip4/300.0.0.1/tcp/1", "no address of its kind"),
        ("/ip4/2001:db8::1", "no address of its kind"),
        ("/ip6/192.0.2.1", "no address of its kind"),
        ("/ip6/fe80::1%eth0", "no address of its kind"),
        ("/ip4/192.0.2.1/tcp/65536", "no port"),
        ("/ip4/192.0.2.1/tcp/-1", "no port"),
        ("/ip4/192.0.2.1/tcp/1/p2p/me", "no peer id"),
        ("/dns/a b", "one line of ASCII"),
        ("/dns/-", "no name of a host"),
        ("/ip4/192.0.2.1/teleport/1", "/teleport is no protocol"),
        ("/dns/ex\nample", "one line of ASCII"),
        ("/ip4/192.0.2.1" * 500, "one line of ASCII"),
    ],
)
def test_what_is_no_multiaddr_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(text)


protocols = st.sampled_from(sorted((BARE | VALUED) & (set(SAMPLES) | BARE)))


@given(st.lists(protocols, min_size=1, max_size=8))
def test_what_is_put_together_comes_apart_the_same(names: list[str]) -> None:
    text = "".join(f"/{n}/{SAMPLES[n]}" if n in VALUED else f"/{n}" for n in names)
    expected = [("p2p" if n == "ipfs" else n, SAMPLES.get(n, "") if n in VALUED else "") for n in names]
    assert [(c.protocol, c.value) for c in parse(text)] == expected


@given(st.text(max_size=80) | st.lists(protocols | st.text(max_size=9)).map(lambda w: "/" + "/".join(w)))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        # The text may hold a password where none belongs.
        assert len(text) < 12 or text not in str(error)  # noqa: PT017  whatever is raised
