"""What a manifest says, once it is read and found valid. Nothing here reads a file or an environment."""

import datetime
from typing import Literal

from msgspec import Struct

from reconciler.core.cid import Cid
from reconciler.core.policy import Policy, Retain
from reconciler.core.profile import Profile

DEFAULT_CONCURRENCY = 8
MAX_NAME_BYTES = 255
MAX_ORIGINS = 20


class SecretRef(Struct, frozen=True, kw_only=True):
    """Where a key is, never the key. `value`: variable name, file path (absolute), argv, or keyring entry."""

    kind: Literal["env", "file", "command", "keyring"]
    value: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {' '.join(self.value)}"


class Rate(Struct, frozen=True):
    """`count` requests in `seconds`."""

    count: float
    seconds: float

    def __str__(self) -> str:
        unit = {1.0: "s", 60.0: "min", 3600.0: "h"}.get(self.seconds, f"{self.seconds:g}s")
        return f"{self.count:g}/{unit}"


class Limits(Struct, frozen=True, kw_only=True):
    """How hard a service may be worked. `listing` is a separate limit for GET /pins where there is one (Pinata)."""

    requests: Rate | None = None
    listing: Rate | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    #: Seconds for one request as a whole.
    timeout: float = 60.0


class Verify(Struct, frozen=True, kw_only=True):
    """How it is found out whether what a service calls pinned can be retrieved.

    `gateway`: its own trustless gateway, normalised like an endpoint; `key` what that is sent, None for nothing.
    """

    gateway: str
    key: SecretRef | None = None


class Service(Struct, frozen=True, kw_only=True):
    """A declared pinning service. `endpoint` is normalised: no trailing slash, no `/pins`."""

    name: str
    endpoint: str
    key: SecretRef
    profile: Profile
    limits: Limits = Limits()
    ownership: Literal["meta", "prefix"] = "meta"
    state: Literal["active", "suspended", "retiring"] = "active"
    prune: bool = True
    insecure: bool = False
    verify: Verify | None = None
    preset: str = ""
    file: str = ""
    line: int = 0
    #: Fields of `profile` that the manifest itself gives, named as there: nothing that was found out beats them.
    profile_declared: tuple[str, ...] = ()
    #: What the plan says of where the profile comes from.
    profile_notes: tuple[str, ...] = ()


class Node(Struct, frozen=True, kw_only=True):
    """The Kubo node beside the services.

    `api` is the URL of its RPC API without a path (`http://127.0.0.1:5001`), or "" if it stands in `api_file`
    (`$IPFS_PATH/api`, a multiaddr), which is read when the node is asked. `timeout` is seconds for one request.
    """

    api: str = ""
    api_file: str = ""
    token: SecretRef | None = None
    timeout: float = 30.0
    #: The only node that is believed, if it is said.
    peer_id: str = ""
    insecure: bool = False
    file: str = ""
    line: int = 0


#: Two, so that the newer of two records can be told and one that is down hides nothing.
GATEWAYS = ("https://trustless-gateway.link", "https://ipfs.io")


class Names(Struct, frozen=True, kw_only=True):
    """Whom to ask where names and paths lead, if there is no node.

    `gateways` are URLs of trustless gateways; `dns` is the address of a DNS server, "" for the system's.
    """

    gateways: tuple[str, ...] = GATEWAYS
    dns: str = ""


class Window(Struct, frozen=True, kw_only=True):
    """When changes may be made: on `days` (0 is Monday), from minute `start` of the day up to minute `end`.

    An `end` that is not after `start` is of the day after: the window belongs to the day on which it opens.
    """

    days: tuple[int, ...]
    start: int = 0
    end: int = 1440
    #: As written.
    text: str = ""


class Webhook(Struct, frozen=True, kw_only=True):
    """Who is told when how a service stands has changed. A `url` may hold a secret, so it may be kept like one."""

    url: str | SecretRef
    secret: SecretRef | None = None
    insecure: bool = False


class LoopVerify(Struct, frozen=True, kw_only=True):
    """Every `interval` seconds `pins` pins of each service are looked at, with `sample` blocks below their roots."""

    interval: float = 86400.0
    pins: int = 10
    sample: int = 3


class Loop(Struct, frozen=True, kw_only=True):
    """How `pinrec run` goes about it. All times in seconds; `timezone` is that of `cron` and `windows`."""

    interval: float = 300.0
    #: In the place of `interval`, if it is not "".
    cron: str = ""
    jitter: float = 10.0
    #: The longest time between two whole listings of an account that is too large to be listed each time.
    full_sweep: float = 3600.0
    #: Between two looks at what is new at a service.
    incremental: float = 60.0
    plan_only: bool = False
    windows: tuple[Window, ...] = ()
    timezone: str = "UTC"
    webhook: Webhook | None = None
    #: None: never.
    verify: LoopVerify | None = None


class CidRef(Struct, frozen=True, kw_only=True):
    """A CID that is found elsewhere.

    `env`, `file`: where a build left it; resolved before any request, and unset or empty is an error. `path`: what
    `/ipns/…` or `/ipfs/<cid>/…` leads to when the plan is made; what leads nowhere is unknown.
    """

    kind: Literal["env", "file", "path"]
    value: str
    #: Absolute path for `file`.
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.value}"


class Replicas(Struct, frozen=True, kw_only=True):
    """`count` of the services `of`, chosen by rendezvous hash."""

    count: int
    of: tuple[str, ...]


class Spec(Struct, frozen=True, kw_only=True):
    """What all entries of one `pins:` item share; a list file of a million lines has one."""

    services: tuple[str, ...] | Replicas
    meta: dict[str, str] = {}
    origins: tuple[str, ...] = ()
    protect: bool = False
    expires: datetime.date | None = None
    #: `auto`: modify where the profile is known to keep the old pin until the new one is accepted.
    replace: Literal["safe", "modify", "auto"] = "safe"
    #: The policy that wants it, or "" for what `pins:` lists.
    policy: str = ""
    retain: Retain | None = None
    #: Whether the node beside the services is to hold it, too.
    local: bool = False
    #: The list file as written after `from:`, or "" for an entry written in the manifest.
    source: str = ""
    file: str = ""


class Entry(Struct, frozen=True, gc=False):
    """One wanted pin. `name` is "" for an unnamed pin; `line` is 1-based in `spec.file`."""

    name: str
    cid: Cid | CidRef
    spec: Spec
    line: int = 0


class Source(Struct, frozen=True, kw_only=True):
    """A list file: how many entries it gave, and the prefix of their names ("" if none)."""

    name: str
    entries: int
    name_prefix: str = ""
    services: tuple[str, ...] = ()


class Adopt(Struct, frozen=True, kw_only=True):
    match: str
    prune: bool = False


class Percent(Struct, frozen=True):
    value: float


class GuardLimits(Struct, frozen=True, kw_only=True):
    max_deletes: int | Percent | None = None
    max_replaces: int | Percent | None = None
    #: Seconds that a name stays before it may leave.
    delete_grace: float = 0.0


class Note(Struct, frozen=True, kw_only=True):
    """Something worth a line that is no error: lines folded, a service that nothing uses."""

    file: str
    line: int = 0
    message: str


class Manifest(Struct, frozen=True, kw_only=True):
    """Version 1, validated. Entries keep the order of the file."""

    owner: str
    previous_owners: tuple[str, ...] = ()
    services: dict[str, Service]
    entries: list[Entry]
    sources: tuple[Source, ...] = ()
    adopt: tuple[Adopt, ...] = ()
    ignore: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    unprotect: tuple[str, ...] = ()
    guards: GuardLimits = GuardLimits()
    node: Node | None = None
    names: Names = Names()
    #: Those that a service uses or the manifest declares, by name.
    policies: dict[str, Policy] = {}
    loop: Loop = Loop()
    #: Every file that was read for it, by absolute path: itself, what it includes, and list files.
    files: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    #: The file as the person named it, for messages.
    path: str = "pinrec.yaml"
