"""`add`: files and folders into the block store, with the CIDs that Kubo gives them."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct

from reconciler.core.unixfs import address, directory, file
from reconciler.core.unixfs import params as params_of
from reconciler.core.unixfs.blocks import Entry, Sink
from reconciler.core.unixfs.failure import UnixfsError
from reconciler.core.unixfs.params import Params
from reconciler.sandbox.node.call import Arguments, Kind, Usage
from reconciler.sandbox.node.changes import mfs_path
from reconciler.sandbox.node.reply import Records, Reply, RpcError, Value
from reconciler.sandbox.node.state import Command, State, Table, show
from reconciler.sandbox.node.upload import Part, Upload

_NOCOPY = (
    "either the filestore or the urlstore must be enabled to use nocopy, "
    "see: https://github.com/ipfs/kubo/blob/master/docs/experimental-features.md#ipfs-filestore"
)
_PROGRESS = 262_144
#: The most bytes that `inline` puts into a CID, unless told otherwise.
_INLINE = 32

Items: TypeAlias = "dict[str, Part | Folder]"


class Folder(Struct):
    """A directory of the upload, in the order in which its entries came."""

    items: dict[str, "Part | Folder"] = {}


class _Added(Struct, frozen=True):
    """What is told of an entry: its path within the upload, and itself."""

    path: str
    entry: Entry


async def _add(state: State, call: Arguments, upload: Upload) -> Reply:
    if call.flag("nocopy"):
        raise RpcError(_NOCOPY)
    hash_name = call.text("hash", "sha2-256")
    if hash_name != "sha2-256":
        # There are others in Kubo; none of them is kept here.
        raise RpcError(f'unrecognized hash function: "{hash_name}"')
    params = _params(state, call)
    parts = await upload.parts()
    if not parts:
        raise RpcError("expected a file argument")
    tops = _tree(parts)
    sink = None if call.flag("only-hash") else state.blocks.put
    return Records(_records(state, call, tops, params, sink))


async def _records(
    state: State, call: Arguments, tops: Items, params: Params, sink: Sink | None
) -> AsyncIterator[Value]:
    """Each file as it is done, in the order in which they came, then folders after what is in them. Without a wrapping
    directory each item of the upload is done before the next.
    """
    wrap = call.flag("wrap-with-directory")
    inline = call.number("inline-limit", _INLINE) if call.flag("inline") else 0
    making = _Making(params, sink, inline)
    for group in [tops] if wrap else [{name: item} for name, item in tops.items()]:
        for path, part in _files(group):
            if call.flag("progress"):
                for line in _progress(path, len(part.content)):
                    yield line
            yield _record(making.file(path, part), call)
        for folder in making.folders(group):
            yield _record(folder, call)
        name = "" if wrap else next(iter(group))
        root = making.wrapped(group) if wrap else making.done[name]
        if wrap:
            yield _record(_Added("", root), call)
        await _keep(state, call, name, root, sink)


class _Making:
    """Entries by their paths within the upload."""

    def __init__(self, params: Params, sink: Sink | None, inline: int) -> None:
        self._params = params
        self._sink = sink
        self._inline = inline
        self.done: dict[str, Entry] = {}

    def file(self, path: str, part: Part) -> _Added:
        size = len(part.content)
        if part.symlink:
            entry = file.symlink(part.content.decode("utf-8", "surrogateescape"), self._params, self._sink)
        elif 0 < size <= self._inline and self._params.raw_leaves:
            entry = Entry(b"\x01\x55\x00" + bytes((size,)) + part.content, size)
        else:
            entry = file.build((part.content,), self._params, self._sink)
        self.done[path] = entry
        # A part without a name is called by its CID.
        return _Added(path or address.to_text(entry.cid), entry)

    def folders(self, items: Items, above: str = "") -> Iterator[_Added]:
        """Depth first, in the order of their names."""
        for name, item in sorted(items.items()):
            if isinstance(item, Folder):
                path = above + name
                yield from self.folders(item.items, path + "/")
                self.done[path] = self._directory(item.items, path + "/")
                yield _Added(path, self.done[path])

    def wrapped(self, items: Items) -> Entry:
        return self._directory(items, "")

    def _directory(self, items: Items, above: str) -> Entry:
        entries = {name: self.done[above + name] for name in items}
        return directory.build(entries, self._params, self._sink).entry


async def _keep(state: State, call: Arguments, name: str, root: Entry, sink: Sink | None) -> None:
    """Pins it, and links it into MFS. What goes wrong with the latter comes after the record of the root."""
    if sink is None:
        return
    if call.flag("pin", default=True):
        state.pins.add(root.cid, recursive=True, name=call.text("pin-name"))
    if "to-files" not in call.options:
        return
    target = call.text("to-files") or "/"
    path = mfs_path(target)
    parts = (*path.parts, name) if path.into or not path.parts else path.parts
    shown = "/" + "/".join(parts)
    above = "/" + "/".join(parts[:-1])
    try:
        found = await state.mfs.lookup(parts[:-1])
    except RpcError as error:
        what = f'directory "{target}"' if path.into else f'parent "{target}" "{above}"'
        raise RpcError(f"to-files: MFS destination {what} does not exist: {error}") from None
    if path.into and not state.mfs.is_directory(found):
        raise RpcError(f'to-files: MFS destination "{target}" is not a directory')
    try:
        await state.mfs.put(parts, root)
    except RpcError as error:
        raise RpcError(f'to-files: cannot put node in path "{shown}": {error}') from None


def _files(items: Items, above: str = "") -> Iterator[tuple[str, Part]]:
    for name, item in items.items():
        if isinstance(item, Folder):
            yield from _files(item.items, f"{above}{name}/")
        else:
            yield above + name, item


def _tree(parts: Sequence[Part]) -> Items:
    """The parts as folders. A folder that was not announced by a part of its own is made."""
    top = Folder()
    for part in parts:
        *above, name = part.name.strip("/").split("/")
        folder = top
        for step in above:
            below = folder.items.setdefault(step, Folder())
            if not isinstance(below, Folder):
                raise RpcError(f"file does not exist: {part.name}")
            folder = below
        if part.directory:
            folder.items.setdefault(name, Folder())
        else:
            folder.items[name] = part
    return top.items


def _progress(path: str, size: int) -> Iterator[dict[str, object]]:
    for done in (*range(_PROGRESS, size, _PROGRESS), size):
        yield {"Name": path} | ({"Bytes": done} if done else {})


def _record(added: _Added, call: Arguments) -> dict[str, object]:
    return {"Name": added.path, "Hash": show(added.entry.cid, call), "Size": str(added.entry.tsize)}


def _params(state: State, call: Arguments) -> Params:
    base = state.params()
    version = call.options.get("cid-version")
    chunker = call.text("chunker")
    if chunker == "size-0":
        raise RpcError("chunker size must be greater than 0")
    try:
        params = params_of.given(
            base,
            cid_version=None if version is None else 1 if version == 1 else 0,
            raw_leaves=call.flag("raw-leaves") if "raw-leaves" in call.options else None,
            chunker=chunker or None,
            max_file_links=call.number("max-file-links") if "max-file-links" in call.options else None,
            trickle=call.flag("trickle") if "trickle" in call.options else None,
        )
        if "max-hamt-fanout" in call.options:
            params = msgspec.structs.replace(params, fanout=call.number("max-hamt-fanout"))
    except UnixfsError as error:
        raise RpcError(str(error)) from None
    return params


_OPTIONS: dict[str, Kind] = {
    "chunker": "string",
    "cid-version": "int",
    "hash": "string",
    "inline": "bool",
    "inline-limit": "int",
    "max-file-links": "int",
    "max-hamt-fanout": "int",
    "nocopy": "bool",
    "only-hash": "bool",
    "pin": "bool",
    "pin-name": "string",
    "progress": "bool",
    "quiet": "bool",
    "quieter": "bool",
    "raw-leaves": "bool",
    "recursive": "bool",
    "silent": "bool",
    "to-files": "string",
    "trickle": "bool",
    "wrap-with-directory": "bool",
}
COMMANDS: Table = {"add": Command(_add, Usage(file="path", options=_OPTIONS))}
