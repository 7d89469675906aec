"""How the sandbox departs from the API where the API leaves room or services take it, as data.

The default is the API to the letter. A personality never decides anything itself: `service.py` and `listing.py` read
its fields. Rows below are of services that were run and measured.
"""

from typing import Literal

from msgspec import Struct

SecondAdd = Literal["new", "overwrite", "same", "stuck"]
SameCidReplace = Literal["newId", "inPlace", "loses"]
Precision = Literal["us", "ms", "s"]
Filter = Literal["cid", "name", "match", "meta", "status", "before", "after", "limit"]

#: Microseconds in one step of `created`.
STEPS: dict[Precision, int] = {"us": 1, "ms": 1_000, "s": 1_000_000}


class Personality(Struct, frozen=True, kw_only=True):
    """One service's habits. Defaults: API v1.0.0."""

    name: str = "spec"
    #: What a POST of a CID that is there does: another pin, renew the pin with the new name and meta,
    #: answer with the pin as it is, or make a pin that stays queued for ever.
    second_add: SecondAdd = "new"
    #: "cid": the CID as it was sent is the requestid, so a CID in one spelling exists once.
    requestid: Literal["uuid", "cid"] = "uuid"
    meta: Literal["kept", "dropped"] = "kept"
    #: POST /pins/{id} with another CID. "loses": the new pin starts queued, with the meta of the old one and
    #: without the meta and the origins that were sent.
    replace: Literal["keeps", "loses"] = "keeps"
    #: POST /pins/{id} with the same CID: a new id; what is sent edited in place, `created` and what is not sent
    #: stay; or the pin is gone although the answer says that it is queued.
    same_cid_replace: SameCidReplace = "newId"
    #: Step in which `created` is shown and filtered.
    precision: Precision = "ms"
    #: Whether no two pins of an account get one `created`. Only at "ms": whole seconds cannot be unique.
    unique: bool = True
    order: Literal["newest", "oldest", "unsorted"] = "newest"
    #: Whether `before` and `after` include their own instant.
    edges: Literal["exclusive", "inclusive"] = "exclusive"
    #: `count`: all that match, results + 1 when there are more, or the length of the page.
    count: Literal["total", "plus1", "page"] = "total"
    default_limit: int = 10
    #: Pages are cut to this, whatever `limit` says.
    page_cap: int | None = None
    #: Whether a limit above 1000 is obeyed, not refused.
    large_limit: bool = False
    #: What a listing without `status` shows.
    default_status: Literal["pinned", "all"] = "pinned"
    #: Parameters that are neither checked nor obeyed.
    ignored: frozenset[Filter] = frozenset()
    #: Whether a pin without a name is shown with its CID as the name.
    name_is_cid: bool = False
    #: Status code of a successful POST.
    accepted: int = 202

    def __post_init__(self) -> None:
        if self.requestid == "cid" and self.second_add in ("new", "stuck"):
            raise ValueError("a requestid that is the CID leaves no room for a second pin of that CID")


SPEC = Personality()

#: ipfs-cluster 1.1.6.
CLUSTER = Personality(
    name="ipfs-cluster",
    second_add="overwrite",
    requestid="cid",
    replace="loses",
    same_cid_replace="loses",
    precision="s",
    unique=False,
    order="unsorted",
    edges="inclusive",
    large_limit=True,
    default_status="all",
    accepted=200,
)

#: @helia/pinning-service-api-server 1.0.4. A replace there gives up the old content at once, which only its loss
#: would show: through the API it looks as it should.
HELIA = Personality(
    name="helia",
    second_add="stuck",
    same_cid_replace="inPlace",
    unique=False,
    default_status="all",
    ignored=frozenset({"cid", "meta"}),
)
