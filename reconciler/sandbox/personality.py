"""How the sandbox departs from the API where the API leaves room or services take it, as data.

The default is the API to the letter. A personality never decides anything itself: the modules that do the work read
its fields. `personalities.py` has a row for each service, `quirks.py` a name for each field.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from reconciler.sandbox.content import Serves

SecondAdd = Literal["new", "overwrite", "same", "stuck", "refused"]
SameCidReplace = Literal["newId", "inPlace", "loses"]
Precision = Literal["ns", "us", "ms", "s"]
Filter = Literal["cid", "name", "match", "meta", "status", "before", "after", "limit"]
Shape = Literal[
    "failure", "reason-only", "no-reason", "no-details", "crust", "fastify", "html", "text", "array", "empty"
]
Deleted = Literal["202", "200", "200-text", "200-object", "204"]

#: Microseconds in one step of `created`, as it is kept. Nanoseconds are kept as microseconds and made up when shown.
STEPS: dict[Precision, int] = {"ns": 1, "us": 1, "ms": 1_000, "s": 1_000_000}


class Personality(Struct, frozen=True, kw_only=True):
    """One service's habits. Defaults: API v1.0.0. Times are seconds."""

    name: str = "spec"

    # --- adding, replacing, deleting ------------------------------------------------------------------------------
    #: What a POST of a CID that is there does: another pin, renew the pin with the new name and meta,
    #: answer with the pin as it is, make a pin that stays queued for ever, or refuse with 400.
    second_add: SecondAdd = "new"
    #: When two CIDs are one, to an add and to a replace: if they lead to the same blocks, or if they are one text.
    same_cid: Literal["dag", "text"] = "dag"
    #: POST /pins/{id} with another CID. "loses": the new pin starts queued, with the meta of the old one and
    #: without the meta and the origins that were sent. "edits": the pin keeps its id. "refused": 501.
    replace: Literal["keeps", "loses", "edits", "refused"] = "keeps"
    #: POST /pins/{id} with the same CID: a new id; what is sent edited in place, `created` and what is not sent
    #: stay; or the pin is gone although the answer says that it is queued.
    same_cid_replace: SameCidReplace = "newId"
    #: For so long a pin that came by a replace is shown as failed before it goes its way.
    failed_moment: float = 0
    #: "queued": a POST is always answered so, whatever the pin is at the next look. "by-name": queued for ever
    #: unless the name begins with `pinning-`, `pinned-` or `failed-`.
    starts: Literal["lifecycle", "queued", "by-name"] = "lifecycle"
    #: "cid": the CID as it was sent is the requestid, so a CID in one spelling exists once.
    #: "integer" is one as a text, "number" one in JSON.
    requestid: Literal["uuid", "cid", "integer", "number", "base64"] = "uuid"
    #: "echoed": in the answer to the POST and never again.
    meta: Literal["kept", "dropped", "echoed"] = "kept"
    #: "dropped": never shown. "refused": 400 INVALID_ORIGINS for whatever address is given.
    origins: Literal["kept", "dropped", "refused"] = "kept"
    #: How much of a body is checked. "loose": null is as good as absent, and origins need no /p2p/. "coerced": what
    #: is no text is made one, and nothing has a length. "none": no `cid` will do, too.
    body_check: Literal["strict", "loose", "coerced", "none"] = "strict"
    #: A POST without `cid`: refused, 200 with an empty body and no effect, or a pin that has none.
    no_cid: Literal["400", "200-empty", "pins"] = "400"
    #: POST /pins/{id} with an id that cannot be one: 404, or 400 with an error and a PinStatus in one body, and the
    #: pin is there.
    strange_id: Literal["404", "pins"] = "404"

    # --- how a pin is shown ---------------------------------------------------------------------------------------
    cid_echo: Literal["sent", "base32", "v1"] = "sent"
    #: Whether a pin without a name is shown with its CID as the name.
    name_is_cid: bool = False
    #: Name, origins and meta that a pin does not have.
    absent: Literal["omitted", "null", "empty"] = "omitted"
    #: Step in which `created` is shown and filtered, and that of the answer to a POST if it is another.
    precision: Precision = "ms"
    post_precision: Precision | None = None
    #: Whether no two pins of an account get one `created`. Only at "ms": whole seconds cannot be unique.
    unique: bool = True
    #: Offset from UTC in which `created` is shown.
    offset: str = "Z"
    #: Digits of `created` after the seconds: as the precision has them, without zeros at the end, or at least three.
    zeros: Literal["kept", "stripped", "padded"] = "kept"
    id_key: Literal["requestid", "requestId"] = "requestid"
    delegates: Literal["some", "four", "none", "private"] = "some"
    info: Mapping[str, str] = {}
    #: Whether there are members that the API does not know.
    extra_members: bool = False

    # --- listings ---------------------------------------------------------------------------------------------------
    order: Literal["newest", "oldest", "unsorted"] = "newest"
    #: Whether `before` and `after` include their own instant.
    edges: Literal["exclusive", "inclusive", "before-inclusive", "after-inclusive"] = "exclusive"
    #: `before` and `after` are cut to this before they are compared.
    edge_step: Precision | None = None
    #: `count`: all that match, results + 1 when there are more, the length of the page, or all pins of the account.
    count: Literal["total", "plus1", "page", "unfiltered"] = "total"
    #: None: all.
    default_limit: int | None = 10
    #: Pages are cut to this, whatever `limit` says.
    page_cap: int | None = None
    #: Whether a limit above 1000 is obeyed, not refused.
    large_limit: bool = False
    #: "zero": limit=0 gives an empty page. "none": whatever is no number from 1 to 1000 gives everything.
    limit_check: Literal["strict", "zero", "none"] = "strict"
    #: What a listing without `status` shows. "required": 400.
    default_status: Literal["pinned", "all", "required"] = "pinned"
    #: "none": a status that there is not is one that no pin has.
    status_check: Literal["strict", "none"] = "strict"
    #: Whether `status=` with nothing is as if it were absent.
    empty_status: bool = False
    #: `before` and `after`. "z": only in UTC with a `Z`. "none": what is no instant is as if it were absent.
    instant_check: Literal["strict", "z", "none"] = "strict"
    #: Parameters that are neither checked nor obeyed.
    ignored: frozenset[Filter] = frozenset()
    #: "lenient": an unknown one is `exact`. "exact": all are. "broken": iexact and ipartial find everything, partial
    #: finds nothing.
    match: Literal["obeyed", "lenient", "exact", "broken"] = "obeyed"
    #: "text": only the same spelling. "alone": that, and every other filter is then ignored.
    cid_filter: Literal["obeyed", "text", "alone"] = "obeyed"
    #: "nothing": no pin ever matches. "error": 500.
    meta_filter: Literal["obeyed", "nothing", "error"] = "obeyed"
    #: What is wrong in a query: 400, 500, or a list of nothing.
    bad_query: Literal["400", "500", "empty"] = "400"
    #: A page with nothing in it.
    empty_list: Literal["list", "null", "404"] = "list"
    #: New pins are listed so much later; GET by id shows them at once.
    visible_after: float = 0

    # --- codes and bodies ---------------------------------------------------------------------------------------------
    #: Status code of a successful POST, and of a replace if it is another.
    accepted: int = 202
    replaced: int | None = None
    replace_body: Literal["status", "empty"] = "status"
    deleted: Deleted = "202"
    #: DELETE of what is not there.
    missing_delete: int = 404
    #: Whether the scheme of the token must be written `Bearer`, and one space follow.
    bearer: Literal["any-case", "exact"] = "any-case"
    #: Without a token, and with one that is not known. 200: let in, as the first account.
    missing_token: int = 401
    wrong_token: int = 401
    errors: Shape = "failure"
    #: Where they look otherwise: the refusal of a pin that is not there, and of a CID that is none in a POST.
    missing_errors: Shape | None = None
    bad_cid_errors: Shape | None = None
    #: A method that a path does not have: 405, or as a path that is not there. "404-html": these are a web page.
    unknown_path: Literal["405", "404", "404-html"] = "405"
    #: "listing": GET /pins tells of a limit of 30 requests a minute. None is kept by that.
    rate_headers: Literal["none", "listing"] = "none"
    # --- content -------------------------------------------------------------------------------------------------
    #: What of the content of its pins it gives to those who ask, at its gateway and to peers. "root": the first block
    #: of each. "wrong": other bytes at the gateway.
    serves: Serves = "all"
    #: Whether there is a trustless gateway, and whether it wants the key. "none": 404 for everything.
    gateway: Literal["open", "key", "none"] = "open"

    # --- time ----------------------------------------------------------------------------------------------------
    #: How far the clock is ahead, of `created` and of the Date header.
    clock: float = 0

    def __post_init__(self) -> None:
        if self.requestid == "cid" and self.second_add in ("new", "stuck"):
            raise ValueError("a requestid that is the CID leaves no room for a second pin of that CID")
