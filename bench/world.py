"""What is measured: CIDs, manifests, list files, accounts. The same for every run."""

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

OWNER = "bench"
SERVICE = "service"
KEY_VARIABLE = "PINREC_BENCH_KEY"


def cid(number: int, generation: int = 0) -> str:
    digest = hashlib.sha256(f"{generation}/{number}".encode()).digest()
    return "b" + base64.b32encode(b"\x01\x55\x12\x20" + digest).decode().lower().rstrip("=")


def name(number: int) -> str:
    return f"data/part-{number:07d}"


@cache
def changes(size: int) -> tuple[int, int, int]:
    """How many pins of a plan are to be added, replaced and deleted: a thousandth each, deletes half of that."""
    each = max(1, size // 1000)
    return each, each, max(1, each // 2)


def wanted(size: int, changed: tuple[int, int, int] = (0, 0, 0)) -> Iterator[tuple[str, str]]:
    """Name and CID of each entry of a manifest over an account of `size` pins, with some differences."""
    added, replaced, deleted = changed
    for number in range(deleted, size + added):
        yield name(number), cid(number, generation=1 if number < deleted + replaced else 0)


def head(endpoint: str, concurrency: int = 16, requests: str = "") -> str:
    limit = f"\n      requests: {requests}" if requests else ""
    return f"""\
version: 1
name: {OWNER}
services:
  {SERVICE}:
    preset: sandbox
    endpoint: {endpoint}
    key:
      env: {KEY_VARIABLE}
    limits:
      concurrency: {concurrency}{limit}
defaults:
  services: [{SERVICE}]
"""


def write_inline(
    path: Path,
    size: int,
    *,
    endpoint: str = "http://127.0.0.1:9",
    concurrency: int = 16,
    requests: str = "",
    changed: tuple[int, int, int] = (0, 0, 0),
) -> Path:
    """A manifest with every pin written in it."""
    with path.open("w") as file:
        file.write(head(endpoint, concurrency, requests) + "pins:\n")
        file.writelines(f"  - name: {n}\n    cid: {c}\n" for n, c in wanted(size, changed))
    return path


def write_listed(
    path: Path,
    size: int,
    *,
    form: str = "txt",
    endpoint: str = "http://127.0.0.1:9",
    changed: tuple[int, int, int] = (0, 0, 0),
) -> Path:
    """A manifest with its pins in a list file beside it, as text (`txt`) or NDJSON (`ndjson`)."""
    listed = path.with_suffix(f".{form}")
    with listed.open("w") as file:
        if form == "ndjson":
            file.writelines(json.dumps({"cid": c, "name": n}) + "\n" for n, c in wanted(size, changed))
        else:
            file.writelines(f"{c} {n}\n" for n, c in wanted(size, changed))
    path.write_text(head(endpoint) + f"pins:\n  - from: {listed.name}\n")
    return path
