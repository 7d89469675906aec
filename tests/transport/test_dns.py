"""TXT records by a real DNS server on loopback: what is not there, what nobody knows, and what is hostile."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from support.names import DnsServer, free_port, txt_reply

from reconciler.core.dns_address import address_of
from reconciler.transport.dns import Dns, DnsError

LINK = "dnslink=/ipfs/bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
Query = dns.message.Message


def ask(
    zone: dict[str, Any], domain: str = "_dnslink.a.example", *, deadline: float = 10.0
) -> tuple[str, ...]:
    with DnsServer(zone) as server:
        return asyncio.run(Dns(server.address, deadline=deadline).txt(domain))


@pytest.mark.parametrize(
    ("there", "records"),
    [
        ([LINK], (LINK,)),
        ([["dnslink=/ipfs/", "x" * 200, "y" * 200]], ("dnslink=/ipfs/" + "x" * 200 + "y" * 200,)),
        (["one", "two"], ("one", "two")),
        ([], ()),
        (None, ()),
    ],
)
def test_what_is_there_and_what_is_not(there: Any, records: tuple[str, ...]) -> None:
    assert sorted(ask({"_dnslink.a.example": there})) == sorted(records)


def test_a_record_under_another_name_is_followed() -> None:
    def renamed(query: Query, _how: str) -> bytes:
        reply = dns.message.make_response(query)
        name = query.question[0].name
        reply.answer += [
            dns.rrset.from_text(name, 60, "IN", "CNAME", "_dnslink.b.example."),
            dns.rrset.from_text("_dnslink.b.example.", 60, "IN", "TXT", f'"{LINK}"'),
        ]
        return reply.to_wire()

    assert ask({"_dnslink.a.example": renamed}) == (LINK,)


def test_what_does_not_fit_a_datagram_is_asked_for_by_tcp() -> None:
    records = [f"{n:03}" + "x" * 200 for n in range(40)]

    def cut(query: Query, how: str) -> bytes:
        if how == "tcp":
            return txt_reply(query, records)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return reply.to_wire()

    assert sorted(ask({"_dnslink.a.example": cut})) == records


@pytest.mark.parametrize(
    ("domain", "asked"),
    [
        ("_dnslink.bücher.example", "_dnslink.xn--bcher-kva.example"),
        ("_dnslink.faß.example", "_dnslink.xn--fa-hia.example"),
        ("_dnslink.例え.example", "_dnslink.xn--r8jz45g.example"),
        ("_dnslink.a.example", "_dnslink.a.example"),
        ("_dnslink.xn--bcher-kva.example", "_dnslink.xn--bcher-kva.example"),
    ],
)
def test_a_domain_beyond_ascii_is_asked_for_in_ascii(domain: str, asked: str) -> None:
    with DnsServer({asked: [LINK]}) as server:
        assert asyncio.run(Dns(server.address).txt(domain)) == (LINK,)
        assert server.asked == [(asked, "udp")]


def fails(zone: dict[str, Any], domain: str = "_dnslink.a.example", *, deadline: float = 10.0) -> DnsError:
    with pytest.raises(DnsError) as caught:
        ask(zone, domain, deadline=deadline)
    return caught.value


def mistaken(query: Query, _how: str) -> bytes:
    other = dns.message.make_query("_dnslink.b.example", "TXT", id=query.id)
    return txt_reply(other, [LINK])


@pytest.mark.parametrize(
    "there",
    [
        dns.rcode.SERVFAIL,
        dns.rcode.REFUSED,
        lambda _query, _how: None,
        lambda _query, _how: b"\xff" * 40,
        lambda _query, _how: b"",
        lambda query, _how: os.urandom(2) + txt_reply(query, [LINK])[2:],
        lambda query, _how: txt_reply(query, [LINK])[:-9],
        mistaken,
    ],
    ids=[
        "broken",
        "refused",
        "silent",
        "noise",
        "nothing",
        "of another question's number",
        "cut off",
        "of another",
    ],
)
def test_what_nobody_knows_is_no_answer(
    there: Callable[[Query, str], bytes | None] | dns.rcode.Rcode,
) -> None:
    error = fails({"_dnslink.a.example": there}, deadline=0.6)
    assert "_dnslink.a.example" in str(error)


def test_a_domain_of_a_thousand_records_is_passed_over() -> None:
    def many(query: Query, how: str) -> bytes:
        if how == "tcp":
            return txt_reply(query, [str(n) for n in range(1000)])
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return reply.to_wire()

    assert "1000 TXT records, 100 are the most" in str(fails({"_dnslink.a.example": many}))


def test_bytes_that_are_no_text_harm_nobody() -> None:
    def noise(query: Query, _how: str) -> bytes:
        reply = dns.message.make_response(query)
        text = r'"\255\254\000' + LINK + '"'
        reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", text))
        return reply.to_wire()

    [record] = ask({"_dnslink.a.example": noise})
    assert record.endswith(LINK)
    assert record != LINK


@pytest.mark.parametrize(
    "domain", ["a..example", "x" * 64 + ".example", "a." * 130 + "example", "\u0600.example"]
)
def test_what_is_no_domain_is_not_asked_for(domain: str) -> None:
    assert "cannot be asked for" in str(fails({}, domain))


def test_a_server_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(DnsError):
        asyncio.run(Dns(f"127.0.0.1:{free_port()}", deadline=0.5).txt("a.example"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("[::1]", ("::1", 53)),
    ],
)
def test_addresses_of_servers(text: str, address: tuple[str, int]) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    "text", ["", "dns.example", "192.0.2.1:0", "192.0.2.1:70000", "192.0.2.1:x", "192.0.2.1/x", "a@192.0.2.1"]
)
def test_what_is_no_address_of_a_server(text: str) -> None:
    with pytest.raises(ValueError, match="address of a DNS server"):
        address_of(text)
