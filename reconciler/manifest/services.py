"""`services:` of a document that fits the schema: presets, overrides, and where keys are found."""

import os
from typing import Any  # a YAML value is whatever was written

import msgspec

from reconciler.core.endpoint import EndpointError, needs_insecure, normalise
from reconciler.core.manifest import Limits, Rate, SecretRef, Service
from reconciler.core.presets import PRESETS, Preset, default_ownership
from reconciler.core.profile import PROFILES, Profile
from reconciler.manifest.durations import UNITS, seconds
from reconciler.manifest.gateway import build_verify
from reconciler.manifest.problems import Document, Problems

#: Field of `Profile` by its name in a manifest.
_PROFILE_FIELDS = {f.encode_name: f.name for f in msgspec.structs.fields(Profile)}


def build_service(
    name: str, raw: dict[str, Any], *, document: Document, line: int, problems: Problems
) -> Service | None:
    """The service, or None after a problem was noted."""
    path = ("services", name)
    preset_name = raw.get("preset", "")
    preset = PRESETS[preset_name] if preset_name else Preset()
    given = raw.get("endpoint", preset.endpoint)
    if given is None:
        why = f"the preset {preset_name} has none of its own" if preset_name else "it has no preset"
        problems.at(document, path, "`endpoint` is missing", hint=why, at_key=True)
        return None
    try:
        endpoint = normalise(given)
    except EndpointError as error:
        problems.at(document, (*path, "endpoint"), error.reason, hint=error.hint)
        return None
    insecure = raw.get("insecure", False)
    if needs_insecure(endpoint) and not insecure:
        problems.at(
            document,
            (*path, "endpoint"),
            "plain http to a host that is not on loopback or a private address: the key could be read on the way",
            hint="use https, or say insecure: true",
        )
        return None
    key = secret_ref(raw["key"], document.base)
    verify = raw.get("verify")
    own = verify.get("key") if verify else None
    profile = _profile(raw.get("profile"), preset)
    meta_dropped = default_ownership(profile) == "prefix"
    return Service(
        name=name,
        endpoint=endpoint,
        key=key,
        profile=profile,
        limits=_limits(raw.get("limits", {}), preset.limits),
        ownership=raw.get("ownership", "prefix" if meta_dropped else preset.ownership),
        state=raw.get("state", "active"),
        prune=raw.get("prune", True),
        insecure=insecure,
        verify=build_verify(
            verify,
            endpoint=endpoint,
            service_key=key,
            own_key=secret_ref(own, document.base) if isinstance(own, dict) else None,
            insecure=insecure,
            document=document,
            path=(*path, "verify"),
            problems=problems,
        ),
        preset=preset_name,
        file=document.file,
        line=line,
        profile_declared=_declared(raw.get("profile")),
    )


def resolve_path(path: str, base: str) -> str:
    """`path` as written in a file of the directory `base`; `~` is the home directory."""
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))


def secret_ref(raw: dict[str, Any], base: str) -> SecretRef:
    """What stands under `key:` or `token:`."""
    [(kind, value)] = raw.items()
    match kind:
        case "file":
            return SecretRef(kind="file", value=(resolve_path(value, base),))
        case "command":
            return SecretRef(kind="command", value=tuple(value))
        case "keyring":
            service, _, user = value.partition("/")
            return SecretRef(kind="keyring", value=(service, user))
        case _:
            return SecretRef(kind="env", value=(value,))


def _declared(raw: str | dict[str, Any] | None) -> tuple[str, ...]:
    """The fields of a profile that the manifest gives: the name of a row gives them all."""
    if isinstance(raw, str):
        return tuple(_PROFILE_FIELDS)
    return tuple(raw or ())


def _profile(raw: str | dict[str, Any] | None, preset: Preset) -> Profile:
    if isinstance(raw, str):
        return PROFILES[raw]
    row = PROFILES[preset.profile]
    if not raw:
        return row
    changes: dict[str, Any] = {
        _PROFILE_FIELDS[k]: tuple(v) if isinstance(v, list) else v for k, v in raw.items()
    }
    for field in ("limit", "precision_ms"):
        if field in changes:
            changes[field] = int(changes[field])
    return msgspec.structs.replace(row, **changes)


def _limits(raw: dict[str, Any], preset: Limits) -> Limits:
    changes: dict[str, Any] = {k: parse_rate(raw[k]) for k in ("requests", "listing") if k in raw}
    if "concurrency" in raw:
        changes["concurrency"] = int(raw["concurrency"])
    if "timeout" in raw:
        changes["timeout"] = seconds(raw["timeout"])
    return msgspec.structs.replace(preset, **changes)


def parse_rate(text: str) -> Rate:
    """`10/s`, `60/min`, `1000/h`."""
    count, _, unit = text.partition("/")
    return Rate(float(count), UNITS[unit])
