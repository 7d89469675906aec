"""What a policy must know before it can say what it wants, as data: questions, and the answers to them.

A policy asks; somebody else (`engine.facts`) finds out; then the policy is a pure function of the answers. What
could not be found out is `NotKnown`, a value of its own and never an absence.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from reconciler.core.cid import Cid

# --- questions ------------------------------------------------------------------------------------------------


class WhoIsIt(Struct, frozen=True):
    """The identity of the node. Answer: `Identity`."""


class StatOf(Struct, frozen=True):
    """What is at an MFS path. Answer: `Stat`, or `Missing`."""

    path: str


class KuboPolicies(Struct, frozen=True):
    """The remote pinning services that the node's own configuration names. Answer: `KuboServices`."""


class Resolve(Struct, frozen=True):
    """Where a path of any kind leads now: `/ipns/<name or key>`, `/ipns/<domain>`, `/ipfs/<cid>/<path>`. Answer:
    `Resolved`."""

    path: str


class FolderOf(Struct, frozen=True, kw_only=True):
    """The CID that a local folder or file would have if it were imported. Answer: `Folder`.

    `path` is absolute; `ignore` are globs of names or relative paths; `wrap` puts a folder around it; `layout` is
    the UnixFS profile.
    """

    path: str
    ignore: tuple[str, ...] = ()
    wrap: bool = False
    layout: str = "kubo-v1"


class NamedPins(Struct, frozen=True):
    """The node's own recursive pins whose name matches a glob. Answer: `LocalPins`."""

    match: str


Question = WhoIsIt | StatOf | KuboPolicies | Resolve | FolderOf | NamedPins

# --- answers --------------------------------------------------------------------------------------------------


class Identity(Struct, frozen=True, kw_only=True):
    """`id` of a node. `addresses` are multiaddrs with `/p2p/<peer id>` at their end, as the node gave them."""

    peer_id: str
    addresses: tuple[str, ...] = ()
    agent: str = ""


class Stat(Struct, frozen=True, kw_only=True):
    """`files/stat`. `size` is CumulativeSize, in bytes; `empty` is true of a directory without entries and of a
    file without bytes."""

    cid: Cid
    size: int
    kind: Literal["directory", "file"]
    empty: bool = False


class Missing(Struct, frozen=True):
    """The node answered, and nothing is there. `what` says where."""

    what: str


class KuboService(Struct, frozen=True, kw_only=True):
    """`Pinning.RemoteServices.<name>` of Kubo's configuration, which never shows its key.

    `pin_name` is as Kubo takes it: `policy/<PeerID>/mfs` if none is configured. `repin_interval` is the text of
    the configuration, "" if there is none (Kubo's default is 5m).
    """

    name: str
    endpoint: str
    mfs_enabled: bool = False
    pin_name: str = ""
    repin_interval: str = ""


class KuboServices(Struct, frozen=True):
    services: tuple[KuboService, ...] = ()


class Resolved(Struct, frozen=True, kw_only=True):
    """Where a path led. `via` says how it was found ("the node", "DNSLink and the gateway example.org")."""

    cid: Cid
    via: str = ""


class Folder(Struct, frozen=True, kw_only=True):
    """A local folder as UnixFS. `size` is the cumulative size of the DAG in bytes."""

    cid: Cid
    size: int
    files: int
    empty: bool = False


class LocalPins(Struct, frozen=True):
    """(name, CID) of each, by name."""

    pins: tuple[tuple[str, Cid], ...] = ()


class NotKnown(Struct, frozen=True, kw_only=True):
    """No answer: the node is down, did not answer in time, or said something that is no answer."""

    why: str
    #: What a person may do about it.
    hint: str = ""


Answer = Identity | Stat | Missing | KuboServices | Resolved | Folder | LocalPins | NotKnown


class Facts(Struct, frozen=True):
    """The answers of one cycle. A question that nobody asked is not known either."""

    answers: Mapping[Question, Answer] = {}

    def __getitem__(self, question: Question) -> Answer:
        return self.answers.get(question, NotKnown(why="nobody asked"))
