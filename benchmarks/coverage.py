"""How often intervals of the combination hold what comes, on cuts before the test rows of people's own sets.

    FORECHECK_DATA=folder python benchmarks/coverage.py [--sets m3_yearly,...]

Reads `forecasting/sets.json` and its sets in that folder, and writes benchmarks/results/coverage.md and coverage.json;
what the JSON holds already is not run again. From every series one, two and four horizons of rows are taken off beside
the test rows, and the horizon that follows is forecast. No test row is read.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pandas as pd

import forecheck as fc
from forecasting import tasks
from forecheck.combination.combine import Combination, combine
from forecheck.combination.ragged import from_panel
from forecheck.combination.seasons import known_seasons
from forecheck.statistics.metrics import observed_mean

RESULTS = Path(__file__).parent / "results"
CUTS = (1, 2, 4)
"""Horizons that are taken off."""
LEVELS = (80, 95)


def combined(folder: Path, name: str, about: dict[str, Any]) -> Iterator[tuple[Combination, np.ndarray]]:
    """Combinations of every cut, and what came."""
    H, m = about["H"], about["m"]
    for past, _ in tasks(folder, name, {**about, "origins": 1}):
        for cut in CUTS:
            series = [part for _, part in past.groupby("unique_id", sort=False)]
            series = [part for part in series if len(part) - cut * H >= max(2 * m + H, 10)]
            if not series:
                continue
            kept = pd.concat([part.iloc[: len(part) - cut * H] for part in series], ignore_index=True)
            panel = fc.load(kept, time="ds", series="unique_id", target=["y"])
            made = combine(from_panel(panel), H, known_seasons(panel.frequency, None))
            if made.origins:
                ends = [len(part) - cut * H for part in series]
                yield (
                    made,
                    np.stack([part["y"].to_numpy()[end : end + H] for part, end in zip(series, ends, strict=True)]),
                )


def measure(folder: Path, name: str, about: dict[str, Any]) -> dict[str, Any]:
    """Coverage, and how large errors are beside those of the rolling origins, mean over cuts."""
    covered: dict[int, list[float]] = {level: [] for level in LEVELS}
    relative = []
    for made, truth in combined(folder, name, about):
        for level in LEVELS:
            low, high = made.interval(level)
            covered[level].append(float(((low <= truth) & (truth <= high)).mean()))
        unit = np.where(made.unit > 0, made.unit, np.nan)[:, None]
        later = np.nanmean(observed_mean(np.abs(truth - made.point) / unit, axis=1))
        relative.append(later / np.nanmean(observed_mean(np.abs(made.errors), axis=2)))
    shares = {str(level): float(np.mean(values)) for level, values in covered.items() if values}
    return {"cuts": len(relative), "coverage": shares, "relative": float(np.mean(relative)) if relative else None}


def page(rows: dict[str, Any], tested: dict[str, Any]) -> str:
    """The table."""
    lines = [
        "# Coverage before the test rows",
        "",
        "Shares of what came inside the intervals of 80 and 95 % of the combination, on cuts one, two and four",
        "horizons before the test rows; the same on the test rows, as in forecasting.md; and the mean error of what",
        "came beside that at the rolling origins of which intervals are made. `benchmarks/coverage.py` makes this",
        "page; it reads no test row.",
        "",
        "| set | forecasts | 80 | 95 | test rows 80 | 95 | error / at origins |",
        "|---|---|---|---|---|---|---|",
    ]
    shares = []
    for name, row in rows.items():
        if not row["cuts"]:
            continue
        known = tested.get(name, {}).get("combination", {}).get("coverage", {})
        four = [*row["coverage"].values(), *(known.get(str(level), np.nan) for level in LEVELS)]
        shares.append(four)
        cells = " | ".join(f"{share:.2f}" for share in four)
        lines.append(f"| {name} | {row['cuts']} | {cells} | {row['relative']:.2f} |")
    cells = " | ".join(f"{share:.3f}" for share in np.nanmean(np.array(shares), axis=0))
    lines.append(f"| mean | | {cells} | |")
    note = RESULTS / "coverage_note.md"
    return "\n".join(lines) + "\n" + ("\n" + note.read_text() if note.is_file() else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets")
    parser.add_argument("--again", action="store_true", help="run what is there already")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = Path(os.environ["FORECHECK_DATA"]) / "forecasting"
    about = json.loads((folder / "sets.json").read_text())
    kept = RESULTS / "coverage.json"
    tested = json.loads((RESULTS / "forecasting.json").read_text())
    rows = json.loads(kept.read_text()) if kept.is_file() else {}
    for name in given.sets.split(",") if given.sets else about:
        if name in rows and not given.again:
            continue
        rows[name] = measure(folder, name, about[name])
        print(name, rows[name], flush=True)
        rows = {key: rows[key] for key in about if key in rows}
        kept.write_text(json.dumps(rows, indent=1) + "\n")
        (RESULTS / "coverage.md").write_text(page(rows, tested))


if __name__ == "__main__":
    main()
