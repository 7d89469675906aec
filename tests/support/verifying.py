"""What tests of `verify` share: content in several blocks, a service that is asked for it, and a pin of it."""

import json
import random
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from reconciler.core.manifest import Manifest, Node, SecretRef, Service, Verify
from reconciler.core.profile import PROFILES
from reconciler.core.unixfs import address, file, params
from reconciler.engine.context import Context
from reconciler.engine.journal import Journal
from reconciler.node.open import open_node
from reconciler.sandbox import Sandbox
from reconciler.services.client import open_services

KEY = "canary-key-0123456789"
NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
SWARM_OF_OTHER = ("/ip4/127.0.0.1/tcp/4002",)


def blocks_of(content: bytes, *, chunk: int = 1000) -> tuple[str, dict[bytes, bytes]]:
    """A file of several leaves below a root: its CID, and its blocks by CID."""
    cut = params.given(params.KUBO_V1, chunker=f"size-{chunk}")
    blocks: dict[bytes, bytes] = {}
    entry = file.build([content], cut, blocks.__setitem__)
    return address.to_text(entry.cid), blocks


CID, BLOCKS = blocks_of(random.Random(1).randbytes(5000))
ROOT = address.from_text(CID)
LEAVES = [cid for cid in BLOCKS if cid != ROOT]


def service_of(
    sandbox: Sandbox, *, gateway: str | None = "", key: bool = False, name: str = "box"
) -> Service:
    """`gateway` None: it has none."""
    ref = SecretRef(kind="env", value=("BOX_KEY",))
    verify = None if gateway is None else Verify(gateway=gateway or sandbox.url, key=ref if key else None)
    return Service(name=name, endpoint=sandbox.url, key=ref, profile=PROFILES["spec"], verify=verify)


def manifest_of(*services: Service, node: str = "") -> Manifest:
    return Manifest(
        owner="acme",
        services={s.name: s for s in services},
        entries=[],
        node=Node(api=node) if node else None,
    )


@asynccontextmanager
async def opened(manifest: Manifest, journal: Journal | None = None) -> AsyncIterator[Context]:
    environ = {"BOX_KEY": KEY}
    async with open_services(manifest.services, environ=environ) as services:
        if manifest.node is None:
            yield Context(now=NOW, services=services, new_id=lambda: "id", environ=environ, journal=journal)
            return
        async with open_node(manifest.node, environ=environ) as node:
            yield Context(
                now=NOW, services=services, new_id=lambda: "id", environ=environ, journal=journal, node=node
            )


def pin_by_hand(sandbox: Sandbox, *, name: str = "docs", meta: dict[str, str] | None = None) -> str:
    """A pin of this owner, made by hand."""
    body = {"cid": CID, "name": name, "meta": {"pinrec": "acme"} if meta is None else meta}
    request = urllib.request.Request(
        f"{sandbox.url}/pins",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return str(json.load(answer)["requestid"])
