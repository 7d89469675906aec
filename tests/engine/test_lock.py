"""Two processes never hold one lock, and a dead one holds none. Holders are real processes."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.core.errors import EXIT_LOCKED, LockedError, PinrecError
from reconciler.engine.lock import EXPIRES, Holder, Lock

HOLD = """
    import sys
    from pathlib import Path
    from reconciler.engine.lock import Lock

    with Lock(Path(sys.argv[1]), "acme").hold(what="apply"):
        print("held", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts another process that holds the lock until its standard input is closed."""
    started = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        with process:  # closes its pipes and waits for it
            process.kill()


def silence(path: Path) -> None:
    """Set the heartbeat back to beyond the end of a lock."""
    then = time.time() - EXPIRES - 1
    os.utime(path, (then, then))


def test_it_is_free_held_and_free_again(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "state", "acme")
    assert lock.holder() is None
    with lock.hold(what="apply"):
        holder = lock.holder()
        assert holder is not None
        assert (holder.pid, holder.host, holder.what) == (os.getpid(), socket.gethostname(), "apply")
        assert not holder.expired
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        assert lock.path.stat().st_mode & 0o777 == 0o600
    assert lock.holder() is None
    with lock.hold(what="apply"):
        pass


def test_an_error_inside_releases_it(tmp_path: Path) -> None:
    lock = Lock(tmp_path, "acme")
    with pytest.raises(ZeroDivisionError), lock.hold(what="apply"):
        raise ZeroDivisionError
    assert lock.holder() is None


def test_another_owner_has_another_lock(tmp_path: Path) -> None:
    with Lock(tmp_path, "acme").hold(what="apply"), Lock(tmp_path, "other").hold(what="apply"):
        pass


def test_a_held_lock_says_by_whom(tmp_path: Path, other: Callable[[], subprocess.Popen[str]]) -> None:
    process = other()
    with pytest.raises(LockedError) as caught, Lock(tmp_path, "acme").hold(what="apply"):
        pytest.fail("held twice")
    message = str(caught.value)
    assert caught.value.exit_code == EXIT_LOCKED
    for part in (
        "acme is locked by",
        f"pid {process.pid}",
        socket.gethostname(),
        "apply since",
        "pinrec unlock",
    ):
        assert part in message
    assert "\n" not in message


def test_the_same_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    lock = Lock(tmp_path, "acme")
    with lock.hold(what="apply"), pytest.raises(LockedError), lock.hold(what="destroy"):
        pytest.fail("held twice")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_holds_nothing(
    tmp_path: Path, other: Callable[[], subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = other()
    assert Lock(tmp_path, "acme").holder() is not None
    process.send_signal(number)
    process.wait()
    assert Lock(tmp_path, "acme").holder() is None
    with Lock(tmp_path, "acme").hold(what="apply"):
        pass


def test_waiting_ends_when_the_holder_does(
    tmp_path: Path, other: Callable[[], subprocess.Popen[str]]
) -> None:
    process = other()
    waited: list[Holder] = []

    def release(holder: Holder) -> None:
        waited.append(holder)
        assert process.stdin is not None
        process.stdin.close()

    with Lock(tmp_path, "acme").hold(what="apply", timeout=30, on_wait=release):
        holder = Lock(tmp_path, "acme").holder()
        assert holder is not None
        assert holder.pid == os.getpid()
    assert [h.pid for h in waited] == [process.pid]


def test_waiting_ends_after_the_timeout(tmp_path: Path, other: Callable[[], subprocess.Popen[str]]) -> None:
    other()
    waited: list[Holder] = []
    with (
        pytest.raises(LockedError),
        Lock(tmp_path, "acme").hold(what="apply", timeout=0.6, on_wait=waited.append),
    ):
        pytest.fail("held twice")
    assert len(waited) == 1


def test_a_stopped_process_loses_it_when_its_heartbeat_is_old(
    tmp_path: Path, other: Callable[[], subprocess.Popen[str]]
) -> None:
    process = other()
    process.send_signal(signal.SIGSTOP)
    lock = Lock(tmp_path, "acme")
    silence(lock.path)
    found = lock.holder()
    assert found is not None
    assert found.expired
    with lock.hold(what="apply"):
        with pytest.raises(LockedError), Lock(tmp_path, "acme").hold(what="apply"):
            pytest.fail("held twice")
        # The one that lost it wakes up and ends: that does not release what is now ours.
        process.send_signal(signal.SIGCONT)
        process.communicate("")
        found = lock.holder()
        assert found is not None
        assert found.pid == os.getpid()


def from_elsewhere(lock: Lock) -> None:
    """What a host that shares the directory, but not the kernel, leaves there."""
    lock.path.write_text(
        '{"what":"apply","user":"ann","host":"elsewhere","pid":7,"since":"2026-01-01T00:00:00Z","pinrec":"0.1.0"}'
    )


def test_a_living_holder_on_another_host_counts_without_a_kernel_lock(tmp_path: Path) -> None:
    lock = Lock(tmp_path, "acme")
    from_elsewhere(lock)
    with pytest.raises(LockedError, match="pid 7 of ann on elsewhere"), lock.hold(what="apply"):
        pytest.fail("held twice")


@pytest.mark.parametrize("direction", [-1, 1])
def test_a_silent_holder_on_another_host_does_not(tmp_path: Path, direction: int) -> None:
    lock = Lock(tmp_path, "acme")
    from_elsewhere(lock)
    then = time.time() + direction * (EXPIRES + 60)
    os.utime(lock.path, (then, then))
    assert lock.holder() is None
    with lock.hold(what="apply"):
        pass


def test_unlock_takes_it_away_and_says_from_whom(
    tmp_path: Path, other: Callable[[], subprocess.Popen[str]]
) -> None:
    process = other()
    lock = Lock(tmp_path, "acme")
    assert lock.remove() is not None
    assert lock.holder() is None
    assert lock.remove() is None
    with lock.hold(what="apply"):
        process.communicate("")
        assert lock.holder() is not None


def test_nothing_to_unlock_where_nothing_ever_ran(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "none", "acme")
    assert lock.remove() is None
    assert not (tmp_path / "none").exists()


def test_garbage_in_the_file_locks_nobody_out(tmp_path: Path) -> None:
    lock = Lock(tmp_path, "acme")
    lock.path.write_text("{not json")
    with lock.hold(what="apply"):
        assert lock.holder() is not None


def test_a_state_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with (
        pytest.raises(PinrecError, match=r"lock .*acme\.lock cannot be made: .*--state-dir"),
        Lock(tmp_path / "state", "acme").hold(what="apply"),
    ):
        pytest.fail("held")


def test_many_who_want_it_hold_it_one_at_a_time(tmp_path: Path) -> None:
    """Also when each finds an expired one and takes it over."""
    inside, seen = 0, []
    lock = Lock(tmp_path, "acme")
    from_elsewhere(lock)
    silence(lock.path)

    def work() -> None:
        nonlocal inside
        with Lock(tmp_path, "acme").hold(what="apply", timeout=60):
            inside += 1
            seen.append(inside)
            time.sleep(0.001)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 8


COUNT = """
    import sys
    from pathlib import Path
    from reconciler.engine.lock import Lock

    counter = Path(sys.argv[1]) / "counter"
    for _ in range(25):
        with Lock(Path(sys.argv[1]), "acme").hold(what="apply", timeout=60):
            counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_processes_that_count_under_it_lose_no_count(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    command = [sys.executable, "-c", textwrap.dedent(COUNT), str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [p.wait() for p in processes] == [0] * 4
    assert (tmp_path / "counter").read_text() == "100"
