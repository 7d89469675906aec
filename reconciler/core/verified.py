"""What a look at a pin found: whether what a service calls pinned can be had from it.

verdict         what it means                                                                      then
retrieved       the root and random blocks below it came from the service, and are those of        it is a copy
                their CIDs: by its gateway, or by the node from peers that it names
retrievable     the node got them from somebody; nothing shows that it was the service             nothing is concluded
announced       a peer that the service names says that it has the root; no block was fetched,     nothing is concluded
                or not from that peer
unretrievable   it says pinned, and the gateway that works otherwise, or the peers that it names   it counts as failed
                and that were reached, did not give a block, or gave other bytes
cannot-tell     none of these could be found out, and `why` says for what reason                   nothing is concluded
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from reconciler.core.errors import EXIT_OK, EXIT_PARTIAL

#: `major.minor` of the JSON. A minor adds fields; a major changes what is there.
VERIFICATION_FORMAT: Final = "1.0"

Verdict = Literal["retrieved", "retrievable", "announced", "unretrievable", "cannot-tell"]
#: From the strongest evidence to none, as they are counted for a person.
VERDICTS: Final[tuple[Verdict, ...]] = (
    "retrieved",
    "retrievable",
    "announced",
    "unretrievable",
    "cannot-tell",
)
#: By what it was found: the service's gateway, peers that it names, the node from anybody, records of providers.
How = Literal["gateway", "delegates", "node", "providers", ""]


class NotServedError(Exception):
    """A block that should be served is not, or its bytes are others. The text is one clause that says how."""

    def __init__(self, cid: str, how: str) -> None:
        super().__init__(f"{cid}: {how}")
        self.cid = cid


class UnclearError(Exception):
    """Whether a block is served cannot be told. The text is one clause that says why."""


class Target(Struct, frozen=True, kw_only=True, gc=False):
    """A pinned pin of ours. `cid` as the service has it; `delegates` None: to be read again at the service."""

    service: str
    requestid: str
    cid: str
    #: The key's name, without the owner's prefix.
    name: str
    delegates: tuple[str, ...] | None = None
    #: The block that did not come when the pin was found unretrievable: it is asked for again. "" without a doubt.
    missing: str = ""


class Verified(Struct, frozen=True, kw_only=True):
    """What was found out of one pin. `blocks` were fetched for it and are those of their CIDs."""

    service: str
    name: str
    cid: str
    requestid: str
    verdict: Verdict
    how: How = ""
    blocks: int = 0
    ms: int = 0
    #: The block that did not come, or came as other bytes; "" otherwise.
    missing: str = ""
    #: One clause, untrusted where it holds words of a service; "" if there is nothing to say.
    why: str = ""


class Unread(Struct, frozen=True, kw_only=True):
    """A service whose pins could not be listed, or not all of them."""

    service: str
    why: str


class Verification(Struct, frozen=True, kw_only=True):
    """One run of `pinrec verify`."""

    format: str = VERIFICATION_FORMAT
    pinrec: str
    owner: str
    #: RFC 3339, UTC.
    date: str
    #: Blocks below each root that were looked for.
    sample: int
    #: What chance began with; the same seed picks the same pins and blocks.
    seed: int
    pins: tuple[Verified, ...]
    #: Pinned pins of ours that could have been looked at.
    pinned: int
    unread: tuple[Unread, ...] = ()
    #: Whether a signal ended it before its end.
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """3 for a pin that is not what its service says, and for a service that could not be read."""
        lies = any(v.verdict == "unretrievable" for v in self.pins)
        return EXIT_PARTIAL if lies or self.unread else EXIT_OK

    def counts(self) -> dict[Verdict, int]:
        found = Counter(v.verdict for v in self.pins)
        return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


class Doubt(Struct, frozen=True, kw_only=True, gc=False):
    """A pin that was found unretrievable, and has not been retrieved since. `cid` is canonical."""

    service: str
    requestid: str
    cid: str
    name: str
    since: datetime
    #: When it was last looked at.
    at: datetime
    #: The block that did not come; "" if it was not noted.
    missing: str = ""


class Doubts:
    """Pins that count as failed for the guards, though their service says pinned."""

    def __init__(self, doubts: Iterable[Doubt] = ()) -> None:
        self._by_id = {(d.service, d.requestid): d for d in doubts}

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def of(self, service: str, requestid: str, cid: str) -> Doubt | None:
        """The doubt about a pin. Under an id that holds another CID by now, it is about nothing that is there."""
        doubt = self._by_id.get((service, requestid))
        return doubt if doubt is not None and doubt.cid == cid else None
