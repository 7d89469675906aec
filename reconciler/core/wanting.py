"""What a policy wants of the services that use it, and how a kind of policy says so.

A kind is a module of `reconciler.policies` that implements `Kind`. Nothing else knows the kinds.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from reconciler.core.cid import Cid
from reconciler.core.model import Unknown
from reconciler.core.policy import Policy
from reconciler.core.question import Facts, Question


class Want(Struct, frozen=True, kw_only=True):
    """A pin that a policy wants on every service that uses it, unless `services` names some of them."""

    name: str
    cid: Cid
    #: Bytes, where the policy knows it: the guard `shrank` compares it with what is pinned.
    size: int | None = None
    #: Whether there is nothing in it.
    empty: bool = False
    #: Whether it is a folder without any file that a build was to fill.
    barren: bool = False
    #: A glob of the names that the policy gave under other circumstances (`policy/*/mfs`, for another node), or "".
    former: str = ""
    #: Whether an unmarked pin under exactly this name is the one that Kubo made, to be taken over.
    takeover: bool = False
    services: tuple[str, ...] | None = None
    #: The peer id of the node that it comes from, or "" if it comes from none.
    node: str = ""
    #: Whether nobody has the content until it is imported through the node.
    made_here: bool = False
    #: Where the CID was found, as plans show it: "mfs: /photos".
    whence: str = ""


class Wanted(Struct, frozen=True, kw_only=True):
    """What a policy says once it has its answers."""

    wants: tuple[Want, ...] = ()
    unknown: tuple[Unknown, ...] = ()


class Kind(Protocol):
    """A kind of policy. Modules implement it with functions of these names."""

    def problems(self, policy: Policy) -> tuple[tuple[str, str], ...]:
        """What is wrong with the settings, beyond the schema: (setting, message)."""
        ...

    def questions(self, policy: Policy) -> tuple[Question, ...]:
        """What must be known."""
        ...

    def wanted(self, policy: Policy, facts: Facts, endpoints: Mapping[str, str]) -> Wanted:
        """What it wants. `endpoints` are those of the services that use the policy, normalised, by name."""
        ...
