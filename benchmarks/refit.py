"""Rolling refits by added Gram matrices beside refits from scratch, on the test parts of ETTh1 and weather.

    FORECHECK_DATA=folder python benchmarks/refit.py [--every 24] [--blocks 20]

Writes benchmarks/results/refit.md. Both ways make the same maps (their largest difference is told); they take turns,
block by block, and times are CPU seconds of this process, the median of a block. "Gram" is adding the new windows
against summing all windows up to the block; "refit" is that and solving, which both have in common; "windows" is least
squares' usual way, the Gram matrix of all windows up to the block as one product of materialised windows.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch

from forecheck.data.load import load
from forecheck.data.windows import Experiment, prepare
from forecheck.files import replace_file
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.refit import grams, refitted
from forecheck.trials.rolling import rolled, windows_before

RESULTS = Path(__file__).parent / "results"
CASES = (
    ("ETTh1", "linear", 336, 96),
    ("ETTh1", "linear", 1024, 96),
    ("ETTh1", "anchored", 1536, 96),
    ("weather", "linear", 336, 96),
)
MATERIALISED = 336, "ETTh1"  # more would not fit into memory as one matrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=24)
    parser.add_argument("--blocks", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(*case, arguments.every, arguments.blocks) for case in CASES]
    columns = (
        "set",
        "model",
        "L → H",
        "added Gram (ms)",
        "Gram from scratch",
        "refit (ms)",
        "refit from scratch",
        "windows",
    )
    page = f"""# Rolling refits

`python benchmarks/refit.py --every {arguments.every} --blocks {arguments.blocks}` on {cpu()}, one thread; Python
{platform.python_version()}, numpy {np.__version__}; load average {os.getloadavg()[0]:.1f} at the end.

A refit every {arguments.every} rows of the test part on all rows before; medians over {arguments.blocks} refits
after the first. "From scratch" is its time in that of the added ones, block by block; "windows" is the Gram matrix of
materialised windows in that of the added one. Both ways' maps differ by {max(row[1] for row in rows):.0e} at most.

What is added is the windows of {arguments.every} rows, but a Gram matrix of L rows has to be written either way, and
summing it from scratch costs little more than that (`gram` never builds a window): adding pays on long and wide data
only, and solving costs far more than either.

| {" | ".join(columns)} |
|{"---|" * len(columns)}
""" + "".join(f"| {' | '.join(row[0])} |\n" for row in rows)
    replace_file(RESULTS / "refit.md", lambda part: _write(part, page))
    print(page)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def measure(dataset: str, name: str, lookback: int, horizon: int, every: int, blocks: int) -> tuple[list[str], float]:
    experiment = prepare(load(dataset), lookback, horizon)
    forecaster = registry.create(name, Task(lookback, horizon, experiment.test.channels, 24))
    details = forecaster.fit(experiment.train, experiment.validation).details
    times: dict[str, list[float]] = {key: [] for key in ("added", "scratch", "refit", "again", "windows")}
    worst = 0.0
    updates = rolled(forecaster, details, experiment, every)
    next(updates)
    start = experiment.borders.validation_end
    for k in range(1, blocks + 1):
        begun = time.process_time()
        _, added = next(updates)
        times["refit"].append(time.process_time() - begun)
        windows = windows_before(experiment, start + k * every)
        begun = time.process_time()
        total = grams(forecaster, windows)
        times["scratch"].append(time.process_time() - begun)
        scratch = refitted(forecaster, total, details)
        times["again"].append(time.process_time() - begun)
        new = windows_before(experiment, start + k * every)
        new = type(new)(new.values, lookback, horizon, new.origins[-every:])
        begun = time.process_time()
        _ = [one + more for one, more in zip(total, grams(forecaster, new), strict=True)]
        times["added"].append(time.process_time() - begun)
        if (lookback, dataset) == MATERIALISED and k == 1:
            times["windows"].append(materialised(experiment, windows.origins, lookback + horizon))
        differences = [(added.tensors()[key] - one).abs().max() for key, one in scratch.tensors().items()]
        worst = max(worst, *(float(one) for one in differences))
    median = {key: statistics.median(values) for key, values in times.items() if values}
    ratio = statistics.median(a / b for a, b in zip(times["scratch"], times["added"], strict=True))
    whole = statistics.median(a / b for a, b in zip(times["again"], times["refit"], strict=True))
    slow = f"{median['windows'] / median['added']:.0f}" if "windows" in median else "not run"
    cells = [dataset, name, f"{lookback} → {horizon}", f"{1e3 * median['added']:.1f}", f"{ratio:.1f}"]
    return [*cells, f"{1e3 * median['refit']:.0f}", f"{whole:.2f}", slow], worst


def materialised(experiment: Experiment, origins: np.ndarray, length: int) -> float:
    begun = time.process_time()
    lookback = experiment.test.lookback
    every = np.lib.stride_tricks.sliding_window_view(experiment.test.values, length, axis=0)
    z = every[origins - lookback].reshape(-1, length)
    _ = z[:, :lookback].T @ z
    return time.process_time() - begun


def cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))


if __name__ == "__main__":
    main()
