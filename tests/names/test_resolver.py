"""From a path to a CID without a node: real DNS and HTTP on loopback, gateways that fail and that lie."""

import asyncio
import datetime
import random
import time
from collections.abc import Iterable
from typing import Any

import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.names import DnsServer, Gateway, Key, free_port

from reconciler.core.cid import parse
from reconciler.core.instant import parse_instant
from reconciler.core.question import NotKnown, Resolved
from reconciler.core.unixfs import address, directory, file, params
from reconciler.core.unixfs.blocks import Entry
from reconciler.names.gateways import Gateways
from reconciler.names.memory import Memory
from reconciler.names.resolver import MAX_NAMES, Resolver
from reconciler.transport.dns import Dns
from reconciler.transport.fetch import Fetch

CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
OTHER = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
NOW = parse_instant("2026-11-22T12:00:00Z")
KEY, SECOND, RSA = Key.new(), Key.new(), Key.new("rsa")


def resolve(
    path: str,
    *gateways: Gateway | str,
    zone: dict[str, Any] | None = None,
    memory: Memory | None = None,
    now: int = NOW,
    deadline: float = 30.0,
    each: float = 10.0,
    grace: float = 5.0,
) -> Resolved | NotKnown:
    async def go(server: str) -> Resolved | NotKnown:
        urls = [g if isinstance(g, str) else g.url for g in gateways]
        async with Fetch(environ={}) as fetch:
            resolver = Resolver(
                dns=Dns(server, deadline=2.0),
                gateways=Gateways(urls, fetch, deadline=each, grace=grace),
                memory=memory,
                now=lambda: now,
                deadline=deadline,
            )
            return await resolver.resolve(path)

    with DnsServer(zone or {}) as server:
        return asyncio.run(go(server.address))


def cid_of(answer: Resolved | NotKnown) -> str:
    assert isinstance(answer, Resolved), answer
    return answer.cid.text


def why(answer: Resolved | NotKnown) -> str:
    assert isinstance(answer, NotKnown), answer
    return f"{answer.why} ({answer.hint})"


def folder(entries: dict[str, Entry], gateway: Gateway, *, sharded: bool = False) -> Entry:
    from msgspec.structs import replace

    settings = replace(params.KUBO_V1, shard_above=0) if sharded else params.KUBO_V1
    return directory.build(entries, settings, gateway.put).entry


def leaf(content: bytes, gateway: Gateway) -> Entry:
    builder = file.FileBuilder(params.KUBO_V1, gateway.put)
    builder.update(content)
    return builder.finish()


# --- the way --------------------------------------------------------------------------------------------------


def test_a_path_that_needs_nobody() -> None:
    assert resolve(f"/ipfs/{CID}") == Resolved(cid=parse(CID), via="")


def test_a_domain_leads_to_a_key_and_that_to_content_below_a_root() -> None:
    with Gateway() as gateway:
        guide = folder({"index.html": leaf(b"hello", gateway)}, gateway)
        root = folder({"v2": folder({"guide": guide}, gateway, sharded=True)}, gateway)
        gateway.publish(KEY, f"/ipfs/{address.to_text(root.cid)}/v2")
        zone = {"_dnslink.docs.example": [f"dnslink=/ipns/{KEY.name}"]}
        answer = resolve("/ipns/docs.example/guide/", gateway, zone=zone)
        assert cid_of(answer) == address.to_text(guide.cid)
        assert isinstance(answer, Resolved)
        assert answer.via == f"DNSLink and the gateway {gateway.url.removeprefix('http://')}"


def test_names_behind_names() -> None:
    with Gateway() as gateway:
        gateway.publish(KEY, f"/ipns/{RSA.name}")
        gateway.publish(RSA, "/ipns/b.example")
        zone = {
            "_dnslink.a.example": [f"dnslink=/ipns/{KEY.name}"],
            "b.example": ["v=spf1 -all", f"dnslink=/ipfs/{CID}"],
        }
        assert cid_of(resolve("/ipns/a.example", gateway, zone=zone)) == CID


def test_the_text_of_a_cid_stays_as_it_was_written() -> None:
    v0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
    assert cid_of(resolve("/ipns/a.example", zone={"_dnslink.a.example": [f"dnslink=/ipfs/{v0}"]})) == v0


# --- DNS ------------------------------------------------------------------------------------------------------


def test_the_record_of_the_subdomain_comes_first() -> None:
    zone = {"_dnslink.a.example": [f"dnslink=/ipfs/{CID}"], "a.example": [f"dnslink=/ipfs/{OTHER}"]}
    assert cid_of(resolve("/ipns/a.example", zone=zone)) == CID


def test_a_subdomain_that_cannot_be_asked_for_is_not_passed_over() -> None:
    zone = {"_dnslink.a.example": dns.rcode.SERVFAIL, "a.example": [f"dnslink=/ipfs/{OTHER}"]}
    assert "could not answer for _dnslink.a.example" in why(resolve("/ipns/a.example", zone=zone))


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (None, "a.example has no DNSLink"),
        (["something else"], "a TXT record of _dnslink.a.example is to say dnslink="),
        ([f"dnslink=/ipfs/{CID}", f"dnslink=/ipfs/{OTHER}"], "there are 2 of them"),
        (["dnslink=/ipfs/x"], "it leads nowhere"),
        (["dnslink=/ipns/a.example"], "in a circle: a.example → a.example"),
    ],
)
def test_a_domain_that_leads_nowhere(records: list[str] | None, reason: str) -> None:
    assert reason in why(resolve("/ipns/a.example", zone={"_dnslink.a.example": records}))


def test_names_that_lead_in_a_circle_or_on_and_on() -> None:
    with Gateway() as gateway:
        gateway.publish(KEY, "/ipns/b.example")
        ring = {
            "_dnslink.a.example": ["dnslink=/ipns/b.example"],
            "_dnslink.b.example": [f"dnslink=/ipns/{KEY.name}/more"],
        }
        assert "b.example → k51" in why(resolve("/ipns/a.example", gateway, zone=ring))
    chain = {f"_dnslink.n{n}.example": [f"dnslink=/ipns/n{n + 1}.example"] for n in range(MAX_NAMES + 1)}
    chain[f"_dnslink.n{MAX_NAMES}.example"] = [f"dnslink=/ipfs/{CID}"]
    assert cid_of(resolve("/ipns/n1.example", zone=chain)) == CID
    assert f"more than {MAX_NAMES} names" in why(resolve("/ipns/n0.example", zone=chain))


def test_a_path_that_grows_with_every_name_has_an_end() -> None:
    """Each name may append to what is below it; the path as a whole stays one of names."""
    below = "/".join(["x" * 50] * 30)
    zone = {
        f"_dnslink.n{n}.example": [[f"dnslink=/ipns/n{n + 1}.example/"[:255], below[:250]]] for n in range(40)
    }
    assert "more than" in why(resolve("/ipns/n0.example", zone=zone))


# --- records --------------------------------------------------------------------------------------------------


def test_no_gateway_is_believed_without_the_signature() -> None:
    with Gateway() as liar:
        liar.records[KEY.name] = SECOND.record(f"/ipfs/{OTHER}")
        assert "not that of the name's key" in why(resolve(f"/ipns/{KEY.name}", liar))
        with Gateway() as honest:
            honest.publish(KEY, f"/ipfs/{CID}")
            assert cid_of(resolve(f"/ipns/{KEY.name}", liar, honest)) == CID


def test_of_two_records_the_newer_one_counts_wherever_it_is() -> None:
    with Gateway() as one, Gateway() as two:
        one.publish(KEY, f"/ipfs/{OTHER}", sequence=4)
        two.publish(KEY, f"/ipfs/{CID}", sequence=5)
        for gateways in ((one, two), (two, one)):
            assert cid_of(resolve(f"/ipns/{KEY.name}", *gateways)) == CID


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((404, {"content-type": "text/plain"}, b"routing: not found\n"), "answers 404: routing: not found"),
        ((502, {"content-type": "text/html"}, b"<html>bad</html>"), "answers 502 "),
        ((200, {}, b"<html>welcome</html>"), "no IPNS record"),
        ((200, {}, b""), "no V2 signature"),
        ((200, {}, b"x" * 100_000), "longer than 10240 bytes"),
        ((301, {"location": "/"}, b""), "redirects again and again"),
        ((404, {"content-type": "text/plain"}, b"\x1b[2J\n::error::x" * 90), "answers 404:  [2J ::error::x"),
    ],
)
def test_what_gateways_say_instead(answer: tuple[int, dict[str, str], bytes], reason: str) -> None:
    with Gateway(answer=lambda _path: answer) as gateway:
        said = why(resolve(f"/ipns/{KEY.name}", gateway))
        assert " ".join(reason.split()) in " ".join(said.split())
        assert "\x1b" not in said
        assert len(said) < 700


def test_one_gateway_is_enough() -> None:
    with Gateway() as gateway:
        gateway.publish(KEY, f"/ipfs/{CID}")
        dead = f"http://127.0.0.1:{free_port()}"
        for gateways in ((dead, gateway), (gateway, dead)):
            assert cid_of(resolve(f"/ipns/{KEY.name}", *gateways)) == CID
        assert "cannot be reached" in why(resolve(f"/ipns/{KEY.name}", dead))
        assert "there is no gateway to ask" in why(resolve(f"/ipns/{KEY.name}"))


def test_a_gateway_that_never_answers_holds_nobody_up_for_long() -> None:
    release = False

    def hang(_path: str) -> None:
        while not release:
            time.sleep(0.01)

    with Gateway(answer=hang) as silent, Gateway() as gateway:
        gateway.publish(KEY, f"/ipfs/{CID}")
        try:
            assert (
                cid_of(resolve(f"/ipns/{KEY.name}", silent, gateway, grace=0.2, each=3600, deadline=3600))
                == CID
            )
            assert "did not answer within 0.2 s" in why(resolve(f"/ipns/{KEY.name}", silent, each=0.2))
            assert "followed to its end within 0.2 s" in why(
                resolve(f"/ipns/{KEY.name}", silent, deadline=0.2, each=3600)
            )
        finally:
            release = True


def test_an_expired_record_leads_nowhere() -> None:
    with Gateway() as gateway:
        gateway.publish(KEY, f"/ipfs/{CID}", until="2026-11-22T12:00:00.000000001Z")
        assert cid_of(resolve(f"/ipns/{KEY.name}", gateway)) == CID
        assert "has expired" in why(resolve(f"/ipns/{KEY.name}", gateway, now=NOW + 2))


def test_nobody_is_led_back_to_an_older_record() -> None:
    memory = Memory()
    with Gateway() as gateway:
        gateway.publish(KEY, f"/ipfs/{CID}", sequence=5, until="2026-11-23T00:00:00Z")
        assert cid_of(resolve(f"/ipns/{KEY.name}", gateway, memory=memory)) == CID
        gateway.publish(KEY, f"/ipfs/{OTHER}", sequence=4)
        assert cid_of(resolve(f"/ipns/{KEY.name}", gateway, memory=memory)) == CID
        assert cid_of(resolve(f"/ipns/{KEY.name}", gateway)) == OTHER
        # The newer one has expired: its owner began anew, with another machine say.
        later = parse_instant("2026-11-24T00:00:00Z")
        assert cid_of(resolve(f"/ipns/{KEY.name}", gateway, memory=memory, now=later)) == OTHER
        gateway.records.clear()
        assert "no gateway has a record" in why(resolve(f"/ipns/{KEY.name}", gateway, memory=memory))


@pytest.mark.parametrize(
    "value", ["", "/ipfs/", "nothing", "https://example.org", f"/ipfs/{CID}/..", "/ipns/x"]
)
def test_a_record_whose_value_is_no_path(value: str) -> None:
    with Gateway() as gateway:
        gateway.publish(KEY, value)
        assert "is no path" in why(resolve(f"/ipns/{KEY.name}", gateway))


# --- blocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharded", [False, True])
def test_each_entry_of_a_directory_is_found(sharded: bool) -> None:
    with Gateway() as gateway:
        entries = {f"file {n}.txt": leaf(str(n).encode(), gateway) for n in range(300)}
        entries["ünïcode 👩‍🔬"] = leaf(b"u", gateway)
        root = address.to_text(folder(entries, gateway, sharded=sharded).cid)
        for name in random.Random(1).sample(sorted(entries), 12):
            assert cid_of(resolve(f"/ipfs/{root}/{name}", gateway)) == address.to_text(entries[name].cid)
        assert cid_of(resolve(f"/ipfs/{root}/ünïcode 👩‍🔬", gateway)) == address.to_text(
            entries["ünïcode 👩‍🔬"].cid
        )
        assert f"there is no 'nope' in /ipfs/{root}" in why(resolve(f"/ipfs/{root}/nope", gateway))
        assert "this is a file" in why(resolve(f"/ipfs/{root}/file 1.txt/more", gateway))


def test_a_directory_inside_its_own_cid() -> None:
    with Gateway() as gateway:
        inline = b"\x01\x55\x00\x05hello"
        root = folder({"tiny": Entry(inline, 5)}, gateway)
        assert cid_of(resolve(f"/ipfs/{address.to_text(root.cid)}/tiny", gateway)) == address.to_text(inline)
        assert "this is a file" in why(resolve(f"/ipfs/{address.to_text(inline)}/more", gateway))


def test_bytes_of_another_block_are_no_block() -> None:
    with Gateway() as liar, Gateway() as honest:
        good = folder({"a": leaf(b"good", honest)}, honest)
        bad = folder({"a": leaf(b"evil", liar)}, liar)
        root = address.to_text(good.cid)
        liar.blocks[root] = liar.blocks[address.to_text(bad.cid)]
        assert "gave bytes that are not those of" in why(resolve(f"/ipfs/{root}/a", liar))
        expected = address.to_text(leaf(b"good", honest).cid)
        assert cid_of(resolve(f"/ipfs/{root}/a", liar, honest)) == expected


def test_a_block_that_is_nowhere_is_not_known_and_not_missing() -> None:
    with Gateway() as gateway:
        root = folder({"a": folder({"b": leaf(b"x", gateway)}, gateway)}, gateway)
        middle = directory.find(root.cid, "a", lambda cid: gateway.blocks[address.to_text(cid)])
        assert middle is not None
        del gateway.blocks[address.to_text(middle.cid)]
        said = why(resolve(f"/ipfs/{address.to_text(root.cid)}/a/b", gateway))
        assert "a block on the way could not be had" in said
        assert "answers 404" in said


@pytest.mark.parametrize(
    ("cid", "reason"),
    [
        ("bafyrwigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", "cannot be checked"),
        ("bafyreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", "no gateway"),
    ],
)
def test_what_cannot_be_checked_is_not_asked_for(cid: str, reason: str) -> None:
    assert reason in why(resolve(f"/ipfs/{cid}/a"))


@settings(max_examples=25)
@given(st.binary(max_size=200), st.sampled_from([0x70, 0x55, 0x71]))
def test_no_block_breaks_the_walk(block: bytes, codec: int) -> None:
    """Whoever makes a DAG may put any bytes into its blocks."""
    import hashlib

    cid = b"\x01" + bytes([codec]) + b"\x12\x20" + hashlib.sha256(block).digest()
    with Gateway() as gateway:
        gateway.put(cid, block)
        assert why(resolve(f"/ipfs/{address.to_text(cid)}/a", gateway))


# --- anything at once -----------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_whatever_gateways_do_the_answer_is_a_signed_one_or_none(seed: int) -> None:
    """Flapping names: gateways that have old, new, expired, forged or no records, in any mixture and order."""
    rnd = random.Random(seed)
    memory, newest, top = Memory(), 0, 0
    with Gateway() as one, Gateway() as two:
        for _ in range(6):
            for gateway in (one, two):
                sequence = rnd.randrange(6)
                match rnd.randrange(5):
                    case 0:
                        gateway.records.clear()
                    case 1:
                        gateway.records[KEY.name] = SECOND.record(f"/ipfs/{OTHER}", sequence=99)
                    case 2:
                        gateway.publish(KEY, f"/ipfs/{OTHER}", sequence=99, until="2020-01-01T00:00:00Z")
                    case _:
                        gateway.publish(KEY, f"/ipfs/{numbered(sequence)}", sequence=sequence)
                        newest = max(newest, sequence)
            answer = resolve(f"/ipns/{KEY.name}", *rnd.sample([one, two], 2), memory=memory)
            if isinstance(answer, Resolved):
                number = [numbered(n) for n in range(6)].index(answer.cid.text)
                assert top <= number <= newest
                top = number


def numbered(n: int) -> str:
    return address.to_text(b"\x01\x55\x12\x20" + bytes([n]) * 32)


def test_many_paths_at_once(tmp_path: object) -> None:
    async def go(urls: Iterable[str], server: str) -> list[Resolved | NotKnown]:
        async with Fetch(environ={}) as fetch:
            resolver = Resolver(dns=Dns(server), gateways=Gateways(list(urls), fetch), now=lambda: NOW)
            return await asyncio.gather(*(resolver.resolve(f"/ipns/n{n}.example") for n in range(60)))

    zone = {f"_dnslink.n{n}.example": [f"dnslink=/ipfs/{numbered(n % 6)}"] for n in range(60)}
    with DnsServer(zone) as server:
        answers = asyncio.run(go((), server.address))
    assert [cid_of(a) for a in answers] == [numbered(n % 6) for n in range(60)]


def test_a_clock_is_asked_for_the_time() -> None:
    """Without one given, it is the machine's."""
    with Gateway() as gateway:
        now = datetime.datetime.now(datetime.UTC)
        gateway.publish(KEY, f"/ipfs/{CID}", until=f"{now - datetime.timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")

        async def go() -> Resolved | NotKnown:
            async with Fetch(environ={}) as fetch:
                return await Resolver(dns=Dns(), gateways=Gateways([gateway.url], fetch)).resolve(
                    f"/ipns/{KEY.name}"
                )

        assert "has expired" in why(asyncio.run(go()))
