"""What a pinning service really does, as data.

Each field is a question that the API leaves open or that services answer in their own way; `unknown` means that
nobody has measured it, and the careful choice is made. A preset is a row of this table. Sources: the measured and
recorded behaviour of each service (Kubo, ipfs-cluster and Helia were run, the others are from published reports).
"""

from typing import Literal

from msgspec import Struct

SecondAdd = Literal["new", "overwrite", "same", "stuck", "unknown"]
SameCidReplace = Literal["newId", "inPlace", "loses", "unknown"]
Modify = Literal["keeps", "loses", "unknown"]
Meta = Literal["kept", "dropped", "unknown"]
Order = Literal["newest", "oldest", "unsorted", "unknown"]
Count = Literal["total", "plus1", "page", "unknown"]
Edges = Literal["exclusive", "inclusive", "unknown"]
Filter = Literal["cid", "name", "meta", "status"]


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One row. Field names in YAML and JSON are camelCase."""

    name: str = "unknown"
    #: Largest page the service is known to give; it is always asked for 1000 first.
    limit: int = 1000
    #: Whether a limit above 1000 is accepted and obeyed (ipfs-cluster: all 2,501 pins in one page).
    large_limit: bool = False
    order: Order = "unknown"
    #: Whether `before` and `after` include their own instant.
    edges: Edges = "unknown"
    #: What `count` means: all that match, results + 1 when there are more, or the length of the page.
    count: Count = "unknown"
    #: Smallest step of `created` in milliseconds, 0 = not known.
    precision_ms: int = 0
    #: Filters that are obeyed. What is not listed is never relied on.
    filters: tuple[Filter, ...] = ()
    #: Whether meta comes back as it was sent.
    meta: Meta = "unknown"
    #: What a second POST of a CID that is there does: a pin of its own, overwrites name and meta,
    #: answers with the first pin, or stays queued for ever.
    second_add: SecondAdd = "unknown"
    #: What POST /pins/{id} with the same CID and another name or meta does.
    same_cid_replace: SameCidReplace = "unknown"
    #: Whether POST /pins/{id} keeps the old pin until the new one is accepted, and name and meta with it.
    modify: Modify = "unknown"
    #: Whether the requestid is the CID.
    id_is_cid: bool = False

    @property
    def one_pin_per_cid(self) -> bool:
        """Whether a CID must be taken to exist once here. True where it is not known to be otherwise."""
        return self.second_add != "new"

    @property
    def renews(self) -> bool:
        """Whether adding a CID that is there again makes it the newest pin of its name."""
        return self.second_add in ("new", "overwrite")

    @property
    def same_cid_way(self) -> Literal["safe", "overwrite", "inPlace"] | None:
        """How a pin gets another name or other meta without ever being away; None where no way is known."""
        if self.second_add == "new":
            return "safe"
        if self.second_add == "overwrite":
            return "overwrite"
        return "inPlace" if self.same_cid_replace == "inPlace" else None


_ALL: tuple[Filter, ...] = ("cid", "name", "meta", "status")

PROFILES: dict[str, Profile] = {
    p.name: p
    for p in (
        Profile(
            name="spec",
            order="newest",
            edges="exclusive",
            count="total",
            precision_ms=1,
            filters=_ALL,
            meta="kept",
            second_add="new",
            same_cid_replace="newId",
            modify="keeps",
        ),
        Profile(name="unknown"),
        # Published reports and vendor pages: count = results + 1 since 2025, no default limit, ms, meta kept.
        # What a second add or a replace does there is not published: both stay unknown.
        Profile(name="pinata", order="newest", count="plus1", precision_ms=1, meta="kept"),
        # Whole seconds with a local offset; the name becomes the CID where none is sent.
        Profile(
            name="filebase", order="newest", edges="exclusive", count="total", precision_ms=1000, meta="kept"
        ),
        # Drops meta, so ownership is by name prefix; match is broken.
        Profile(name="4everland", order="newest", edges="exclusive", count="total", meta="dropped"),
        # Measured on a running 1.1.6: one pin per CID, whole seconds, unsorted, replace loses data.
        Profile(
            name="ipfs-cluster",
            large_limit=True,
            order="unsorted",
            edges="inclusive",
            count="total",
            precision_ms=1000,
            filters=_ALL,
            meta="kept",
            second_add="overwrite",
            same_cid_replace="loses",
            modify="loses",
            id_is_cid=True,
        ),
        # Measured on a running server 1.0.4: cid and meta filters ignored, replace drops the old pin first.
        Profile(
            name="helia",
            order="newest",
            edges="exclusive",
            count="total",
            precision_ms=1,
            filters=("name", "status"),
            meta="kept",
            second_add="stuck",
            same_cid_replace="inPlace",
            modify="loses",
        ),
    )
}
