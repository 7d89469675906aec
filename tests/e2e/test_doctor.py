"""What the doctor finds at a real ipfs-cluster is what its preset says."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from reconciler.core.manifest import SecretRef, Service
from reconciler.core.profile import PROFILES
from reconciler.services.doctor import Doctor, values
from reconciler.services.examination import Examination
from reconciler.services.probes import throwaway
from reconciler.services.tape import open_taped

pytestmark = pytest.mark.cluster
ROW = values(PROFILES["ipfs-cluster"])


def examine(endpoint: str, **more: Any) -> Examination:
    spec = Service(
        name="cluster",
        endpoint=endpoint,
        key=SecretRef(kind="env", value=("KEY",)),
        profile=PROFILES["ipfs-cluster"],
    )

    async def main() -> Examination:
        async with open_taped(spec, environ={"KEY": "x"}) as taped:
            return await Doctor(spec, taped, **more).examine(timeout=120, stop=asyncio.Event())

    return asyncio.run(main())


def test_a_real_cluster_is_as_its_preset_says(cluster: Any) -> None:
    with httpx.Client(base_url=cluster.endpoint, trust_env=False, timeout=30) as http:
        theirs = http.post("/pins", json={"cid": cluster.add("theirs"), "name": "theirs"}).json()
        found = examine(cluster.endpoint)
        assert (found.stopped, found.leftovers) == ("", ())
        assert found.determined == {k: v for k, v in ROW.items() if k not in ("name", "limit", "largeLimit")}
        left = http.get("/pins", params={"limit": 1000, "status": "queued,pinning,pinned,failed"}).json()
        assert [p["requestid"] for p in left["results"]] == [theirs["requestid"]]


def test_a_large_limit_shows_where_there_are_more_than_a_thousand(cluster: Any) -> None:
    def add(number: int) -> None:
        cid = throwaway.inline("theirs", number)
        http.post("/pins", json={"cid": cid, "name": str(number)}).raise_for_status()

    with httpx.Client(base_url=cluster.endpoint, trust_env=False, timeout=30) as http:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(1010)))
        # A busy cluster lists a pin a moment after it took it.
        query = {"limit": 5000, "status": "queued,pinning,pinned,failed"}
        for _ in range(120):
            if http.get("/pins", params=query).json()["count"] == 1010:
                break
            time.sleep(0.5)
        found = examine(cluster.endpoint, read_only=True)
    assert found.determined["largeLimit"] is ROW["largeLimit"] is True
    assert found.determined["limit"] == ROW["limit"]
    assert found.determined["order"] == ROW["order"]
