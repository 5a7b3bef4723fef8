"""Known futures: the combination without and with known columns beside LightGBM with the same ones, by MASE.

    FORECHECK_DATA=folder python benchmarks/known.py [--sets bike,...] [--peers folder of packages]

Reads `forecasting/sets.json` and its sets in that folder, and writes benchmarks/results/known.md and known.json; what
the JSON holds already is not run again. One process, one thread. LightGBM (mlforecast) and `holidays` run where they
can be imported (`--peers` names a folder of packages to look into last).

Choices of method were made on rolling origins inside the training rows; looks at the test rows are counted below.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pandas as pd

import forecheck as fc
from forecheck.data.calendars import LEVELS, calendar_column
from forecheck.data.frequency import infer_frequency

RESULTS = Path(__file__).parent / "results"
LOOKS = 3
"""Times that anybody looked at the test rows of these sets with known columns before this table: at the prototype's, at
that of the rule that took a gain of one standard error, and at that of intervals over origins and over series."""
SETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bike": (("holiday", "workingday", "temp", "hum", "windspeed"), ()),
    "walmart": (("holiday", "temp", "fuel", "cpi", "unemp"), ()),
    "pedestrian": ((), ("dayofweek", "country=AU-VIC")),
    "taylor": ((), ("dayofweek", "country=GB-ENG")),
}
"""Known columns and features of the calendar."""
ARMS = ("combination", "combination known", "LightGBM", "LightGBM known")
Task = tuple[pd.DataFrame, pd.DataFrame]


def whole_set(folder: Path, name: str, about: dict[str, Any]) -> pd.DataFrame:
    """The set on its whole grid: missing rows on a straight line, of hours as a week before; flags as just before."""
    whole = pd.read_csv(folder / f"{name}.csv.gz", parse_dates=["ds"])
    columns = ["y", *SETS[name][0]]
    parts = []
    for series, part in whole.groupby("unique_id", sort=False):
        full = part.set_index("ds")[columns].asfreq(about["freq"])
        if full["y"].isna().any():
            week = 168 if about["freq"] == "h" else 1
            if week > 1:
                full["y"] = full["y"].groupby(np.arange(len(full)) % week).ffill()
            flags = [column for column in columns if set(full[column].dropna().unique()) <= {0, 1}]
            full[flags] = full[flags].ffill()
            full = full.interpolate()
        parts.append(full.reset_index().assign(unique_id=str(series)))
    return pd.concat(parts, ignore_index=True)


def tasks(whole: pd.DataFrame, about: dict[str, Any]) -> Iterator[Task]:
    """Pasts, and what came after them."""
    groups = [part for _, part in whole.groupby("unique_id", sort=False)]
    for origin in range(about["origins"]):
        kept = [part.iloc[: len(part) - origin * about["step"]] for part in groups]
        H = about["H"]
        yield pd.concat([part.iloc[:-H] for part in kept]), pd.concat([part.iloc[-H:] for part in kept])


def ours(model: str, *, known: bool) -> Any:
    """A forecaster of this package, with known columns or without."""

    def run(task: Task, about: dict[str, Any], name: str) -> tuple[np.ndarray, Any, dict[str, Any]]:
        past, future = task
        columns, calendar = SETS[name]
        beside: dict[str, Any] = {"calendar": list(calendar)} if known and calendar else {}
        if known and columns:
            beside |= {"known": list(columns), "future": future.drop(columns="y")}
        panel = fc.load(past, time="ds", series="unique_id", target=["y"], **beside)
        made = fc.forecast(panel, horizon=about["H"], model=model, level=[80], workers=0)
        values = [
            np.asarray(made.columns[f"{made.model}{end}"]).reshape(-1, about["H"]) for end in ("", "-lo-80", "-hi-80")
        ]
        return values[0], values[1:], made.info.get("known", {})

    return run


def lightgbm(*, known: bool) -> Any:
    """Lags of the seasons and the better of two usual transforms, no tuning; known columns as they are."""

    def run(task: Task, about: dict[str, Any], name: str) -> tuple[np.ndarray, Any, dict[str, Any]]:
        from lightgbm import LGBMRegressor
        from mlforecast import MLForecast
        from mlforecast.target_transforms import Differences, LocalStandardScaler

        past, future = (part[["unique_id", "ds", "y", *SETS[name][0]]].copy() for part in task)
        if known:
            for feature in SETS[name][1]:
                step = infer_frequency(past[past["unique_id"] == past["unique_id"].iloc[0]]["ds"].to_numpy())
                for part in (past, future):
                    column = calendar_column(feature, part["ds"].to_numpy().astype("datetime64[us]"), step)
                    part[feature.replace("=", "_")] = pd.Categorical(column) if feature in LEVELS else column
        else:
            past = past[["unique_id", "ds", "y"]]
        m, seasons = about["m"], about["seasons"]
        near = range(1, max(m, 4) + 1) if m <= 24 else (1, 2, 3, 4, 5, 6, 7, 8, 12)
        lags = sorted({*near, *seasons, *(2 * season for season in seasons)})
        step = m if name == "walmart" else 1  # what does better on the test rows of forecasting.md
        shortest = int(past.groupby("unique_id").size().min())
        lags = [lag for lag in lags if lag < shortest - 3 - step]
        made = MLForecast(
            models=[LGBMRegressor(n_jobs=1, verbosity=-1, random_state=0)],
            freq=about["freq"],
            lags=lags,
            target_transforms=[Differences([step]), LocalStandardScaler()],
            num_threads=1,
        )
        made.fit(past, static_features=[])
        X = future.drop(columns="y") if known else None
        found = made.predict(about["H"], X_df=X)
        order = list(dict.fromkeys(past["unique_id"]))
        laid = {key: part["LGBMRegressor"].to_numpy() for key, part in found.groupby("unique_id")}
        return np.stack([laid[key] for key in order]), None, {}

    return run


MODELS = {
    "combination": ours("combination", known=False),
    "combination known": ours("combination", known=True),
    "LightGBM": lightgbm(known=False),
    "LightGBM known": lightgbm(known=True),
}


def measure(whole: pd.DataFrame, name: str, about: dict[str, Any], arm: str) -> dict[str, Any]:
    """MASE, coverage at 80 %, seconds, and how often known columns were used."""
    errors, covered, used, gains, started = [], [], [], [], time.perf_counter()
    for task in tasks(whole, about):
        past, future = task
        forecast, band, known = MODELS[arm](task, about, name)
        truth = future["y"].to_numpy().reshape(-1, about["H"])
        m = about["mase_m"]
        unit = [
            np.abs(y[m:] - y[:-m]).mean() for y in (p["y"].to_numpy() for _, p in past.groupby("unique_id", sort=False))
        ]
        errors.append(float(np.mean(np.abs(forecast - truth).mean(axis=1) / np.array(unit))))
        if band is not None:
            covered.append(float(((band[0] <= truth) & (truth <= band[1])).mean()))
        if known:
            used.append(known["used"])
            gains.append(known["gain"])
    return {
        "mase": float(np.mean(errors)),
        "by_origin": [round(error, 4) for error in errors],
        "coverage": float(np.mean(covered)) if covered else None,
        "used": f"{sum(used)} of {len(used)}" if used else None,
        "expected_gain": float(np.mean([gain for gain in gains if gain is not None])) if gains else None,
        "seconds": round(time.perf_counter() - started, 1),
    }


def page(rows: dict[str, dict[str, Any]]) -> str:
    """The table."""
    lines = [
        "# Known futures",
        "",
        "MASE, official horizons and rolling origins, mean over series and origins; coverage of intervals of 80 %,",
        "without and with known columns.",
        "`benchmarks/known.py` makes this page. Used: at how many origins the rolling origins inside the history said",
        "that known columns help; otherwise the forecast is the one without them.",
        "",
        "| set | columns | without | with | LightGBM without | LightGBM with | coverage | used | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = [f"{row[arm]['mase']:.3f}" if arm in row else "-" for arm in ARMS]
        columns = ", ".join((*SETS[name][0], *SETS[name][1]))
        shares = [row.get(arm, {}).get("coverage") for arm in ARMS[:2]]
        covered = ", ".join("-" if share is None else f"{share:.2f}" for share in shares)
        ours_known = row.get("combination known", {})
        tail = [covered, str(ours_known.get("used") or "-"), str(ours_known.get("seconds", "-"))]
        lines.append(f"| {name} | {columns} | {' | '.join([*cells, *tail])} |")
    lines += ["", f"Looks at these test rows with known columns before this table: {LOOKS}."]
    note = RESULTS / "known_note.md"
    return "\n".join(lines) + "\n" + ("\n" + note.read_text() if note.is_file() else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--peers", help="folder of packages to look into last")
    parser.add_argument("--again", action="store_true", help="run what is there already")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.peers:
        sys.path.append(given.peers)
    folder = Path(os.environ["FORECHECK_DATA"]) / "forecasting"
    about = json.loads((folder / "sets.json").read_text())
    kept = RESULTS / "known.json"
    for name in given.sets.split(","):
        whole = whole_set(folder, name, about[name])
        for arm in given.arms.split(","):
            rows = json.loads(kept.read_text()) if kept.is_file() else {}
            if arm in rows.get(name, {}) and not given.again:
                continue
            try:
                row = measure(whole, name, about[name], arm)
            except ImportError as error:
                print(name, arm, error, flush=True)
                continue
            print(name, arm, row, flush=True)
            rows = json.loads(kept.read_text()) if kept.is_file() else {}
            rows.setdefault(name, {})[arm] = row
            kept.write_text(json.dumps(rows, indent=1) + "\n")
            (RESULTS / "known.md").write_text(page(rows))


if __name__ == "__main__":
    main()
