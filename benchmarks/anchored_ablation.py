"""What each design choice of anchored is worth, and how it stands beside nlinear on short data: no test row is read.

    FORECHECK_DATA=folder python benchmarks/anchored_ablation.py [--again]

Writes benchmarks/results/anchored_ablation.md and anchored_ablation.json; what the JSON holds already is not run again.
One thread. The first table takes one choice back at a time on splits of the rows before the test part. The second one
forecasts the H rows before the test rows of people's sets (`forecasting/sets.json` in the folder).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pandas as pd
import torch

import forecheck as fc
from forecasting import tasks
from forecheck.data.load import load
from forecheck.data.windows import Experiment, Windows, prepare
from forecheck.forecasters import anchored as module
from forecheck.forecasters.anchored import Anchored, AnchoredConfig
from forecheck.forecasters.base import Task
from forecheck.forecasters.gram import Gram, gram
from forecheck.forecasters.refit import grams, refitted
from forecheck.trials.rolling import windows_before

RESULTS = Path(__file__).parent / "results"
SPLITS = {"ETTh1": "5760+2880+2880", "ETTh2": "5760+2880+2880", "exchange_rate": "3642+1214+1214"}
"""Of the rows before the test part of the standard split."""
HORIZONS = {"ETTh1": (96, 336), "ETTh2": (96, 336), "exchange_rate": (96,)}
SEASONS = {"ETTh1": 24, "ETTh2": 24, "exchange_rate": 1}
LONGEST, EVERY = 1536, 5
SHORT = ("m4_hourly", "taylor", "m4_weekly", "us_employment", "tourism_monthly", "pedestrian", "bike")
"""Long enough for windows; bike and taylor are one series each."""
BESIDE = ("last", "nlinear", "anchored")


class _Equal(Anchored):
    """Pulled to equal weights of all members, the naive ones included."""

    @property
    def _prior(self) -> Any:
        return np.full(len(self.members), 1 / len(self.members))


def _longest_windows(windows: Windows, lookbacks: Sequence[int], counted: Windows | None = None) -> Iterator[Gram]:
    """Every lookback on the windows of the longest."""
    assert counted is None
    for lookback in lookbacks:
        yield gram(replace(windows.shortened(lookback), origins=windows.origins))


def _mse(forecaster: Anchored, windows: Windows) -> float:
    total = sum(float((forecaster.predict(x) - y).double().square().sum()) for _, x, y in windows.batches(32))
    return total / (len(windows) * windows.horizon * windows.channels)


def arms(task: Task, experiment: Experiment) -> dict[str, float]:
    """Test error on every fifth window, by what was taken back."""
    test = experiment.test.strided(EVERY)

    def loss(kind: type[Anchored] = Anchored, **options: Any) -> float:
        forecaster = kind(task, AnchoredConfig(**options))
        forecaster.fit(experiment.train, experiment.validation)
        return _mse(forecaster, test)

    whole = Anchored(task, AnchoredConfig())
    details = whole.fit(experiment.train, experiment.validation).details
    found = {"as it is": _mse(whole, test)}
    with mock.patch.object(module, "grams_of", _longest_windows):
        found["windows of the longest lookback for all"] = loss()
    found["ridge 1 instead of .1"] = loss(ridge=1.0)
    found["pulled to naive members too"] = loss(_Equal)
    with mock.patch.object(module, "balanced", lambda moments, _: moments):
        found["folds as large as their errors"] = loss()
    before = windows_before(experiment, experiment.borders.validation_end)
    found["with a refit on validation rows"] = _mse(refitted(whole, grams(whole, before), details), test)
    return found


def ablated(name: str, horizon: int) -> dict[str, float]:
    """One set and horizon."""
    panel = load(name)
    room = int(SPLITS[name].split("+")[0]) - horizon
    experiment = prepare(panel, min(LONGEST, room // 2), horizon, SPLITS[name])
    lookback, channels = experiment.test.lookback, experiment.train.channels
    return arms(Task(lookback, horizon, channels, SEASONS[name]), experiment)


def beside(folder: Path, name: str, about: dict[str, Any]) -> dict[str, float]:
    """MASE of the H rows before the test rows, from all rows before them."""
    H, m, losses = about["H"], about["mase_m"], {model: [] for model in BESIDE}
    for past, _ in tasks(folder, name, {**about, "origins": 1}):
        parts = [part for _, part in past.groupby("unique_id", sort=False) if len(part) > 3 * H + m]
        truth = np.stack([part["y"].to_numpy()[-H:] for part in parts])
        panel = fc.load(pd.concat([part.iloc[:-H] for part in parts]), time="ds", series="unique_id", target=["y"])
        unit = np.array([np.abs(y[m:] - y[:-m]).mean() for y in (part["y"].to_numpy()[:-H] for part in parts)])
        for model in BESIDE:
            with tempfile.TemporaryDirectory() as store:
                made = fc.forecast(panel, horizon=H, model=model, workers=0, store=Path(store))
            rows = {key: place for place, key in enumerate(dict.fromkeys(made.columns["unique_id"]))}
            kept = [place for place, series in enumerate(panel.series) if series in rows]
            forecast = np.asarray(made.columns[model]).reshape(-1, H)
            error = np.abs(forecast - truth[kept]).mean(axis=1) / unit[kept]
            losses[model].extend(error[np.isfinite(error)].tolist())
    return {model: statistics.mean(values) for model, values in losses.items()}


def markdown(kept: dict[str, Any]) -> str:
    """Both tables."""
    rows = kept["ablated"]
    splits = ", ".join(f"{name} {split}" for name, split in SPLITS.items())
    page = f"""\
# anchored: what its design is worth

`python benchmarks/anchored_ablation.py`. No row of a test part is read.

## One choice taken back at a time

Change of MSE in percent, on every fifth window of splits of the rows before the test part ({splits}); the first row \
is the MSE itself, the last one what a refit of the members on validation rows adds, as forecasts of the future have \
it. Positive numbers: the choice helps; of the refit negative ones.

| | {" | ".join(rows)} |
|---{"|---" * len(rows)}|
"""
    for arm in next(iter(rows.values()), {}):
        cells = [
            f"{row[arm]:.4f}" if arm == "as it is" else f"{100 * (row[arm] / row['as it is'] - 1):+.1f}"
            for row in rows.values()
        ]
        page += f"| {arm} | {' | '.join(cells)} |\n"
    page += f"""
## Beside nlinear on people's sets

MASE of the H rows before the test rows (of series with more than three horizons and a season), mean over series.

| set | {" | ".join(BESIDE)} | anchored / nlinear |
|---|---|---|---|---|
"""
    for name, row in kept["beside"].items():
        cells = " | ".join(f"{row[model]:.3f}" for model in BESIDE)
        page += f"| {name} | {cells} | {row['anchored'] / row['nlinear']:.3f} |\n"
    note = RESULTS / "anchored_ablation_note.md"
    return page + (f"\n{note.read_text()}" if note.exists() else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", action="store_true", help="run what is there already")
    parser.add_argument("--only", nargs="+", help="sets")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    path, folder = RESULTS / "anchored_ablation.json", Path(os.environ["FORECHECK_DATA"]) / "forecasting"
    about = json.loads((folder / "sets.json").read_text())
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"ablated": {}, "beside": {}}
    jobs: list[tuple[str, str, Callable[[], Any]]] = [
        ("beside", name, lambda name=name: beside(folder, name, about[name])) for name in SHORT
    ]
    for name, horizons in HORIZONS.items():
        jobs += [("ablated", f"{name} {H}", lambda name=name, H=H: ablated(name, H)) for H in horizons]
    for table, key, run in jobs:
        if (key in kept[table] and not args.again) or (args.only and key.split()[0] not in args.only):
            continue
        kept[table][key] = run()
        print(key, kept[table][key], flush=True)
        path.write_text(json.dumps(kept, indent=1) + "\n")
    (RESULTS / "anchored_ablation.md").write_text(markdown(kept))


if __name__ == "__main__":
    main()
