"""What is compared with what, and the target of each: one function a group, each yields lines as they are measured.

`size` is the number of pins where a target speaks of 100,000 or a million (then ten times `size`); anything
smaller only shows that it runs.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import kubo
import world
from folder import write as write_folder
from measure import HERE, Line, Sample, interleaved, key, pinrec, process, server, task, watched

FULL = 100_000
LATENCY = 0.05
#: Pages that a loop with ten pins a page is timed on; the rest is extrapolated.
SMALL_PAGES = 40
#: Requests a second that the service of `pressure` lets in.
PRESSURE = 100

Group = Callable[[int, int, Path], Iterator[Line]]


def _slower(
    group: str, name: str, a: Sample, b: Sample, repeats: int, target: str = "", note: str = ""
) -> Line:
    """How many times as long `a`, ours, takes as `b`."""
    ratio = a.seconds / b.seconds
    return Line(
        group=group, name=name, ours=a.seconds, reference=b.seconds, unit="s", ratio=ratio,
        target=target, repeats=repeats, note=note,
    )  # fmt: skip


def _faster(
    group: str, name: str, a: Sample, b: Sample, repeats: int, target: str = "", note: str = ""
) -> Line:
    """How many times as fast `a`, ours, is as `b`."""
    ratio = b.seconds / a.seconds
    return Line(
        group=group, name=name, ours=a.seconds, reference=b.seconds, unit="s", ratio=ratio,
        target=target, repeats=repeats, note=note,
    )  # fmt: skip


def _memory(
    group: str, name: str, a: Sample, b: Sample | None, repeats: int, target: str, note: str = ""
) -> Line:
    return Line(
        group=group, name=name, ours=a.rss, reference=b.rss if b else 0.0, unit="MB",
        target=target, repeats=repeats, note=note,
    )  # fmt: skip


def load(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    path = world.write_inline(folder / "inline.yaml", size)
    ours, bare = interleaved(
        repeat, lambda: task("ours", "load", path), lambda: task("reference", "events", path)
    )
    assert ours.count == size
    yield _slower("load", f"{size:,} inline pins / bare events", ours, bare, repeat, "<= 2x")
    yield _memory("load", f"{size:,} inline pins, peak", ours, bare, repeat, "")
    path = world.write_listed(folder / "listed.yaml", 10 * size)
    few = min(repeat, 3)
    ours, bare = interleaved(
        few, lambda: task("ours", "load", path), lambda: task("reference", "lines", path.with_suffix(".txt"))
    )
    assert ours.count == 10 * size
    yield _slower("load", f"list file of {10 * size:,} lines / split into a dict", ours, bare, few)
    yield _memory("load", f"list file of {10 * size:,} lines, peak", ours, bare, few, "<= 500 MB")


def validate(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    for pins, target in ((size // 100, ""), (size, "<= 2x")):
        path = world.write_inline(folder / f"validate-{pins}.yaml", pins)
        ours, bare = interleaved(
            repeat,
            lambda path=path: process(*pinrec(), "validate", "-f", str(path)),
            lambda path=path: process(*_python(), str(HERE / "reference.py"), "events", str(path)),
        )
        yield _slower(
            "validate", f"{pins:,} pins / bare events", ours, bare, repeat, target, "whole processes"
        )


def listing(size: int, repeat: int, _folder: Path) -> Iterator[Line]:
    def ours(endpoint: str) -> Sample:
        return task("ours", "listing", endpoint, 16)

    def bare(endpoint: str) -> Sample:
        return task("reference", "listing", endpoint)

    with server("--pins", size) as endpoint:
        a, b = interleaved(repeat, lambda: ours(endpoint), lambda: bare(endpoint))
        assert a.count == b.count == size
        note = f"{a.requests} requests, {b.requests} bare"
        yield _slower("list", f"{size:,} pins at 0 ms / bare loop", a, b, repeat, "<= 1.3x", note)
    with server("--pins", size, "--latency", LATENCY) as endpoint:
        a, b, small = interleaved(
            repeat,
            lambda: ours(endpoint),
            lambda: bare(endpoint),
            lambda: task("reference", "listing", endpoint, 10, SMALL_PAGES),
        )
        assert a.count == b.count == size
        note = f"{a.requests} requests, 16 at once"
        yield _faster("list", f"{size:,} pins at 50 ms / bare loop", a, b, repeat, ">= 5x", note)
        pages = size / 10
        whole = Sample(seconds=small.seconds / small.requests * pages, rss=small.rss)
        note = f"10 a page extrapolated from {small.requests} of {pages:,.0f} pages"
        yield _faster("list", f"{size:,} pins at 50 ms / 10 a page", a, whole, repeat, ">= 300x", note)
    few = min(repeat, 3)
    with server("--pins", size, "--latency", LATENCY, "--step-ms", 3) as endpoint:
        a, b = interleaved(few, lambda: ours(endpoint), lambda: bare(endpoint))
        note = f"{a.requests} requests; pins 3 ms apart, as a bulk import leaves them"
        yield _faster("list", f"{size:,} dense pins at 50 ms / bare loop", a, b, few, "", note)


def plan(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    changed = world.changes(size)
    with server("--pins", size, "--ours", size) as endpoint:
        path = world.write_inline(folder / "plan.yaml", size, endpoint=endpoint, changed=changed)
        command = (*pinrec(), "plan", "-f", str(path), "--state-dir", str(folder / "state"))
        ours, bare = interleaved(
            repeat,
            lambda: process(*command, environ=key()),
            lambda: process(*_python(), str(HERE / "reference.py"), "plan", str(path), endpoint),
        )
        note = f"whole processes; {sum(changed):,} changes"
        yield _slower(
            "plan", f"{size:,} inline pins / bare list + events", ours, bare, repeat, "<= 1.5x", note
        )
        yield _memory("plan", f"{size:,} inline pins, peak", ours, bare, repeat, "<= 200 MB")


def apply(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    """As many adds as take some seconds. `raw` is a server that costs nearly nothing; the sandbox is told too."""
    few = min(repeat, 3)
    for latency in (LATENCY, 0.0):
        for workers in (8, 32, 64):
            pins = min(125 * workers if latency else 4000, size // 12)
            yield _adds("raw", latency, workers, pins, repeat, folder, ">= 0.9x")
    pins = min(4000, size // 12)
    yield _adds("sandbox", LATENCY, 32, pins, few, folder, "")


def _adds(kind: str, latency: float, workers: int, pins: int, repeat: int, folder: Path, target: str) -> Line:
    tokens = iter([f"token-{n}" for n in range(2 * repeat)])
    options = ("--raw",) if kind == "raw" else ("--tokens", 2 * repeat)
    with server(*options, "--latency", latency) as endpoint:
        path = world.write_inline(folder / "adds.yaml", pins, endpoint=endpoint, concurrency=workers)
        # Each sample has an account of its own, which is empty.
        ours, bare = interleaved(
            repeat,
            lambda: task("ours", "adds", path, next(tokens)),
            lambda: task("reference", "adds", endpoint, pins, workers, next(tokens)),
        )
    assert ours.count == bare.count == pins
    name = f"{pins:,} adds, {workers} in flight, {latency * 1000:.0f} ms, {kind} server"
    note = f"{pins / ours.seconds:,.0f}/s, bare {pins / bare.seconds:,.0f}/s"
    return _faster("apply", name, ours, bare, repeat, target, note)


def pressure(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    """Some ten seconds of adds at a limit: never refused, hardly below. Untold, it is learnt from the answers."""
    pins = min(10 * PRESSURE, size // 12)
    for _ in range(min(repeat, 3)):
        a, line = _pressed(pins, folder, f"{PRESSURE}/s", ">= 0.95x")
        yield line
        yield Line(
            group="pressure", name="refused with 429 / requests", ours=a.requests, reference=a.refused,
            unit="requests", ratio=a.refused / a.requests, target="<= 0x",
            note=f"{a.refused} refused; {a.most} came within any one second",
        )  # fmt: skip
    _, line = _pressed(pins // 4, folder, "", "")
    yield line


def _pressed(pins: int, folder: Path, told: str, target: str) -> tuple[Sample, Line]:
    with server("--raw", "--latency", LATENCY, "--rate", PRESSURE) as endpoint:
        path = world.write_inline(folder / "pressure.yaml", pins, endpoint=endpoint, requests=told)
        a = task("ours", "pressure", path, endpoint)
    assert a.count == pins
    # There is one interval less than there are requests, and a request that was refused is none of use.
    ideal = Sample(seconds=(a.requests - a.refused - 1) / PRESSURE, rss=0)
    name = f"{pins:,} adds, {PRESSURE}/s {'declared' if told else 'not declared'} / the limit"
    note = f"{(a.requests - a.refused - 1) / a.seconds:.1f}/s, {a.refused} refused"
    return a, _faster("pressure", name, a, ideal, 1, target, note)


def memory(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    with server("--pins", size, "--ours", size) as endpoint:
        path = world.write_listed(
            folder / "plan-listed.yaml", size, form="ndjson", endpoint=endpoint, changed=world.changes(size)
        )
        few = min(repeat, 3)
        (a,) = interleaved(few, lambda: _plan(path, folder))
        note = f"{a.seconds:.1f} s"
        yield _memory("memory", f"plan of {size:,} pins from NDJSON, peak", a, None, few, "<= 200 MB", note)
    with server("--pins", 10 * size, "--ours", size) as endpoint:
        a, b = task("ours", "listing", endpoint, 16), task("reference", "listing", endpoint)
        assert a.count == b.count == 10 * size
        note = f"{a.seconds:.1f} s, bare {b.seconds:.1f} s"
        yield _memory("memory", f"{10 * size:,} listed pins, peak", a, b, 1, "<= 500 MB", note)
        path = world.write_listed(folder / "plan-million.yaml", size, form="ndjson", endpoint=endpoint)
        a = _plan(path, folder)
        name = f"plan of {size:,} pins among {10 * size:,}, peak"
        yield _memory("memory", name, a, None, 1, "<= 500 MB", f"{a.seconds:.1f} s")


def _plan(path: Path, folder: Path) -> Sample:
    return process(*pinrec(), "plan", "-f", str(path), "--state-dir", str(folder / "state"), environ=key())


def startup(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    pins = max(10, size // 100)
    path = world.write_inline(folder / "startup.yaml", pins)
    many = max(repeat, 15) if repeat > 1 else 1
    bare, shown, checked = interleaved(
        many,
        lambda: process(*_python(), "-c", "pass"),
        lambda: process(*pinrec(), "--help"),
        lambda: process(*pinrec(), "validate", "-f", str(path)),
    )
    yield _slower("startup", "pinrec --help / python -c pass", shown, bare, many, "<= 6x")
    yield _slower("startup", f"validate of {pins:,} pins / python -c pass", checked, bare, many, "<= 20x")


def unixfs(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    """1 GiB where `size` is full, else as much less."""
    length = (1 << 30) * size // FULL
    path = folder / "unixfs"
    write_folder(path, length)
    samples = [task("folder", "compare", path) for _ in range(repeat)]
    seconds, bare = median(s.seconds for s in samples), median(s.bare for s in samples)
    a = Sample(seconds=seconds, rss=median(s.rss for s in samples))
    note = f"{samples[0].count / seconds / 1e6:,.0f} MB/s, both in one process"
    name = f"CID of a folder of {length / (1 << 20):,.0f} MiB / sha256"
    yield _faster("unixfs", name, a, Sample(seconds=bare, rss=a.rss), repeat, ">= 0.8x", note)
    yield _memory("unixfs", name.partition(" /")[0] + ", peak", a, None, repeat, "")


def imports(size: int, repeat: int, folder: Path) -> Iterator[Line]:
    """1 GiB where `size` is full, else as much less. `ipfs add` is the command, which talks to the same daemon."""
    if shutil.which("ipfs") is None:
        print("import   not run: `ipfs` (Kubo) is not on PATH", file=sys.stderr)
        return
    length = (1 << 30) * size // FULL
    path = folder / "import"
    kubo.write(path, length)
    with kubo.daemon(folder / "kubo") as node:

        def ours() -> Sample:
            node.empty()
            return task("ours", "imports", path, node.api)

        def bare() -> Sample:
            node.empty()
            return process("ipfs", "add", "-r", "-Q", "--cid-version=1", str(path), environ=node.environ)

        a, b = interleaved(repeat, ours, bare)
    name = f"import of {length / (1 << 20):,.0f} MiB / ipfs add"
    note = f"{a.count / a.seconds / 1e6:,.0f} MB/s, pinned on both sides"
    yield _faster("import", name, a, b, repeat, ">= 0.9x", note)
    yield _memory("import", name.partition(" /")[0] + ", peak", a, None, repeat, "")


def _python() -> tuple[str, ...]:
    return (sys.executable,)


def loop(size: int, repeat: int, _folder: Path) -> Iterator[Line]:
    """A running `pinrec run`: how soon a change of MFS arrives, and what it takes to wait for one."""
    with server("--pins", size, "--ours", size) as endpoint:
        waited = watched("idle", endpoint, size, 60)
        told = watched("change", endpoint, size, 4 * repeat)
    yield Line(
        group="loop", name="change of MFS to request, p50 / a second", ours=told["p50"], reference=1.0, unit="s",
        ratio=told["p50"], target="<= 1x", repeats=4 * repeat, note=f"the slowest {told['most']:.2f} s",
    )  # fmt: skip
    yield Line(
        group="loop", name=f"idle with {size:,} pins and MFS watched / 0.5 % of a core", ours=waited["share"],
        reference=0.005, unit="s", ratio=waited["share"] / 0.005, target="<= 1x", note=f"{waited['share']:.2%}",
    )  # fmt: skip
    yield Line(
        group="loop", name=f"idle with {size:,} pins, resident", ours=waited["rss"], reference=0.0, unit="MB",
        target="<= 100 MB",
    )  # fmt: skip
    rounds = max(10, size // 100)
    grown = watched("ticks", rounds)
    yield Line(
        group="loop", name=f"growth in {rounds:,} ticks of 100 ms", ours=max(0.0, grown["growth"]), reference=0.0,
        unit="MB", target="<= 1 MB", note=f"{grown['rss']:.0f} MB then",
    )  # fmt: skip


GROUPS: dict[str, Group] = {
    "load": load,
    "validate": validate,
    "list": listing,
    "plan": plan,
    "apply": apply,
    "pressure": pressure,
    "memory": memory,
    "loop": loop,
    "startup": startup,
    "unixfs": unixfs,
    "import": imports,
}
