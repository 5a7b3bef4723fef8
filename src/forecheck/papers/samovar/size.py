"""Depth and head width, on processes of order 1 that change from window to window."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.samovar.processes import NOISE, stable_samples
from forecheck.papers.samovar.samples import Samples, fit_samples
from forecheck.papers.samovar.window_regression import fit_windows, forecast_windows

LOOKBACK, WIDTH = 16, 16
TEST = 4000
RECIPE = {"width": WIDTH, "dropout": 0.1, "lr": 5e-3, "batch": 32, "micro_batch": 32, "epochs": 1}


def size(bench: Bench, layers: int, heads: int, windows: int, seed: int) -> dict[str, Any]:
    """Excess of SAMoVAR's error over the oracle's, in variances of the innovations, beside references.

    Args:
        bench: its store holds the trial; reports progress.
        layers: of the network.
        heads: of the network, each `WIDTH` / heads wide.
        windows: in training.
        seed: of the fit.
    """
    train, _ = stable_samples(0, windows, (1,), 1, LOOKBACK + 1)
    held_out, _ = stable_samples(10**6, 500, (1,), 1, LOOKBACK + 1)
    test, oracle = stable_samples(2 * 10**6, TEST, (1,), 1, LOOKBACK + 1)
    options = RECIPE | {"layers": layers, "heads": heads}
    squared, _ = fit_samples(bench, Samples(train, held_out, test), "samovar", options, seed)
    target = test[:, -1]
    least = np.square(oracle - target).mean()
    inside = torch.from_numpy(test[:, :-1])
    regressed = forecast_windows(inside, fit_windows(inside, 1)).numpy()

    def excess(error: float) -> float:
        return float((error - least) / NOISE**2)

    return {
        "head width": WIDTH // heads,
        "excess": excess(squared.mean()),
        "excess of zero": excess(np.square(target).mean()),
        "excess of OLS": excess(np.square(regressed - target).mean()),
    }


DEPTH = Experiment(
    "depth",
    size,
    quick=[
        {"layers": layers, "heads": 1, "windows": 6000, "seed": seed} for layers in (1, 2, 3, 4) for seed in range(3)
    ],
    full=[
        {"layers": layers, "heads": 1, "windows": 24_000, "seed": seed}
        for layers in (1, 2, 3, 4, 6)
        for seed in range(4)
    ],
)
HEADS = Experiment(
    "head width",
    size,
    quick=[{"layers": 3, "heads": heads, "windows": 6000, "seed": seed} for heads in (1, 4) for seed in range(3)],
    full=[
        {"layers": 3, "heads": heads, "windows": 24_000, "seed": seed} for heads in (1, 2, 4, 8) for seed in range(4)
    ],
)
