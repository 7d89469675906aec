"""Runs one command from a small process and says what it took: `python bench/launch.py COMMAND...`.

Small, because Linux counts the memory of the process that forks towards the peak of the one that it starts.
The last line of stdout is JSON: seconds of wall time, peak resident MB, exit code. The command's own stdout goes
to stderr.
"""

import json
import resource
import subprocess
import sys
import time

PER_MB = 1024 * 1024 if sys.platform == "darwin" else 1024


def main(command: list[str]) -> None:
    began = time.perf_counter()
    code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / PER_MB
    print(json.dumps({"seconds": seconds, "rss": peak, "code": code}))


if __name__ == "__main__":
    main(sys.argv[1:])
