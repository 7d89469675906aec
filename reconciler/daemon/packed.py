"""What is needed only now and then, made small: a manifest's entries, and what a service was seen to hold.

A hundred thousand entries take 32 MB as objects and 5 MB packed, a listing of as many pins 40 MB and 8 MB; between two
plans of everything, which are an hour apart, nobody looks at them. CIDs are hashes and do not compress, so a tenth
of a second for the fastest level is all that is spent on it.
"""

import zlib

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from reconciler.core.cid import Cid
from reconciler.core.manifest import CidRef, Entry, Manifest, Spec
from reconciler.core.model import Owner, Remote

#: So few are kept as they are.
FEW = 2000


class _Row(Struct, array_like=True, gc=False):
    name: str
    text: str
    canonical: str
    spec: int
    line: int


class _Pin(Struct, array_like=True, gc=False):
    requestid: str
    text: str
    canonical: str
    name: str
    listed_name: str
    status: str
    created: str
    owner: str
    meta: int
    info: dict[str, str] | None


class PackedManifest:
    """A manifest whose entries are packed. `head` is the manifest without them."""

    def __init__(self, manifest: Manifest) -> None:
        self.count = len(manifest.entries)
        self.head = replace(manifest, entries=[])
        self._specs: list[Spec] = []
        self._refs: list[CidRef] = []
        self._whole = manifest if self.count <= FEW else None
        self._packed = b"" if self._whole is not None else self._pack(manifest)

    def unpacked(self) -> Manifest:
        """The whole manifest; let go of it when the plan is made."""
        if self._whole is not None:
            return self._whole
        rows = msgspec.msgpack.decode(zlib.decompress(self._packed), type=list[_Row])
        specs, refs = self._specs, self._refs
        entries = [
            Entry(
                r.name,
                refs[int(r.canonical[1:])]
                if r.canonical[:1] == "#"
                else Cid(r.text or r.canonical, r.canonical),
                specs[r.spec],
                r.line,
            )
            for r in rows
        ]
        return replace(self.head, entries=entries)

    def _pack(self, manifest: Manifest) -> bytes:
        numbers: dict[int, int] = {}

        def row(entry: Entry) -> _Row:
            number = numbers.get(id(entry.spec))
            if number is None:
                number = numbers[id(entry.spec)] = len(self._specs)
                self._specs.append(entry.spec)
            cid = entry.cid
            if isinstance(cid, CidRef):
                self._refs.append(cid)
                return _Row(entry.name, "", f"#{len(self._refs) - 1}", number, entry.line)
            text = "" if cid.text == cid.canonical else cid.text
            return _Row(entry.name, text, cid.canonical, number, entry.line)

        return zlib.compress(msgspec.msgpack.encode([row(e) for e in manifest.entries]), 1)


class PackedPins:
    """Pins as they were listed."""

    def __init__(self, remotes: tuple[Remote, ...]) -> None:
        self._metas: list[dict[str, str]] = []
        self._whole = remotes if len(remotes) <= FEW else None
        self._packed = b"" if self._whole is not None else self._pack(remotes)

    def unpacked(self) -> tuple[Remote, ...]:
        if self._whole is not None:
            return self._whole
        rows = msgspec.msgpack.decode(zlib.decompress(self._packed), type=list[_Pin])
        metas, owners = self._metas, {o.value: o for o in Owner}
        return tuple(
            Remote(
                requestid=r.requestid or r.canonical,
                cid=Cid(r.text or r.canonical, r.canonical),
                name=r.name,
                listed_name=r.listed_name or r.name,
                status=r.status,
                created=r.created,
                owner=owners[r.owner],
                meta=metas[r.meta],
                info=r.info or {},
            )
            for r in rows
        )

    def _pack(self, remotes: tuple[Remote, ...]) -> bytes:
        # Nearly all have equal meta; a listing shares it, and so it goes by identity.
        numbers: dict[int, int] = {}

        def row(r: Remote) -> _Pin:
            number = numbers.get(id(r.meta))
            if number is None:
                number = numbers[id(r.meta)] = len(self._metas)
                self._metas.append(r.meta)
            canonical = r.cid.canonical
            return _Pin(
                "" if r.requestid == canonical else r.requestid,
                "" if r.cid.text == canonical else r.cid.text,
                canonical,
                r.name,
                "" if r.listed_name == r.name else r.listed_name,
                r.status,
                r.created,
                r.owner.value,
                number,
                r.info or None,
            )

        return zlib.compress(msgspec.msgpack.encode([row(r) for r in remotes]), 1)
