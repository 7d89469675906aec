"""A real Kubo of the benchmark's own: an empty repository in a scratch folder, a daemon that reaches nobody."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILES = 64


class Kubo:
    def __init__(self, path: Path) -> None:
        self.environ = {"IPFS_PATH": str(path)}
        self.api = path / "api"

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["ipfs", *arguments], env=os.environ | self.environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def empty(self) -> None:
        """Nothing is left in it, and the disk has nothing left to write."""
        for pin in self("pin", "ls", "--type=recursive", "-q").split():
            self("pin", "rm", pin)
        self("repo", "gc", "-q")
        os.sync()


@contextmanager
def daemon(path: Path) -> Iterator[Kubo]:
    kubo = Kubo(path)
    kubo("init", "--profile", "test")
    for name in ("API", "Gateway"):
        kubo("config", f"Addresses.{name}", "/ip4/127.0.0.1/tcp/0")
    kubo("config", "--json", "Addresses.Swarm", "[]")
    null = subprocess.DEVNULL
    with subprocess.Popen(
        ["ipfs", "daemon", "--offline"], env=os.environ | kubo.environ, stdout=null, stderr=null
    ) as running:
        try:
            while not kubo.api.exists():
                assert running.poll() is None, "the daemon did not start"
                time.sleep(0.1)
            yield kubo
        finally:
            running.terminate()


def write(folder: Path, size: int) -> None:
    """Files of `size` bytes together, no two blocks alike."""
    dice = random.Random(1)
    folder.mkdir()
    for n in range(FILES):
        with (folder / f"{n:03}.bin").open("wb") as opened:
            left = size // FILES
            while left > 0:
                opened.write(dice.randbytes(min(left, 1 << 20)))
                left -= 1 << 20
