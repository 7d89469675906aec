"""Everything that goes wrong at services, by name: what is said in place of an answer, and when.

A mishap with `before` happens instead of the request; one with `after` spoils the answer to something that was done.
"""

from collections.abc import Callable

from msgspec import Struct, structs

from reconciler.sandbox.failure import JSON, FailureError
from reconciler.sandbox.faults import Answer, Delay, Drop, Fault, Happen, Received

Before = Callable[[Received, float], Fault | None]
After = Callable[[Received, Answer, float], Fault | None]

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_MEGABYTE = 1 << 20


class Mishap(Struct, frozen=True, kw_only=True):
    """`usual` is the value where none is given, `unit` what it counts. `methods` are those that it can befall."""

    name: str
    help: str
    unit: str = ""
    usual: float = 0
    methods: tuple[str, ...] = ("GET", "POST", "DELETE")
    before: Before | None = None
    after: After | None = None
    #: Whether chance may choose it. What would stop every test for long is left to a script.
    common: bool = True


def _failure(status: int, reason: str, details: str, headers: dict[str, str] | None = None) -> Answer:
    return FailureError(status, reason, details, headers).answer()


def _limited(_request: Received, seconds: float) -> Answer:
    return _failure(429, "TOO_MANY_REQUESTS", "played", {"Retry-After": str(round(seconds))})


def _limited_until(request: Received, seconds: float) -> Answer:
    headers = {
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(round(request.time + seconds)),
    }
    return _failure(429, "TOO_MANY_REQUESTS", "played", headers)


def _error(_request: Received, status: float) -> Answer:
    return _failure(int(status), "FAULT", "played, and nothing was done")


def _error_after(_request: Received, _answer: Answer, status: float) -> Answer:
    return _failure(int(status), "FAULT", "played, and it was done all the same")


def _as_json(answer: Answer, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    return structs.replace(answer, body=body, headers={**answer.headers, **(headers or JSON)})


def _oversized(_request: Received, answer: Answer, megabytes: float) -> Answer:
    return _as_json(answer, answer.body + b" " * int(megabytes * _MEGABYTE))


def _skewed(_request: Received, answer: Answer, seconds: float) -> Answer:
    from email.utils import formatdate

    headers = {**answer.headers, "date": formatdate(_request.time + seconds, usegmt=True)}
    return structs.replace(answer, headers=headers)


MISHAPS: dict[str, Mishap] = {
    m.name: m
    for m in (
        Mishap(name="limited", help="429 without a word of when to come again",
               before=lambda _r, _v: _failure(429, "TOO_MANY_REQUESTS", "played")),
        Mishap(name="retry-after", help="429 with Retry-After", unit="seconds", usual=1, before=_limited),
        Mishap(name="rate-reset", help="429 with X-RateLimit-Reset", unit="seconds", usual=1, before=_limited_until),
        Mishap(name="error", help="this status, and nothing was done", unit="status", usual=500, before=_error),
        Mishap(name="error-after", help="this status, although it was done", unit="status", usual=500,
               methods=("POST", "DELETE"), after=_error_after),
        Mishap(name="reset", help="the connection is closed before anything was done",
               before=lambda _r, seconds: Drop(seconds=seconds)),
        Mishap(name="reset-after", help="the connection is closed after it was done",
               after=lambda _r, _a, seconds: Drop(seconds=seconds)),
        Mishap(name="hang", help="no answer for so long, nothing done", unit="seconds", usual=3600, common=False,
               before=lambda _r, seconds: Drop(seconds=seconds)),
        Mishap(name="hang-after", help="done, and no answer for so long", unit="seconds", usual=3600, common=False,
               after=lambda _r, _a, seconds: Drop(seconds=seconds)),
        Mishap(name="delay", help="it takes longer", unit="seconds", usual=0.05,
               before=lambda _r, seconds: Delay(seconds=seconds)),
        Mishap(name="slow-body", help="the body comes in drops", unit="seconds", usual=0.1,
               after=lambda _r, answer, seconds: structs.replace(answer, seconds=seconds)),
        Mishap(name="truncated", help="the connection is closed within the body", unit="part of it", usual=0.5,
               methods=("GET", "POST"),
               after=lambda _r, answer, part: structs.replace(answer, cut=int(len(answer.body) * part))),
        Mishap(name="half-json", help="half of the body, as if it were the whole", methods=("GET", "POST"),
               after=lambda _r, answer, _v: _as_json(answer, answer.body[: len(answer.body) // 2])),
        Mishap(name="html", help="a success whose body is a web page", methods=("GET", "POST"),
               after=lambda _r, answer, _v: _as_json(answer, _HTML, {"content-type": "text/html"})),
        Mishap(name="empty", help="a success without a body", methods=("GET", "POST"),
               after=lambda _r, answer, _v: structs.replace(answer, body=b"")),
        Mishap(name="oversized", help="a body without end", unit="megabytes", usual=20, common=False,
               methods=("GET", "POST"), after=_oversized),
        Mishap(name="repeat-page", help="the page before once more, whatever was asked for", methods=("GET",)),
        Mishap(name="quota", help="409 INSUFFICIENT_FUNDS", methods=("POST",),
               before=lambda _r, _v: _failure(409, "INSUFFICIENT_FUNDS", "played")),
        Mishap(name="auth", help="401: the key has expired",
               before=lambda _r, _v: _failure(401, "UNAUTHORIZED", "the key has expired")),
        Mishap(name="clock", help="a Date header that is so far ahead", unit="seconds", usual=3600, after=_skewed),
        Mishap(name="fails", help="a pin turns failed: the one asked about, or any",
               after=lambda _r, _a, _v: Happen(what="fails")),
        Mishap(name="seems-failed", help="a pin is shown as failed for a moment, which it is not", unit="seconds",
               usual=0.05, after=lambda _r, _a, seconds: Happen(what="seems-failed", seconds=seconds)),
        Mishap(name="returns", help="a deleted pin is there again later", unit="seconds", usual=0.1,
               methods=("DELETE",), before=lambda _r, seconds: Happen(what="returns", seconds=seconds)),
    )
}  # fmt: skip


class Pages:
    """The page before, for the mishap that gives it once more."""

    def __init__(self) -> None:
        self._last: Answer | None = None

    def after(self, request: Received, answer: Answer) -> Answer | None:
        """What to say in place of `answer`. Remembers each page of a listing."""
        if request.method != "GET" or request.path != "/pins" or answer.status != 200:
            return None
        before, self._last = self._last, answer
        return before
