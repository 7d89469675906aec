"""What the doctor found out. Schema: `schemas/doctor.schema.json`."""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from reconciler.core.errors import EXIT_OK, EXIT_PARTIAL
from reconciler.core.learned import Value
from reconciler.core.profile import Profile

EXAMINATION_FORMAT = "1.0"

#: The fields of a profile that are questions, named as in a manifest; `name` is none.
FIELDS: tuple[str, ...] = tuple(
    f.encode_name for f in msgspec.structs.fields(Profile) if f.encode_name != "name"
)


class Finding(Struct, frozen=True, kw_only=True):
    """One field of the profile. `observed` None: it could not be determined, and `how` says why not."""

    field: str
    spec: Value
    preset: Value
    observed: Value | None
    how: str
    #: What a deviation from the API means for the user, and what pinrec does about it; "" where there is none.
    means: str = ""
    #: The value that holds from now on, and whose it is.
    holds: Value = ""
    by: Literal["manifest", "doctor", "preset"] = "preset"


class Observation(Struct, frozen=True, kw_only=True):
    """Something worth knowing that is no field of the profile. `ok` False: the API says otherwise."""

    topic: str
    text: str
    ok: bool = True


class Leftover(Struct, frozen=True, kw_only=True):
    """A throw-away pin that could not be removed."""

    requestid: str
    name: str
    why: str


class Examination(Struct, frozen=True, kw_only=True):
    """`stopped`: why not everything was probed, or "". `cleaned`: pins of earlier runs that were removed."""

    format: str = EXAMINATION_FORMAT
    pinrec: str
    service: str
    date: str
    preset: str
    read_only: bool
    findings: tuple[Finding, ...]
    observations: tuple[Observation, ...]
    stopped: str = ""
    cleaned: int = 0
    leftovers: tuple[Leftover, ...] = ()
    requests: int = 0
    seconds: float = 0.0

    @property
    def determined(self) -> dict[str, Value]:
        """The fields to remember."""
        return {f.field: f.observed for f in self.findings if f.observed is not None}

    @property
    def exit_code(self) -> int:
        return EXIT_PARTIAL if self.stopped or self.leftovers else EXIT_OK


class Notes:
    """Where probes write while they go on: what is found stays, wherever they are cut short."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[Value | None, str]] = {}
        self.observations: list[Observation] = []

    def found(self, field: str, value: Value, how: str) -> None:
        self.values[field] = value, how

    def unknown(self, field: str, why: str) -> None:
        """`field` cannot be told. Takes back what was found before."""
        self.values[field] = None, why

    def missed(self, fields: Iterable[str], why: str) -> None:
        """The fields among these of which nothing has been said yet."""
        for field in fields:
            self.values.setdefault(field, (None, why))

    def saw(self, topic: str, text: str, *, ok: bool = True) -> None:
        self.observations.append(Observation(topic=topic, text=text, ok=ok))

    def value(self, field: str) -> Value | None:
        return self.values.get(field, (None, ""))[0]
