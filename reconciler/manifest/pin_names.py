"""What the pins of policies are called: names that fit, and that nobody else on the same service has."""

from collections.abc import Mapping, Sequence
from typing import Final

from reconciler.core.manifest import Entry, Node, Replicas
from reconciler.core.policy import Policy
from reconciler.manifest.names import Names
from reconciler.manifest.places import Path
from reconciler.manifest.policies import Declared, Use
from reconciler.manifest.problems import Document, Problems, shown

PEER: Final = "{peer_id}"
#: A peer id has 52 or 53 bytes in base58, as Kubo writes it, and at most 59 as a CID in base32.
_LONGEST_PEER = 59
#: A peer id for globs to look at where the node's is not known.
_SOME_PEER = f"12D3KooW{'x' * 44}"
#: The longest that is put behind the name of a root that is kept.
_KEPT = "@2026-01-01T00:00:00.000000Z"


class PinNames:
    """The checks of a manifest's policies, with the places to show."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        declared: Mapping[str, Declared],
        uses: Sequence[Use],
        *,
        node: Node | None,
        problems: Problems,
    ) -> None:
        self._policies = policies
        self._declared = declared
        self._uses = uses
        self._peer = node.peer_id if node is not None else ""
        self._problems = problems

    def check(self, names: Names, entries: Sequence[Entry]) -> None:
        """Note every name that does not fit, is another policy's, or an entry's of `pins`."""
        for policy in self._policies.values():
            self._fits(policy, names)
        self._no_two_policies()
        self._no_entry(entries)

    def _fits(self, policy: Policy, names: Names) -> None:
        longest = len(policy.pin_name.replace(PEER, "x" * _LONGEST_PEER).encode()) + len(_KEPT)
        if longest > names.limit:
            self._at(
                policy,
                f"the name may take {longest} bytes of at most {names.limit}: with a peer id in its place, and the "
                "time of a kept root behind it",
                hint=f"shorten it by {longest - names.limit}",
            )
            return
        sample = policy.pin_name.replace(PEER, self._peer or _SOME_PEER)
        wrong = names.check(sample)
        if wrong is None and policy.retain is not None:
            wrong = names.check(sample + _KEPT)
        if wrong is not None:
            self._at(policy, wrong[0], hint=wrong[1].replace("remove the entry", "choose another pinName"))

    def _no_two_policies(self) -> None:
        first: dict[tuple[str, str], Policy] = {}
        both: dict[tuple[str, str], list[str]] = {}
        for policy in self._policies.values():
            for service in policy.uses:
                other = first.setdefault((service, self._final(policy)), policy)
                if other is not policy:
                    both.setdefault((other.name, policy.name), []).append(service)
        for (one, two), services in both.items():
            earlier, policy = self._policies[one], self._policies[two]
            self._at(
                policy,
                f"the policies {one} ({earlier.file}:{earlier.line}) and {two} have one pin name on "
                f"{', '.join(services)}: {shown(self._final(policy), 100)}",
                hint="give one of them another pinName",
            )

    def _no_entry(self, entries: Sequence[Entry]) -> None:
        """A name with a placeholder whose text is not known yet may be anything, and is left to the plan."""
        fixed: dict[str, list[Policy]] = {}
        for policy in self._policies.values():
            name = self._final(policy)
            if policy.uses and "{" not in name:
                fixed.setdefault(name, []).append(policy)
        if not fixed:
            return
        for entry in entries:
            name = entry.name
            if name not in fixed:
                # What follows @ is the time of a root that a policy keeps.
                name = name.rpartition("@")[0] if name.endswith("Z") else ""
            for policy in fixed.get(name, ()):
                if name != entry.name and policy.retain is None:
                    continue
                services = entry.spec.services
                wanted = services.of if isinstance(services, Replicas) else services
                common = [s for s in policy.uses if s in wanted]
                if common:
                    where = f"{entry.spec.file}:{entry.line}" if entry.line else entry.spec.file
                    self._at(
                        policy,
                        f"the pin of the policy {policy.name} would have the name of another on "
                        f"{', '.join(common)}: {shown(entry.name, 100)} at {where}",
                        hint="give one of them another name",
                    )

    def _final(self, policy: Policy) -> str:
        return policy.pin_name.replace(PEER, self._peer) if self._peer else policy.pin_name

    def _at(self, policy: Policy, message: str, *, hint: str) -> None:
        """At the policy's pinName, or the policy, or the first service that uses the built-in one."""
        document: Document
        path: Path
        declared = self._declared.get(policy.name)
        if declared is None:
            use = next(u for u in self._uses if u.policy == policy.name)
            document, path = use.document, use.path
        else:
            document, path = declared.document, ("policies", policy.name)
            if "pinName" in declared.raw:
                self._problems.at(document, (*path, "pinName"), message, hint=hint)
                return
        self._problems.at(document, path, message, hint=hint, at_key=True)
