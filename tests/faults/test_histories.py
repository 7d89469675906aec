"""Random histories at every kind of service, and at two or three of them, under every kind of fault and under kills.

Each history: pins of ours and of others are there; twice a manifest is wanted, applied while things go wrong, and
applied again when they do not. Where there are several services names move between them, have replicas, and one
retires, is suspended or is down for a while. What must never happen is looked for at each single request:

foreign     a pin that is not ours is deleted, or its name or meta changed
lost        a name that is wanted at a service had a pinned copy there, and after a request of ours it has none
last copy   a CID that is wanted anywhere had a pinned copy of ours, and after a request of ours it has none anywhere
blind       a name is deleted on the strength of a listing that was not complete
twice       when all is quiet, a name is there twice
restless    when all is quiet the plan still has changes, and says of none why it cannot

PINREC_FAULT_RUNS: histories per service, and per number of services (default 3); PINREC_SEED: the first seed. A
failure names its seed. The long mode plays 10,000: `PINREC_FAULT_RUNS=834`.
"""

import os
from pathlib import Path

import pytest
from support.histories import KINDS, History, kinds_of

RUNS = int(os.environ.get("PINREC_FAULT_RUNS", "3"))
SEED = int(os.environ.get("PINREC_SEED", "0"))


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_and_every_history_ends(kind: str, seed: int, tmp_path: Path) -> None:
    History([kind], seed, tmp_path).play()


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
@pytest.mark.parametrize("services", [2, 3])
def test_nothing_is_lost_between_services(services: int, seed: int, tmp_path: Path) -> None:
    History(kinds_of(services, seed), seed, tmp_path).play()
