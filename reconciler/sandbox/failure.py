"""`Failure` of the API, as an exception on its way out."""

import msgspec

from reconciler.sandbox.faults import Answer

JSON = {"content-type": "application/json"}


class FailureError(Exception):
    """Ends a request with an HTTP status, a reason for machines and details for people. Neither may be empty."""

    def __init__(self, status: int, reason: str, details: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(details)
        self.status = status
        self.reason = reason
        self.details = details
        self.headers = headers or {}

    def answer(self) -> Answer:
        body = msgspec.json.encode({"error": {"reason": self.reason, "details": self.details}})
        return Answer(status=self.status, body=body, headers={**JSON, **self.headers})


def bad_request(details: str) -> FailureError:
    return FailureError(400, "BAD_REQUEST", details)


def unauthorized() -> FailureError:
    return FailureError(
        401, "UNAUTHORIZED", "Access token is missing or invalid", {"www-authenticate": "Bearer"}
    )


def not_found(details: str) -> FailureError:
    return FailureError(404, "NOT_FOUND", details)
