"""Paths to content, and the DNSLinks that hold them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.cid import Cid
from reconciler.core.content_path import ContentPath, Domain, PathError, parse_path
from reconciler.core.dnslink import DnslinkError, link_of
from reconciler.core.ipns import IpnsName

CID = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
OTHER = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
KEY = "k51qzi5uqu5diqp3bshgmlffjq6xnrkgajoacouusu3pkilvc05h41hivsvv66"
PEER = "12D3KooWGj5sx51hBx5rKd87sKcAD4WxDtaJoU8igRhhGMHDpbmw"


@pytest.mark.parametrize(
    ("text", "root", "shown"),
    [
        (f"/ipfs/{CID}", Cid, f"/ipfs/{CID}"),
        (f"/ipfs/{CID}/", Cid, f"/ipfs/{CID}"),
        (f"ipfs://{CID}/a%20b//c", Cid, f"/ipfs/{CID}/a%20b/c"),
        (f"/ipns/{KEY}/a", IpnsName, f"/ipns/{KEY}/a"),
        (f"/ipns/{PEER}", IpnsName, f"/ipns/{KEY}"),
        ("/ipns/Docs.IPFS.tech.", Domain, "/ipns/docs.ipfs.tech"),
        ("ipns://docs.ipfs.tech/x", Domain, "/ipns/docs.ipfs.tech/x"),
        ("/ipns/bücher.example/👩‍🔬", Domain, "/ipns/bücher.example/👩‍🔬"),
        ("/ipns/_x.under-score.example", Domain, "/ipns/_x.under-score.example"),
    ],
)
def test_what_a_path_goes_by(text: str, root: type, shown: str) -> None:
    path = parse_path(text)
    assert type(path.root) is root
    assert str(path) == shown
    assert path.mutable == (root is not Cid)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must begin with /ipns/ or /ipfs/"),
        ("docs.ipfs.tech", "must begin with"),
        (f"{CID}/a", "must begin with"),
        ("/ipld/x", "must begin with"),
        ("/ipfs/", "nothing follows /ipfs/"),
        ("/ipns//", "nothing follows /ipns/"),
        (f"/ipfs/{CID}/../x", "it holds . or .."),
        (f"/ipfs/{CID}/./x", "it holds . or .."),
        (f"/ipfs/{CID}/a\nb", "control characters"),
        (f"/ipfs/{CID}/a\x9bb", "control characters"),
        ("/ipfs/docs.ipfs.tech", "is no CID"),
        (f"/ipfs/{KEY}", "leads somewhere under /ipns/"),
        (f"/ipns/{CID}", "content is under /ipfs/"),
        ("/ipns/localhost", "cannot be used"),
        ("/ipns/-a.example", "is no domain"),
        ("/ipns/a..example", "is no domain"),
        ("/ipns/.example", "is no domain"),
        ("/ipns/a b.example", "is no domain"),
        (f"/ipns/{'a' * 64}.example", "is no domain"),
        (f"/ipns/{'a.' * 130}example", "is no domain"),
        (f"/ipfs/{CID}/{'a' * 2048}", "2048 are the most"),
    ],
)
def test_what_is_no_path_says_why(text: str, why: str) -> None:
    with pytest.raises(PathError) as caught:
        parse_path(text)
    assert why in str(caught.value)


@given(st.text(max_size=60) | st.sampled_from(["/ipfs/", "/ipns/", CID, KEY, "a.b", "/", ".."]).map(str))
def test_no_text_breaks_it_and_what_is_shown_is_read_again(text: str) -> None:
    for whole in (text, f"/ipfs/{CID}/{text}", f"/ipns/{text}", f"/ipns/a.example/{text}"):
        try:
            path = parse_path(whole)
        except PathError:
            continue
        assert parse_path(str(path)) == path


# --- DNSLink --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "path"),
    [
        ([], None),
        (["v=spf1 -all", "google-site-verification=x", "dnslink", "DNSLINK=/ipfs/x"], None),
        ([f"dnslink=/ipfs/{CID}/v1"], f"/ipfs/{CID}/v1"),
        (["x=y", f" dnslink= /ipns/{PEER} "], f"/ipns/{KEY}"),
        (["dnslink=/ipns/other.example/x"], "/ipns/other.example/x"),
        ([f"dnslink={CID}"], f"/ipfs/{CID}"),
        ([f"/ipfs/{CID}"], f"/ipfs/{CID}"),
        ([CID], f"/ipfs/{CID}"),
        ([f"dnslink=/ipfs/{CID}", f"dnslink=/ipfs/{CID}/"], f"/ipfs/{CID}"),
        (["dnslink=/swarm/x", f"dnslink=/ipfs/{CID}"], f"/ipfs/{CID}"),
    ],
)
def test_what_records_say(records: list[str], path: str | None) -> None:
    link = link_of(records)
    assert (link and str(link)) == path
    assert link is None or isinstance(link, ContentPath)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([f"dnslink=/ipfs/{CID}", f"dnslink=/ipfs/{OTHER}"], "there are 2 of them"),
        (["dnslink=/ipfs/nothing"], "leads nowhere"),
        (["dnslink="], "leads nowhere"),
        (["dnslink=https://example.org"], "leads nowhere"),
        ([f"dnslink=/ipfs/{CID}/../.."], "leads nowhere"),
        ([f"dnslink=/ipfs/{CID}\x1b[2J"], "leads nowhere"),
    ],
)
def test_records_that_give_no_one_answer(records: list[str], why: str) -> None:
    for order in (records, records[::-1]):
        with pytest.raises(DnslinkError) as caught:
            link_of(order)
        assert why in str(caught.value)
        assert "\x1b" not in str(caught.value)


@given(st.lists(st.text(max_size=40).map(lambda t: f"dnslink={t}") | st.text(max_size=40), max_size=4))
def test_no_records_break_it(records: list[str]) -> None:
    with contextlib.suppress(DnslinkError):
        link_of(records)
