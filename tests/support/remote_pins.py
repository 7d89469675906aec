"""`pin/remote/ls` and `pin/remote/service/ls` for a sandbox node, as Kubo does them: by its own requests to the
service, with the key of its configuration, ten pins a page, each before the `created` of the last one.

    node.state.settings.add_service("mine", sandbox.url, key=KEY)
    serve_remote_pins(monkeypatch)
"""

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest

from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.commands import COMMANDS
from reconciler.sandbox.node.reply import Once, Records, Reply, RpcError, Value
from reconciler.sandbox.node.state import Command, State
from reconciler.sandbox.node.upload import Upload

PAGE = 10


def serve_remote_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Usage(options={"service": "string"})  # what else is asked for is all there is
    monkeypatch.setitem(COMMANDS, "pin/remote/ls", Command(_ls, listed))
    monkeypatch.setitem(
        COMMANDS, "pin/remote/service/ls", Command(_services, Usage(options={"stat": "bool"}))
    )


def _configured(state: State) -> dict[str, Any]:
    tree: Any = state.settings.tree
    return dict(tree["Pinning"]["RemoteServices"])


def _ask(service: Any, query: dict[str, str]) -> Any:
    url = f"{service['API']['Endpoint']}/pins?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {service['API']['Key']}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)
    except OSError as error:
        raise RpcError(f"empty response from remote pinning service: {error}") from None


async def _ls(state: State, call: Arguments, _upload: Upload) -> Reply:
    services = _configured(state)
    if (name := call.text("service")) not in services:
        raise RpcError("service not known")
    query = {"limit": str(PAGE), "status": "queued,pinning,pinned,failed"}
    first = await asyncio.to_thread(_ask, services[name], query)

    async def records() -> AsyncIterator[Value]:
        page = first
        while True:
            for pin in page["results"]:
                yield {
                    "Status": pin["status"],
                    "Cid": pin["pin"]["cid"],
                    "Name": pin["pin"].get("name") or "",
                }
            if page["count"] == len(page["results"]):
                return
            before = {**query, "before": page["results"][-1]["created"]}
            page = await asyncio.to_thread(_ask, services[name], before)

    return Records(records())


async def _services(state: State, _call: Arguments, _upload: Upload) -> Reply:
    told = []
    for name, service in sorted(_configured(state).items()):
        said: dict[str, object] = {"Service": name, "ApiEndpoint": service["API"]["Endpoint"]}
        try:
            counts = {
                status.capitalize(): (
                    await asyncio.to_thread(_ask, service, {"limit": "1", "status": status})
                )["count"]
                for status in ("queued", "pinning", "pinned", "failed")
            }
            said["Stat"] = {"Status": "valid", "PinCount": counts}
        except RpcError:
            said["Stat"] = {"Status": "invalid"}
        told.append(said)
    return Once({"RemoteServices": told})
