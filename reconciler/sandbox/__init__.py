"""A local pinning service, true to the IPFS Pinning Services API v1.0.0, for demos, tests and trying things out."""

from reconciler.sandbox.documents import Stored
from reconciler.sandbox.door import Record
from reconciler.sandbox.faults import Answer, Delay, Drop, Fault, Faults, Latency, Received
from reconciler.sandbox.lifecycle import Lifecycle
from reconciler.sandbox.personality import CLUSTER, HELIA, SPEC, Personality
from reconciler.sandbox.pin import Pin
from reconciler.sandbox.server import Sandbox, serve
from reconciler.sandbox.store import Store
from reconciler.sandbox.tables import StoreError

__all__ = [
    "CLUSTER",
    "HELIA",
    "SPEC",
    "Answer",
    "Delay",
    "Drop",
    "Fault",
    "Faults",
    "Latency",
    "Lifecycle",
    "Personality",
    "Pin",
    "Received",
    "Record",
    "Sandbox",
    "Store",
    "StoreError",
    "Stored",
    "serve",
]
