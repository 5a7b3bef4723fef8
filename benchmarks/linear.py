"""Closed-form linear forecasters against the same least squares on materialised windows.

    FORECHECK_DATA=folder python benchmarks/linear.py

Writes benchmarks/results/linear.md and linear.json. Every method runs on one thread in processes of its own, in
several rounds that take turns, so that a busy machine slows all alike; memory is the growth of the process's resident
set above what it was after imports and a small warm-up, read from the kernel's high-water mark (Linux only).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch

from forecheck.data.load import load
from forecheck.data.windows import Windows, prepare
from forecheck.forecasters.base import Forecaster, Task
from forecheck.forecasters.linear import LinearConfig, NLinear
from forecheck.forecasters.naive import Last

Fit = Callable[[Windows, Windows], np.ndarray]
"""Fit NLinear on training windows, choose on validation windows if at all; the weights on the raw window."""

RESULTS = Path(__file__).parent / "results"
SETS = ("ETTh1", "ETTh2", "exchange_rate")
HORIZONS = (96, 192, 336, 720)
LOOKBACK = 336


def closed_form(ridge: float | None) -> Fit:
    def fit(train: Windows, validation: Windows) -> np.ndarray:
        forecaster = NLinear(Task(train.lookback, train.horizon, train.channels), LinearConfig(ridge=ridge))
        forecaster.fit(train, validation)
        return forecaster.tensors()["weight"][0].numpy()

    return fit


def materialise(windows: Windows, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """All windows less their last value, without the input that is always zero then, and with one for the bias."""
    L, H = windows.lookback, windows.horizon
    every = np.lib.stride_tricks.sliding_window_view(windows.values.astype(dtype), L + H, axis=0)
    both = every[windows.origins - L].reshape(-1, L + H)
    both -= both[:, L - 1 : L].copy()
    both[:, L - 1] = 1
    return both[:, :L], both[:, L:]


def raw_weights(solution: np.ndarray) -> np.ndarray:
    """Weights on the raw window from those on the window less its last value."""
    weights = solution.copy()
    weights[-1] = 1 - solution[:-1].sum(axis=0)
    return weights


def normal_equations(dtype: type) -> Fit:
    def fit(train: Windows, validation: Windows) -> np.ndarray:
        del validation
        x, y = materialise(train, dtype)
        return raw_weights(np.linalg.solve(x.T @ x, x.T @ y))

    return fit


def lstsq(dtype: type) -> Fit:
    def fit(train: Windows, validation: Windows) -> np.ndarray:
        del validation
        return raw_weights(np.linalg.lstsq(*materialise(train, dtype))[0])

    return fit


METHODS: dict[str, Fit] = {
    "closed form, 11 ridge strengths, choice on validation": closed_form(None),
    "closed form, no ridge, error on validation": closed_form(0.0),
    "materialised, normal equations, float32": normal_equations(np.float32),
    "materialised, normal equations, float64": normal_equations(np.float64),
    "materialised, numpy lstsq, float32": lstsq(np.float32),
    "materialised, numpy lstsq, float64": lstsq(np.float64),
}
OURS = "closed form, 11 ridge strengths, choice on validation"
NORMAL = "materialised, normal equations, float64"
PEER = "materialised, numpy lstsq, float64"


def high_water_mb() -> float:
    """The largest resident set of this process since the mark was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def work(method: str, file: Path, repeats: int) -> dict[str, Any]:
    """Time and memory of one method, in this process."""
    torch.set_num_threads(1)
    data = np.load(file)
    shape = int(data["lookback"]), int(data["horizon"])
    train, validation = (Windows(data["values"], *shape, data[part]) for part in ("train", "validation"))
    fit = METHODS[method]
    warm = Windows(np.random.default_rng(0).normal(size=(200, 2)), 8, 4, np.arange(8, 190))
    fit(warm, warm)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark to the resident set of now
    before = high_water_mb()
    weights = fit(train, validation)
    memory = high_water_mb() - before
    wall, cpu = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        fit(train, validation)
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    tracemalloc.start()
    fit(train, validation)
    arrays = tracemalloc.get_traced_memory()[1] / 2**20
    return {"wall_s": wall, "cpu_s": cpu, "resident_mb": memory, "numpy_mb": arrays, "weights": weights.tolist()}


def compare(lookback: int, horizon: int, rounds: int, repeats: int) -> dict[str, Any]:
    """Every method on ETTh1, in turns."""
    experiment = prepare(load("ETTh1"), lookback, horizon)
    runs: dict[str, list[dict[str, Any]]] = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "windows.npz"
        parts = {"train": experiment.train.origins, "validation": experiment.validation.origins}
        np.savez(file, values=experiment.train.values, lookback=lookback, horizon=horizon, **parts)
        for _ in range(rounds):
            for method, found in runs.items():
                command = [sys.executable, __file__, "--repeats", str(repeats), "--worker", method, str(file)]
                found.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    reference = np.array(runs[PEER][0]["weights"])
    rows = {}
    for method, found in runs.items():
        wall = [seconds for run in found for seconds in run["wall_s"]]
        rows[method] = {
            "wall_s": statistics.median(wall),
            "wall_s_range": [min(wall), max(wall)],
            "cpu_s": statistics.median(seconds for run in found for seconds in run["cpu_s"]),
            "resident_mb": statistics.median(run["resident_mb"] for run in found),
            "numpy_mb": statistics.median(run["numpy_mb"] for run in found),
            "weights_off_lstsq": float(np.abs(np.array(found[0]["weights"]) - reference).max()),
        }
    return {"set": "ETTh1", "lookback": lookback, "horizon": horizon, "repeats": rounds * repeats, "methods": rows}


def ratios(methods: dict[str, Any], peer: str) -> dict[str, float]:
    """How many times faster we are than a peer, and our share of its memory."""
    ours, theirs = methods[OURS], methods[peer]
    faster = {key: theirs[f"{key}_s"] / ours[f"{key}_s"] for key in ("wall", "cpu")}
    return faster | {key: ours[f"{key}_mb"] / theirs[f"{key}_mb"] for key in ("resident", "numpy")}


def score(forecaster: Forecaster, windows: Windows) -> tuple[float, float]:
    """MSE and MAE over all windows."""
    squared = absolute = 0.0
    for _, x, y in windows.batches(256):
        difference = (forecaster.predict(x) - y).double()
        squared += float(difference.square().sum())
        absolute += float(difference.abs().sum())
    count = len(windows) * windows.horizon * windows.channels
    return squared / count, absolute / count


def accuracy(repeats: int) -> list[dict[str, Any]]:
    """Test errors of NLinear with and without ridge, and of the last value, on every set and horizon."""
    torch.set_num_threads(1)
    rows = []
    for name in SETS:
        panel = load(name)
        for horizon in HORIZONS:
            experiment = prepare(panel, LOOKBACK, horizon)
            train, validation, test = experiment.train, experiment.validation, experiment.test
            task = Task(LOOKBACK, horizon, train.channels)
            row: dict[str, Any] = {"set": name, "horizon": horizon, "test_windows": len(test)}
            row["last"] = score(Last(task), test)
            for key, ridge in (("no_ridge", 0.0), ("ridge", None)):
                forecaster = NLinear(task, LinearConfig(ridge=ridge))
                reports = [forecaster.fit(train, validation) for _ in range(repeats)]
                start = time.perf_counter()
                row[key] = score(forecaster, test)
                row["score_s"] = time.perf_counter() - start
                row[f"{key}_fit_s"] = statistics.median(report.seconds for report in reports)
            row["strength"] = reports[-1].details["ridge"]
            rows.append(row)
            print(f"{name} {horizon}: MSE {row['no_ridge'][0]:.4f}, fit {row['no_ridge_fit_s']:.3f} s", flush=True)
    return rows


def environment() -> dict[str, Any]:
    """Machine and versions."""
    cpu = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "threads": 1,
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "torch": torch.__version__,
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    env, comparison = result["environment"], result["comparison"]
    methods, ratio, normal = comparison["methods"], result["against_lstsq"], result["against_normal_equations"]
    page = f"""\
# Closed-form linear forecasters

`python benchmarks/linear.py` on {env["cpu"]}, {env["cores"]} cores, one thread used, load average \
{env["load_average"]:.1f} at the start; Python {env["python"]}, numpy {env["numpy"]} ({env["blas"]}), \
torch {env["torch"]}.

## Fitting NLinear on {comparison["set"]}, {comparison["lookback"]} → {comparison["horizon"]}

Medians of {comparison["repeats"]} fits in processes of their own that took turns. The closed form also finds the \
error on all validation windows (of every strength); the others only fit, without ridge. Resident memory is the \
growth of the process during its first fit; numpy's is the peak of its own arrays (tracemalloc; the workspace of \
LAPACK does not count).

| method | wall time (s) | range | CPU time (s) | resident (MB) | numpy arrays (MB) | weights off float64 lstsq |
|---|---|---|---|---|---|---|
"""
    for method, row in methods.items():
        low, high = row["wall_s_range"]
        page += (
            f"| {method} | {row['wall_s']:.4f} | {low:.3f}-{high:.3f} | {row['cpu_s']:.4f} "
            f"| {row['resident_mb']:.1f} | {row['numpy_mb']:.1f} | {row['weights_off_lstsq']:.1e} |\n"
        )
    page += f"""
The whole ridge path with its choice is **{ratio["wall"]:.0f} times faster** than one float64 `lstsq` \
({ratio["cpu"]:.0f} times by CPU time, which a busy machine changes less) and {normal["wall"]:.0f} times faster than \
one solution of the float64 normal equations ({normal["cpu"]:.0f} times by CPU time), in \
**{100 * ratio["resident"]:.1f} %** of the resident memory of `lstsq` ({100 * ratio["numpy"]:.1f} % of its arrays). \
Under ridge the weights are meant to differ from `lstsq`.

## All test windows, lookback {LOOKBACK}

MSE / MAE of NLinear without ridge, with ridge chosen on validation, and of the last value repeated; standardised by \
the training rows. Seconds to fit include the Gram matrix of validation.

| set | horizon | no ridge | fit (s) | ridge by validation | strength | fit (s) | last value | score (s) |
|---|---|---|---|---|---|---|---|---|
"""
    for row in result["accuracy"]:
        page += (
            f"| {row['set']} | {row['horizon']} | {row['no_ridge'][0]:.4f} / {row['no_ridge'][1]:.4f} "
            f"| {row['no_ridge_fit_s']:.3f} | {row['ridge'][0]:.4f} / {row['ridge'][1]:.4f} | {row['strength']:g} "
            f"| {row['ridge_fit_s']:.3f} | {row['last'][0]:.4f} / {row['last'][1]:.4f} | {row['score_s']:.2f} |\n"
        )
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lookback", type=int, default=LOOKBACK, help="of the comparison")
    parser.add_argument("--horizon", type=int, default=96, help="of the comparison")
    parser.add_argument("--rounds", type=int, default=3, help="processes a method")
    parser.add_argument("--repeats", type=int, default=5, help="timed fits a process")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of linear.md and linear.json")
    parser.add_argument("--worker", nargs=2, metavar=("METHOD", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(work(args.worker[0], Path(args.worker[1]), args.repeats)))
        return
    result: dict[str, Any] = {"environment": environment()}
    result["comparison"] = compare(args.lookback, args.horizon, args.rounds, args.repeats)
    result["against_lstsq"] = ratios(result["comparison"]["methods"], PEER)
    result["against_normal_equations"] = ratios(result["comparison"]["methods"], NORMAL)
    result["accuracy"] = accuracy(args.repeats)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "linear.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "linear.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
