"""The champion's closed-form part against the last value and one linear forecaster, on every set and horizon.

    FORECHECK_DATA=folder python benchmarks/anchored.py

Writes benchmarks/results/anchored.md and anchored.json. One thread, one configuration for all sets. `--split` cuts a
set otherwise, so that choices can be made without its test part: `--sets ETTh1 --split 5760+2880+2880 --out folder`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch

from forecheck.data.load import load
from forecheck.data.splits import parse_split
from forecheck.data.windows import Windows, prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.refit import grams, refitted
from forecheck.trials.rolling import windows_before

RESULTS = Path(__file__).parent / "results"
SETS = {"ETTh1": 24, "ETTh2": 24, "exchange_rate": 1, "weather": 144}
HORIZONS = (96, 192, 336, 720)
LONGEST = 1536
MODELS = {"last": 336, "nlinear": 336, "anchored": LONGEST}
"""Forecasters and their lookbacks, cut where the training part is short."""
PUBLISHED = {
    "SAMoVAR": {"ETTh1": 0.401, "ETTh2": 0.324},
    "CATS": {"ETTh1": 0.408, "ETTh2": 0.320},
    "PatchTST": {"ETTh1": 0.413, "ETTh2": 0.330},
}
"""Average test MSE over the four horizons, as the papers print it."""
FEWEST_VALUES = 1 << 22


def score(forecaster: Forecaster, windows: Windows) -> tuple[float, float]:
    """MSE and MAE over all windows."""
    size = max(8, min(256, FEWEST_VALUES // ((windows.lookback + 21 * windows.horizon) * windows.channels)))
    squared = absolute = 0.0
    for _, x, y in windows.batches(size):
        difference = (forecaster.predict(x) - y).double()
        squared += float(difference.square().sum())
        absolute += float(difference.abs().sum())
    count = len(windows) * windows.horizon * windows.channels
    return squared / count, absolute / count


def measure(name: str, horizon: int, split: str | None) -> dict[str, Any]:
    """All forecasters on one set and horizon, on the same test windows."""
    panel = load(name)
    room = int(parse_split(split or panel.split, panel).train_end.max()) - horizon
    row: dict[str, Any] = {"set": name, "horizon": horizon}
    for model, longest in MODELS.items():
        lookback = min(longest, room // 2)
        experiment = prepare(panel, lookback, horizon, split)
        forecaster = registry.create(model, Task(lookback, horizon, experiment.train.channels, SETS[name]))
        report = forecaster.fit(experiment.train, experiment.validation)
        mse, mae = score(forecaster, experiment.test)
        row["test_windows"] = len(experiment.test)
        if model == "anchored":  # the members on validation rows too, as a forecast of the future has them
            before = windows_before(experiment, experiment.borders.validation_end)
            again = refitted(forecaster, grams(forecaster, before), report.details)
            row["refitted"] = dict(zip(("mse", "mae"), score(again, experiment.test), strict=True))
        row[model] = {"mse": mse, "mae": mae, "fit_s": report.seconds, "lookback": lookback, "details": report.details}
    print(name, horizon, {m: (round(row[m]["mse"], 4), round(row[m]["fit_s"], 2)) for m in MODELS}, flush=True)
    return row


def environment() -> dict[str, Any]:
    """Machine and versions."""
    return {
        "cores": os.cpu_count(),
        "threads": 1,
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }


def average(rows: list[dict[str, Any]], model: str, number: str) -> float:
    """Mean over the horizons of a set."""
    return statistics.mean(row[model][number] for row in rows)


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    env, rows = result["environment"], result["rows"]
    names = list(dict.fromkeys(row["set"] for row in rows))
    page = f"""\
# anchored: stacked closed-form forecasts

`python benchmarks/anchored.py`, one thread of {env["cores"]} cores, load average {env["load_average"]:.1f} at the \
start; Python {env["python"]}, numpy {env["numpy"]}, torch {env["torch"]}. One configuration, the default one, for \
all sets; standardised by the training rows; every test window counts. Lookback {LONGEST} for anchored and \
{MODELS["nlinear"]} for NLinear (ridge by validation). *Share* is how much of the stacked mean stands in for the last \
value: 0 where folds inside the training part and validation do not show it to be better at level .95.

| set | horizon | last value MSE / MAE | NLinear | anchored | share | anchored / last value | fit (s) |
|---|---|---|---|---|---|---|---|
"""
    for row in rows:
        last, linear, ours = (row[model] for model in MODELS)
        page += (
            f"| {row['set']} | {row['horizon']} | {last['mse']:.4f} / {last['mae']:.4f} "
            f"| {linear['mse']:.4f} / {linear['mae']:.4f} | {ours['mse']:.4f} / {ours['mae']:.4f} "
            f"| {ours['details']['share']:.2f} | {ours['mse'] / last['mse']:.3f} | {ours['fit_s']:.1f} |\n"
        )
    page += f"""
## Averages over the horizons, beside published ones

*Refitted* are the same weights on members that were fitted on training and validation rows, as forecasts of the \
future are made.

| set | last value | NLinear | anchored | refitted | {" | ".join(PUBLISHED)} | fit of all horizons (s) |
|---|---|---|---|---|{"---|" * len(PUBLISHED)}---|
"""
    for name in names:
        mine = [row for row in rows if row["set"] == name]
        own = " | ".join(f"{average(mine, model, 'mse'):.4f}" for model in (*MODELS, "refitted"))
        theirs = " | ".join(f"{table[name]:.3f}" if name in table else "" for table in PUBLISHED.values())
        page += f"| {name} | {own} | {theirs} | {sum(row['anchored']['fit_s'] for row in mine):.1f} |\n"
    return page + result["note"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--horizons", nargs="+", type=int, default=HORIZONS)
    parser.add_argument("--split", help="instead of the standard split of the set")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of anchored.md and anchored.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"environment": environment(), "note": ""}
    result["rows"] = [measure(name, horizon, args.split) for name in args.sets for horizon in args.horizons]
    args.out.mkdir(parents=True, exist_ok=True)
    note = args.out / "anchored_note.md"
    result["note"] = "\n" + note.read_text() if note.exists() else ""
    (args.out / "anchored.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "anchored.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
