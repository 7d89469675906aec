"""What was found out about a service, beyond its manifest and its preset: by the doctor, and while at work.

Precedence for each field of a profile, first to last: the manifest's own `profile:`, the doctor's finding, the
preset, unknown. What contradicts a value that is in force beats it, wherever that came from: the careful choice
holds from then on, until the doctor has looked again or the manifest says something else.

fact         value            said by            from then on
profile      a `Diagnosis`    the doctor         its fields instead of the preset's
meta         altered          apply, reading     `meta: kept` is `unknown`: marks are trusted, nothing is compared
                              what it made
second_add   contradicted     apply, adding      `secondAdd: new` is `unknown`: one pin per CID is assumed
             same             apply, trying      `secondAdd: same`: what failed is deleted before it is added again
                              anew what failed
id_is_cid    seen             apply, adding;     `idIsCid: true`, and `secondAdd: new` cannot be
                              a listing
count, order, edges,          a listing          what the profile says of it is `unknown`; the listing finds it out
precisionMs, limit,                              by itself each time, as it does at a service that nobody has
largeLimit   as it was seen                      measured
doctor_run   a run's id       the doctor         its pins may be cleared away by the next run on this machine
"""

from collections.abc import Mapping
from hashlib import sha256

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.manifest import Service
from reconciler.core.profile import Profile

PROFILE, META, SECOND_ADD, ID_IS_CID = "profile", "meta", "second_add", "id_is_cid"
DOCTOR_RUN = "doctor_run"
ALTERED, CONTRADICTED, SEEN, SAME = "altered", "contradicted", "seen", "same"
#: What a listing may show, named as in a manifest.
COUNT, ORDER, EDGES, PRECISION_MS = "count", "order", "edges", "precisionMs"
LIMIT, LARGE_LIMIT = "limit", "largeLimit"
LISTED = (COUNT, ORDER, EDGES, PRECISION_MS, LIMIT, LARGE_LIMIT)

Value = str | int | bool | tuple[str, ...]


class Diagnosis(Struct, frozen=True, kw_only=True):
    """The doctor's finding as it is remembered: the fields that could be determined, named as in a manifest.

    `place` is a digest of the endpoint: another service under the same name is not the one that was examined.
    """

    date: str
    place: str
    fields: dict[str, Value]


class Contradiction(Struct, frozen=True, kw_only=True):
    """Something that a listing showed and the profile has otherwise. `fact` is remembered with the value `seen`."""

    fact: str
    said: str
    seen: str

    def __str__(self) -> str:
        return (
            "the requestid is the CID"
            if self.fact == ID_IS_CID
            else f"{self.fact} is {self.seen}, not {self.said}"
        )

    @property
    def consequence(self) -> str:
        return (
            "one pin per CID is assumed"
            if self.fact == ID_IS_CID
            else "what the profile says is not relied on"
        )


def place_of(endpoint: str) -> str:
    """What stands for an endpoint where none may be written down."""
    return sha256(endpoint.encode()).hexdigest()[:16]


def encode(diagnosis: Diagnosis) -> str:
    return msgspec.json.encode(diagnosis).decode()


def diagnosis_of(service: Service, facts: Mapping[str, str]) -> Diagnosis | None:
    """The doctor's finding, if there is one of this very service that can be read."""
    text = facts.get(PROFILE)
    if not text:
        return None
    try:
        found = msgspec.json.decode(text, type=Diagnosis)
    except msgspec.DecodeError:  # of another version of pinrec
        return None
    return found if found.place == place_of(service.endpoint) else None


def with_fields(profile: Profile, fields: Mapping[str, Value]) -> Profile:
    """`profile` with `fields` in the place of its own. Raises msgspec.ValidationError."""
    return msgspec.convert({**msgspec.to_builtins(profile), **fields}, Profile, strict=True)


def with_learned(service: Service, facts: Mapping[str, str]) -> Service:
    """The service with the profile that is in force, and what the plan should say of it."""
    profile, notes = service.profile, list(service.profile_notes)
    found = diagnosis_of(service, facts)
    if found is not None:
        fields = {k: v for k, v in found.fields.items() if k not in service.profile_declared}
        try:
            profile = with_fields(profile, fields)
        except msgspec.ValidationError:  # a value that this version does not know
            notes.append(f"the doctor's profile of {found.date} cannot be read; run `pinrec doctor` again")
        else:
            notes.append(f"profile by doctor, {found.date}")
    if profile.meta == "dropped" and service.profile.meta != "dropped" and service.ownership == "meta":
        notes.append("meta is dropped here, so nothing could be told to be ours: set `ownership: prefix`")
    if facts.get(META) == ALTERED and profile.meta == "kept":
        profile = replace(profile, meta="unknown")
        notes.append("meta came back other than it was sent before; it is not compared here")
    if facts.get(SECOND_ADD) == CONTRADICTED and profile.second_add == "new":
        profile = replace(profile, second_add="unknown")
        notes.append("an add returned a pin that was there before; one pin per CID is assumed here")
    if facts.get(SECOND_ADD) == SAME and profile.second_add in ("new", "unknown"):
        profile = replace(profile, second_add="same")
        notes.append("an add of a CID that was there was answered with the pin that was there")
    if facts.get(ID_IS_CID) == SEEN and not profile.id_is_cid:
        careful = "unknown" if profile.second_add == "new" else profile.second_add
        profile = replace(profile, id_is_cid=True, second_add=careful)
        notes.append("the requestid is the CID here; one pin per CID is assumed")
    profile, shown = _as_listed(profile, facts)
    if shown:
        notes.append(f"a listing contradicted the profile ({'; '.join(shown)}); that is not relied on here")
    if profile == service.profile and len(notes) == len(service.profile_notes):
        return service
    return replace(service, profile=profile, profile_notes=tuple(notes))


def _as_listed(profile: Profile, facts: Mapping[str, str]) -> tuple[Profile, list[str]]:
    """`profile` without what a listing showed not to be so, and what that was."""
    shown: list[str] = []
    for fact, field, careful in (
        (COUNT, "count", "unknown"),
        (ORDER, "order", "unknown"),
        (EDGES, "edges", "unknown"),
        (PRECISION_MS, "precision_ms", 0),
        (LIMIT, "limit", 0),
        (LARGE_LIMIT, "large_limit", False),
    ):
        said, seen = getattr(profile, field), facts.get(fact, "")
        text = str(said).lower()
        if not seen or said == careful or text == seen:
            continue
        smaller = int(seen) if fact == LIMIT and seen.isdecimal() else careful
        profile = replace(profile, **{field: smaller})
        shown.append(str(Contradiction(fact=fact, said=text, seen=seen)))
    return profile, shown
