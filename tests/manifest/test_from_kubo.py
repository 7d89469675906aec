"""What Kubo's configuration becomes in a manifest. Whole imports are in tests/cli/test_import_kubo.py."""

import pytest

from reconciler.core.question import KuboService, KuboServices
from reconciler.manifest.from_kubo import Policies, declare, policies_for

PEER = "12D3KooWQYbwuuY1VtJDBw9XtFoGq6Z1J4bRGRcVnpwbjvvkQ8mG"
OWN = f"policy/{PEER}/mfs"


def service(
    name: str,
    endpoint: str = "https://psa.example.com",
    *,
    enable: bool = False,
    pin_name: str = OWN,
    interval: str = "",
) -> KuboService:
    return KuboService(
        name=name, endpoint=endpoint, mfs_enabled=enable, pin_name=pin_name, repin_interval=interval
    )


def policies(*services: KuboService, **held: dict[str, int]) -> Policies:
    declared = declare(KuboServices(services))
    holding = {s.name: held.get(s.name, {OWN: 1}) for s in declared}
    return policies_for(declared, holding, peer_id=PEER, check=lambda _: None)


@pytest.mark.parametrize(
    ("endpoint", "raw"),
    [
        ("https://api.pinata.cloud/psa/", {"preset": "pinata"}),
        (
            "https://api.pinata.cloud/other",
            {"preset": "pinata", "endpoint": "https://api.pinata.cloud/other"},
        ),
        ("https://api.filebase.io/v1/ipfs", {"preset": "filebase"}),
        ("http://127.0.0.1:9097", {"preset": "ipfs-cluster"}),
        ("http://127.0.0.1:9098", {"endpoint": "http://127.0.0.1:9098"}),
        ("http://api.pinata.cloud/psa", {"endpoint": "http://api.pinata.cloud/psa", "insecure": True}),
        ("HTTPS://Example.com//", {"endpoint": "https://example.com"}),
    ],
)
def test_endpoints_are_normalised_and_known_ones_have_their_preset(
    endpoint: str, raw: dict[str, object]
) -> None:
    [made] = declare(KuboServices((service("x", endpoint),)))
    assert made.raw == {**raw, "key": {"env": "X_KEY"}}


def test_an_endpoint_that_may_hold_a_key_is_not_repeated() -> None:
    [made] = declare(KuboServices((service("x", "https://user:secret@example.com"),)))
    assert not made.raw
    assert "secret" not in made.why
    assert "user name or password" in made.why


def test_one_endpoint_under_two_names_is_told_of() -> None:
    first, second = declare(KuboServices((service("a"), service("b", "https://psa.example.com/"))))
    assert not first.notes
    assert second.notes == ("The endpoint of a: if it is the same account, keep only one of the two.",)


@pytest.mark.parametrize(
    ("kubo", "written", "note"),
    [
        ("", "5m", ""),
        ("1m", "1m", ""),
        ("1h30m", "1h30m", ""),
        ("1m0s", "1m0s", ""),
        (".5h", "1800s", 'Kubo\'s RepinInterval here is ".5h".'),
        ("1500us", "0.002s", 'Kubo\'s RepinInterval here is "1500us".'),
        ("0s", "0.001s", 'Kubo\'s RepinInterval here is "0s".'),
        ("999999h", "99999s", 'Kubo\'s RepinInterval here is "999999h".'),
        (
            "soon",
            "5m",
            'Kubo\'s RepinInterval here is "soon", which Kubo cannot read either: it pins nothing here.',
        ),
        (
            "-5m",
            "5m",
            'Kubo\'s RepinInterval here is "-5m", which Kubo cannot read either: it pins nothing here.',
        ),
    ],
)
def test_intervals(kubo: str, written: str, note: str) -> None:
    made = policies(service("a", enable=True, interval=kubo))
    assert made.raws == {"all-in-mfs": {"repinInterval": written}}
    assert made.at["a"] == ((note,) if note else ())


def test_names_of_policies_are_apart() -> None:
    made = policies(
        service("a", enable=True, pin_name="my mfs"),
        service("b", "https://b.example.com", enable=True, pin_name="my-mfs"),
        a={"my mfs": 1},
        b={},
    )
    assert made.raws == {
        "mfs-my-mfs": {"kind": "mfs", "path": "/", "pinName": "my mfs", "repinInterval": "5m"},
        "mfs-my-mfs-2": {"kind": "mfs", "path": "/", "pinName": "my-mfs", "repinInterval": "5m"},
    }
    assert made.uses == {"a": ["mfs-my-mfs"], "b": ["mfs-my-mfs-2"]}
    assert made.adopt == ("my mfs", "my-mfs")


def test_a_service_that_was_not_listed_has_no_policy() -> None:
    declared = declare(KuboServices((service("a", enable=True),)))
    assert policies_for(declared, {}, peer_id=PEER, check=lambda _: None) == Policies()
