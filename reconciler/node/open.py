"""From what the manifest says of a node to a client that can be asked."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from reconciler.core.endpoint import needs_insecure
from reconciler.core.errors import NodeError
from reconciler.core.manifest import Node as NodeSpec
from reconciler.core.node_address import AddressError, api_url
from reconciler.node.client import KuboNode
from reconciler.transport.rpc import Rpc
from reconciler.transport.secret import resolve

_MAX_API_FILE = 4096


@asynccontextmanager
async def open_node(spec: NodeSpec, *, environ: Mapping[str, str]) -> AsyncIterator[KuboNode]:
    """The node of a manifest. Nothing is asked of it yet.

    Raises SecretError if its token cannot be had, and NodeError if the file that names its API is not there or
    the token would travel in the clear.
    """
    token = (
        resolve(spec.token, environ=environ, what="the token of the node", field="token")
        if spec.token
        else None
    )
    url = spec.api or await asyncio.to_thread(_from_file, spec.api_file)
    if token and needs_insecure(url) and not spec.insecure:
        raise NodeError(
            f"the node at {url}: plain http to a host that is not on this machine or a private network: the token "
            "could be read on the way",
            hint="use https, or say insecure: true under node:",
        )
    async with Rpc(url=url, token=token, timeout=spec.timeout, environ=environ) as rpc:
        yield KuboNode(rpc, timeout=spec.timeout)


def _from_file(name: str) -> str:
    path = Path(name).expanduser()
    failure = ""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_API_FILE).decode("ascii").strip()
    except FileNotFoundError:
        failure = "there is no such file; a running daemon writes it"
    except OSError as error:
        failure = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        failure = "it is no text"
    else:
        try:
            return api_url(text)
        except AddressError as error:
            failure = f"what it holds is no address of an API: {error.reason}"
    raise NodeError(
        f"the node's API, which {path} should name: {failure}",
        unreachable=True,
        hint="is the daemon running? (`ipfs daemon`); or give its address as api:",
    )
