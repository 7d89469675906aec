"""The kinds of policies: one module each, and this table. Nothing else in the tree knows them.

A module implements `core.wanting.Kind` with functions of its names: what must be known is asked with data, and what
is wanted is a pure function of the answers.
"""

from collections.abc import Mapping
from typing import Final

from reconciler.core.wanting import Kind
from reconciler.policies import local_pins, mfs

KINDS: Final[Mapping[str, Kind]] = {"local-pins": local_pins, "mfs": mfs}
