"""A name and values for each habit of a personality, so that one can be switched on alone: `--quirk count=plus1`."""

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Struct

from reconciler.sandbox.personality import Personality

_OFFSET = re.compile(r"Z|[+-](?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SECONDS = re.compile(r"([+-]?\d+(?:\.\d+)?)(ms|min|[smhd])?", re.ASCII)


class QuirkError(ValueError):
    """A quirk that cannot be switched on. `known` are the names or values it could have been, `given` what was."""

    def __init__(self, message: str, *, given: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.given = given
        self.known = known


class Quirk(Struct, frozen=True):
    """`values` are what may be said and what the field then holds; where it is empty `read` makes it of the text."""

    name: str
    field: str
    help: str
    values: Mapping[str, object] = {}
    read: Callable[[str], object] | None = None
    shown: str = ""

    @property
    def usage(self) -> str:
        return f"{self.name}={self.shown or '|'.join(self.values)}"


def seconds(text: str) -> float:
    """`1.5`, `200ms`, `-1h`. Raises ValueError."""
    match = _SECONDS.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no time such as 2s or 200ms")
    return float(match[1]) * _UNITS[match[2] or "s"]


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
        raise ValueError(f"{text!r} is no number above 0")
    return int(text)


def _status(text: str) -> int:
    if not re.fullmatch(r"[2-5]\d\d", text, re.ASCII):
        raise ValueError(f"{text!r} is no HTTP status")
    return int(text)


def _limit(text: str) -> int | None:
    return None if text == "none" else _number(text)


def _offset(text: str) -> str:
    if not _OFFSET.fullmatch(text):
        raise ValueError(f"{text!r} is no offset such as -05:00")
    return text


def _filters(text: str) -> frozenset[str]:
    known = ("cid", "name", "match", "meta", "status", "before", "after", "limit")
    for name in text.split(","):
        if name not in known:
            raise QuirkError(f"ignore-filter: {name!r} is no parameter", given=name, known=known)
    return frozenset(text.split(","))


def _choice(name: str, field: str, help_: str, *values: str, **more: object) -> Quirk:
    return Quirk(name, field, help_, {**dict(zip(values, values, strict=True)), **more})


def _reading(name: str, field: str, help_: str, shown: str, read: Callable[[str], object]) -> Quirk:
    return Quirk(name, field, help_, {}, read, shown)


_PRECISIONS = ("ns", "us", "ms", "s")

QUIRKS: dict[str, Quirk] = {
    q.name: q
    for q in (
        # adding, replacing, deleting
        _choice("second-add", "second_add", "a POST of a CID that is there", "new", "overwrite", "same", "stuck",
                "refused"),
        _choice("same-cid", "same_cid", "when two CIDs are one: the same blocks, or the same text", "dag", "text"),
        _choice("replace", "replace", "a replace with another CID", "keeps", "loses", "edits", "refused"),
        _choice("same-cid-replace", "same_cid_replace", "a replace with the same CID", "newId", "inPlace", "loses"),
        _reading("failed-moment", "failed_moment", "so long a replaced pin is shown as failed", "TIME", seconds),
        _choice("starts", "starts", "the status of a new pin", "lifecycle", "queued", "by-name"),
        _choice("requestid", "requestid", "what ids look like", "uuid", "cid", "integer", "number", "base64"),
        _choice("meta", "meta", "echoed: by the POST, and never again", "kept", "dropped", "echoed"),
        _choice("origins", "origins", "what becomes of origins; refused: 400", "kept", "dropped", "refused"),
        _choice("body-check", "body_check", "how bodies are checked", "strict", "loose", "coerced",
                "none"),
        _choice("no-cid", "no_cid", "a POST without a cid", "400", "200-empty", "pins"),
        _choice("strange-id", "strange_id", "a replace of an id that cannot be one: pins = 400, and pinned", "404",
                "pins"),
        # how a pin is shown
        _choice("cid-echo", "cid_echo", "base32: other bases rewritten; v1: v0 too", "sent", "base32", "v1"),
        Quirk("name", "name_is_cid", "the name of a pin without one", {"none": False, "cid": True}),
        _choice("absent", "absent", "name, meta, origins that are not there", "omitted", "null", "empty"),
        _choice("precision", "precision", "the step of `created`", *_PRECISIONS),
        _choice("post-precision", "post_precision", "that of the answer to a POST", *_PRECISIONS),
        Quirk("created", "unique", "whether two pins may have one `created`", {"unique": True, "shared": False}),
        _reading("created-offset", "offset", "`created` with this offset from UTC", "-05:00", _offset),
        _choice("created-zeros", "zeros", "zeros at the end of `created`", "kept", "stripped", "padded"),
        _choice("request-id-casing", "id_key", "how the member is spelled", "requestid", "requestId"),
        _choice("delegates", "delegates", "the addresses to connect to", "some", "four", "none", "private"),
        Quirk("extra-members", "extra_members", "members that the API does not know", {"no": False, "yes": True}),
        # listings
        _choice("order", "order", "the order of a listing", "newest", "oldest", "unsorted"),
        _choice("edges", "edges", "whether before and after include their instant", "exclusive", "inclusive",
                "before-inclusive", "after-inclusive"),
        _choice("truncate-filter", "edge_step", "before and after are cut to this", *_PRECISIONS),
        _choice("count", "count", "what `count` counts", "total", "plus1", "page", "unfiltered"),
        _reading("default-limit", "default_limit", "the limit if none is asked for", "N|none", _limit),
        _reading("page-cap", "page_cap", "pages are never longer", "N", _number),
        Quirk("large-limit", "large_limit", "a limit above 1000", {"refused": False, "obeyed": True}),
        _choice("limit-check", "limit_check", "zero: 0 is taken; none: everything is", "strict", "zero", "none"),
        _choice("default-status", "default_status", "without a status filter", "pinned", "all", "required"),
        _choice("status-check", "status_check", "none: an unknown status finds nothing", "strict", "none"),
        _choice("instant-check", "instant_check", "z: only with a Z; none: what is no instant is ignored", "strict",
                "z", "none"),
        _reading("ignore-filter", "ignored", "neither checked nor obeyed; several with commas",
                 "cid|name|match|meta|status|before|after|limit", _filters),
        _choice("match", "match", "how well match is done", "obeyed", "lenient", "exact", "broken"),
        _choice("cid-filter", "cid_filter", "text: one spelling; alone: other filters then ignored", "obeyed",
                "text", "alone"),
        _choice("meta-filter", "meta_filter", "what meta= finds", "obeyed", "nothing", "error"),
        _choice("bad-query", "bad_query", "the answer to a wrong parameter", "400", "500", "empty"),
        _choice("empty-list", "empty_list", "a page with nothing in it", "list", "null", "404"),
        _reading("visible-after", "visible_after", "new pins are listed so much later", "TIME", seconds),
        # codes and bodies
        _reading("status-codes", "accepted", "the code of a successful POST", "200|201|202", _status),
        _reading("replace-code", "replaced", "the code of a successful replace", "200|201|202", _status),
        _choice("replace-body", "replace_body", "the body of a successful replace", "status", "empty"),
        Quirk("delete", "deleted", "the answer to a delete",
              {"202": "202", "200": "200", "200-text": "200-text", "empty-object": "200-object", "204": "204"}),
        _reading("missing-delete", "missing_delete", "the code for a delete of nothing", "404|202|500", _status),
        _choice("bearer", "bearer", "how the scheme of a key may be written", "any-case", "exact"),
        _reading("missing-token", "missing_token", "the code without a key; 200 lets in", "401|400|403|200", _status),
        _reading("wrong-token", "wrong_token", "the code for a wrong key; 200 lets in", "401|403|200", _status),
        _choice("error-shape", "errors", "the body of a refusal", "failure", "reason-only", "no-reason",
                "no-details", "crust", "fastify", "html", "text", "array", "empty"),
        _choice("missing-shape", "missing_errors", "that for a pin that is not there", "failure", "html", "text",
                "empty"),
        _choice("bad-cid-shape", "bad_cid_errors", "that for a POST whose cid is none", "failure", "html", "text",
                "empty"),
        _choice("unknown-path", "unknown_path", "405: for methods; 404-html: a web page", "405", "404", "404-html"),
        _choice("rate-headers", "rate_headers", "listing: GET /pins tells of a limit, not kept", "none", "listing"),
        # content
        _choice("serves", "serves", "what it gives of what it holds; wrong: other bytes", "all", "root", "nothing",
                "wrong"),
        _choice("gateway", "gateway", "GET /ipfs/<cid>?format=raw; key: with the key only", "open", "key", "none"),
        _reading("clock", "clock", "how far the service's clock is ahead", "TIME", seconds),
    )
}  # fmt: skip


def with_quirks(base: Personality, given: Iterable[str]) -> Personality:
    """`base` with each `NAME=VALUE` switched on. Raises QuirkError."""
    changes: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        quirk = QUIRKS.get(name)
        if quirk is None:
            raise QuirkError(f"there is no quirk {name!r}", given=name, known=tuple(QUIRKS))
        if not equals:
            raise QuirkError(f"{name}: a value is missing: {quirk.usage}")
        if quirk.read is None:
            if value not in quirk.values:
                raise QuirkError(
                    f"{name}: {value!r} is none of its values: {', '.join(quirk.values)}",
                    given=value, known=tuple(quirk.values),
                )  # fmt: skip
            changes[quirk.field] = quirk.values[value]
            continue
        try:
            found = quirk.read(value)
        except QuirkError:
            raise
        except ValueError as error:
            raise QuirkError(f"{name}: {error}") from None
        if quirk.field == "ignored" and isinstance(found, frozenset):
            earlier = changes.get("ignored", base.ignored)
            found |= earlier if isinstance(earlier, frozenset) else frozenset()
        changes[quirk.field] = found
    if changes.get("requestid") == "cid" and "second_add" not in changes and base.second_add == "new":
        # There is no room for another pin: a service with such ids renews the one that is there.
        changes["second_add"] = "overwrite"
    if changes.get("precision") == "s":
        changes.setdefault("unique", False)
    try:
        return msgspec.structs.replace(base, **changes)
    except ValueError as error:
        raise QuirkError(str(error)) from None
