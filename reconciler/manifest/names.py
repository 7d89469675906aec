"""What a pin may be called."""

import unicodedata

from reconciler.core.globs import Globs
from reconciler.core.manifest import MAX_NAME_BYTES
from reconciler.core.model import PREFIX_ROOT
from reconciler.manifest.problems import shown


class Names:
    """The rules for one owner: `check` runs a million times, so the common case is one expression."""

    __slots__ = ("_ignore", "_limit")

    def __init__(self, owner: str, ignore: Globs) -> None:
        # Whatever the service's ownership mode, so that a change of mode never makes a name too long.
        self._limit = MAX_NAME_BYTES - len(f"{PREFIX_ROOT}{owner}/")
        self._ignore = ignore

    @property
    def limit(self) -> int:
        """Bytes that a name may have."""
        return self._limit

    def check(self, name: str) -> tuple[str, str] | None:
        """What is wrong with `name` and the likely fix, or None."""
        if not (
            name.isascii()
            and name.isprintable()
            and len(name) <= self._limit
            and name[:1] != " "
            and name[-1:] != " "
            and not name.startswith(PREFIX_ROOT)
        ):
            wrong = self._wrong(name)
            if wrong is not None:
                return wrong
        if self._ignore:
            pattern = self._ignore.match(name)
            if pattern is not None:
                return (
                    f"{shown(name)} matches ignore: {shown(pattern)}, and what is ignored is never touched",
                    "narrow the glob, or remove the entry",
                )
        return None

    def _wrong(self, name: str) -> tuple[str, str] | None:
        if name.startswith(PREFIX_ROOT):
            return (
                f"names that begin with {PREFIX_ROOT} are reserved for our own marks",
                "with ownership: prefix they are made by themselves",
            )
        if name != name.strip():
            return "the name begins or ends with whitespace", f"write {shown(name.strip())}"
        for c in name:
            if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp"):
                return f"the name holds the control character U+{ord(c):04X}", "remove it"
        composed = unicodedata.normalize("NFC", name)
        if composed != name:
            at = next(i for i, (a, b) in enumerate(zip(name + "\0", composed + "\0", strict=False)) if a != b)
            return (
                f"the name {shown(name)} is not in Unicode NFC, so that it would differ from one that looks the same",
                f"write {shown(composed)}, with U+{ord(composed[at]):04X} as character {at + 1}",
            )
        size = len(name.encode())
        if size > self._limit:
            return (
                f"the name has {size} bytes of at most {self._limit}",
                f"services take {MAX_NAME_BYTES}, less what ownership: prefix puts before it",
            )
        return None
