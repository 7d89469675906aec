"""What is wrong with the node: attributes that may be set at any time, from any thread."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from reconciler.sandbox.node.reply import RpcError

Seconds: TypeAlias = Callable[[str], float]


class FaultError(ValueError):
    """A fault that there is not, or a value that it cannot have. `given` is what `known` could stand in place of."""

    def __init__(self, message: str, *, given: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.given = given
        self.known = known


class NodeFaults(Struct, eq=False, kw_only=True):
    """All times in seconds.

    stat_seconds    what a `files/stat` of an MFS path costs, as after `files/ls` of a large directory
    stat_hangs      it never answers
    lookup_seconds  how long a lookup of what is not here holds its directory, whatever `timeout=` says
    errors          command → message: it answers 500, and does nothing
    empty           commands that answer 200 with an empty body and no content type, and do nothing
    cut             commands whose body ends without its last record, with an error in the trailer alone
    mute            accepts connections and answers nothing at all
    dial_seconds    how long `swarm/connect` takes
    dial_refused    it fails
    """

    stat_seconds: float = 0
    stat_hangs: bool = False
    lookup_seconds: float = 60
    errors: dict[str, str] = {}
    empty: set[str] = set()
    cut: set[str] = set()
    mute: bool = False
    dial_seconds: float = 0
    dial_refused: bool = False

    def clear(self) -> None:
        """Everything is well again."""
        fresh = NodeFaults()
        for field in self.__struct_fields__:
            setattr(self, field, getattr(fresh, field))

    def check(self, command: str) -> None:
        """Raises RpcError for a command that is to fail."""
        message = self.errors.get(command)
        if message is not None:
            raise RpcError(message)


class FaultUsage(Struct, frozen=True):
    """How the command line names a fault: `name`, its value if it takes one, what it does."""

    name: str
    value: str
    help: str


USAGE: dict[str, FaultUsage] = {
    usage.name: usage
    for usage in (
        FaultUsage("stat", "DURATION", "files/stat of an MFS path takes so long"),
        FaultUsage("stat-hangs", "", "files/stat of an MFS path never answers"),
        FaultUsage("freeze", "DURATION", "a lookup in a lazily linked directory holds MFS so long (60s)"),
        FaultUsage("error", "COMMAND", "the command, such as files/stat, answers 500"),
        FaultUsage("empty", "COMMAND", "it answers 200 with an empty body, and does nothing"),
        FaultUsage("cut", "COMMAND", "its body ends early, with the error in the trailer"),
        FaultUsage("dial", "DURATION", "swarm/connect takes so long"),
        FaultUsage("dial-refused", "", "swarm/connect fails"),
        FaultUsage("mute", "", "requests are taken and never answered"),
    )
}


def read(texts: tuple[str, ...], seconds: Seconds) -> NodeFaults:
    """`NAME` or `NAME=VALUE`, as the command line has them; `seconds` reads a duration. Raises FaultError."""
    faults = NodeFaults()
    for text in texts:
        name, _, value = text.partition("=")
        usage = USAGE.get(name)
        if usage is None:
            raise FaultError(f"{name}: there is no such fault", given=name, known=tuple(USAGE))
        if bool(usage.value) != bool(value):
            wanted = f"a value, {name}={usage.value}" if usage.value else "no value"
            raise FaultError(f"{name} takes {wanted}")
        _set(faults, name, value, seconds)
    return faults


def _set(faults: NodeFaults, name: str, value: str, seconds: Seconds) -> None:
    match name:
        case "stat":
            faults.stat_seconds = seconds(value)
        case "stat-hangs":
            faults.stat_hangs = True
        case "freeze":
            faults.lookup_seconds = seconds(value)
        case "error":
            faults.errors[value] = "the sandbox was asked to fail"
        case "empty":
            faults.empty.add(value)
        case "cut":
            faults.cut.add(value)
        case "dial":
            faults.dial_seconds = seconds(value)
        case "dial-refused":
            faults.dial_refused = True
        case "mute":
            faults.mute = True
