"""`verify:` of a service: the address of its gateway, and which key may go where."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.core.errors import ManifestError
from reconciler.core.manifest import LoopVerify, Service
from reconciler.manifest import load_manifest

Load = Callable[[str], Service]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(verify: str, *, endpoint: str = "https://api.example.com/psa", more: str = "") -> Service:
        path = tmp_path / "pinrec.yaml"
        path.write_text(
            "version: 1\nname: acme\nservices:\n"
            f"  box: {{endpoint: '{endpoint}', key: {{env: BOX_KEY}}, verify: {{{verify}}}{more}}}\npins: []\n"
        )
        return load_manifest(str(path)).services["box"]

    return read


@pytest.mark.parametrize(
    "written",
    ["https://Gateway.example.com", "https://gateway.example.com/", "https://gateway.example.com/ipfs/"],
)
def test_one_address_however_it_is_written(load: Load, written: str) -> None:
    found = load(f"gateway: '{written}'").verify
    assert found is not None
    assert (found.gateway, found.key) == ("https://gateway.example.com", None)


def test_which_key_goes_there(load: Load) -> None:
    def key(verify: str, **more: str) -> object:
        found = load(verify, **more).verify
        assert found is not None
        return found.key and str(found.key)

    assert key("gateway: 'https://api.example.com', key: false") is None
    assert key("gateway: 'https://api.example.com', key: true") == "env: BOX_KEY"
    assert key("gateway: 'https://api.example.com:8443', key: true") == "env: BOX_KEY"
    assert key("gateway: 'https://other.example.com', key: {env: GATEWAY_KEY}") == "env: GATEWAY_KEY"
    assert key("gateway: 'http://10.0.0.1:8080', key: {env: GATEWAY_KEY}") == "env: GATEWAY_KEY"
    insecure = ", insecure: true"
    assert key("gateway: 'http://x.example.com', key: {env: GATEWAY_KEY}", more=insecure) is not None


@pytest.mark.parametrize(
    ("verify", "says"),
    [
        ("gateway: 'https://other.example.com', key: true", "goes to api.example.com only"),
        ("gateway: 'http://api.example.com', key: true", "goes to api.example.com only"),
        ("gateway: 'http://x.example.com', key: {env: G}", "plain http"),
        ("gateway: 'https://user:secret@x.example.com'", "no user name or password"),
        ("gateway: 'ipfs.example.com'", "must begin with https:// or http://"),
        ("gateway: 'https://x.example.com', key: 5", "`key` must be"),
        ("key: true", "gateway"),
        ("gateway: 'https://x.example.com', gatway: 1", "gatway"),
    ],
)
def test_what_is_wrong_is_told(load: Load, verify: str, says: str) -> None:
    with pytest.raises(ManifestError) as raised:
        load(verify)
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_loop_looks_only_where_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "pinrec.yaml"

    def pace(loop: str) -> LoopVerify | None:
        path.write_text(f"version: 1\nname: acme\nservices: {{}}\npins: []\nloop: {loop}\n")
        return load_manifest(str(path)).loop.verify

    assert pace("{}") is None
    assert pace("{verify: {}}") == LoopVerify(interval=86400.0, pins=10, sample=3)
    assert pace("{verify: {interval: 6h, pins: 2, sample: 0}}") == LoopVerify(
        interval=21600.0, pins=2, sample=0
    )
