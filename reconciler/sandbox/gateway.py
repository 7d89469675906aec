"""The service's trustless gateway: single blocks by their CID, as the Trustless Gateway specification has it."""

from starlette.requests import Request
from starlette.responses import Response

from reconciler.core.cid import CidError
from reconciler.core.unixfs import address
from reconciler.sandbox.content import Content

RAW = "application/vnd.ipld.raw"


def answer(request: Request, content: Content) -> Response:
    """The block that is asked for."""
    wanted = request.query_params.get("format")
    if wanted not in (None, "raw") or (wanted is None and RAW not in request.headers.get("accept", "")):
        return _text(406, "this gateway gives single blocks only: format=raw")
    text = request.path_params["cid"]
    try:
        cid = address.from_text(text)
    except CidError as error:
        return _text(400, f"invalid path: {error.reason}")
    block = content.at_gateway(cid)
    if block is None:
        return _text(404, f"block was not found locally (offline): ipld: could not find {text}")
    headers = {
        "cache-control": "public, max-age=29030400, immutable",
        "content-disposition": f'attachment; filename="{text}.bin"',
        "etag": f'"{text}.raw"',
        "x-content-type-options": "nosniff",
        "x-ipfs-path": f"/ipfs/{text}",
    }
    return Response(block, headers=headers, media_type=RAW)


def _text(status: int, line: str) -> Response:
    return Response(line + "\n", status_code=status, media_type="text/plain")
