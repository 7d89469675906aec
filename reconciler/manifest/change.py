"""One change to one file of a manifest: held, made in the text, checked as a whole, and only then written."""

from collections.abc import Callable

from reconciler.core.errors import UsageError
from reconciler.core.manifest import Manifest
from reconciler.manifest.read import load_manifest
from reconciler.manifest.splice import Yaml
from reconciler.manifest.write import held


def change_yaml(
    path: str,
    file: str,
    change: Callable[[Yaml], None],
    manifest: Manifest,
    *,
    check_only: bool = False,
) -> Manifest:
    """Change `file`, one of the YAML files of the manifest at `path`; the manifest as it is then.

    `manifest` is as it was. Raises ManifestError, and changes nothing, if it would not be valid any more.
    """
    with held(file) as holding:
        text = _decoded(holding.data, file)
        bom = "\ufeff" if text.startswith("\ufeff") else ""
        yaml = Yaml(text.removeprefix(bom), file=file)
        change(yaml)
        new = bom + yaml.text
        if new == text:
            return manifest
        after = load_manifest(path, instead={holding.path: new})
        if not check_only:
            holding.replace(new.encode())
    return after


def change_lines(path: str, file: str, change: Callable[[str], str], manifest: Manifest) -> Manifest:
    """As `change_yaml`, for a list file of the manifest."""
    with held(file) as holding:
        text = _decoded(holding.data, file)
        new = change(text)
        if new == text:
            return manifest
        after = load_manifest(path, instead={holding.path: new})
        holding.replace(new.encode())
    return after


def _decoded(data: bytes, file: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8") from None
