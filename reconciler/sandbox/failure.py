"""`Failure` of the API, as an exception on its way out, and the bodies that services send in its place."""

from html import escape

import msgspec

from reconciler.sandbox.faults import Answer
from reconciler.sandbox.personality import Shape

JSON = {"content-type": "application/json"}
_HTML = {"content-type": "text/html; charset=utf-8"}
_TEXT = {"content-type": "text/plain; charset=utf-8"}


class FailureError(Exception):
    """Ends a request with an HTTP status, a reason for machines and details for people. Neither may be empty.

    `more` follows the body. `shape`: that of this refusal, whatever the service's others look like.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        details: str,
        headers: dict[str, str] | None = None,
        *,
        more: bytes = b"",
        shape: Shape | None = None,
    ) -> None:
        super().__init__(details)
        self.status = status
        self.reason = reason
        self.details = details
        self.headers = headers or {}
        self.more = more
        self.shape = shape

    def answer(self, shape: Shape = "failure") -> Answer:
        headers, body = shaped(self.shape or shape, self.status, self.reason, self.details)
        return Answer(status=self.status, body=body + self.more, headers={**headers, **self.headers})


def shaped(shape: Shape, status: int, reason: str, details: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a refusal. Every shape was seen at some service."""
    encode = msgspec.json.encode
    match shape:
        case "failure":
            return JSON, encode({"error": {"reason": reason, "details": details}})
        case "reason-only":
            return JSON, encode({"error": {"reason": details}}) + b"\n"
        case "no-reason":
            return JSON, encode({"error": {"reason": "", "details": details}})
        case "no-details":
            return JSON, encode({"error": {"reason": reason, "details": ""}})
        case "crust":
            return JSON, encode({"Error": details})
        case "fastify":
            title = _titled(reason)
            return JSON, encode({"statusCode": status, "error": title, "message": details})
        case "html":
            title = escape(f"{status} {reason}")
            return (
                _HTML,
                f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>".encode(),
            )
        case "text":
            return _TEXT, _titled(reason).encode()
        case "array":
            return JSON, encode([{"message": details}])
        case "empty":
            return {}, b""


def _titled(reason: str) -> str:
    return reason.replace("_", " ").title()


def bad_request(details: str, *, shape: Shape | None = None) -> FailureError:
    return FailureError(400, "BAD_REQUEST", details, shape=shape)


def unauthorized(status: int = 401) -> FailureError:
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    reason = "KEYS_MUST_BE_STRINGS" if status == 400 else "UNAUTHORIZED"
    return FailureError(status, reason, "Access token is missing or invalid", headers)


def not_found(details: str, *, shape: Shape | None = None) -> FailureError:
    return FailureError(404, "NOT_FOUND", details, shape=shape)
