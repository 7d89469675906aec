"""Names that lead to content: IPNS, DNSLink, and paths."""

from msgspec import Struct

from reconciler.core.cid import Cid, CidError
from reconciler.core.cid import parse as parse_cid
from reconciler.node.kubo import Kubo, args


class _Path(Struct, rename="pascal"):
    path: str = ""


async def resolve_name(kubo: Kubo, path: str, *, fresh: bool = False, deadline: float | None = None) -> Cid:
    """The CID that `/ipns/<name>[/path]` or `/ipfs/<cid>[/path]` leads to now.

    `fresh` asks the network where the node remembers an answer. Raises NodeError, also where the name leads
    to something that has no CID of its own.
    """
    if path.startswith("/ipns/"):
        query = args(path, nocache=fresh)
        # Kubo collects records for a minute, or until it has 16 of them, which few names ever have: with less time it
        # would give up empty-handed, with the right record in its hands.
        limit = kubo.timeout if deadline is None else deadline
        query = [*query, ("dht-timeout", f"{max(1, round(500 * limit))}ms")]
        path = (await kubo.json("name/resolve", query, _Path, deadline=deadline)).path
    # A name alone leads to /ipfs/<cid>, for which nobody needs to be asked any more.
    command = "name/resolve"
    if path.startswith("/ipfs/") and "/" in path.removeprefix("/ipfs/").rstrip("/"):
        command = "resolve"
        path = (await kubo.json(command, args(path), _Path, deadline=deadline)).path
    text = path.removeprefix("/ipfs/").rstrip("/")
    try:
        return parse_cid(text)
    except CidError as error:
        reason = error.reason
    raise kubo.error(command, f"it does not lead to content with a CID of its own: {reason}")
