"""For series: the label slot as a linear guess."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.in_context.theory.autoregressive import Autoregression
from forecheck.papers.in_context.theory.heads import Moments, relaxed_optimum
from forecheck.papers.in_context.theory.linear_self_attention import gram, hankel
from forecheck.papers.in_context.theory.optimum import closed_form
from forecheck.papers.initialisation.theory import predict

PROCESSES = {"AR(1)": (0.8,), "AR(2)": (0.6, -0.3), "AR(3)": (0.5, 0.2, -0.4)}
SERIES = 40_000
"""Steps of the series that least squares is fitted to."""


def slot(bench: Bench, process: str, columns: int, windows: int, repeats: int) -> dict[str, Any]:
    """Excess over the best linear predictor with the slot at zero, and at the guess of least squares without attention.

    Both on the same windows, as shares of the explained variance, a list a repeat. `difference`: the layer with the
    guess and no values against least squares written out, relative. `correction`: what attention could still take off
    the error of that guess with the best weights of any number of heads, on the windows they are fitted to.

    Args:
        bench: reports progress.
        process: one of `PROCESSES`.
        columns: n, complete columns of a prompt.
        windows: a repeat.
        repeats: how many; each draws windows, and the series that least squares is fitted to, of its own.
    """
    phi = torch.tensor(PROCESSES[process], dtype=torch.float64)
    order = len(phi)
    source = Autoregression.scalar(np.array([PROCESSES[process]]))
    explained = float(source.autocovariances(1)[0, 0, 0, 0]) - 1
    found: dict[str, list[float]] = {"zero": [], "guess": [], "correction": []}
    worst = 0.0
    for seed in range(repeats):
        long = source.simulate(np.array([10**6 + seed]), SERIES, seed=seed)[0, :, 0]
        lagged = np.lib.stride_tricks.sliding_window_view(long[:-1], order)
        theta = torch.from_numpy(np.linalg.lstsq(lagged, long[order:])[0])  # oldest lag first, as in a prompt
        series = torch.from_numpy(source.simulate(np.arange(windows), order + columns, seed=seed)[..., 0])
        prompt = hankel(series, order)
        best = prompt[:, :-1, -1] @ phi.flip(0)
        values, key_queries = closed_form(phi, 1.0, columns)
        zero = predict(prompt, torch.zeros_like(theta), values, key_queries)
        made = predict(prompt, theta, torch.zeros_like(values), key_queries)
        by_hand = torch.from_numpy(series[:, -order:].numpy() @ theta.numpy())
        worst = max(worst, float((made - by_hand).abs().max() / by_hand.abs().max()))
        left = relaxed_optimum(Moments.of(gram(prompt), prompt[:, :-1, -1], best - made))[1]
        excess = (made - best).square().mean().item()
        found["zero"].append((zero - best).square().mean().item() / explained)
        found["guess"].append(excess / explained)
        found["correction"].append((excess - left) / explained)
        bench.progress((seed + 1) / repeats, f"repeat {seed}")
    return found | {"difference": worst}


SLOT = Experiment(
    "slot",
    slot,
    quick=[
        {"process": process, "columns": columns, "windows": 3000, "repeats": 4}
        for process in PROCESSES
        for columns in (25, 100)
    ],
    full=[
        {"process": process, "columns": columns, "windows": 10_000, "repeats": 8}
        for process in PROCESSES
        for columns in (10, 25, 50, 100, 200)
    ],
)
