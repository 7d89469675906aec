"""Everything that can go wrong and that a person can read about.

PinrecError                    exit 1, nothing done
├── UsageError                 exit 64
│   └── ManifestError          exit 64, all problems at once, each with its place
├── SecretError                exit 1, a key that cannot be resolved
├── StalePlanError             exit 5
├── LockedError                exit 6
├── InterruptedRunError        exit 130 or 143
├── NodeError                  exit 3, the Kubo node or one request to it
└── ServiceError               exit 3, one service or one request to it
    ├── UnreachableError       nothing was sent (DNS, refused, no route, breaker open)
    ├── LostAnswerError        sent, and no answer that can be read: it may have happened
    ├── AuthError              401, 403: ends the lane
    ├── FundsError             409 (InsufficientFunds in this API): ends the lane
    ├── NotFoundError          404
    ├── RateLimitedError       429: certainly not done
    ├── RejectedError          other 4xx: fails the pin; may have happened all the same
    ├── ServerFaultError       5xx: may have happened
    └── ProtocolError          an answer that is no API v1.0.0 answer
"""

from msgspec import Struct

#: Exit codes in the order of precedence if several fit (design: "Exit codes").
EXIT_OK, EXIT_ERROR, EXIT_CHANGES, EXIT_PARTIAL, EXIT_BLOCKED, EXIT_STALE, EXIT_LOCKED = 0, 1, 2, 3, 4, 5, 6
EXIT_USAGE, EXIT_SIGINT, EXIT_SIGTERM = 64, 130, 143
EXIT_PRECEDENCE = (
    EXIT_SIGINT,
    EXIT_SIGTERM,
    EXIT_USAGE,
    EXIT_LOCKED,
    EXIT_STALE,
    EXIT_ERROR,
    EXIT_PARTIAL,
    EXIT_BLOCKED,
    EXIT_CHANGES,
    EXIT_OK,
)


def worst_exit(*codes: int) -> int:
    """The one exit code to end with when several fit."""
    return min(codes, key=EXIT_PRECEDENCE.index, default=EXIT_OK)


class Problem(Struct, frozen=True, kw_only=True):
    """One thing wrong with what a person wrote: where, what, and the likely fix.

    `line` and `column` are 1-based; 0 means unknown.
    """

    file: str
    line: int = 0
    column: int = 0
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column or 1}"
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class PinrecError(Exception):
    """One clear line for a person: what, where, why; `hint` says what to do next."""

    exit_code = EXIT_ERROR

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(PinrecError):
    exit_code = EXIT_USAGE


class ManifestError(UsageError):
    """All problems of a manifest at once, in the order of their places."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


class SecretError(PinrecError):
    pass


class StalePlanError(PinrecError):
    exit_code = EXIT_STALE


class LockedError(PinrecError):
    exit_code = EXIT_LOCKED


class InterruptedRunError(PinrecError):
    def __init__(self, exit_code: int) -> None:
        super().__init__("interrupted")
        self.exit_code = exit_code


class NodeError(PinrecError):
    """A request to the Kubo node failed. `text` is what the node said, untrusted; `status` the HTTP status or 0.

    `unreachable`: nothing was sent. `late`: no answer within the deadline. `lost`: it may have happened.
    """

    exit_code = EXIT_PARTIAL

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        status: int = 0,
        unreachable: bool = False,
        late: bool = False,
        lost: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.text = text
        self.status = status
        self.unreachable = unreachable
        self.late = late
        self.lost = lost


class ServiceError(PinrecError):
    """A request to a pinning service, or the service as a whole, failed.

    `service` is the name in the manifest, `status` the HTTP status or 0, `reason` and `details` the fields
    of the API's `Failure` as the service sent them: untrusted text, to be escaped where it is shown.
    """

    exit_code = EXIT_PARTIAL
    #: Whether the request may have taken effect although it failed.
    maybe_done = False
    #: Whether the failure is about the service or the account, and no further request makes sense.
    ends_lane = False

    def __init__(
        self,
        message: str,
        *,
        service: str = "",
        status: int = 0,
        reason: str = "",
        details: str = "",
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.service = service
        self.status = status
        self.reason = reason
        self.details = details
        self.retry_after = retry_after


class UnreachableError(ServiceError):
    ends_lane = True


class LostAnswerError(ServiceError):
    maybe_done = True


class AuthError(ServiceError):
    ends_lane = True


class FundsError(ServiceError):
    ends_lane = True


class NotFoundError(ServiceError):
    pass


class RateLimitedError(ServiceError):
    pass


class RejectedError(ServiceError):
    # ipfs-cluster answers 400 to a malformed replace and creates the pin (reference §7).
    maybe_done = True


class ServerFaultError(ServiceError):
    maybe_done = True


class ProtocolError(ServiceError):
    maybe_done = True
