"""`repinInterval`: the least time between two requests of a policy to a service.

A change that comes after it goes out at once, and so does the first one after a start. One that comes sooner is held
until it is over; then whatever is the root goes out, so that of many changes the last one wins.
"""

from collections.abc import Callable, Mapping

from reconciler.core.model import Desired
from reconciler.core.plan import Blocked, Delete, Keep, Retry
from reconciler.core.planning import Planned
from reconciler.core.policy import Policy

#: Seconds between two attempts at a pin that fails: the first, and the longest.
LEAST_RETRY, LONGEST_RETRY = 30.0, 900.0


class Gate:
    """When each policy last sent a request to one service. Forgotten at a restart, on purpose."""

    def __init__(self, service: str, monotonic: Callable[[], float]) -> None:
        self._service = service
        self._monotonic = monotonic
        self._sent: dict[str, float] = {}
        #: Retries in a row.
        self._retries: dict[str, int] = {}

    def sent(self, policy: str, *, retry: bool = False) -> None:
        """A request has gone out; `retry`: the same one again, since the pin failed."""
        self._sent[policy] = self._monotonic()
        self._retries[policy] = self._retries.get(policy, 0) + 1 if retry else 0

    def left(self, policy: Policy, *, retry: bool = False) -> float:
        """Seconds until the next request may go out; 0 if it may now. Retries are ever longer apart."""
        last = self._sent.get(policy.name)
        if last is None:
            return 0.0
        interval = policy.interval(self._service)
        if retry:
            longer = max(interval, LEAST_RETRY) * 2.0 ** min(self._retries[policy.name], 10)
            interval = max(interval, min(longer, LONGEST_RETRY))
        return max(0.0, last + interval - self._monotonic())

    def waiting(self, planned: Planned) -> dict[str, tuple[str, float]]:
        """Of a plan, what has to wait: the name of each pin, with its policy and for how many seconds."""
        diff = planned.diffs.get(self._service)
        found: dict[str, tuple[str, float]] = {}
        for action in planned.plan.actions:
            if diff is None or action.service != self._service or isinstance(action, Delete | Keep | Blocked):
                continue
            name = policy_of(diff.wanted, action.name)
            policy = planned.manifest.policies.get(name)
            if policy is not None and (left := self.left(policy, retry=isinstance(action, Retry))) > 0:
                found[action.name] = (name, left)
        return found


def policy_of(wanted: Mapping[str, Desired], name: str) -> str:
    """The policy that wants the pin of this name, or ""."""
    entry = wanted.get(name)
    return "" if entry is None else entry.spec.policy
