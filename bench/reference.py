"""What pinrec is held against: the least code that does the same, in a process of its own.

`python bench/reference.py TASK ARGUMENT...` prints JSON: seconds, peak MB, and what was counted. Nothing of pinrec
is imported here.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from urllib.parse import quote

import msgspec
import task
import world

STATUSES = "queued,pinning,pinned,failed"
#: httpx slows down with the connections in one pool; eight a client is what it does best with.
PER_CLIENT = 8


class Pin(msgspec.Struct):
    cid: str
    name: str | None = None
    origins: list[str] | None = None
    meta: dict[str, str] | None = None


class PinStatus(msgspec.Struct):
    requestid: str
    status: str
    created: str
    pin: Pin
    delegates: list[str] | None = None
    info: dict[str, str] | None = None


class Results(msgspec.Struct):
    count: int
    results: list[PinStatus]


def nothing() -> task.Done:
    """The process itself."""
    return task.Done(seconds=0.0)


def events(path: str) -> task.Done:
    """libyaml's events of a manifest, one by one, and nothing done with them."""
    from _ruamel_yaml import CParser
    from ruamel.yaml.events import StreamEndEvent

    began = time.perf_counter()
    with open(path, encoding="utf-8") as file:  # noqa: PTH123  as bare as can be
        get = CParser(file.read()).get_event
    count = 1
    while type(get()) is not StreamEndEvent:
        count += 1
    return task.Done(seconds=time.perf_counter() - began, count=count)


def lines(path: str) -> task.Done:
    """The lines of a list file in a dict by name."""
    began = time.perf_counter()
    names: dict[str, str] = {}
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        for line in file:
            text, name = line.split()
            names[name] = text
    return task.Done(seconds=time.perf_counter() - began, count=len(names))


def listing(endpoint: str, limit: str = "1000", pages: str = "0") -> task.Done:
    """GET /pins in a loop, `before` the oldest of the last page: pages of 1000, or of 10 as Kubo's client does."""
    import httpx

    decoder = msgspec.json.Decoder(Results)

    async def main() -> task.Done:
        headers = {"authorization": "Bearer token-0"}
        async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=60) as client:
            began = time.perf_counter()
            url = f"{endpoint}/pins?status={quote(STATUSES)}&limit={limit}"
            before, count, requests = "", 0, 0
            while True:
                answer = await client.get(url + before)
                answer.raise_for_status()
                page = decoder.decode(answer.content).results
                requests += 1
                count += len(page)
                if len(page) < int(limit) or requests == int(pages):
                    return task.Done(seconds=time.perf_counter() - began, count=count, requests=requests)
                before = f"&before={quote(page[-1].created)}"

    return asyncio.run(main())


def plan(path: str, endpoint: str) -> task.Done:
    """A bare listing and a bare loop over the manifest's events, which a plan cannot do without."""
    listed, read = listing(endpoint), events(path)
    return task.Done(seconds=listed.seconds + read.seconds, count=listed.count)


def adds(endpoint: str, size: str, concurrency: str, token: str) -> task.Done:
    """POST /pins by `concurrency` workers over as many clients of eight connections as it takes."""
    import httpx

    bodies = iter(
        [
            {"cid": world.cid(n), "name": world.name(n), "meta": {"pinrec": world.OWNER}}
            for n in range(int(size))
        ]
    )
    decoder = msgspec.json.Decoder(PinStatus)
    url = f"{endpoint}/pins"
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    accepted = 0

    async def worker(client: httpx.AsyncClient) -> None:
        nonlocal accepted
        for body in bodies:
            answer = await client.post(url, content=msgspec.json.encode(body))
            answer.raise_for_status()
            accepted += decoder.decode(answer.content).status == "pinned"

    async def main() -> task.Done:
        limits = httpx.Limits(max_connections=PER_CLIENT, max_keepalive_connections=PER_CLIENT)
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    httpx.AsyncClient(
                        headers=headers, limits=limits, trust_env=False, verify=False, timeout=60
                    )
                )
                for _ in range(-(-int(concurrency) // PER_CLIENT))
            ]
            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for n in range(int(concurrency)):
                    group.create_task(worker(clients[n % len(clients)]))
            return task.Done(seconds=time.perf_counter() - began, count=accepted)

    return asyncio.run(main())


if __name__ == "__main__":
    task.run((nothing, events, lines, listing, plan, adds), sys.argv[1:])
