"""The manifest and the files it names, watched: taken when they are valid, kept as they were while they are not."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from reconciler.core.errors import PinrecError
from reconciler.core.focus import Traces, entry_cids, entry_names
from reconciler.core.local import with_local
from reconciler.core.manifest import CidRef, Manifest, SecretRef
from reconciler.daemon.packed import PackedManifest
from reconciler.engine.sources import resolve_cids

#: While what is there is invalid, it is read again after so many seconds though nothing seems to have changed: what
#: would mend it may be a file that was never read.
AGAIN = 10.0

_Look = tuple[int, int, int] | None


class Kept:
    """The manifest in force: packed, with what must be at hand of it."""

    def __init__(self, manifest: Manifest, resolved: Mapping[str, str]) -> None:
        # The node is a place for pins like the services, and has a worker like them.
        manifest = with_local(manifest)
        self.resolved = dict(resolved)
        #: Whether entries are wanted by paths, of which nobody can say between two plans where they lead.
        self.by_path = any(isinstance(e.cid, CidRef) and e.cid.kind == "path" for e in manifest.entries)
        self.packed = PackedManifest(manifest)
        self.names: Traces = entry_names(manifest)
        self.cids: Traces = entry_cids(manifest, self.resolved)
        self.watched = (*manifest.files, *_beside(manifest))

    @property
    def head(self) -> Manifest:
        """The manifest without its entries."""
        return self.packed.head


def kept_of(manifest: Manifest, environ: Mapping[str, str]) -> Kept:
    """Raises ManifestError if a CID from outside is not to be had."""
    return Kept(manifest, resolve_cids(manifest, environ))


class Files:
    """Reads the manifest and notices when it changes. `load` reads it and raises PinrecError."""

    def __init__(
        self,
        load: Callable[[], Manifest],
        kept: Kept,
        *,
        environ: Mapping[str, str],
        monotonic: Callable[[], float],
    ) -> None:
        self._load = load
        self._path = kept.head.path
        self._environ = environ
        self._monotonic = monotonic
        self._seen: dict[str, _Look] = {}
        self._again = float("inf")
        #: Those of the files that were found changed since what was read last came into force.
        self.altered: frozenset[str] = frozenset()
        #: Why what is there now is not in force, or None.
        self.invalid: PinrecError | None = None
        self._look(kept.watched)

    def changed(self) -> bool:
        """Whether a file that is watched is another than it was. Some microseconds for each file."""
        if not self._seen or (self.invalid is not None and self._monotonic() >= self._again):
            return True
        return any(_look(path) != seen for path, seen in self._seen.items())

    def forget(self) -> None:
        """Whatever the files look like, they are read again."""
        self._seen = {}

    def taken(self) -> None:
        """What was read last is in force."""
        self.altered = frozenset()

    def refuse(self, error: PinrecError) -> None:
        """What was read is valid in itself, and cannot come into force."""
        self.invalid = error
        self._again = self._monotonic() + AGAIN

    async def read(self, kept: Kept) -> Kept | None:
        """What is there now, or None if it is invalid; `invalid` says why."""
        # Looked at before it is read: a change while it is read is seen at the next look.
        before = self._seen
        self._look(kept.watched)
        self.altered |= {path for path, look in self._seen.items() if before.get(path, look) != look}
        try:
            new = await asyncio.to_thread(self._whole)
        except PinrecError as error:
            self.refuse(error)
            return None
        self.invalid = None
        for path in new.watched:
            self._seen.setdefault(path, _look(path))
        return new

    def _whole(self) -> Kept:
        return kept_of(self._load(), self._environ)

    def _look(self, paths: Iterable[str]) -> None:
        self._seen = {path: _look(path) for path in dict.fromkeys((str(Path(self._path).absolute()), *paths))}


def _look(path: str) -> _Look:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _beside(manifest: Manifest) -> Iterable[str]:
    """Files that a manifest names without their being part of it: CIDs that a build left, and keys."""
    for entry in manifest.entries:
        if isinstance(entry.cid, CidRef) and entry.cid.kind == "file":
            yield entry.cid.path
    secrets = [service.key for service in manifest.services.values()]
    if manifest.node is not None and manifest.node.token is not None:
        secrets.append(manifest.node.token)
    if (webhook := manifest.loop.webhook) is not None:
        secrets += [s for s in (webhook.url, webhook.secret) if isinstance(s, SecretRef)]
    for secret in secrets:
        if secret.kind == "file":
            yield secret.value[0]
