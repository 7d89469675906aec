"""What the doctor found out about a node, as data."""

from typing import Literal

from msgspec import Struct

from reconciler.core.errors import EXIT_BLOCKED, EXIT_OK, EXIT_PARTIAL, worst_exit

NODE_EXAMINATION_FORMAT = "1.0"

Topic = Literal["version", "identity", "reachability", "mfs", "lazy", "policy", "gc"]
Level = Literal["ok", "note", "warning", "problem", "unknown"]


class NodeFinding(Struct, frozen=True, kw_only=True):
    """One thing. `problem`: pinrec cannot do its work with this node until it is mended. `unknown`: it could not be
    found out, and the text says why. `command` is what a person may
    run to mend it; both texts may hold words of the node, which are untrusted."""

    topic: Topic
    level: Level
    text: str
    hint: str = ""
    command: str = ""


class StatCost(Struct, frozen=True, kw_only=True):
    """What a `files/stat /` took, in milliseconds. `first` was the first, before anything was in a cache."""

    samples: int
    first: float
    median: float
    p95: float


class Mfs(Struct, frozen=True, kw_only=True):
    """The root of MFS. `entries` are those of the root directory, -1 if they were not counted to the end."""

    cid: str
    size: int
    entries: int = -1


class NodeExamination(Struct, frozen=True, kw_only=True):
    """`pinrec doctor --node`. `public` are the addresses that a service on the public network is told."""

    format: str = NODE_EXAMINATION_FORMAT
    pinrec: str
    node: str
    date: str
    version: str
    peer_id: str
    addresses: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    mfs: Mfs | None = None
    stat: StatCost | None = None
    findings: tuple[NodeFinding, ...] = ()
    requests: int = 0
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        levels = {f.level for f in self.findings}
        return worst_exit(
            EXIT_PARTIAL if "unknown" in levels else EXIT_OK, EXIT_BLOCKED if "problem" in levels else EXIT_OK
        )
