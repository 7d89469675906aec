"""Pins that are made to be thrown away, and how they are known again whatever became of the run that made them.

A throw-away pin bears the run's 128 random bits in three places:

name    pinrec/doctor/<run>/<label>
meta    pinrec: doctor-<run>, doctor: <label>
CID     of content that is, or would be, "pinrec doctor <run> <number>"

Two of the three must say the same run before a pin is taken for a leftover of the doctor's. One alone proves
nothing: names can be copied, services drop meta, and content may be pinned by anybody. No manifest can bring forth
two of them: an owner's mark holds no `doctor-<run>` of 40 characters, and names that begin with `pinrec/` are
reserved.
"""

import re
import secrets
from functools import lru_cache
from hashlib import sha256
from typing import Final

from reconciler.core.cid import CidError, canonical, parse, spellings
from reconciler.core.model import META_OWNER, PREFIX_ROOT, PinStatus

ROOT: Final = f"{PREFIX_ROOT}doctor/"
MARK: Final = "doctor-"
#: Numbers of CIDs that a run may use.
NUMBERS: Final = 64
META_LABEL: Final = "doctor"

_NAME = re.compile(rf"{re.escape(ROOT)}([0-9a-f]{{32}})/[a-z0-9-]+")
_MARKED = re.compile(rf"{MARK}([0-9a-f]{{32}})")
_A32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_A36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_run() -> str:
    return secrets.token_hex(16)


def name_of(run: str, label: str) -> str:
    return f"{ROOT}{run}/{label}"


def meta_of(run: str, label: str) -> dict[str, str]:
    return {META_OWNER: f"{MARK}{run}", META_LABEL: label}


def unfindable(run: str, number: int) -> str:
    """A raw CID of content that nobody has: what it is the digest of is itself only a digest."""
    return _base32(b"\x01\x55\x12\x20" + _digest(run, number))


def unfindable_v0(run: str, number: int) -> str:
    """A CIDv0 of content that nobody has."""
    v1 = parse(_base32(b"\x01\x70\x12\x20" + _digest(run, number)))
    return next(text for text in spellings(v1) if text.startswith("Qm"))


def unfindable_base36(run: str, number: int) -> str:
    """`unfindable`, spelled in base36, as names in gateways' hosts are."""
    n, out = int.from_bytes(b"\x01\x55\x12\x20" + _digest(run, number), "big"), ""
    while n:
        n, digit = divmod(n, 36)
        out = _A36[digit] + out
    return "k" + out


def inline(run: str, number: int) -> str:
    """A CID that carries its content in itself (identity multihash): most services pin it at once."""
    text = _text(run, number)
    return _base32(b"\x01\x55\x00" + bytes([len(text)]) + text)


def run_of(pin: PinStatus) -> str | None:
    """The doctor's run that made `pin`, if two of its three marks agree on it."""
    by_name = _NAME.fullmatch(pin.pin.name or "")
    by_meta = _MARKED.fullmatch((pin.pin.meta or {}).get(META_OWNER, ""))
    if by_name and by_meta:
        return by_name[1] if by_name[1] == by_meta[1] else None
    run = by_name or by_meta
    if run is None:
        return None
    try:
        return run[1] if canonical(pin.pin.cid) in _cids(run[1]) else None
    except CidError:
        return None


def claims(pin: PinStatus, run: str) -> bool:
    """Whether name or meta says that `pin` is of `run`: enough for an id that the run itself was given."""
    by_name = _NAME.fullmatch(pin.pin.name or "")
    mark = (pin.pin.meta or {}).get(META_OWNER, "")
    return (by_name is not None and by_name[1] == run) or mark == f"{MARK}{run}"


@lru_cache(maxsize=32)
def _cids(run: str) -> frozenset[str]:
    made = [(unfindable(run, n), inline(run, n), canonical(unfindable_v0(run, n))) for n in range(NUMBERS)]
    return frozenset(cid for cids in made for cid in cids)


def _text(run: str, number: int) -> bytes:
    return f"pinrec doctor {run} {number}".encode()


def _digest(run: str, number: int) -> bytes:
    return sha256(sha256(_text(run, number)).digest()).digest()


def _base32(data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "b" + "".join(_A32[int(bits[i : i + 5], 2)] for i in range(0, len(bits), 5))
