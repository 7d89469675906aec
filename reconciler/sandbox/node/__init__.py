"""A small node like Kubo, in memory, for trying out and for tests: the part of its RPC API that pinrec uses.

wire        HTTP/1.1 with trailers          rpc         from a request to its answer
call        arguments and options           commands    every command there is
reply       what commands answer with       state       what they work on
blocks      the block store                 mfs, locks  the mutable file system, and what makes it wait
files       files/*                         adding      add
data        blocks and their content        dags, car   dag/*
pins        pin/*                           swarm       swarm/*, routing/*
about       id, version, config, repo       settings    the configuration
faults      what may be wrong with it       server      starting and stopping

Names are looked up when they are asked for: the command line's help reads the table of faults, and loads no server.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.sandbox.node.faults import NodeFaults
    from reconciler.sandbox.node.server import SandboxNode

_HOME = {"NodeFaults": "faults", "SandboxNode": "server"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = ["NodeFaults", "SandboxNode"]
