"""What the doctor finds at services that others wrote is what their presets say."""

import asyncio
from typing import Any

import httpx
import pytest

from reconciler.core.manifest import SecretRef, Service
from reconciler.core.profile import PROFILES, Profile
from reconciler.services.doctor import Doctor, values
from reconciler.services.examination import Examination
from reconciler.services.tape import open_taped

pytestmark = pytest.mark.node
#: One page holds all throw-away pins, so a cap of its own would not show.
UNSEEN = {"limit"}


def examine(service: Any, profile: Profile, cids: tuple[str, ...] = ()) -> Examination:
    spec = Service(
        name="svc",
        endpoint=service.endpoint,
        key=SecretRef(kind="env", value=("KEY",)),
        profile=profile,
    )

    async def main() -> Examination:
        async with open_taped(spec, environ={"KEY": service.token}) as taped:
            return await Doctor(spec, taped, cids=cids).examine(timeout=120, stop=asyncio.Event())

    found = asyncio.run(main())
    assert (found.stopped, found.leftovers) == ("", ())
    assert listed(service) == 0
    return found


def listed(service: Any) -> int:
    answer = httpx.get(
        f"{service.endpoint}/pins?status=queued,pinning,pinned,failed",
        headers={"authorization": f"Bearer {service.token}"},
        trust_env=False,
    )
    return len(answer.json()["results"])


@pytest.mark.parametrize("given", [0, 4])
def test_helia_is_as_its_preset_says(helia: Any, given: int) -> None:
    found = examine(helia, PROFILES["helia"], helia.cids[:given])
    expected = {k: v for k, v in values(PROFILES["helia"]).items() if k not in {"name", *UNSEEN}}
    assert found.determined == expected


def test_the_mock_service_is_told_with_all_its_ways(mock: Any) -> None:
    assert examine(mock, PROFILES["unknown"]).determined == {
        "order": "oldest",
        "edges": "exclusive",
        "count": "page",
        "precisionMs": 1,
        "filters": ("cid", "name", "status"),
        "meta": "kept",
        "secondAdd": "same",
        "sameCidReplace": "newId",
        "modify": "loses",
        "idIsCid": False,
    }
