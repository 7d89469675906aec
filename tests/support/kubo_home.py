"""A sandbox node with pinning services of its own, and pinrec beside it."""

import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.sandbox import Sandbox
from reconciler.sandbox.node import SandboxNode

if TYPE_CHECKING:
    from tests.cli.conftest import Result, World

KEY = "canary-key-0123456789"
SECOND = "canary-key-of-the-second"
NOTHING = "No changes. The services hold what the manifest says.\n"
#: Calls that show keys, or are given one.
SECRET_CALLS = {"config", "config/profile/apply", "diag/cmds", "pin/remote/service/add"}


@dataclass
class Home:
    """A node with services of its own, and pinrec beside it."""

    world: "World"
    node: SandboxNode

    @property
    def mfs(self) -> str:
        return f"policy/{self.node.peer_id}/mfs"

    def service(self, name: str, sandbox: Sandbox, key: str = KEY, **mfs: object) -> None:
        self.node.state.settings.add_service(name, sandbox.url, key=key, **mfs)  # type: ignore[arg-type]  # as it has them

    def switch_off(self, *names: str) -> None:
        for name in names:
            self.node.state.settings.set(f"Pinning.RemoteServices.{name}.Policies.MFS.Enable", value=False)

    def pin(self, content: bytes, name: str = "") -> str:
        """A recursive pin of the node's user."""
        cid = self.node.add(content)
        query = urllib.parse.urlencode({"arg": cid, **({"name": name} if name else {})})
        request = urllib.request.Request(f"{self.node.api}/api/v0/pin/add?{query}", method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            answer.read()
        return cid

    def imported(self, *args: str, code: int = 0) -> tuple[str, str]:
        """The manifest, and what was said."""
        self.node.forget_requests()
        result = self.world.run(
            "import", "--kubo", self.node.api, *args, "--owner", "acme", "--out", "new.yaml"
        )
        assert result.code == code, result.err
        assert not {request.command for request in self.node.requests} & SECRET_CALLS
        text = Path("new.yaml").read_text()
        for secret in (KEY, SECOND):
            assert secret not in text + result.out + result.err
        return text, result.err

    def plan(self, *args: str) -> "Result":
        return self.world.run("plan", "-f", "new.yaml", *args)

    def nothing_to_do(self, says: str = NOTHING) -> None:
        planned = self.plan("--detailed-exitcode")
        assert (planned.code, planned.out[-len(says) :]) == (0, says), planned.out + planned.err


def put(
    sandbox: Sandbox, name: str | None, of: str, *, key: str = KEY, status: str = "pinned", at: int = 0
) -> None:
    created = f"2026-01-01T00:{at // 60:02d}:{at % 60:02d}.000Z"
    sandbox.store.put(key, of, name=name, status=status, meta={}, created=created)  # type: ignore[arg-type]  # one of four
