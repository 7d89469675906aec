"""`node:`: how a Kubo node is reached, in every way it may be written."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.manifest import Node, SecretRef
from reconciler.core.node_address import AddressError, api_url, is_path

PEER = "12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG"
HEAD = "version: 1\nname: acme\n"


def node(folder, text: str) -> Node:
    found = folder.load(f"{HEAD}node: {text}\n").node
    assert found is not None
    return found


def test_without_one(folder) -> None:
    assert folder.load(HEAD).node is None


def test_everything_said(folder) -> None:
    assert node(
        folder,
        "{api: https://kubo.example.com, token: {file: kubo.token}, timeout: 2min, insecure: true, "
        f"peerId: {PEER}}}",
    ) == Node(
        api="https://kubo.example.com",
        token=SecretRef(kind="file", value=(str(folder.path / "kubo.token"),)),
        timeout=120,
        peer_id=PEER,
        insecure=True,
        file="pinrec.yaml",
        line=3,
    )


def test_nothing_said(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_PATH", "/srv/ipfs")
    assert node(folder, "{}") == Node(api_file="/srv/ipfs/api", file="pinrec.yaml", line=3)


@pytest.mark.parametrize("text", ["{timeout: 500ms}", "\n  # a comment\n  timeout: 500ms"])
def test_its_place_and_a_short_timeout(folder, text: str) -> None:
    found = node(folder, text)
    assert (found.timeout, found.line) == (0.5, 3)


@pytest.mark.parametrize(("timeout", "seconds"), [("45", 45), ("0.5", 0.5), ("30s", 30), ("1m", 60)])
def test_timeouts(folder, timeout: str, seconds: float) -> None:
    assert node(folder, f"{{timeout: {timeout}}}").timeout == seconds


# --- api ------------------------------------------------------------------------------------------------------

URLS = [
    ("http://127.0.0.1:5001", "http://127.0.0.1:5001"),
    ("http://127.0.0.1:5001/", "http://127.0.0.1:5001"),
    ("HTTP://LocalHost:5001/api/v0", "http://localhost:5001"),
    ("https://kubo.example.com/api/v0/", "https://kubo.example.com"),
    ("http://[::1]:5001", "http://[::1]:5001"),
    ("/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001"),
    ("/ip4/127.0.0.1/tcp/5001/http", "http://127.0.0.1:5001"),
    ("/ip6/::1/tcp/5001", "http://[::1]:5001"),
    ("/dns4/node.example.com/tcp/443/https", "https://node.example.com:443"),
    ("/dns/Node.Example.com/tcp/443/tls/http", "https://node.example.com:443"),
    ("/dns6/kubo/tcp/5001/", "http://kubo:5001"),
    ("/dns/kubo/tcp/443/tls", "https://kubo:443"),
]


@pytest.mark.parametrize(("written", "url"), URLS)
def test_addresses(folder, written: str, url: str) -> None:
    found = node(folder, f"{{api: '{written}'}}")
    assert (found.api, found.api_file) == (url, "")


@pytest.mark.parametrize("url", [url for _, url in URLS])
def test_an_address_is_its_own_address(url: str) -> None:
    assert api_url(url) == url


FILES = [
    ("$IPFS_PATH/api", "/srv/ipfs/api"),
    ("${IPFS_PATH}/api", "/srv/ipfs/api"),
    ("~/.ipfs/api", "/home/somebody/.ipfs/api"),
    ("/var/lib/ipfs/api", "/var/lib/ipfs/api"),
    ("./api", "HERE/conf/api"),
    ("../kubo/api", "HERE/kubo/api"),
    ("kubo/api", "HERE/conf/kubo/api"),
]


@pytest.mark.parametrize(("written", "file"), FILES)
def test_api_files(folder, written: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_PATH", "/srv/ipfs")
    monkeypatch.setenv("HOME", "/home/somebody")
    found = folder.load(f"{HEAD}node: {{api: '{written}'}}\n", name="conf/pinrec.yaml").node
    assert found is not None
    assert (found.api, found.api_file) == ("", file.replace("HERE", str(folder.path)))


@pytest.mark.parametrize("value", [None, ""])
def test_the_repository_of_a_node_without_ipfs_path(
    folder, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("IPFS_PATH", raising=False)
    if value is not None:
        monkeypatch.setenv("IPFS_PATH", value)
    for text in ("{}", "{api: $IPFS_PATH/api}"):
        assert node(folder, text).api_file == "/home/somebody/.ipfs/api"


@pytest.mark.parametrize(("path", "file"), [("repo", "HERE/repo/api"), ("~/repo", "/home/somebody/repo/api")])
def test_a_repository_is_relative_to_where_one_is(
    folder, path: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPFS_PATH", path)
    monkeypatch.setenv("HOME", "/home/somebody")
    found = folder.load(f"{HEAD}node: {{}}\n", name="conf/pinrec.yaml").node
    assert found is not None
    assert found.api_file == file.replace("HERE", str(folder.path))


def test_no_api_file_is_read(folder) -> None:
    """What stands there may change while a loop runs."""
    folder.write("api", "nonsense")
    assert node(folder, "{api: ./api}").api_file == str(folder.path / "api")


WRONG = [
    ("127.0.0.1:5001", "the address has no scheme (write http://127.0.0.1:5001)"),
    ("localhost:5001/api/v0", "the address has no scheme (write http://localhost:5001)"),
    ("[::1]:5001", "the address has no scheme (write http://[::1]:5001)"),
    ("localhost", "this is no URL, no multiaddr, and no path"),
    ("ftp://localhost", "the address of an API begins with http:// or https://"),
    ("http://u:SECRET@localhost:5001", "no user name or password (a token belongs under token:)"),
    ("http://localhost:5001?SECRET=1", "has no ? or # part (a token belongs under token:)"),
    ("http://localhost:5001/kubo", "has no path (requests add /api/v0 by themselves)"),
    ("http://:5001", "the host is missing"),
    ("http://localhost:x", "this is not a URL"),
    ("/unix/run/ipfs.sock", "an API at a unix socket is not supported"),
    ("/dnsaddr/example.com", "the multiaddr of an API begins with one of /ip4"),
    ("/p2p/12D3", "the multiaddr of an API begins with one of /ip4"),
    ("/ip4", "has a /tcp/<port>"),
    ("/ip4/127.0.0.1", "has a /tcp/<port>"),
    ("/ip4/127.0.0.1/udp/5001/quic-v1", "has a /tcp/<port>"),
    ("/ip4/127.0.0/tcp/5001", "what follows /ip4 is no such address"),
    ("/ip4/::1/tcp/5001", "what follows /ip4 is no such address"),
    ("/ip6/fe80::1%eth0/tcp/5001", "what follows /ip6 is no such address"),
    ("/dns/a b/tcp/5001", "what follows /dns is no name of a host"),
    ("/dns/u@h/tcp/5001", "what follows /dns is no name of a host"),
    ("/dns//tcp/5001", "what follows /dns is no name of a host"),
    ("/dns/a/tcp/0", "what follows /tcp is no port"),
    ("/dns/a/tcp/65536", "what follows /tcp is no port"),
    ("/dns/a/tcp/x", "what follows /tcp is no port"),
    ("/dns/a/tcp/1/ws", "after the port there may be /http, /https or /tls/http"),
    (f"/dns/a/tcp/1/p2p/{PEER}", "after the port there may be"),
    ("$HOME/api", "of all variables only $IPFS_PATH is replaced"),
    ("$IPFS_PATHX/api", "of all variables only $IPFS_PATH is replaced"),
    ("./a$IPFS_PATH", "of all variables only $IPFS_PATH is replaced"),
    (" http://localhost:5001", "begins or ends with a space"),
]


@pytest.mark.parametrize(("written", "message"), WRONG)
def test_what_is_no_address(folder, written: str, message: str) -> None:
    [problem] = folder.problems(f"{HEAD}node: {{api: '{written}'}}\n")
    assert problem.startswith("pinrec.yaml:3:13: "), problem
    assert message in problem
    assert "SECRET" not in problem


@given(text=st.text(max_size=30) | st.text("/ip46dnst:.c0158-", max_size=40).map(lambda t: f"/ip4/{t}"))
def test_any_text_is_an_address_a_file_or_wrong(text: str) -> None:
    try:
        url = None if is_path(text) else api_url(text)
    except AddressError:
        return
    assert url is None or api_url(url) == url


# --- everything else --------------------------------------------------------------------------------------------

PROBLEMS = [
    ("", "3:6", '`node` must be a mapping: {api: "http://127.0.0.1:5001"}, or {}'),
    ("SECRET", "3:7", "`node` must be a mapping"),
    ("[]", "3:7", "`node` must be a mapping"),
    ("{url: SECRET}", "3:8", '"url" is no key of `node` (known: api, token, timeout, peerId, insecure)'),
    ("{peerid: SECRET}", "3:8", '"peerid" is no key of `node` (did you mean peerId?)'),
    ("{api: }", "3:13", "`api` must be a text, not nothing"),
    ("{api: ''}", "3:13", "`api` must not be empty"),
    ("{api: 5001}", "3:13", "`api` must be a text, not a number"),
    ("{token: SECRET}", "3:15", "a key is never written into a manifest"),
    ("{token: {env: SECRET-x}}", "3:21", "`env` must be the name of an environment variable"),
    ("{timeout: 0}", "3:17", "`timeout` must be more than 0"),
    ("{timeout: 0s}", "3:17", "`timeout` must be a duration such as 30s or 2min"),
    ("{timeout: soon}", "3:17", "`timeout` must be a duration such as 30s or 2min"),
    ("{timeout: 3601}", "3:17", "`timeout` must be at most 3600"),
    ("{peerId: SECRET}", "3:16", "`peerId` must be a peer id as `ipfs id` shows it"),
    (f"{{peerId: {PEER}x}}", "3:16", "`peerId` must be a peer id"),
    ("{peerId: bafzaajaiaejca4syrpdu6gdx4wsdnokxkprgzxf4wrstuc34gxw5k5jrag2so5gk}", "3:16", "must be a peer id"),
    ("{insecure: yes}", "3:18", "`insecure` must be true or false"),
    ("{api: 'http://kubo.example.com:5001', token: {env: T}}", "3:13", "the token could be read on the way"),
    ("{api: /dns4/kubo/tcp/5001, token: {env: T}}", "3:13", "(use https, or say insecure: true)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message"), PROBLEMS, ids=[p[0] or "nothing" for p in PROBLEMS])
def test_what_is_wrong(folder, text: str, place: str, message: str) -> None:
    [problem] = folder.problems(f"{HEAD}node: {text}\n")
    assert problem.startswith(f"pinrec.yaml:{place}: "), problem
    assert message in problem
    assert "SECRET" not in problem


@pytest.mark.parametrize(
    "text",
    [
        "{api: 'http://kubo.example.com:5001'}",
        "{api: 'http://kubo.example.com:5001', token: {env: T}, insecure: true}",
        "{api: 'https://kubo.example.com:5001', token: {env: T}}",
        "{api: 'http://10.0.0.7:5001', token: {env: T}}",
        "{api: 'http://localhost:5001', token: {env: T}}",
    ],
)
def test_where_a_token_may_go(folder, text: str) -> None:
    assert node(folder, text).api


@pytest.mark.parametrize("peer", [PEER, f"Qm{'a' * 44}", f"16Uiu2HA{'k' * 45}"])
def test_peer_ids(folder, peer: str) -> None:
    text = f"{HEAD}node: {{peerId: {peer}}}\n"
    if len(peer) == 53:
        assert "peerId" in folder.problems(text)[0], "one character short"
    else:
        assert folder.load(text).node.peer_id == peer


# --- included files -----------------------------------------------------------------------------------------------


def test_it_may_stand_in_an_included_file(folder) -> None:
    folder.write("team/node.yaml", "\nnode: {api: ./api, token: {file: t}}\n")
    found = folder.load(f"{HEAD}include: team/node.yaml\n").node
    assert found == Node(
        api_file=str(folder.path / "team/api"),
        token=SecretRef(kind="file", value=(str(folder.path / "team/t"),)),
        file=os.path.normpath(Path("team/node.yaml")),
        line=2,
    )


def test_there_is_one_node(folder) -> None:
    folder.write("node.yaml", "x-a: 1\nnode: {}\n")
    [problem] = folder.problems(f"{HEAD}node: {{}}\ninclude: node.yaml\n")
    assert problem == ("node.yaml:2:1: the node is declared at pinrec.yaml:3 too (a manifest has one node)")
