"""Pins as a service with habits shows them: the stored documents, rewritten on their way out.

The API's own form is stored. Only where a personality asks for another is an answer decoded, changed and encoded.
"""

from collections.abc import Sequence

import msgspec

from reconciler.sandbox import documents
from reconciler.sandbox.instants import FINE, parse_fine, render
from reconciler.sandbox.personality import Personality

_PRIVATE = ["/ip4/10.0.0.7/tcp/4001/p2p/12D3KooWDcsZcmWMhDcEjeqR9qYqYkrjwH9tnSM4PDk6XW4UBVgW"]
_MORE = [
    "/ip6/2001:db8::1/tcp/4001/p2p/12D3KooWDcsZcmWMhDcEjeqR9qYqYkrjwH9tnSM4PDk6XW4UBVgW",
    "/dns4/node0.example.net/tcp/443/wss/p2p/12D3KooWDcsZcmWMhDcEjeqR9qYqYkrjwH9tnSM4PDk6XW4UBVgW",
    "/dnsaddr/node1.example.org/p2p/12D3KooWDcsZcmWMhDcEjeqR9qYqYkrjwH9tnSM4PDk6XW4UBVgW",
]
_NOTHING: dict[str, object] = {"name": "", "origins": [], "meta": {}}


class Echo:
    """Rewrites answers as `habits` show pins. `delegates`: those of this service, in place of made-up ones."""

    def __init__(self, habits: Personality, delegates: Sequence[str] = ()) -> None:
        self._habits = habits
        self._delegates = documents.delegates(delegates) if delegates else b""
        self._idle = not self._changes(habits)

    def _changes(self, habits: Personality) -> bool:
        plain = Personality()
        fields = ("absent", "offset", "zeros", "id_key", "delegates", "info", "extra_members", "origins")
        return (
            any(getattr(habits, field) != getattr(plain, field) for field in fields)
            or habits.precision == "ns"
            or habits.requestid == "number"
        )

    def one(self, document: bytes) -> bytes:
        document = self._at_home(document)
        return document if self._idle else msgspec.json.encode(self._pin(msgspec.json.decode(document)))

    def written(self, document: bytes, created: int, meta: dict[str, str] | None) -> bytes:
        """The answer to a POST. `created` in microseconds; `meta` as it was sent."""
        habits = self._habits
        document = self._at_home(document)
        if (
            self._idle
            and habits.post_precision is None
            and habits.meta != "echoed"
            and habits.starts != "queued"
        ):
            return document
        pin = self._pin(msgspec.json.decode(document))
        pin["created"] = render(
            created, habits.post_precision or habits.precision, habits.offset, habits.zeros
        )
        if habits.starts == "queued":
            pin["status"] = "queued"
        if habits.meta == "echoed" and meta is not None:
            inner = pin["pin"]
            assert isinstance(inner, dict)
            inner["meta"] = meta
        return msgspec.json.encode(pin)

    def page(self, document: bytes) -> bytes:
        document = self._at_home(document)
        if self._idle and self._habits.empty_list == "list":
            return document
        page = msgspec.json.decode(document)
        page["results"] = [self._pin(pin) for pin in page["results"]]
        if not page["results"] and self._habits.empty_list == "null":
            page["results"] = None
        return msgspec.json.encode(page)

    def _at_home(self, document: bytes) -> bytes:
        """No name or meta can look like the member: a quote within a text is escaped."""
        return document.replace(documents.MADE_UP, self._delegates) if self._delegates else document

    def _pin(self, status: dict[str, object]) -> dict[str, object]:
        habits = self._habits
        pin, created, requestid = status["pin"], str(status["created"]), str(status["requestid"])
        assert isinstance(pin, dict)
        if habits.precision == "ns" or habits.offset != "Z" or habits.zeros != "kept":
            instant = parse_fine(created) // FINE
            status["created"] = render(instant, habits.precision, habits.offset, habits.zeros)
        if habits.origins == "dropped":
            pin.pop("origins", None)
        if habits.absent != "omitted":
            for member, nothing in _NOTHING.items():
                pin.setdefault(member, nothing if habits.absent == "empty" else None)
        if habits.delegates == "four":
            own = status["delegates"]
            assert isinstance(own, list)
            status["delegates"] = [*own, *_MORE][:4]
        elif habits.delegates != "some":
            status["delegates"] = _PRIVATE if habits.delegates == "private" else []
        if habits.info:
            status["info"] = dict(habits.info)
        if habits.requestid == "number" and requestid.isdecimal():
            status["requestid"] = int(requestid)
        if habits.id_key != "requestid":
            status[habits.id_key] = status.pop("requestid")
        if habits.extra_members:
            status["content"] = {"id": 7, "replication": 6}
            pin["mode"] = "recursive"
        return status
