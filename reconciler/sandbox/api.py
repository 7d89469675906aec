"""The HTTP face: routes, tokens, codes, and `Failure` for everything that is refused."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.sandbox import gateway
from reconciler.sandbox import pin as pins
from reconciler.sandbox import query as queries
from reconciler.sandbox.failure import FailureError, unauthorized
from reconciler.sandbox.faults import Answer
from reconciler.sandbox.personality import Deleted, Personality
from reconciler.sandbox.service import Service

_REASONS = {
    404: ("NOT_FOUND", "There is nothing at this path"),
    405: ("METHOD_NOT_ALLOWED", "Not at this path"),
}


def build(service: Service, habits: Personality, accounts: Mapping[str, int]) -> Starlette:
    """The application. `accounts` maps tokens to account numbers."""

    def account(request: Request) -> int:
        given = request.headers.get("authorization", "")
        number = account_of(given, accounts, exact=habits.bearer == "exact")
        if number is not None:
            return number
        code = habits.wrong_token if given else habits.missing_token
        if code < 300:
            return next(iter(accounts.values()))
        raise unauthorized(code)

    async def pins_collection(request: Request) -> Response:
        owner = account(request)
        if request.method == "POST":
            pin = pins.parse(await request.body(), habits)
            return _json(service.add(owner, pin), habits.accepted)
        raw: bytes = request.scope["query_string"]
        answer = _json(service.pins(owner, queries.parse(raw, habits)), 200)
        if habits.rate_headers == "listing":
            answer.headers.update(service.allowance())
        return answer

    async def pins_one(request: Request) -> Response:
        owner, requestid = account(request), request.path_params["requestid"]
        match request.method:
            case "POST":
                pin = pins.parse(await request.body(), habits)
                return _json(service.replace(owner, requestid, pin), habits.replaced or habits.accepted)
            case "DELETE":
                service.delete(owner, requestid)
                return _deleted(habits.deleted)
            case _:
                return _json(service.get(owner, requestid), 200)

    async def block(request: Request) -> Response:
        if habits.gateway == "none":
            raise HTTPException(404)
        if habits.gateway == "key":
            account(request)
        return gateway.answer(request, service.content)

    async def failed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, FailureError)
        return to_response(error.answer(habits.errors))

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status, headers = error.status_code, dict(error.headers or {})
        if status == 405 and habits.unknown_path != "405":
            status, headers = 404, {}
        reason, details = _REASONS.get(status, ("ERROR", "The request was refused"))
        html = habits.unknown_path == "404-html"
        failure = FailureError(status, reason, details, headers, shape="html" if html else None)
        return to_response(failure.answer(habits.errors))

    return Starlette(
        routes=[
            Route("/pins", pins_collection, methods=["GET", "POST"]),
            Route("/ipfs/{cid}", block, methods=["GET", "HEAD"]),
            Route("/pins/{requestid:path}", pins_one, methods=["GET", "POST", "DELETE"]),
        ],
        exception_handlers={FailureError: failed, HTTPException: refused},
    )


def account_of(authorization: str, accounts: Mapping[str, int], *, exact: bool = False) -> int | None:
    """The account that an Authorization header opens. `exact`: only if it is `Bearer`, one space and the token."""
    scheme, _, token = authorization.partition(" ")
    if exact:
        return accounts.get(token) if scheme == "Bearer" else None
    return accounts.get(token.strip()) if scheme.lower() == "bearer" else None


def _deleted(how: Deleted) -> Response:
    match how:
        case "200-text":
            return Response("OK", media_type="text/plain")
        case "200-object":
            return _json(b"{}", 200)
        case _:
            return Response(status_code=int(how))


def _json(body: bytes, status: int) -> Response:
    if not body:
        return Response(status_code=status)
    return Response(body, status_code=status, media_type="application/json")


def to_response(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, headers=answer.headers)
