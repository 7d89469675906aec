"""A saved plan of a folder that has changed since."""

import asyncio
import random
from pathlib import Path

import pytest
from support.rooted import START, ScriptedNode, manifest_of
from support.world import Client, World

from reconciler.core.errors import StalePlanError
from reconciler.core.plan import Overrides
from reconciler.core.policy import Policy
from reconciler.engine.context import Context
from reconciler.engine.cycle import load_saved, make_plan


def test_it_is_the_folder_that_is_said_to_have_changed(tmp_path: Path) -> None:

    file = tmp_path / "dist" / "index.html"
    file.parent.mkdir()
    file.write_text("one")
    policy = Policy(
        name="site", kind="directory", settings={"path": "./dist"}, pin_name="site", base=str(tmp_path)
    )
    manifest = manifest_of(policy)
    service = Client(World(random.Random(1), one=False))

    async def go() -> None:
        ctx = Context(now=START, services={"s": service}, node=ScriptedNode(), new_id=lambda: "run")
        saved = (await make_plan(manifest, Overrides(), ctx, resolved={})).plan
        assert [a.name for a in saved.changes] == ["site"]
        file.write_text("two!")
        fresh = await make_plan(manifest, Overrides(), ctx, resolved=saved.resolved)
        with pytest.raises(StalePlanError, match=r"^the folder \./dist has changed since this plan was made"):
            load_saved(fresh, saved, ctx)

    asyncio.run(go())
