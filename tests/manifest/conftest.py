from pathlib import Path
from textwrap import dedent

import pytest

from reconciler.core.errors import ManifestError
from reconciler.core.manifest import Manifest
from reconciler.manifest import load_manifest

HEAD = """\
version: 1
name: acme
services:
  a: {preset: pinata, key: {env: A}}
  b: {endpoint: "http://127.0.0.1:9097", key: {env: B}}
defaults: {services: [a]}
"""


class Folder:
    """A directory that is the working directory, and manifests in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes) -> str:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return name

    def load(self, text: str, *, name: str = "pinrec.yaml") -> Manifest:
        return load_manifest(self.write(name, text))

    def pins(self, text: str) -> Manifest:
        """The manifest of two services, a (the default) and b, with these items of `pins`.

        They begin in line 8, or in line 9 if `text` begins with a line break.
        """
        return self.load(HEAD + "pins:\n" + dedent(text))

    def problems(self, text: str, *, name: str = "pinrec.yaml") -> list[str]:
        with pytest.raises(ManifestError) as caught:
            self.load(text, name=name)
        assert caught.value.exit_code == 64
        return [str(p) for p in caught.value.problems]

    def pin_problems(self, text: str) -> list[str]:
        return self.problems(HEAD + "pins:\n" + dedent(text))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


@pytest.fixture
def head() -> str:
    return HEAD
