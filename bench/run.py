"""Ratios of pinrec to the least code that does the same, measured in the same run. See README.md beside this file.

python bench/run.py                      everything, some minutes
python bench/run.py list apply           two groups
python bench/run.py all --size 1000 --repeat 1
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from cases import FULL, GROUPS
from measure import Line, machine


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"all, or some of: {', '.join(GROUPS)}")
    parser.add_argument("--size", type=int, default=FULL, help="pins; targets are meant for %(default)s")
    parser.add_argument("--repeat", type=int, default=5, help="samples of each side (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    options = parser.parse_args()
    unknown = set(options.groups) - {*GROUPS, "all"}
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    chosen = list(GROUPS) if not options.groups or "all" in options.groups else options.groups
    here = machine()
    if not options.json:
        print(" · ".join(f"{name} {value}" for name, value in here.items()))
        print(f"medians of interleaved samples (n); size {options.size:,}\n")
    # What is set on this machine for pinrec, or a proxy, is no part of what is measured.
    for name in [n for n in os.environ if n.startswith("PINREC_") or n.lower().endswith("_proxy")]:
        if name != "PINREC_BENCH_PROFILE":
            del os.environ[name]
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        for group in chosen:
            for line in GROUPS[group](options.size, options.repeat, Path(folder)):
                lines.append(line)
                if not options.json:
                    print(text(line), flush=True)
    if options.json:
        measured = [line.as_dict() for line in lines]
        print(json.dumps({"machine": here, "size": options.size, "lines": measured}, indent=2))
    missed = sum(line.ok is False for line in lines)
    if not options.json:
        told = sum(line.ok is not None for line in lines)
        print(f"\n{told - missed} of {told} targets met")
    return 1 if missed and options.check else 0


def text(line: Line) -> str:
    verdict = {True: "OK", False: "MISS", None: ""}[line.ok]
    value = f"{line.measured:.2f}x" if line.ratio is not None else f"{line.ours:.0f} MB"
    if line.unit == "s":
        sides = f"{_seconds(line.ours)} / {_seconds(line.reference)}"
    else:
        sides = f"bare {line.reference:.0f} MB" if line.reference and line.unit == "MB" else ""
    note = f"  {line.note}" if line.note else ""
    return (
        f"{line.group:8} {line.name:58} {value:>9} {line.target:>10} {verdict:4} "
        f"{sides:20} n={line.repeats}{note}"
    )


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
