"""Fuzzing in one command: `make fuzz`, or `python scripts/fuzz --seconds 300 --seed 1 --only csv`.

A case has to end in an error that tells a user what to do (`ForecheckError`) or in a right result. All else is found:
another exception, a wrong result, a process that dies, more than a minute. A finding is repeated by its number:
`--only csv --seed 0 --case 17`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import folders
import pages
import readers

from forecheck.errors import ForecheckError, TrialError

Target = Callable[[random.Random, Path], None]
TARGETS: dict[str, Target] = {
    "csv": readers.csv,
    "parquet": readers.parquet,
    "frames": readers.frames,
    "set": readers.settings,
    "config": readers.config,
    "fit folders": folders.fits,
    "detector folders": folders.detectors,
    "names": pages.names,
    "reports": pages.reports,
    "wide": pages.wide,
}
_HANGS = 60.0


def one(target: str, seed: int, case: int) -> tuple[str, str]:
    """How a case came out (right, refused, found), and what was found."""
    draw = random.Random(f"{seed} {target} {case}")
    with tempfile.TemporaryDirectory(prefix="forecheck-fuzz-") as folder:
        os.environ["FORECHECK_HOME"] = f"{folder}/home"
        (Path(folder) / "work").mkdir()
        started = time.monotonic()
        try:
            TARGETS[target](draw, Path(folder) / "work")
        except (ForecheckError, TrialError) as error:
            if "\x1b" in str(error) or "\u202e" in str(error):
                return "found", "an error message with what a terminal obeys"
            return "refused", ""
        except BaseException:  # noqa: BLE001
            return "found", traceback.format_exc()
        if (seconds := time.monotonic() - started) > _HANGS:
            return "found", f"took {seconds:.0f} s"
    return "right", ""


def child(target: str, seed: int, case: int, seconds: float, note: Path) -> None:
    """Cases from `case` on until time is up; every one is noted before, so that one that kills us is known."""
    end = time.monotonic() + seconds
    warnings.simplefilter("ignore")
    while time.monotonic() < end:
        note.write_text(str(case))
        came, what = one(target, seed, case)
        print(json.dumps({"case": case, "came": came, "what": what}), flush=True)
        case += 1


def fuzz(target: str, seed: int, seconds: float) -> tuple[dict[str, int], list[str]]:
    """Counts of how cases came out, and findings."""
    counts, findings, case = {"right": 0, "refused": 0, "found": 0}, [], 0
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "case"
        while (left := end - time.monotonic()) > 0:
            command = [sys.executable, __file__, "--only", target, "--seed", str(seed), "--case", str(case)]
            command += ["--seconds", str(left), "--child", str(note)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                out, err = process.communicate(timeout=left + 3 * _HANGS)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                err = f"does not end\n{err}"
            for line in out.splitlines():
                told = json.loads(line)
                counts[told["came"]] += 1
                if told["came"] == "found":
                    findings.append(f"{target}, case {told['case']}: {told['what']}")
            if process.returncode == 0:
                break
            last = int(note.read_text()) if note.exists() else case
            counts["found"] += 1
            findings.append(f"{target}, case {last}: the process ended with {process.returncode}: {err[-1500:]}")
            case = last + 1
    return counts, findings


def main() -> int:
    """Fuzz the targets one after the other and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets with this in their name")
    parser.add_argument("--case", type=int, help="run this case alone and show what comes out")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = [name for name in TARGETS if given.only in name]
    if given.child is not None:
        child(given.only, given.seed, given.case, given.seconds, given.child)
        return 0
    if given.case is not None:
        came = [one(name, given.seed, given.case) for name in names]
        print(*(f"{how}\n{what}" for how, what in came))
        return any(how == "found" for how, _ in came)
    table, findings = ["| target | right | refused | found |", "| --- | --- | --- | --- |"], []
    for name in names:
        counts, found = fuzz(name, given.seed, given.seconds)
        table.append(f"| {name} | {counts['right']} | {counts['refused']} | {counts['found']} |")
        kinds = {each.strip().rpartition("\n")[2]: each for each in reversed(found)}  # the first of every kind
        print(table[-1], *reversed(kinds.values()), sep="\n", file=sys.stderr, flush=True)
        findings += found
    print(*table, sep="\n")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
