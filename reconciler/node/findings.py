"""What the doctor found out about a node, as data."""

from typing import Literal

from msgspec import Struct

from reconciler.core.errors import EXIT_OK, EXIT_PARTIAL

NODE_EXAMINATION_FORMAT = "1.0"

Topic = Literal["version", "identity", "reachability", "mfs", "lazy", "policy", "gc"]
Level = Literal["ok", "note", "warning", "problem", "unknown"]


class NodeFinding(Struct, frozen=True, kw_only=True):
    """One thing. `unknown`: it could not be found out, and the text says why. `command` is what a person may
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
        return EXIT_PARTIAL if any(f.level == "unknown" for f in self.findings) else EXIT_OK
