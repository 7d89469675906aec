"""What all tests share: programs that may be missing, hypothesis's profile, a state of their own."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
#: Set by .ci/run: what can be installed from npm must be there, and its absence fails instead of skipping.
REQUIRE_NODE = os.environ.get("PINREC_REQUIRE_NODE") == "1"

# A loaded machine is no failure, so nothing depends on time. A failing example prints how to play it again.
settings.register_profile(
    "pinrec", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow], max_examples=60
)
settings.register_profile("long", settings.get_profile("pinrec"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "pinrec"))


def missing(marker: str) -> str:
    """Why tests with a marker cannot run here, or ""."""
    kit = os.environ.get("PINREC_COMPLIANCE_KIT", "")
    node = "" if shutil.which("node") else "`node` is not on PATH"
    packages = "" if (ROOT / "tests/node/node_modules").is_dir() else "run `npm ci` in tests/node first"
    ipfs = "" if shutil.which("ipfs") else "`ipfs` (Kubo) is not on PATH"
    cluster = "" if shutil.which("ipfs-cluster-service") else "`ipfs-cluster-service` is not on PATH"
    reasons = {
        "node": ("" if REQUIRE_NODE else node or packages),
        "compliance": ("" if kit else "PINREC_COMPLIANCE_KIT names no folder of the upstream compliance tool")
        or ("" if REQUIRE_NODE else node),
        "kubo": ipfs,
        "cluster": ipfs or cluster,
    }
    return reasons[marker]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = {marker: missing(marker) for marker in ("node", "compliance", "kubo", "cluster")}
    for item in items:
        for marker, reason in why.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"not run here: {reason}"))


@pytest.fixture(autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the state, keys or proxies of the person who runs it."""
    monkeypatch.setenv(
        "PINREC_STATE_DIR", str(tmp_path_factory.getbasetemp() / f"state-{os.urandom(4).hex()}")
    )
    for name in (
        "NO_COLOR",
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
