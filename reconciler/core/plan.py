"""The plan: actions as data, what guards found, and fingerprints of what it rests on.

The JSON of a `Plan` is the plan; text, Markdown and annotations are rendered from it. It holds no secret, no
endpoint and no address, so it can be posted to a pull request. Schema: `schemas/plan.schema.json`.
"""

from typing import Literal

from msgspec import Struct

from reconciler.core.errors import EXIT_BLOCKED, EXIT_CHANGES, EXIT_OK, EXIT_PARTIAL, worst_exit
from reconciler.core.local import LOCAL

#: `major.minor` of the JSON. A minor adds fields; a major changes what is there.
PLAN_FORMAT = "1.0"
#: Seconds after which a saved plan is refused.
PLAN_MAX_AGE = 24 * 3600

GuardName = Literal[
    "empty",
    "incomplete",
    "unknown",
    "import",
    "deletes",
    "replaces",
    "last-copy",
    "protected",
    "shrank",
    "disjoint",
    "held",
    "foreign-owner",
]


class PinRef(Struct, frozen=True, kw_only=True, gc=False):
    """A pin at the service of the action, as it was when the plan was made.

    Before a destructive request it is read again and must still be this: CID, name, owner, status, `created`.
    """

    requestid: str
    #: As listed.
    cid: str
    #: As listed; "" if absent.
    name: str
    owner: str
    status: str
    created: str


class FieldChange(Struct, frozen=True, kw_only=True):
    path: str
    old: str | None
    new: str | None


class ActionBase(Struct, frozen=True, kw_only=True, gc=False, tag_field="action", omit_defaults=True):
    """What all actions say: which key, why, and which line of the manifest (or "" for none) asks for it."""

    service: str
    name: str
    #: The CID the action is about: what is sent for an add, what is lost for a delete.
    cid: str
    reason: str
    origin: str = ""
    #: How a CID came that is not written in the manifest: "env: SITE_CID", "file: dist.cid"; else "".
    whence: str = ""
    #: Bytes of the whole DAG that is to be pinned, where somebody knows.
    size: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.service, self.name


class Add(ActionBase, frozen=True, kw_only=True, gc=False, tag="add"):
    """POST /pins: nothing of ours is there under the key."""

    reason: Literal["absent"]
    #: Foreign pins under the same name, which stay beside it.
    beside: int = 0


class Victim(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A pin that is to go, and what must be true when it does.

    Each key in `needs` (names at the same service, all that want its CID) must have a pinned copy of its own
    other than the victim; and, if `elsewhere` is not empty, one of those keys ("service", "name") a pinned copy
    at its service; and each service in `all_of` one of ours of what the manifest wants there under the name. All
    are read again right before the request.
    """

    ref: PinRef
    needs: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()
    all_of: tuple[str, ...] = ()


class Replace(ActionBase, frozen=True, kw_only=True, gc=False, tag="replace"):
    """One change: make the key hold another CID, another name or other meta.

    How: `safe` adds, waits until pinned, then deletes `olds`; `modify` is POST /pins/{requestid} with a new CID;
    `overwrite` is a POST of the CID that is there (ipfs-cluster); `inPlace` is POST /pins/{requestid} with the
    same CID (Helia); `shared` sends nothing: another key carries the CID here, and `olds` go once it is pinned.
    `target` is the pin that `modify` and `inPlace` address; `olds` are the pinned pins that yield to the new one,
    newest first.

    Reasons: `cid`, `meta`, `rename`; `revert`: a copy is there but older than another CID under the name; `rotate`:
    a new root of a policy that retains earlier ones, of which the oldest go.
    """

    reason: Literal["cid", "meta", "rename", "revert", "rotate"]
    how: Literal["safe", "modify", "overwrite", "inPlace", "shared"]
    old_cid: str
    #: The key a rename comes from, else "".
    was: str = ""
    target: Victim | None = None
    olds: tuple[Victim, ...] = ()
    changes: tuple[FieldChange, ...] = ()


class Retry(ActionBase, frozen=True, kw_only=True, gc=False, tag="retry"):
    """Everything under the key has failed: POST /pins again. `failed` as listed, newest first."""

    reason: Literal["failed"]
    failed: tuple[PinRef, ...] = ()


class Delete(ActionBase, frozen=True, kw_only=True, gc=False, tag="delete"):
    """DELETE /pins/{requestid} of the victim; with `stand`, in favour of that pin, which is read again too.

    Reasons: `undesired`, `expired`, `released` and `rotated` (the name leaves the service; only the first is counted
    by the guards, `released` is what a retiring service need not hold any more, `rotated` an earlier root beyond
    what its policy retains); `superseded` (the
    second half of a replace begun earlier), `duplicate`, `failed` (clean-up).
    """

    reason: Literal["undesired", "expired", "released", "rotated", "superseded", "duplicate", "failed"]
    victim: Victim
    #: The newest pinned pin of the key, to which the victim yields.
    stand: PinRef | None = None

    @property
    def leaves(self) -> bool:
        """Whether the name leaves the service by this."""
        return self.reason in ("undesired", "expired", "released", "rotated")


class Keep(ActionBase, frozen=True, kw_only=True, gc=False, tag="keep"):
    """Nothing to do, but worth a word. Plain keeps are only counted."""

    reason: Literal[
        "held",
        "waiting",
        "satisfied",
        "left",
        "suspended",
        "prune-off",
        "wait-second-half",
        "grace",
        "unknown",
        "switched-off",
    ]
    detail: str = ""
    #: The pin that is waited for, with reason `waiting`.
    requestid: str = ""


class Blocked(ActionBase, frozen=True, kw_only=True, gc=False, tag="blocked"):
    """What would be done if a guard had not fired; `resolve` is the command or line that lifts it, or ""."""

    would: Literal["add", "replace", "delete", "retry"]
    guard: GuardName
    reason: str
    resolve: str = ""
    #: Whether the action that is held back would make a name leave the service.
    leaves: bool = False


Action = Add | Replace | Retry | Delete | Keep | Blocked
Change = Add | Replace | Retry | Delete


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guard that fired, or something that is not known."""

    guard: GuardName
    #: `block` exits 4, `unknown` exits 3, `note` changes no exit code.
    severity: Literal["block", "unknown", "note"]
    message: str
    service: str = ""
    #: Some of the keys concerned; `count` is how many there are.
    keys: tuple[str, ...] = ()
    count: int = 0
    override: str = ""


class GuardLine(Struct, frozen=True, kw_only=True):
    """What the guards measured at a service, shown in every plan."""

    service: str
    leaving: int
    leaving_limit: int
    replacing: int
    replacing_limit: int
    ours: int


class Estimate(Struct, frozen=True, kw_only=True):
    """Requests of an apply and the least seconds they take under the declared limits (waiting not counted)."""

    requests: int
    seconds: float


class ServicePlan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One service in the plan."""

    service: str
    state: str = "active"
    profile: str = "unknown"
    reachable: bool = True
    complete: bool = True
    why: str = ""
    #: Pins listed there, foreign ones too.
    seen: int = 0
    #: Names there that bear our mark, and those that are adopted.
    ours: int = 0
    adopted: int = 0
    desired: int = 0
    unchanged: int = 0
    held: int = 0
    waiting: int = 0
    listing_requests: int = 0
    estimate: Estimate = Estimate(requests=0, seconds=0.0)
    #: What the profile or the state changed in what is done here, once per service.
    notes: tuple[str, ...] = ()


class Fingerprint(Struct, frozen=True, kw_only=True, array_like=True, order=True):
    requestid: str
    created: str
    cid: str
    name: str
    owner: str
    failed: bool


class Overrides(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the person allowed or narrowed on the command line. Travels in a saved plan."""

    allow_empty: bool = False
    allow_deletes: int | None = None
    allow_replaces: int | None = None
    allow_shrink: tuple[str, ...] = ()
    allow_disjoint: bool = False
    prune: bool = True
    destroy: bool = False
    services: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """See the module's docstring. `created` is RFC 3339 UTC, `digest` that of the resolved manifest."""

    format: str = PLAN_FORMAT
    pinrec: str
    id: str
    created: str
    owner: str
    manifest: str
    digest: str = ""
    #: CIDs that came from env or files, by "KIND: VALUE", so that an apply elsewhere needs neither.
    resolved: dict[str, str] = {}
    overrides: Overrides = Overrides()
    services: tuple[ServicePlan, ...]
    actions: tuple[Action, ...]
    findings: tuple[Finding, ...] = ()
    guards: tuple[GuardLine, ...] = ()
    #: "service/name" → what was there, for every key a change touches.
    fingerprints: dict[str, tuple[Fingerprint, ...]] = {}
    notes: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(a for a in self.actions if not isinstance(a, Keep | Blocked))

    @property
    def blocked(self) -> tuple[Blocked, ...]:
        return tuple(a for a in self.actions if isinstance(a, Blocked))

    @property
    def held(self) -> int:
        """Pins of somebody else that stand for ours at services; what the user of the node pinned is no finding."""
        return sum(s.held for s in self.services if s.service != LOCAL)

    def exit_code(self, *, detailed: bool = False) -> int:
        """The code `pinrec plan` ends with."""
        codes = [EXIT_OK]
        if any(f.severity == "unknown" for f in self.findings):
            codes.append(EXIT_PARTIAL)
        if self.blocked or any(f.severity == "block" for f in self.findings):
            codes.append(EXIT_BLOCKED)
        if detailed and self.changes:
            codes.append(EXIT_CHANGES)
        return worst_exit(*codes)
