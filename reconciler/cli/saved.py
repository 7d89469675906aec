"""Reading a saved plan."""

from pathlib import Path

import msgspec

from reconciler.core.errors import UsageError
from reconciler.core.plan import PLAN_FORMAT, Plan

#: Far above any plan of ours: a million changes are a few hundred megabytes.
_MAX_BYTES = 2_000_000_000


class _Head(msgspec.Struct):
    """Just enough to tell a plan of another version from something that is no plan."""

    format: str = ""


def read_plan(path: str) -> Plan:
    """The plan that `plan --out` wrote. Raises UsageError; whether it is stale is for the engine to say."""
    hint = "make a new one: `pinrec plan --out FILE`"
    try:
        file = Path(path)
        if file.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path}: too large for a plan", hint=hint)
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint=hint) from error
    try:
        version = msgspec.json.decode(data, type=_Head).format
        if version.partition(".")[0] != PLAN_FORMAT.partition(".")[0]:
            raise UsageError(
                f"{path}: a plan of format {version or '(none)'}; this pinrec reads {PLAN_FORMAT}", hint=hint
            )
        return msgspec.json.decode(data, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no plan that can be read: {error}", hint=hint) from error
