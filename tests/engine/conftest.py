from collections.abc import Iterator
from pathlib import Path

import pytest
from support.building import Here, building


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    with building(tmp_path) as world:
        yield world
