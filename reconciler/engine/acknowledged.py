"""What a node has taken of a folder, remembered beyond the end of an import that is cut short.

A file of records of one width that only grows while the import goes on. Whether all is there is asked of the node in
the end, so that a wrong memory costs time and nothing else.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

KEY: Final = 16

#: The suffix of the file: sections of a CAR, or pieces of large files.
Kind = Literal["sent", "added"]


class Acknowledged:
    """Keys of `KEY` bytes, each with a value of `width` bytes.

    `place` is a directory; None remembers nothing. `what` names the folder, `node` its node: another one has nothing.
    """

    def __init__(self, place: Path | None, kind: Kind, *, what: str, node: str, width: int = 0) -> None:
        name = blake2b(f"{node}\0{what}".encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        self._file = None if place is None else place / f"{name}.{kind}"
        self._record = KEY + width
        self._known = dict(self._load())
        self._used: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value, b"" where records have none; None if the node is not known to have it."""
        return self._known.get(key)

    def add(self, key: bytes, value: bytes = b"") -> None:
        """It was sent, or need not be. A disk that is full costs that it is sent again next time."""
        self._used[key] = value
        if self._file is None or self._known.get(key) == value:
            return
        self._known[key] = value
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._file.open("ab") as file:
                file.write(key + value)
        except OSError:
            self._file = None

    def forget(self) -> None:
        """The node has lost some of it."""
        self._known.clear()
        self._used.clear()
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink()

    def settle(self) -> None:
        """The folder is whole at the node: what was sent of earlier ones is forgotten."""
        if self._file is None or len(self._used) == len(self._known):
            return
        rest = self._file.with_suffix(f".{os.getpid()}")
        try:
            rest.write_bytes(b"".join(key + value for key, value in self._used.items()))
            rest.replace(self._file)
        except OSError:
            with suppress(OSError):
                rest.unlink()

    def _load(self) -> Iterator[tuple[bytes, bytes]]:
        if self._file is None:
            return
        try:
            told = self._file.read_bytes()
        except OSError:
            return
        # One that was cut off by a kill is half a record, and so are those after it: they match nothing.
        for at in range(0, len(told) - self._record + 1, self._record):
            yield told[at : at + KEY], told[at + KEY : at + self._record]
