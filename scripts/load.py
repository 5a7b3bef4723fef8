"""Load: `python scripts/load.py --audits 1000` small audits through one store, and memory over `--trials 10000`.

Audits run in processes that start together in waves; each does its share, on panels that others audit, too, so that
they meet at the same results. Then one process runs trials one after the other and its memory is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import stats

import forecheck as fc
from forecheck.data.panel import Panel
from forecheck.forecasters import registry
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.health import check_store
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial

_TINY = {"patch": 6, "stride": 6, "width": 4, "heads": 1, "hidden": 4, "layers": 1, "epochs": 1, "batch": 64}
_BLOCKS = 20


def panel(number: int, rows: int = 160) -> Panel:
    """Waves with noise, others for every number."""
    time = np.datetime64("2024-01-01T00", "us") + np.arange(rows) * np.timedelta64(1, "h")
    noise = np.random.default_rng(number).standard_normal(rows)
    return fc.load(pa.table({"date": time, "y": np.sin(np.arange(rows) / 4) + 0.2 * noise}))


def audit(number: int, store: Path) -> str:
    """One small audit; its verdict."""
    budget = {"horizon": 3, "lookback": 12, "time": "1s", "folds": 1, "workers": 0, "select": ["FC2"]}
    return str(fc.audit(panel(number), "patchtst", options={"patchtst": _TINY}, store=store, **budget).verdict)


def child(first: int, count: int, panels: int, store: Path) -> None:
    """A process of a wave: waits for the others, then audits."""
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(first, first + count):
        print(json.dumps([number % panels, audit(number % panels, store)]), flush=True)


def load(audits: int, processes: int, waves: int, store: Path) -> dict[str, object]:
    """Audits through one store, every panel by about four processes."""
    panels, share = max(1, audits // 4), -(-audits // (processes * waves))
    verdicts: dict[int, set[str]] = {}
    failed, done, started = 0, 0, time.monotonic()
    for wave in range(waves):
        running = []
        for each in range(processes):
            first = (wave * processes + each) * share
            command = [sys.executable, __file__, "--child", str(first), str(share), str(panels), str(store)]
            running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            out, _ = process.communicate()
            failed += process.returncode != 0
            for line in out.splitlines():
                number, verdict = json.loads(line)
                verdicts.setdefault(number, set()).add(verdict)
                done += 1
    health = check_store(Store(store))
    return {
        "audits": done,
        "processes at once": processes,
        "processes that failed": failed,
        "panels with two verdicts": sum(len(each) > 1 for each in verdicts.values()),
        "results": health.results,
        "damaged": len(health.damaged),
        "left half-written": len(health.unfinished),
        "seconds": round(time.monotonic() - started, 1),
    }


def memory(trials: int, store: Path) -> dict[str, object]:
    """Resident memory of one process over many trials: bytes a trial, with a 95 % interval from means of blocks."""
    data, kept = panel(0), Store(store)
    kept.put_panel(data)
    config = registry.defaults(registry.find("nlinear"))
    sampled = []
    for number in range(trials):
        run_inline([Trial(data.fingerprint, "70/10/20", 12, 3, "nlinear", config, 24, seed=number)], kept)
        sampled.append(_resident())
    later = np.array(sampled[trials // 10 :], dtype=float)  # what is loaded and allocated once is there by then
    blocks = [each.mean() for each in np.array_split(later, _BLOCKS)]
    fit = stats.linregress(np.arange(_BLOCKS) * len(later) / _BLOCKS, blocks)
    half = float(stats.t.ppf(0.975, _BLOCKS - 2) * fit.stderr)
    return {
        "trials": trials,
        "bytes a trial": f"{fit.slope:.0f} [{fit.slope - half:.0f}, {fit.slope + half:.0f}]",
        "MB at a tenth and at the end": f"{later[0] / 1e6:.0f}, {later[-1] / 1e6:.0f}",
    }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Run both and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--waves", type=int, default=5)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        first, count, panels = map(int, given.child[:3])
        child(first, count, panels, Path(given.child[3]))
        return 0
    wrong = False
    with tempfile.TemporaryDirectory(prefix="forecheck-load-") as folder:
        if given.audits:
            found = load(given.audits, given.processes, given.waves, Path(folder) / "store")
            keys = ("processes that failed", "panels with two verdicts", "damaged", "left half-written")
            wrong = any(found[key] for key in keys)
            print(json.dumps(found))
        if given.trials:
            print(json.dumps(memory(given.trials, Path(folder) / "memory")))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
