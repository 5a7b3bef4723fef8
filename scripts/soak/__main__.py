"""Fault tests in one command: `make soak`, or `python scripts/soak --only kill --kills 5 --seed 1`.

Every count but the tries has to be zero; the exit code is 1 if one is not. POSIX only; as root, disks are mounted.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import disks
import kills
import stores
from common import FAULTS, Count

Test = Callable[[Count, Path, int, random.Random], None]
TESTS: dict[str, tuple[Test, float]] = {
    "kill -9 of an audit": (kills.audits, 1),
    "kill -9 of a fit": (kills.fits, 1),
    "kill -9 of a forecast to Parquet": (kills.forecasts, 1),
    "kill -9 of writes to the store": (kills.stores, 1),
    "kill -9 of writes of Parquet": (kills.outputs, 1),
    "kill -9 of updates of a fit": (kills.folders, 1),
    "kill -9 of prune": (kills.prunes, 1),
    "disk full": (disks.full, 0.8),
    "read-only folder": (disks.read_only, 1),
    "clock jumps": (disks.clocks, 0.2),
    "eight processes on one store": (stores.eight, 0.1),
    "bits, truncation, holes": (stores.flips, 2),
}
"""By name, the test and its tries for each kill that is asked for."""


def main() -> int:
    """Run the tests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="of each kind; the other tests go with it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="tests with this in their name")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows, wrong = [["test", "tries", *FAULTS, "seconds"]], []
    for name, (test, share) in TESTS.items():
        if given.only not in name:
            continue
        count, started = Count(name), time.monotonic()
        with tempfile.TemporaryDirectory(prefix="forecheck-soak-") as folder:
            test(count, Path(folder), max(1, round(share * given.kills)), random.Random(f"{given.seed} {name}"))
        count.seconds = time.monotonic() - started
        rows.append(count.row())
        wrong += [f"{name}: {kind}: {words}" for kind, words in count.faults]
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print("| " + " |\n| ".join(" | ".join(row) for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]]) + " |")
    print("\n".join(wrong), file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
