"""What Kubo's own remote pinning becomes in a manifest: services, and policies where Kubo keeps MFS pinned.

| At a service                                   | In the manifest                                              |
|------------------------------------------------|--------------------------------------------------------------|
| MFS policy on, no PinName                      | `policies: [all-in-mfs]`                                     |
| … with an interval that the others do not have | `policies: [{all-in-mfs: {repinInterval: …}}]`               |
| MFS policy on, a PinName                       | a policy of its own, with that pinName                       |
| off, and its last pin is there                 | all-in-mfs with `enabled: false`; a comment where others are on |
| a pin that the MFS of another node follows     | left out and ignored: that node goes on with it              |
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.endpoint import EndpointError, host_of, needs_insecure, normalise
from reconciler.core.kubo_config import switch_off
from reconciler.core.local import LOCAL
from reconciler.core.presets import PRESETS
from reconciler.core.question import KuboService, KuboServices
from reconciler.core.takeover import Check
from reconciler.manifest.problems import Raw

#: What Kubo takes where no RepinInterval is set (cmd/ipfs/kubo/pinmfs.go).
DEFAULT_INTERVAL: Final = "5m"
#: A name that Kubo's MFS policy gives, of whatever node.
_MFS_OF: Final = re.compile(r"policy/(12D3KooW|16Uiu2HA|Qm|k51|bafz)[0-9A-Za-z]+/mfs")
_BUILT_IN: Final = "all-in-mfs"
#: Go's units, beyond those that a manifest has.
_GO_PART: Final = re.compile(r"([0-9]*\.?[0-9]+|[0-9]+\.)(ns|us|µs|μs|ms|s|m|h)")
_GO_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_WRITTEN: Final = re.compile(r"(?=[0-9a-z.]*[1-9])([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}")


class Declared(Struct, frozen=True, kw_only=True):
    """A service of Kubo's as a manifest declares it. `why`: it cannot be declared, and `raw` is empty."""

    kubo: KuboService
    name: str
    variable: str = ""
    raw: Raw = {}
    why: str = ""
    notes: tuple[str, ...] = ()


class Policies(Struct, frozen=True, kw_only=True):
    """`uses` are the `policies` of each service, `taken` the names of pins there that are no entries.

    `foreign` are names that the MFS of other nodes follows; `notes` are lines above `policies:`, `at` those above a
    service; `off` are the commands that switch Kubo's own policies off.
    """

    raws: dict[str, Raw] = {}
    uses: dict[str, list[str | Raw]] = {}
    taken: dict[str, frozenset[str]] = {}
    foreign: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    at: dict[str, tuple[str, ...]] = {}
    off: tuple[str, ...] = ()


def declare(services: KuboServices) -> tuple[Declared, ...]:
    """Each service of Kubo's under a name that a manifest may have, with a reference for its key."""
    names: set[str] = set()
    variables: set[str] = set()
    found: list[Declared] = []
    for kubo in services.services:
        name = _free(_name(kubo.name), names, "-")
        variable = _free(_variable(name), variables, "_")
        found.append(_declared(Declared(kubo=kubo, name=name, variable=variable), found))
    return tuple(found)


def _declared(service: Declared, others: Sequence[Declared]) -> Declared:
    kubo = service.kubo
    notes = [f"In Kubo: {_quoted(kubo.name)}."] if service.name != kubo.name else []
    try:
        endpoint = normalise(kubo.endpoint)
    except EndpointError as error:
        return replace(service, why=f"its endpoint cannot be used: {error.reason}")
    preset = _preset(endpoint)
    raw: dict[str, object] = {"preset": preset} if preset else {}
    if not preset or PRESETS[preset].endpoint != endpoint:
        raw["endpoint"] = endpoint
    raw["key"] = {"env": service.variable}
    if needs_insecure(endpoint):
        raw["insecure"] = True
        notes.append("Plain http, as Kubo has it: everybody on the way can read the key.")
    # Of one account under two names pinrec would want two things at once.
    same = next((o.name for o in others if _place(o.raw) == _place(raw)), None)
    if same is not None:
        notes.append(f"The endpoint of {same}: if it is the same account, keep only one of the two.")
    return replace(service, raw=raw, notes=tuple(notes))


def _place(raw: Raw) -> tuple[object, object]:
    return raw.get("preset"), raw.get("endpoint")


def _preset(endpoint: str) -> str:
    for name, preset in PRESETS.items():
        if preset.endpoint and (
            endpoint == preset.endpoint
            or (endpoint.startswith("https://") and host_of(endpoint) == host_of(preset.endpoint))
        ):
            return name
    return ""


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:60].strip("._-")
    return f"{name or 'kubo'}-service" if name in ("", LOCAL) else name


def _variable(name: str) -> str:
    text = re.sub("[^A-Z0-9]+", "_", name.upper()).strip("_") + "_KEY"
    return f"PSA_{text}" if text[0].isdigit() else text


def _free(text: str, taken: set[str], between: str) -> str:
    found, n = text, 1
    while found in taken:
        n += 1
        found = f"{text}{between}{n}"
    taken.add(found)
    return found


def policies_for(
    services: Sequence[Declared],
    held: Mapping[str, Mapping[str, int]],
    *,
    peer_id: str,
    check: Check,
    ours: frozenset[str] = frozenset(),
) -> Policies:
    """`held` tells how many pins of each name a service holds; those without a listing are not in it.

    `ours` are services whose pin of MFS bears our mark: what Kubo did there is done by pinrec already.
    """
    own = f"policy/{peer_id}/mfs"
    made = _Making(held)
    here = [s for s in services if s.name in held]
    followed = {s.name: s.kubo.pin_name for s in here if s.kubo.mfs_enabled}
    followed |= {s.name: own for s in here if s.name in ours and s.name not in followed}
    for pin_name in dict.fromkeys(followed.values()):
        users = [s for s in here if followed.get(s.name) == pin_name]
        made.off += [switch_off(s.kubo.name) for s in users if s.kubo.mfs_enabled]
        wrong = "" if pin_name == own else _unfit(pin_name, check)
        if wrong:
            for s in users:
                made.tell(
                    s, f"Kubo keeps MFS pinned here as {_quoted(pin_name)}, which no policy can: {wrong}."
                )
                made.taken[s.name].add(pin_name)
            continue
        made.follow(pin_name, users, own=own)
    off = [s for s in here if own in held[s.name] and own not in made.taken[s.name]]
    for s in off:
        made.taken[s.name].add(own)
        text = "Kubo keeps MFS pinned here no more, and its last pin is still there."
        if _BUILT_IN in made.raws and "enabled" not in made.raws[_BUILT_IN]:
            made.tell(s, f"{text} With {_BUILT_IN} among its `policies` pinrec goes on with it.")
            continue
        made.raws[_BUILT_IN] = {"enabled": False, "repinInterval": _interval(off[0].kubo)[0]}
        made.uses[s.name].append(_BUILT_IN)
        made.tell(s, f"{text} With `enabled: true` at {_BUILT_IN} pinrec goes on with it.")
    foreign = {n for names in held.values() for n in names if n != own and _MFS_OF.fullmatch(n)}
    return Policies(
        raws=made.raws,
        uses={name: uses for name, uses in made.uses.items() if uses},
        taken={name: frozenset(taken | foreign) for name, taken in made.taken.items()},
        foreign=tuple(sorted(foreign - {n for taken in made.taken.values() for n in taken})),
        adopt=tuple(made.adopt),
        notes=tuple(made.notes),
        at={name: tuple(lines) for name, lines in made.at.items()},
        off=tuple(made.off),
    )


class _Making:
    """What `policies_for` gathers."""

    def __init__(self, held: Mapping[str, Mapping[str, int]]) -> None:
        self.held = held
        self.raws: dict[str, Raw] = {}
        self.uses: dict[str, list[str | Raw]] = {name: [] for name in held}
        self.taken: dict[str, set[str]] = {name: set() for name in held}
        self.at: dict[str, list[str]] = {name: [] for name in held}
        self.adopt: list[str] = []
        self.notes: list[str] = []
        self.off: list[str] = []

    def tell(self, service: Declared, line: str) -> None:
        self.at[service.name].append(line)

    def follow(self, pin_name: str, users: Sequence[Declared], *, own: str) -> None:
        """A policy for what Kubo does under this name, used where Kubo does it."""
        name = _BUILT_IN if pin_name == own else _free(_policy_name(pin_name), {*self.raws, _BUILT_IN}, "-")
        intervals = {s.name: _interval(s.kubo) for s in users}
        usual, _ = Counter(text for text, _ in intervals.values()).most_common(1)[0]
        self.raws[name] = {} if pin_name == own else {"kind": "mfs", "path": "/", "pinName": pin_name}
        self.raws[name] = {**self.raws[name], "repinInterval": usual}
        for s in users:
            interval, odd = intervals[s.name]
            self.uses[s.name].append(name if interval == usual else {name: {"repinInterval": interval}})
            self.taken[s.name].add(pin_name)
            count = self.held[s.name].get(pin_name, 0)
            if odd:
                self.tell(s, odd)
            if count > 1:
                self.tell(
                    s,
                    f"Kubo left {count} pins as {_quoted(pin_name)}: one stays, and a plan shows the others as "
                    "deleted.",
                )
            if pin_name != own and pin_name not in self.adopt:
                # The one that has Kubo's own name for it is taken over by itself. One that is not there yet comes:
                # Kubo makes it before its policy is switched off.
                self.adopt.append(pin_name)


def _unfit(pin_name: str, check: Check) -> str:
    if "{" in pin_name or "}" in pin_name:
        return "it holds a brace"
    wrong = check(pin_name)
    return wrong[0] if wrong else ""


def _policy_name(pin_name: str) -> str:
    return ("mfs-" + re.sub(r"[^A-Za-z0-9]+", "-", pin_name).strip("-").lower())[:50].strip("-")


def _interval(kubo: KuboService) -> tuple[str, str]:
    """Kubo's RepinInterval as a manifest writes it, and what is odd about it."""
    text = kubo.repin_interval
    if not text:
        return DEFAULT_INTERVAL, ""
    if _WRITTEN.fullmatch(text):
        return text, ""
    odd = f"Kubo's RepinInterval here is {_quoted(text)}"
    parts = _GO_PART.findall(text)
    if not parts or "".join(n + unit for n, unit in parts) != text.removeprefix("+"):
        return DEFAULT_INTERVAL, f"{odd}, which Kubo cannot read either: it pins nothing here."
    length = sum(float(number) * _GO_UNITS[unit] for number, unit in parts)
    written = f"{min(max(round(length * 1000), 1), 99_999_000) / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return written, f"{odd}."


def _quoted(text: str) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in text[:80])
    return f'"{shown}"'
