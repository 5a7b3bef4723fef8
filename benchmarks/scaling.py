"""How long forecasts of many series take: `auto` beside AutoETS and AutoTheta, and how cost grows with series.

    FORECHECK_DATA=folder python benchmarks/scaling.py [--peers folder of packages] [--again]

Writes benchmarks/results/scaling.md and scaling.json; what the JSON holds already is not run again. Every run is a
process of its own on one thread. Seconds are of processor time, without importing: a busy machine makes them longer,
though far less than those of a clock. Peers (statsforecast, whose compiled code is warmed up before) run where they can
be imported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"
HORIZON, SEASON, STEPS = 12, 12, 200
SERIES = (1_000, 3_000, 10_000, 30_000)
BESIDE = ("hospital", "tourism_monthly")
"""Sets of whose monthly series the first 200 are forecast by all."""
FEW = 200
MODELS = ("auto", "combination", "AutoTheta", "AutoETS")
LEVELS = (80, 95)


def monthly(folder: Path, name: str) -> pd.DataFrame:
    """The first 200 series of a set, as numbered months."""
    whole = pd.read_csv(folder / "forecasting" / f"{name}.csv.gz")[["unique_id", "ds", "y"]]
    kept = whole["unique_id"].unique()[:FEW]
    return whole[whole["unique_id"].isin(kept)].assign(ds=lambda frame: pd.to_datetime(frame["ds"]))


def made_up(count: int) -> pd.DataFrame:
    """Trends, seasons and noise, of a scale a series."""
    random, t = np.random.default_rng(0), np.arange(STEPS)
    scale = np.exp(random.normal(size=(count, 1)))
    season = random.normal(size=(count, 1)) * np.sin(2 * np.pi * t / SEASON + random.uniform(0, 6, (count, 1)))
    walk = np.cumsum(random.normal(size=(count, STEPS)), axis=1) * 0.2
    values = scale * (10 + season + walk + 0.3 * random.normal(size=(count, STEPS)))
    months = np.datetime64("2000-01") + t.astype("timedelta64[M]")
    stamps = np.tile(months.astype("datetime64[ns]"), count)
    return pd.DataFrame({"unique_id": np.repeat(np.arange(count), STEPS), "ds": stamps, "y": values.reshape(-1)})


def ours(past: pd.DataFrame, model: str) -> Callable[[], Any]:
    """A forecast with intervals, from the frame on."""
    import forecheck as fc

    def run() -> Any:
        with tempfile.TemporaryDirectory() as store:
            panel = fc.load(past, time="ds", series="unique_id", target=["y"])
            how: dict[str, Any] = {"workers": 0, "store": Path(store), "level": LEVELS}
            return fc.forecast(panel, horizon=HORIZON, model=model, **how)

    return run


def theirs(past: pd.DataFrame, model: str) -> Callable[[], Any]:
    """The same by statsforecast."""
    import statsforecast.models
    from statsforecast import StatsForecast

    def run(frame: pd.DataFrame = past) -> Any:
        each = getattr(statsforecast.models, model)(season_length=SEASON)
        return StatsForecast(models=[each], freq="MS", n_jobs=1).forecast(df=frame, h=HORIZON, level=list(LEVELS))

    run(past[past["unique_id"] == past["unique_id"].iloc[0]])
    return run


def measure(work: dict[str, Any]) -> dict[str, Any]:
    """Processor seconds and the largest resident set."""
    warnings.simplefilter("ignore")
    sys.path.extend(work["peers"])
    folder = Path(os.environ["FORECHECK_DATA"])
    past = monthly(folder, work["set"]) if "set" in work else made_up(work["series"])
    model = work["model"]
    mine = model in ("auto", "combination")
    run = ours(past, model) if mine else theirs(past, model)
    if mine:
        ours(made_up(3), model)()  # modules are imported where they are used first
    began, before = time.perf_counter(), _spent()
    run()
    spent, elapsed = _spent() - before, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(spent, 2), "clock": round(elapsed, 2), "peak_mb": round(peak)}


def _spent() -> float:
    """Processor time of this process and of those that it started."""
    whole = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in whole)


def page(rows: dict[str, dict[str, Any]]) -> str:
    """The tables."""
    lines = ["# Forecasts of many series: time and memory", "", _about(), ""]
    lines += [f"## {FEW} monthly series, {HORIZON} months ahead", ""]
    lines += [
        "| set | auto | combination | AutoTheta | AutoETS | AutoTheta / auto | AutoETS / auto |",
        "|---" * 7 + "|",
    ]
    for name in BESIDE:
        of = {model: rows[key]["seconds"] for model in MODELS if (key := f"{name} {model}") in rows}
        cells = [f"{of[model]:.1f}" if model in of else "-" for model in MODELS]
        cells += [f"{of[peer] / of['auto']:.0f}" if peer in of and "auto" in of else "-" for peer in MODELS[2:]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"## Growth: {STEPS} months each, the combination",
        "",
        "| series | seconds | peak (MB) |",
        "|---|---|---|",
    ]
    grown = [(count, rows[f"{count}"]) for count in SERIES if f"{count}" in rows]
    lines += [f"| {count:,} | {row['seconds']:.1f} | {row['peak_mb']} |" for count, row in grown]
    if len(grown) > 1:
        x, y = np.log([[count, row["seconds"]] for count, row in grown]).T
        lines += ["", f"Fitted exponent of seconds in series: {np.polyfit(x, y, 1)[0]:.2f}."]
    note = RESULTS / "scaling_note.md"
    return "\n".join(lines) + "\n" + ("\n" + note.read_text() if note.is_file() else "")


def _about() -> str:
    where = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"
    return (
        f"`python benchmarks/scaling.py`, one thread, {where}. Processor seconds of forecasts with intervals of 80 and "
        "95 %, from the frame on, imports apart."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="append", default=[], help="folder of packages to look into last")
    parser.add_argument("--again", action="store_true", help="run what is there already")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        print(json.dumps(measure(json.loads(given.work))))
        return
    kept = RESULTS / "scaling.json"
    todo = {f"{name} {model}": {"set": name, "model": model} for name in BESIDE for model in MODELS}
    todo |= {f"{count}": {"series": count, "model": "combination"} for count in SERIES}
    for key, work in todo.items():
        rows = json.loads(kept.read_text()) if kept.is_file() else {}
        if key in rows and not given.again:
            continue
        command = [sys.executable, __file__, "--work", json.dumps(work | {"peers": given.peers})]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(key, done.stderr.strip().splitlines()[-1], flush=True)
            continue
        rows[key] = json.loads(done.stdout.splitlines()[-1])
        print(key, rows[key], flush=True)
        kept.write_text(json.dumps(rows, indent=1) + "\n")
        (RESULTS / "scaling.md").write_text(page(rows))


if __name__ == "__main__":
    main()
