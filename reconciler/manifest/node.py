"""`node:` of a document that fits the schema: where the node's API is, or the file that says so."""

import os
from collections.abc import Mapping

from reconciler.core.endpoint import needs_insecure
from reconciler.core.manifest import Node
from reconciler.core.node_address import AddressError, api_url, is_path
from reconciler.manifest.durations import seconds
from reconciler.manifest.problems import Document, Problems, Raw
from reconciler.manifest.services import resolve_path, secret_ref

DEFAULT_API = "$IPFS_PATH/api"
#: Kubo's own repository where IPFS_PATH is not set (config.DefaultPathRoot).
_DEFAULT_REPOSITORY = "~/.ipfs"
_REPOSITORY = ("$IPFS_PATH", "${IPFS_PATH}")


def build_node(
    raw: Raw, *, document: Document, line: int, environ: Mapping[str, str], problems: Problems
) -> Node | None:
    """The node, or None after a problem was noted. Reads no api file: what stands there may change."""
    written = raw.get("api", DEFAULT_API)
    api = api_file = ""
    try:
        if is_path(written):
            api_file = _file(written, document.base, environ)
        else:
            api = api_url(written)
    except AddressError as error:
        problems.at(document, ("node", "api"), error.reason, hint=error.hint)
        return None
    insecure = raw.get("insecure", False)
    if api and "token" in raw and needs_insecure(api) and not insecure:
        problems.at(
            document,
            ("node", "api"),
            "plain http to a host that is not on loopback or a private address: the token could be read on the way",
            hint="use https, or say insecure: true",
        )
        return None
    return Node(
        api=api,
        api_file=api_file,
        token=secret_ref(raw["token"], document.base) if "token" in raw else None,
        timeout=seconds(raw.get("timeout", Node().timeout)),
        peer_id=raw.get("peerId", ""),
        insecure=insecure,
        file=document.file,
        line=line,
    )


def _file(written: str, base: str, environ: Mapping[str, str]) -> str:
    """The absolute path of an api file. Raises AddressError."""
    for variable in _REPOSITORY:
        if written == variable or written.startswith(f"{variable}/"):
            written = (environ.get("IPFS_PATH") or _DEFAULT_REPOSITORY) + written.removeprefix(variable)
            # A relative IPFS_PATH is relative to where the program runs, as it is for Kubo.
            return resolve_path(written, os.getcwd())
    if "$" in written:
        raise AddressError(
            "of all variables only $IPFS_PATH is replaced, at the beginning of a path",
            hint="write the path as it is",
        )
    return resolve_path(written, base)
