"""A local pinning service, true to the IPFS Pinning Services API v1.0.0, and a small node (`node/`), for demos, tests
and trying things out.

Names are looked up when they are asked for: the command line reads the tables of personalities and quirks for its help,
and must not load a web server for that.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.sandbox.documents import Stored
    from reconciler.sandbox.door import Record
    from reconciler.sandbox.faults import (
        AllOf,
        Answer,
        Delay,
        Drop,
        Fault,
        Faults,
        Happen,
        Latency,
        Received,
    )
    from reconciler.sandbox.lifecycle import Lifecycle
    from reconciler.sandbox.mishaps import MISHAPS
    from reconciler.sandbox.network import Network
    from reconciler.sandbox.node import NodeFaults, SandboxNode
    from reconciler.sandbox.pace import Rate, RateLimit
    from reconciler.sandbox.personalities import CLUSTER, HELIA, PERSONALITIES, SPEC
    from reconciler.sandbox.personality import Personality
    from reconciler.sandbox.pin import Pin
    from reconciler.sandbox.quirks import QUIRKS, QuirkError, with_quirks
    from reconciler.sandbox.script import Chance, Rule, Script, ScriptError, read_script
    from reconciler.sandbox.server import Sandbox, serve
    from reconciler.sandbox.store import Store
    from reconciler.sandbox.tables import StoreError

_HOMES = {
    "documents": ("Stored",),
    "door": ("Record",),
    "faults": ("AllOf", "Answer", "Delay", "Drop", "Fault", "Faults", "Happen", "Latency", "Received"),
    "lifecycle": ("Lifecycle",),
    "mishaps": ("MISHAPS",),
    "network": ("Network",),
    "node": ("NodeFaults", "SandboxNode"),
    "pace": ("Rate", "RateLimit"),
    "personalities": ("CLUSTER", "HELIA", "PERSONALITIES", "SPEC"),
    "personality": ("Personality",),
    "pin": ("Pin",),
    "quirks": ("QUIRKS", "QuirkError", "with_quirks"),
    "script": ("Chance", "Rule", "Script", "ScriptError", "read_script"),
    "server": ("Sandbox", "serve"),
    "store": ("Store",),
    "tables": ("StoreError",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = [
    "CLUSTER",
    "HELIA",
    "MISHAPS",
    "PERSONALITIES",
    "QUIRKS",
    "SPEC",
    "AllOf",
    "Answer",
    "Chance",
    "Delay",
    "Drop",
    "Fault",
    "Faults",
    "Happen",
    "Latency",
    "Lifecycle",
    "Network",
    "NodeFaults",
    "Personality",
    "Pin",
    "QuirkError",
    "Rate",
    "RateLimit",
    "Received",
    "Record",
    "Rule",
    "Sandbox",
    "SandboxNode",
    "Script",
    "ScriptError",
    "Store",
    "StoreError",
    "Stored",
    "read_script",
    "serve",
    "with_quirks",
]
