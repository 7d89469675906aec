"""The disk is full, or what should be a file is none: one clear line, nothing half written, nothing sent unnoted."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.process import done, foreign, manifest, ours, start
from support.scenario import LETTERS

from reconciler.sandbox import Answer, Fault, Received, Sandbox

PINS = {f"n{i:02d}": LETTERS["ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i]] for i in range(26)}
Fill = Callable[[], None]
#: What is free on the disk: nothing, or enough for the lock and not for the journal.
ROOM = (0, 8192)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Fill]]:
    """A file system of 400 kB, and what fills it."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "pinrec-test", str(place)],
        capture_output=True,
        check=False,
    )
    if not mounted or mounted.returncode:
        pytest.skip("a file system of its own cannot be mounted here")

    def fill() -> None:
        with (place / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    try:
        yield place, fill
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def no_file_grows(size: int) -> Fill:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class At:
    """Does something as the first POST comes in."""

    def __init__(self, what: Fill) -> None:
        self.what: Fill | None = what

    def before(self, request: Received) -> Fault | None:
        if request.method == "POST" and self.what:
            self.what()
            self.what = None
        return None

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return None


def refused(text: str) -> str:
    """The one line that says what was wrong."""
    assert "Traceback" not in text, text
    (line,) = (line for line in text.splitlines() if line.startswith("pinrec: "))
    return line


def sent(sandbox: Sandbox) -> list[str]:
    return [r.method for r in sandbox.requests if r.method != "GET"]


@pytest.mark.parametrize("room", ROOM)
def test_a_full_disk_at_the_start_sends_nothing(
    tmp_path: Path, small_disk: tuple[Path, Fill], room: int
) -> None:
    place, fill = small_disk
    fill()
    os.truncate(place / "filler", (place / "filler").stat().st_size - room)
    with Sandbox(("token",)) as sandbox:
        (tmp_path / "pinrec.yaml").write_text(manifest(sandbox.url, PINS))
        code, text = done(start(tmp_path, "apply", "--yes", state=place))
        assert code == 1, text
        line = refused(text)
        assert f"{place}/{'journal.db cannot be used' if room else 'acme.lock cannot be made'}" in line
        assert sent(sandbox) == []
        assert sandbox.store.all("token") == []


def test_a_disk_that_fills_midway_is_told_once_and_the_run_goes_on(
    tmp_path: Path, small_disk: tuple[Path, Fill]
) -> None:
    place, fill = small_disk
    with Sandbox(("token",), faults=At(fill)) as sandbox:
        sandbox.store.put("token", LETTERS["A"], name="theirs", meta={"pinrec": "other"})
        others = foreign(sandbox.store.all("token"))
        (tmp_path / "pinrec.yaml").write_text(
            manifest(sandbox.url, PINS).replace("spec}", "spec, limits: {concurrency: 1}}")
        )
        code, text = done(start(tmp_path, "apply", "--yes", state=place))
        assert code == 0, text
        assert text.count("the journal is off for the rest of this run") == 1, text
        assert ours(sandbox.store.all("token")) == sorted((n, c, "pinned") for n, c in PINS.items())
        assert foreign(sandbox.store.all("token")) == others
        (place / "filler").unlink()
        code, text = done(start(tmp_path, "plan", "--detailed-exitcode", state=place))
        assert code == 0, text


@pytest.mark.parametrize("size", ROOM)
def test_a_limit_on_files_at_the_start_sends_nothing(tmp_path: Path, size: int) -> None:
    with Sandbox(("token",)) as sandbox:
        (tmp_path / "pinrec.yaml").write_text(manifest(sandbox.url, PINS))
        code, text = done(start(tmp_path, "apply", "--yes", first=no_file_grows(size)))
        assert code == 1, text
        assert str(tmp_path / "state") in refused(text)
        assert sent(sandbox) == []


def test_a_journal_that_is_a_directory_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "state" / "journal.db").mkdir(parents=True)
    with Sandbox(("token",)) as sandbox:
        (tmp_path / "pinrec.yaml").write_text(manifest(sandbox.url, PINS))
        code, text = done(start(tmp_path, "apply", "--yes"))
        assert code == 1, text
        assert f"{tmp_path}/state/journal.db cannot be used" in refused(text)
        assert sent(sandbox) == []


def test_a_plan_that_does_not_fit_leaves_the_saved_one_and_nothing_half_written(
    tmp_path: Path, small_disk: tuple[Path, Fill]
) -> None:
    place, fill = small_disk
    saved = place / "plan.json"
    saved.write_text("the plan before")
    fill()
    with Sandbox(("token",)) as sandbox:
        (tmp_path / "pinrec.yaml").write_text(manifest(sandbox.url, PINS))
        code, text = done(start(tmp_path, "plan", "--out", str(saved)))
        assert code == 1, text
        (line,) = (line for line in text.splitlines() if str(saved) in line)
        assert "No space left on device" in line
        assert "Traceback" not in text
    assert saved.read_text() == "the plan before"
    assert sorted(p.name for p in place.iterdir()) == ["filler", "plan.json"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full here")
def test_a_device_that_is_full_is_told_and_stays_a_device(tmp_path: Path) -> None:
    with Sandbox(("token",)) as sandbox:
        (tmp_path / "pinrec.yaml").write_text(manifest(sandbox.url, PINS))
        code, text = done(start(tmp_path, "plan", "--out", "/dev/full"))
        assert code == 1, text
        (line,) = (line for line in text.splitlines() if "/dev/full" in line)
        assert "No space left on device" in line
        assert "Traceback" not in text
    assert Path("/dev/full").is_char_device()
    assert [p.name for p in tmp_path.iterdir() if "tmp" in p.name] == []


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    with Sandbox(("token",)) as sandbox:
        (tmp_path / "pinrec.yaml").write_text(manifest(sandbox.url, {"n00": PINS["n00"]}))
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        process = start(tmp_path, "plan", "--out", str(pipe))
        with pipe.open() as reader:
            told = reader.read()
        code, text = done(process)
        assert code == 0, text
        assert '"n00"' in told
    assert pipe.is_fifo()
