"""A policy as the manifest declares it: what all kinds have in common, and the settings of one."""

from typing import Literal

from msgspec import Struct

ReplaceMode = Literal["auto", "safe", "modify"]
#: A setting of a kind, as the schema let it through; durations are texts such as "30s".
Setting = str | int | float | bool | tuple[str, ...]


class Retain(Struct, frozen=True, kw_only=True):
    """How many roots stay pinned, the current one among them (`count`), or how long after they were replaced
    (`age`, seconds). Exactly one of the two is given."""

    count: int | None = None
    age: float | None = None


class PolicyUse(Struct, frozen=True, kw_only=True):
    """What a service changes of a policy for itself; None leaves it as the policy has it. Seconds."""

    repin_interval: float | None = None
    replace: ReplaceMode | None = None


class Policy(Struct, frozen=True, kw_only=True):
    """A policy of the manifest, or a built-in one. All times in seconds."""

    name: str
    kind: str
    #: What only this kind has: `path` of an MFS policy.
    settings: dict[str, Setting] = {}
    #: As written: `{peer_id}` stands for the peer id of the node.
    pin_name: str = ""
    #: The least time between two requests to one service.
    repin_interval: float = 30.0
    #: Quiet time that a change must have before it counts.
    settle: float = 0.3
    enabled: bool = True
    #: `auto`: modify where the profile says that it keeps the old pin until the new one is accepted.
    replace: ReplaceMode = "auto"
    retain: Retain | None = None
    protect: bool = False
    local: bool = False
    meta: dict[str, str] = {}
    #: Service → what it changes, for the services that use the policy, in manifest order.
    uses: dict[str, PolicyUse] = {}
    file: str = ""
    line: int = 0
    #: The directory that paths of local files are relative to, absolute.
    base: str = ""

    @property
    def origin(self) -> str:
        return f"policy {self.name}"

    def interval(self, service: str) -> float:
        use = self.uses.get(service)
        return self.repin_interval if use is None or use.repin_interval is None else use.repin_interval

    def replace_at(self, service: str) -> ReplaceMode:
        use = self.uses.get(service)
        return self.replace if use is None or use.replace is None else use.replace
