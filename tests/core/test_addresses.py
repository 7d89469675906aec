"""Which addresses of a node a pinning service is told."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.addresses import MOST, public, reach_of

PEER = "12D3KooWEJX1NVfZeL2UXLUjNamJoqeryBWz4ppC2mVXUUZQLB6s"
RELAY = "12D3KooWHCpYddu7tLfKgBddyC9JuY9Q7fxp4mdvmrH2RiPuK7vz"
CLOUD = "api.pinata.cloud"


def own(*addresses: str) -> tuple[str, ...]:
    return tuple(f"{a}/p2p/{PEER}" for a in addresses)


#: As a node at home behind UPnP says them, with a relay, IPv6, AutoTLS and a VPN.
HOME = own(
    "/ip4/127.0.0.1/tcp/4001",
    "/ip4/127.0.0.1/udp/4001/quic-v1",
    "/ip4/192.168.1.7/tcp/4001",
    "/ip4/192.168.1.7/udp/4001/quic-v1/webtransport/certhash/uEiA/certhash/uEiB",
    "/ip4/100.101.1.2/tcp/4001",
    "/ip4/169.254.3.4/tcp/4001",
    "/ip6/::1/tcp/4001",
    "/ip6/fe80::1/tcp/4001",
    "/ip6/fd00::2/tcp/4001",
    "/ip4/93.184.216.34/tcp/4001",
    "/ip4/93.184.216.34/udp/4001/quic-v1",
    "/ip4/93.184.216.34/udp/4001/quic-v1/webtransport/certhash/uEiA/certhash/uEiB",
    "/ip4/93.184.216.34/udp/4001/webrtc-direct/certhash/uEiA",
    "/ip4/93.184.216.34/tcp/4001/tls/sni/93-184-216-34.k51.libp2p.direct/ws",
    "/ip6/2606:2800:220:1::1/tcp/4001",
    f"/ip4/104.131.131.82/tcp/4001/p2p/{RELAY}/p2p-circuit",
)


def test_a_service_elsewhere_hears_of_public_addresses_the_useful_first() -> None:
    assert public(HOME, beside=CLOUD) == own(
        "/ip4/93.184.216.34/udp/4001/quic-v1",
        "/ip4/93.184.216.34/tcp/4001",
        "/ip6/2606:2800:220:1::1/tcp/4001",
        "/ip4/93.184.216.34/tcp/4001/tls/sni/93-184-216-34.k51.libp2p.direct/ws",
        "/ip4/93.184.216.34/udp/4001/quic-v1/webtransport/certhash/uEiA/certhash/uEiB",
        "/ip4/93.184.216.34/udp/4001/webrtc-direct/certhash/uEiA",
    )


@pytest.mark.parametrize(
    ("beside", "first", "absent"),
    [
        ("127.0.0.1", "/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/169.254.3.4/tcp/4001"),
        ("localhost", "/ip4/127.0.0.1/udp/4001/quic-v1", "/ip6/fe80::1/tcp/4001"),
        ("::1", "/ip4/127.0.0.1/udp/4001/quic-v1", "/ip6/fe80::1/tcp/4001"),
        ("192.168.1.200", "/ip4/192.168.1.7/tcp/4001", "/ip4/127.0.0.1/tcp/4001"),
        ("nas", "/ip4/192.168.1.7/tcp/4001", "/ip4/127.0.0.1/tcp/4001"),
        ("nas.local", "/ip4/192.168.1.7/tcp/4001", "/ip4/100.101.1.2/tcp/4001"),
        ("100.64.0.9", "/ip4/100.101.1.2/tcp/4001", "/ip4/127.0.0.1/tcp/4001"),
    ],
)
def test_a_service_that_is_near_hears_of_near_addresses_first(beside: str, first: str, absent: str) -> None:
    told = public(HOME, beside=beside)
    assert told[0] == own(first)[0]
    assert own("/ip4/93.184.216.34/tcp/4001")[0] in told
    assert own(absent)[0] not in told


@pytest.mark.parametrize(
    "address",
    [
        "/ip4/93.184.216.34/tcp/4001",  # without a peer id nobody knows whom to expect
        f"/ip4/93.184.216.34/udp/4001/quic/p2p/{PEER}",  # draft-29, gone from libp2p
        f"/ip4/93.184.216.34/udp/4001/p2p/{PEER}",
        f"/ip4/93.184.216.34/teleport/1/p2p/{PEER}",
        f"/ip4/93.184.216.34/p2p/{PEER}",
        f"/p2p/{PEER}",
        f"/ip4/104.131.131.82/tcp/4001/p2p/{RELAY}/p2p-circuit/p2p/{PEER}",
        f"/ip4/0.0.0.0/tcp/4001/p2p/{PEER}",
        f"/ip4/224.0.0.1/tcp/4001/p2p/{PEER}",
        f"/ip4/192.0.2.1/tcp/4001/p2p/{PEER}",  # documentation
        f"/ip6/::ffff:10.0.0.1/tcp/4001/p2p/{PEER}",
        f"/ip6/64:ff9b::a00:1/tcp/4001/p2p/{PEER}",  # 10.0.0.1 by NAT64
        f"/ip6/2002:a00:1::1/tcp/4001/p2p/{PEER}",  # 10.0.0.1 by 6to4
        f"/dns4/localhost/tcp/4001/p2p/{PEER}",
        f"/dns4/nas/tcp/4001/p2p/{PEER}",
        f"/dns4/nas.local/tcp/4001/p2p/{PEER}",
        "no multiaddr",
        "",
    ],
)
def test_what_nobody_elsewhere_can_dial_is_dropped(address: str) -> None:
    assert public([address], beside=CLOUD) == ()


def test_names_stand_between_the_two_kinds_of_addresses() -> None:
    given_ = own("/ip6/2606:2800:220:1::1/tcp/1", "/dns4/a.example.com/tcp/1", "/ip4/93.184.216.34/tcp/1")
    assert public(given_, beside=CLOUD) == given_[::-1]


def test_at_most_twenty_and_each_once() -> None:
    many = own(*(f"/ip4/93.184.216.{i}/tcp/4001" for i in range(1, 40)))
    assert public([*many, *many], beside=CLOUD) == many[:MOST]
    assert MOST == 20


ips = st.ip_addresses(v=4) | st.ip_addresses(v=6)
transports = st.sampled_from(["/tcp/1", "/udp/1/quic-v1", "/tcp/1/ws", "/udp/1/webrtc-direct/certhash/uEiA"])


@st.composite
def multiaddrs(draw: st.DrawFn) -> str:
    ip = draw(ips)
    circuit = draw(st.sampled_from(["", "", "", f"/p2p/{RELAY}/p2p-circuit"]))
    return f"/ip{ip.version}/{ip}{draw(transports)}{circuit}/p2p/{PEER}"


@given(
    st.lists(multiaddrs(), max_size=40),
    st.sampled_from([CLOUD, "10.1.1.1", "127.0.0.1", "100.64.0.1", "nas"]),
)
def test_what_is_told_is_a_part_of_what_the_node_said_and_near_addresses_stay_near(
    addresses: list[str], beside: str
) -> None:
    told = public(addresses, beside=beside)
    assert len(told) <= MOST
    assert len(set(told)) == len(told)
    assert set(told) <= set(addresses)
    assert not [a for a in told if "p2p-circuit" in a]
    reaches = [reach_of(a.split("/")[2]) for a in told]
    if beside == CLOUD:
        assert set(reaches) <= {"public"}
    assert "none" not in reaches
    # The order of the node decides nothing but ties, so that a reshuffled list is no change of importance.
    again = public(told, beside=beside)
    assert again == told


@given(ips)
def test_no_address_is_public_that_the_standard_library_does_not_call_global(
    ip: IPv4Address | IPv6Address,
) -> None:
    if reach_of(str(ip)) == "public":
        assert ip.is_global or (isinstance(ip, IPv6Address) and (ip.sixtofour or ip.ipv4_mapped))
        assert not ip.is_multicast
        assert not ip.is_loopback
