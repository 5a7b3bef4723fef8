"""Detection: is the calibrated rate of false alarms what it is said to be, and what is found of planted anomalies?

    FORECHECK_DATA=folder python benchmarks/detection.py [--series 60] [--attention 6]

Writes benchmarks/results/detection.md. Clean series of several kinds are drawn anew, each is fitted, calibrated and
scored, and its alarms are counted; then anomalies are planted into its scored part. Real sets follow, where nobody
knows what is anomalous.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from scipy.signal import lfilter

from forecheck.anomaly.detection.bootstrap import share
from forecheck.anomaly.detection.calibrated import expected_rate
from forecheck.anomaly.detection.comparison import planted_by_all, roles, scored_by_all
from forecheck.anomaly.detection.fit import Fits, Settings, fit_detectors
from forecheck.anomaly.detection.planted import KINDS
from forecheck.data.frequency import Frequency
from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.files import replace_file
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Store

RESULTS = Path(__file__).parent / "results"
ROWS, PERIOD, LOOKBACK, RATE = 4000, 24, 96, 5.0
SETS = ("exchange_rate", "co2", "ETTh1")


def autoregressive(rng: np.random.Generator) -> Any:
    """A season with errors that forget slowly."""
    return 2 * np.sin(2 * np.pi * np.arange(ROWS) / PERIOD) + lfilter([1], [1, -0.8], rng.normal(size=ROWS))


def walk(rng: np.random.Generator) -> Any:
    """A random walk."""
    return np.cumsum(rng.normal(size=ROWS))


def heavy(rng: np.random.Generator) -> Any:
    """A season with errors of Student's t, 3 degrees of freedom."""
    return 2 * np.sin(2 * np.pi * np.arange(ROWS) / PERIOD) + rng.standard_t(3, size=ROWS)


def phases(rng: np.random.Generator) -> Any:
    """A season whose noise is five times as large in a quarter of its phases."""
    loud = np.where(np.arange(ROWS) % PERIOD < PERIOD // 4, 2.5, 0.5)
    return 2 * np.sin(2 * np.pi * np.arange(ROWS) / PERIOD) + loud * rng.normal(size=ROWS)


def clustered(rng: np.random.Generator) -> Any:
    """Steps whose size comes in clusters (GARCH), so that scores are not exchangeable."""
    noise, steps, variance = rng.normal(size=ROWS), np.empty(ROWS), 1.0
    for row in range(ROWS):
        steps[row] = np.sqrt(variance) * noise[row]
        variance = 0.05 + 0.15 * steps[row] ** 2 + 0.8 * variance
    return np.cumsum(steps)


def drifting(rng: np.random.Generator) -> Any:
    """Noise that grows by half from the first row to the last: what was calibrated before is too low later."""
    return 2 * np.sin(2 * np.pi * np.arange(ROWS) / PERIOD) + np.linspace(1, 1.5, ROWS) * rng.normal(size=ROWS)


CLEAN: tuple[Callable[[np.random.Generator], Any], ...] = (autoregressive, walk, heavy, phases)
BEYOND = (clustered, drifting)
"""What the guarantee does not cover."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=60)
    parser.add_argument("--attention", type=int, default=6)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        means = Means(Store(Path(folder)))
        rates, found = [], []
        for kind in (*CLEAN, *BEYOND):
            made = [fits_of(kind, seed, means, "none") for seed in range(arguments.series)]
            rates.append(rate_row(kind, made))
            found.append(found_rows(kind.__name__, made))
            print(rates[-1], flush=True)
        beside = [fits_of(autoregressive, seed, means, "patchtst") for seed in range(arguments.attention)]
        network = found_rows("autoregressive, with a network", beside)
        print(network, flush=True)
        real = [real_rows(name, means) for name in SETS]
    page = f"""# Detection

`python benchmarks/detection.py --series {arguments.series} --attention {arguments.attention}` on {cpu()}, one thread,
{time.perf_counter() - started:.0f} s; Python {platform.python_version()}, numpy {np.__version__},
torch {torch.__version__}.

## False alarms on clean series

{arguments.series} series of {ROWS:,} rows of each kind, nlinear, lookback {LOOKBACK}, one step ahead: 40 % are fitted
on, 10 % scale, 20 % calibrate at {RATE:g} false alarms per 1000 steps, 30 % are scored. "Found" is the mean over series
with its interval of 95 %; a conformal threshold allows {RATE:g} and gives floor(801 x {RATE / 1000:g}) / 801 =
{1000 * int(801 * RATE / 1000) / 801:.2f} on average. "Inside" is the share of series whose own rate lies where
`expected_per_1000` says that 95 of 100 lie.

| series | nominal | found | inside |
|---|---|---|---|
{"".join(rates)}
The last two are beyond the guarantee, which is about scores that could come in any order: in clusters of large steps
single series have far more or fewer alarms, and where noise grows a threshold that was calibrated before is too low.

## Planted anomalies

Spikes, level shifts of 12 rows, seasonal breaks and drifts of 24 rows in the scored parts of the same series, of the
size of the largest steps (see `planted.plant`). An anomaly is found if an alarm lies in it; intervals over anomalies
(Wilson). All detectors have thresholds of their own calibration, at the same rate.

| series | detector | alarms per 1000 before planting | found | {" | ".join(KINDS)} |
|---|---|---|---|{"---|" * len(KINDS)}
{"".join(found)}{network}
## Real sets

Nobody knows what is anomalous in them: "alarms" are those of the untouched scored part, at 1 false alarm per 1000 steps
or the least that the calibration part can tell, and "if nothing is anomalous" is where 95 of 100 rates lie then. auto
chooses the model; patchtst stands beside. Alarms are of all channels; the interval is that of one.
At 1 in 1000 the threshold is about the largest calibration score: where steps have heavy tails (exchange_rate) nothing
of the planted size is found, by anything.

| set | detector | allowed | alarms per 1000 | if nothing is anomalous | planted found |
|---|---|---|---|---|---|
{"".join(real)}"""
    replace_file(RESULTS / "detection.md", lambda part: _write(part, page))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def fits_of(kind: Callable[[np.random.Generator], Any], seed: int, means: Means, attention: str) -> Fits:
    """A clean series, fitted and calibrated."""
    values = kind(np.random.default_rng([(*CLEAN, *BEYOND).index(kind), seed]))
    hours = np.datetime64("2020-01-01", "us") + np.arange(ROWS) * np.timedelta64(1, "h")
    step = Frequency("us", 3_600_000_000)
    panel = Panel(values[:, None], np.array([0, ROWS]), hours, ("0",), ("y",), step, kind.__name__)
    protocol = Protocol(1, LOOKBACK)
    return fit_detectors(panel, protocol, Settings(false_alarms=RATE, attention=attention), means, model="nlinear")


def rate_row(kind: Callable[[np.random.Generator], Any], made: list[Fits]) -> str:
    """Rate of false alarms over series, and how many lie where they should."""
    found, inside = [], []
    for fits in made:
        scored = fits.chosen.score(fits.ground, fits.panel, fits.parts.calibration_end)
        steps = int((~np.isnan(scored.scores)).sum())
        found.append(1000 * float(scored.alarm.sum()) / steps)
        low, high = expected_rate(len(fits.chosen.calibration[0]), RATE, steps)
        inside.append(low <= found[-1] <= high)
    mean, half = np.mean(found), 1.96 * np.std(found, ddof=1) / np.sqrt(len(found))
    about = f"{kind.__name__}: {kind.__doc__}"
    return (
        f"| {about} | {RATE:g} | {mean:.2f} [{mean - half:.2f}, {mean + half:.2f}] | {100 * np.mean(inside):.0f} % |\n"
    )


def found_rows(name: str, made: list[Fits]) -> str:
    """What every detector found of what was planted into all series, and its alarms before."""
    hits: dict[str, list[Any]] = {}
    kinds: list[str] = []
    rates: dict[str, list[float]] = {}
    for fits in made:
        plants, found = planted_by_all(fits)
        kinds += [each.kind for each in plants]
        for detector, planted in found.items():
            hits.setdefault(detector, []).append(planted.hits)
        for detector, scored in scored_by_all(fits).items():
            rates.setdefault(detector, []).append(1000 * float(scored.alarm[~np.isnan(scored.scores)].mean()))
    of, rows = np.array(kinds), []
    for detector, parts in hits.items():
        each = np.concatenate(parts)
        cells = [f"{100 * each[of == kind].mean():.0f} %" for kind in KINDS]
        rows.append(
            f"| {name} | {detector} | {np.mean(rates[detector]):.1f} | {percent(each)} | {' | '.join(cells)} |\n"
        )
    return "".join(rows)


def real_rows(name: str, means: Means) -> str:
    """Alarms and planted anomalies of a set."""
    fits = fit_detectors(load(name), Protocol(1), Settings(), means)
    _, planted = planted_by_all(fits)
    rows = []
    for detector, scored in scored_by_all(fits).items():
        known = ~np.isnan(scored.scores)
        rate = fits.chosen.false_alarms
        low, high = expected_rate(len(fits.chosen.calibration[0]), rate, int(known[:, 0].sum()))
        role = roles(fits)[detector]
        about = f"{detector}" + (f" ({role})" if role in ("detector", "attention") else "")
        found = percent(planted[detector].hits) if detector in planted else ""
        alarms = 1000 * float(scored.alarm[known].mean())
        rows.append(f"| {name} | {about} | {rate:.2g} | {alarms:.1f} | {low:.1f} to {high:.1f} | {found} |\n")
    print("".join(rows), flush=True)
    return "".join(rows)


def percent(hits: Any) -> str:
    """A share with its interval."""
    value, low, high = share(hits).to_list()
    return f"{100 * (value or 0):.0f} % [{100 * (low or 0):.0f}, {100 * (high or 0):.0f}]"


def cpu() -> str:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


if __name__ == "__main__":
    main()
