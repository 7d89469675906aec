"""What the engine tells while it works. The renderers of the CLI listen; the engine never prints."""

from typing import Protocol

from reconciler.core.report import Outcome


class Progress(Protocol):
    """Every method returns at once and never raises."""

    def listing(self, service: str, pins: int, *, done: bool) -> None:
        """`pins` seen so far at a service."""
        ...

    def applying(self, total: int) -> None:
        """An apply of `total` changes begins."""
        ...

    def accepted(self, service: str, name: str, action: str) -> None:
        """A service accepted a request; the pin may still be waiting."""
        ...

    def waiting(self, pending: int, seconds_left: float) -> None:
        """`pending` pins are followed until they are pinned."""
        ...

    def fetching(self, service: str, cid: str, nodes: int, size: int) -> None:
        """The node is fetching a pin: blocks so far, and bytes, 0 where it does not say."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """An action has its final outcome."""
        ...

    def note(self, service: str, text: str) -> None:
        """Something a person should know now: a lane stopped, a service asks to wait."""
        ...


class Silent:
    """Listens to nothing."""

    def listing(self, service: str, pins: int, *, done: bool) -> None: ...
    def applying(self, total: int) -> None: ...
    def accepted(self, service: str, name: str, action: str) -> None: ...
    def waiting(self, pending: int, seconds_left: float) -> None: ...
    def fetching(self, service: str, cid: str, nodes: int, size: int) -> None: ...
    def outcome(self, outcome: Outcome) -> None: ...
    def note(self, service: str, text: str) -> None: ...
