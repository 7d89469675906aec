"""What people install: a wheel from a checkout or from the sdist, and the checkout itself."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import reconciler

ROOT = Path(__file__).parent.parent
SCHEMAS = sorted(p.name for p in (ROOT / "schemas").glob("*.schema.json"))
FIND = """
import json, reconciler
from reconciler.manifest import schema_file, schema_text
print(json.dumps({"at": reconciler.__file__, "schema": schema_text(), "plan": schema_file("plan.schema.json")}))
"""


def run(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_"))}
    if path is not None:
        environ["PYTHONPATH"] = str(path)
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", into, cwd=source)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_package_its_schemas_and_its_licence(wheel: Path) -> None:
    version = reconciler.__version__
    info = f"pinrec-{version}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert {f"reconciler/schemas/{name}" for name in SCHEMAS} <= names
        assert {"reconciler/py.typed", "reconciler/core/cid.py", f"{info}/licenses/LICENSE"} <= names
        assert {n.split("/")[0] for n in names} == {"reconciler", info}
        assert "pinrec = reconciler.cli.main:main" in archive.read(f"{info}/entry_points.txt").decode()
        metadata = archive.read(f"{info}/METADATA").decode()
    for line in (
        "Name: pinrec",
        f"Version: {version}",
        "Requires-Python: >=3.11",
        "License-Expression: Apache-2.0",
    ):
        assert line in metadata.splitlines()
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "reconciler").rglob("*.py")}
    assert {n for n in names if n.endswith(".py")} == modules


def test_an_installed_wheel_finds_its_schemas_and_runs(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
    )
    run(*pip, "--target", site, wheel, cwd=tmp_path)
    found = json.loads(run(sys.executable, "-c", FIND, cwd=tmp_path, path=site))
    assert Path(found["at"]).is_relative_to(site)
    assert found["schema"] == (ROOT / "schemas/manifest.schema.json").read_text()
    assert found["plan"] == (ROOT / "schemas/plan.schema.json").read_text()
    assert reconciler.__version__ in run(site / "bin/pinrec", "version", cwd=tmp_path, path=site)


def test_the_checkout_finds_the_schemas_at_its_top(tmp_path: Path) -> None:
    assert not (ROOT / "reconciler/schemas").exists(), "the editable install must not need a copy"
    found = json.loads(run(sys.executable, "-c", FIND, cwd=tmp_path))
    assert Path(found["at"]).is_relative_to(ROOT)
    assert found["schema"] == (ROOT / "schemas/manifest.schema.json").read_text()
    assert found["plan"] == (ROOT / "schemas/plan.schema.json").read_text()


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build("sdist", ROOT, tmp_path / "sdist")
    run(sys.executable, "-m", "tarfile", "-e", sdist, tmp_path, cwd=tmp_path)
    unpacked = tmp_path / f"pinrec-{reconciler.__version__}"
    for name in (
        "tests/test_packaging.py",
        "scripts/test",
        "requirements-dev.txt",
        "LICENSE",
        "CHANGELOG.md",
    ):
        assert (unpacked / name).is_file(), name
    again = build("wheel", unpacked, tmp_path / "again")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


@pytest.mark.parametrize("name", SCHEMAS)
def test_published_schemas_are_draft_07(name: str) -> None:
    schema = json.loads((ROOT / "schemas" / name).read_text())
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["title"]
    assert schema["description"]


def test_all_schemas_are_there() -> None:
    names = ("doctor", "events", "manifest", "plan", "report", "verify")
    assert [f"{name}.schema.json" for name in names] == SCHEMAS


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-build.txt", "requirements-dev.txt"])
def test_the_lock_has_hashes_and_names_no_place_to_install_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    packages = [line for line in text.splitlines() if line[:1].isalnum()]
    assert packages
    assert all("==" in line for line in packages)
    assert text.count("--hash=sha256:") >= len(packages)
    assert "://" not in text
    assert "index-url" not in text


def test_one_version_of_everything_in_all_locks() -> None:
    versions: dict[str, set[str]] = {}
    for lock in ROOT.glob("requirements*.txt"):
        for line in lock.read_text().splitlines():
            if line[:1].isalnum():
                name, version = line.split(" ")[0].split("==")
                versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
