"""Forecasts of people's own data: `auto`, nlinear and the combination beside peers, by MASE on the last H steps.

    FORECHECK_DATA=folder python benchmarks/forecasting.py [--sets m3_yearly,...] [--models combination,...]

Reads `forecasting/sets.json` and its sets in that folder, and writes benchmarks/results/forecasting.md and
forecasting.json; what the JSON holds already is not run again. One process, one thread. AutoTheta, AutoETS
(statsforecast) and LightGBM (mlforecast) run where they can be imported (`--peers` names a folder of packages to
look into last).

Choices of method are made on rolling origins inside the training rows; looks at the last H rows are counted below.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pandas as pd

import forecheck as fc

RESULTS = Path(__file__).parent / "results"
LOOKS = 5
"""Times that anybody looked at the last H rows before this table: three at parts of the sets while the combination was
written (members' weights and drops were chosen before, on cuts inside the training rows), one at the mended
program, and one at that with maps of single series."""
PEERS = ("AutoTheta", "AutoETS", "LightGBM", "LightGBM seasonal")
OURS = ("seasonal naive", "nlinear", "combination", "auto")
COLUMNS = ("set", "seasonal naive", *PEERS, *OURS[1:], "auto / best peer", "coverage 80, 95", "seconds")
FILLED = {"walmart": 1, "daily_misc": 1, "pedestrian": 168}
"""Sets with missing rows, which are filled for all models alike: linearly, or by the value a week before."""
LEVELS = (80, 95)
Made = tuple[np.ndarray, dict[int, tuple[np.ndarray, np.ndarray]]]


def _filled(part: pd.DataFrame, freq: str, season: int) -> pd.DataFrame:
    """One series on its whole grid: missing rows are on a straight line, or as a season before."""
    y = part.set_index("ds")["y"].asfreq(freq)
    y = y.interpolate() if season == 1 else y.groupby(np.arange(len(y)) % season).ffill().interpolate()
    return y.rename("y").reset_index().assign(unique_id=part["unique_id"].iloc[0])


def tasks(folder: Path, name: str, about: dict[str, Any]) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Pasts as long frames, and what came after them (series, H)."""
    whole = pd.read_csv(folder / f"{name}.csv.gz")[["unique_id", "ds", "y"]]
    if not pd.api.types.is_numeric_dtype(whole["ds"]):
        whole["ds"] = pd.to_datetime(whole["ds"])
    whole["unique_id"] = whole["unique_id"].astype(str)
    if name in FILLED:
        parts = [_filled(part, about["freq"], FILLED[name]) for _, part in whole.groupby("unique_id", sort=False)]
        whole = pd.concat(parts, ignore_index=True)
    alone = "each series by itself" in about["note"]
    groups = [part for _, part in whole.groupby("unique_id", sort=False)] if alone else [whole]
    for group in groups:
        for origin in range(about["origins"]):
            cut, H = origin * about["step"], about["H"]
            parts = [part.iloc[: len(part) - cut] for _, part in group.groupby("unique_id", sort=False)]
            future = np.stack([part["y"].to_numpy()[-H:] for part in parts])
            yield pd.concat([part.iloc[:-H] for part in parts], ignore_index=True), future


def ours(model: str) -> Callable[[pd.DataFrame, dict[str, Any]], Made]:
    """A forecaster of this package."""

    def run(past: pd.DataFrame, about: dict[str, Any]) -> Made:
        count = past["unique_id"].nunique()
        with tempfile.TemporaryDirectory() as store:
            options = {"workers": 0, "store": Path(store), "horizon": about["H"], "model": model}
            panel = fc.load(past, time="ds", series="unique_id", target=["y"])
            try:
                made = fc.forecast(panel, level=LEVELS, **options)
            except fc.DataError:  # too few windows for 95 %
                made = fc.forecast(panel, **options)
        shape = count, about["H"]
        values = {key: np.asarray(column).reshape(shape) for key, column in made.columns.items() if key not in "ds"}
        bands = {
            level: (values[f"{made.model}-lo-{level}"], values[f"{made.model}-hi-{level}"])
            for level in LEVELS
            if f"{made.model}-lo-{level}" in values
        }
        return values[made.model].astype(float), bands

    return run


def seasonal_naive(past: pd.DataFrame, about: dict[str, Any]) -> Made:
    """The last season again."""
    m, H = about["m"], about["H"]
    rows = [part["y"].to_numpy()[-min(m, len(part)) :] for _, part in past.groupby("unique_id", sort=False)]
    return np.stack([np.resize(row, H) for row in rows]), {}


def theta(kind: str) -> Callable[[pd.DataFrame, dict[str, Any]], Made]:
    """A model of statsforecast."""

    def run(past: pd.DataFrame, about: dict[str, Any]) -> Made:
        import statsforecast.models
        from statsforecast import StatsForecast

        order = {name: place for place, name in enumerate(past["unique_id"].unique())}
        steps = past.assign(unique_id=past["unique_id"].map(order), ds=past.groupby("unique_id").cumcount())
        model = getattr(statsforecast.models, kind)(season_length=about["m"])
        made = StatsForecast(models=[model], freq=1, n_jobs=1).forecast(df=steps, h=about["H"], level=list(LEVELS))
        shape = len(order), about["H"]
        bands = {
            at: tuple(made[f"{kind}-{side}-{at}"].to_numpy().reshape(shape) for side in ("lo", "hi")) for at in LEVELS
        }
        return made[kind].to_numpy().reshape(shape), bands

    return run


def lightgbm(*, seasonal: bool) -> Callable[[pd.DataFrame, dict[str, Any]], Made]:
    """Lags of the seasons, no tuning; differenced by one step or by a season, and scaled series by series."""

    def run(past: pd.DataFrame, about: dict[str, Any]) -> Made:
        from lightgbm import LGBMRegressor
        from mlforecast import MLForecast
        from mlforecast.target_transforms import Differences, LocalStandardScaler

        order = {name: place for place, name in enumerate(past["unique_id"].unique())}
        steps = past.assign(unique_id=past["unique_id"].map(order), ds=past.groupby("unique_id").cumcount())
        shortest, m = int(steps.groupby("unique_id").size().min()), about["m"]
        near = range(1, max(m, 4) + 1) if m <= 24 else (1, 2, 3, 4, 5, 6, 7, 8, 12)
        usual = sorted({*near, *about["seasons"], *(2 * season for season in about["seasons"])})
        step = m if seasonal else 1
        fits = shortest > 3 * step + 3
        lags = [lag for lag in usual if lag < shortest - 3 - step * fits]
        transforms = [Differences([step]), LocalStandardScaler()] if fits else [LocalStandardScaler()]
        model = LGBMRegressor(n_jobs=1, verbosity=-1, random_state=0)
        made = MLForecast(models=[model], freq=1, lags=lags, target_transforms=transforms, num_threads=1)
        made.fit(steps, static_features=[])
        return made.predict(about["H"])["LGBMRegressor"].to_numpy().reshape(len(order), about["H"]), {}

    return run


MODELS: dict[str, Callable[[pd.DataFrame, dict[str, Any]], Made]] = {
    "seasonal naive": seasonal_naive,
    **{model: ours(model) for model in ("combination", "nlinear", "auto")},
    "AutoTheta": theta("AutoTheta"),
    "AutoETS": theta("AutoETS"),
    "LightGBM": lightgbm(seasonal=False),
    "LightGBM seasonal": lightgbm(seasonal=True),
}


def measure(folder: Path, name: str, about: dict[str, Any], model: str) -> dict[str, Any]:
    """MASE, coverage, and seconds of one model on one set."""
    errors, covered, started = [], {level: [] for level in LEVELS}, time.perf_counter()
    for past, future in tasks(folder, name, about):
        forecast, bands = MODELS[model](past, about)
        m = about["mase_m"]
        series = [part["y"].to_numpy() for _, part in past.groupby("unique_id", sort=False)]
        unit = np.array([np.abs(y[m:] - y[:-m]).mean() if len(y) > m else np.nan for y in series])
        errors.append(np.abs(forecast - future).mean(axis=1) / np.where(unit > 0, unit, np.nan))
        for level, (low, high) in bands.items():
            covered[level].append(((low <= future) & (future <= high)).mean())
    every = np.concatenate(errors)
    return {
        "mase": float(np.nanmean(every)),
        "left_out": int(np.isnan(every).sum()),
        "coverage": {str(level): float(np.mean(shares)) for level, shares in covered.items() if shares},
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def page(rows: dict[str, dict[str, Any]]) -> str:
    """The table."""
    lines = [
        "# Forecasts of people's own data",
        "",
        "MASE on the last H steps, official horizons, mean over series (and rolling origins of single long series).",
        "`benchmarks/forecasting.py` makes this page; a peer without a number was not affordable, or could not run.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    ratios: dict[str, list[float]] = {model: [] for model in OURS}
    near, covers = 0, []
    for name, row in rows.items():
        cells, peers = [], []
        for model in ("seasonal naive", *PEERS):
            if model in row:
                peers.append(row[model]["mase"])
            cells.append(f"{row[model]['mase']:.3f}" if model in row else "-")
        best = min(peers, default=np.nan)
        for model in OURS:
            if model in row and peers:
                ratios[model].append(row[model]["mase"] / best)
        cells += [f"{row[model]['mase']:.3f}" if model in row else "-" for model in ("nlinear", "combination", "auto")]
        shown = row.get("auto", row.get("combination", {}))
        near += shown.get("mase", np.inf) <= 1.01 * best
        cells.append(f"{shown['mase'] / best:.3f}" if shown else "-")
        covers.append([shown.get("coverage", {}).get(str(level), np.nan) for level in LEVELS])
        cells.append(", ".join(f"{share:.2f}" for share in covers[-1]))
        cells.append(f"{shown['seconds']:.1f}" if shown else "-")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "Geometric mean of MASE against the best of the peers, picked per set with hindsight:", ""]
    for model, values in ratios.items():
        if values:
            lines.append(f"- {model}: {statistics.geometric_mean(values):.3f} over {len(values)} sets")
    mean = np.nanmean(np.array(covers), axis=0)
    lowest = np.nanmin(np.array(covers), axis=0)
    said = (
        f"`auto` is at most 1 % behind the best peer on {near} of {len(rows)} sets. Coverage of its intervals of 80 "
        f"and 95 %: {mean[0]:.3f} and {mean[1]:.3f} on average, {lowest[0]:.2f} and {lowest[1]:.2f} at least."
    )
    looked = (
        f"Looks at the last H rows before this table: {LOOKS}. Choices of method were made on cuts inside the rest."
    )
    lines += ["", said, "", looked]
    note = RESULTS / "forecasting_note.md"
    return "\n".join(lines) + "\n" + ("\n" + note.read_text() if note.is_file() else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--peers", help="folder of packages to look into last")
    parser.add_argument("--again", action="store_true", help="run what is there already")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.peers:
        sys.path.append(given.peers)
    folder = Path(os.environ["FORECHECK_DATA"]) / "forecasting"
    about = json.loads((folder / "sets.json").read_text())
    kept = RESULTS / "forecasting.json"
    for name in given.sets.split(",") if given.sets else about:
        for model in given.models.split(","):
            rows = json.loads(kept.read_text()) if kept.is_file() else {}
            if model in rows.get(name, {}) and not given.again:
                continue
            try:
                row = measure(folder, name, about[name], model)
            except ImportError:
                continue
            except fc.DataError as error:
                print(name, model, error, flush=True)
                continue
            print(name, model, row, flush=True)
            rows = json.loads(kept.read_text()) if kept.is_file() else {}
            rows.setdefault(name, {})[model] = row
            rows = {key: rows[key] for key in about if key in rows}
            kept.write_text(json.dumps(rows, indent=1) + "\n")
            (RESULTS / "forecasting.md").write_text(page(rows))


if __name__ == "__main__":
    main()
