"""All nine checks of the upstream compliance tool, as it comes from npm and in both of its paces.

PINREC_COMPLIANCE_KIT names a folder whose `run.sh ENDPOINT TOKEN` runs the tool offline and fails unless all its
checks ran and passed. Its npm packages are installed into a copy, once per session; PINREC_NODE_DIR names a folder
that keeps the copy from one session to the next.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.sandbox import Sandbox

pytestmark = pytest.mark.compliance
#: An account in use is a harder case than an empty one.
FOREIGN = (
    "bafkqaaa",
    "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR",
    "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
)
REPORT = "node_modules/@ipfs-shipyard/pinning-service-compliance/dist/docs/127.0.0.1.json"


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = os.environ.get("PINREC_COMPLIANCE_KIT")
    if not source:
        pytest.skip("PINREC_COMPLIANCE_KIT is not set: it names the folder of the upstream compliance tool")
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"PINREC_COMPLIANCE_KIT is set, and `{program}` is not on PATH")
    kept = os.environ.get("PINREC_NODE_DIR")
    copy = Path(kept) / "compliance" if kept else tmp_path_factory.mktemp("compliance")
    copy.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-r", f"{source}/.", str(copy)], check=True)
    subprocess.run(["chmod", "-R", "u+w", str(copy)], check=True)
    if not (copy / "node_modules").is_dir():
        done = subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=copy, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return copy


@pytest.mark.parametrize("pace", ["1", ""], ids=["as fast as it can", "one request a second"])
def test_all_nine_checks(kit: Path, pace: str) -> None:
    with Sandbox(["secret"]) as sandbox:
        for n, cid in enumerate(FOREIGN):
            sandbox.store.put("secret", cid, name=f"foreign-{n}")
        before = sandbox.store.all("secret")
        done = subprocess.run(
            ["./run.sh", sandbox.url, "secret"],
            cwd=kit, env=os.environ | {"PSA_FAST": pace}, capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        report = json.loads((kit / REPORT).read_text())
        assert (report["total"], report["passed"]) == (9, 9)
        assert sandbox.store.all("secret") == before, "the tool leaves what others pinned"
        assert all(0 < record.status < 500 for record in sandbox.requests)
