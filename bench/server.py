"""A pinning service in a process of its own, until stdin ends: `python bench/server.py [--raw] [options]`.

Its first line on stdout is the endpoint. The sandbox, with an account of `--pins` for token-0, of which the first
`--ours` bear our mark; or with `--raw` the least that can answer (raw.py). `--tokens` accounts in all.
"""

import argparse
import sys
from datetime import UTC, datetime

import world

SINCE = datetime(2024, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--pins", type=int, default=0)
    parser.add_argument("--ours", type=int, default=0)
    parser.add_argument("--step-ms", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rate", type=int, default=0, help="of the raw server: requests a second")
    parser.add_argument("--tokens", type=int, default=1)
    options = parser.parse_args()
    if options.raw:
        import raw

        raw.serve(options.latency, print_endpoint, options.rate)
        return
    sandbox(options)


def sandbox(options: argparse.Namespace) -> None:
    from reconciler.sandbox import Latency, Pin, Sandbox

    faults = Latency(options.latency) if options.latency else None
    tokens = [f"token-{n}" for n in range(options.tokens)]
    with Sandbox(tokens, faults=faults, log=0) as running:
        if options.pins:
            pins = (
                Pin(
                    cid=world.cid(n),
                    name=world.name(n),
                    meta={"pinrec": world.OWNER if n < options.ours else "another-owner"},
                )
                for n in range(options.pins)
            )
            running.store.fill(tokens[0], pins, since=SINCE, step_ms=options.step_ms)
        print_endpoint(running.url)
        sys.stdin.read()


def print_endpoint(url: str) -> None:
    print(url, flush=True)


if __name__ == "__main__":
    main()
