"""Answers that are no success, reduced to an error of ours with a short, safe reason.

Shapes that services send, each seen in one of them:

{"error": {"reason": "NOT_FOUND", "details": "…"}}   the API's Failure; either field may be missing or empty
{"error": "…"}   {"Error": "…"}   {"message": "…"}   Crust and others
[{"message": "…"}]                                   validators that answer with a bare list
{"error": …}{"requestid": …}                         ipfs-cluster: two documents, and the pin was created
<html>…<title>502 Bad Gateway</title>…               whatever stands in front of the service
Bad Request                                          Helia's server
(nothing)
"""

import html
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from reconciler.core.errors import (
    AuthError,
    FundsError,
    NotFoundError,
    ProtocolError,
    RateLimitedError,
    RejectedError,
    ServerFaultError,
    ServiceError,
)
from reconciler.transport.http import Answer

MAX_REASON: Final = 200
_READ: Final = 16 * 1024
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def failure(service: str, action: str, answer: Answer, *, redact: Callable[[str], str]) -> ServiceError:
    """The error that says that `action` ("add", "list") was answered with a status other than 2xx."""
    reason, details = (clean(redact(text)) for text in _said(answer.body))
    kind, hint = _kind(answer.status)
    try:
        phrase = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = str(answer.status)
    words = ": ".join(text for text in (reason, details) if text)
    if 300 <= answer.status < 400:
        # Where to is told to those who ask the service, not in plans: they hold no address.
        to = clean(redact(answer.headers.get("location", "")))
        details, words = to or details, "it points elsewhere" if to else "it points nowhere"
    return kind(
        f"{service}: {action}: HTTP {phrase}" + (f": {words}" if words else ""),
        service=service,
        status=answer.status,
        reason=reason,
        details=details,
        hint=hint,
    )


def _kind(status: int) -> tuple[type[ServiceError], str]:
    match status:
        case 401 | 403:
            return AuthError, "is the key right, does it have the right to pin, is the account in order?"
        case 402 | 409:
            # 409 is InsufficientFunds in this API, never a conflict.
            return FundsError, "the account may be out of quota or funds"
        case 404:
            return NotFoundError, ""
        case 429:
            return RateLimitedError, "set limits.requests of this service in the manifest"
        case _ if 300 <= status < 400:
            return ProtocolError, (
                "redirects are not followed, they would carry the key; "
                "set the endpoint to where it points (`pinrec service test` shows it)"
            )
        case _ if 400 <= status < 500:
            return RejectedError, ""
        case _ if status >= 500:
            return ServerFaultError, ""
    return ProtocolError, ""


def _said(body: bytes) -> tuple[str, str]:
    text = body[:_READ].decode("utf-8", "replace").strip()
    if text[:1] in ("{", "["):
        try:
            # The first document counts; what follows it does not make it unreadable.
            return _of_json(json.JSONDecoder().raw_decode(text)[0])
        except (ValueError, RecursionError):
            pass
    if text[:1] == "<":
        title = _TITLE.search(text)
        return "", html.unescape(title[1] if title else _TAG.sub(" ", _UNSEEN.sub(" ", text)))
    return "", text


def _of_json(value: object) -> tuple[str, str]:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return "", value
    if not isinstance(value, dict):
        return "", ""
    for key in ("error", "Error", "errors"):
        if key in value:
            inner = value[key]
            if isinstance(inner, list):
                inner = inner[0] if inner else None
            if isinstance(inner, dict):
                return _first(inner, "reason", "code", "name"), _first(inner, "details", "message")
            if isinstance(inner, str):
                return inner, _first(value, "details", "message", "Message")
    return _first(value, "reason", "code"), _first(value, "details", "message", "Message", "detail", "msg")


def _first(value: dict[str, object], *keys: str) -> str:
    return next((text for key in keys if isinstance(text := value.get(key), str) and text), "")


def clean(text: str) -> str:
    """One line of printable text, at most MAX_REASON characters. Still untrusted where it is shown."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MAX_REASON]).split())
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 1] + "…"
