"""What a gateway answers, in the words for it."""

import asyncio

import pytest

from reconciler.core.unixfs import address
from reconciler.core.verified import UnclearError
from reconciler.services.gateway import Gateway, Reply

CID = address.from_text("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")


@pytest.mark.parametrize(
    ("status", "keyed", "told"),
    [
        (301, True, "g.example redirects, which is not followed with a key"),
        (301, False, "g.example redirects (301) and does not say where to"),
        (304, True, "g.example answers 304"),
        (304, False, "g.example answers 304"),
    ],
)
def test_a_redirect_that_is_not_followed(status: int, keyed: bool, told: str) -> None:
    async def ask(path: str, deadline: float) -> Reply:
        return Reply(status, b"")

    with pytest.raises(UnclearError) as caught:
        asyncio.run(Gateway("g.example", ask, keyed=keyed).block(CID, deadline=5.0))
    assert str(caught.value) == told
