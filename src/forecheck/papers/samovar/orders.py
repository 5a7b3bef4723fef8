"""Unseen orders: networks of the family beside the oracle and regressions inside the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.in_context.theory.autoregressive import spectral_radius
from forecheck.papers.samovar.processes import stable_samples
from forecheck.papers.samovar.samples import Samples, fit_samples
from forecheck.papers.samovar.var_orders import CHANNELS, var_orders
from forecheck.papers.samovar.window_regression import fit_windows, forecast_windows

HELD_OUT = 300
"""Training samples that decide which epoch is kept, and the ridge."""
TEST = 2000
"""Samples to test on, as in the published set."""
RIDGES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
RECIPE = {"width": 32, "heads": 2, "layers": 3, "dropout": 0.1, "lr": 6e-4, "weight_decay": 0.1, "batch": 32}
"""Section 8's, but for the batch (256 there; few windows need the steps)."""
CLIP = 1.0
"""Bound of the gradient's norm in the released scripts; the notebook has none, and here both are run."""
NETWORKS: dict[str, tuple[str, dict[str, Any], int | None]] = {
    "SAMoVAR": ("samovar", {}, None),
    "FixedVAR": ("fixedvar", {"next_patch": 0.0}, None),
    "LinTrans": ("lintrans", {}, 8),
    "LinTrans, whole input": ("lintrans", {}, None),
}
"""Forecaster, options and steps of input, as in the notebook: FixedVAR without the loss of next patches, LinTrans on
the last 8 steps; and LinTrans on what the others read."""


@dataclass(frozen=True, eq=False)
class Task:
    """Samples, the oracle's forecast of the test samples, and which of these are stable."""

    samples: Samples
    oracle: Float[np.ndarray, "test_sample channel"]
    stable: Bool[np.ndarray, " test_sample"]


def task(data: str, windows: int, lookback: int) -> Task:
    """Orders 1 and 2 to train on, 3 and 4 to test on; the set as published, or stable processes.

    Args:
        data: `published` or `stable`.
        windows: training samples; of the published set no more than precede the held-out ones.
        lookback: steps of input of stable processes; the published set has its own.
    """
    if data == "published":
        train, test = var_orders("train"), var_orders("validation")
        # An unstable sample weighs as much as thousands of others: it must not choose the epoch.
        calm = np.flatnonzero(spectral_radius(train.coefficients) < 1)[-HELD_OUT:]
        samples = Samples(train.values[: min(windows, calm[0])], train.values[calm], test.values)
        return Task(samples, test.oracle(), spectral_radius(test.coefficients) < 1)
    shape = (CHANNELS, lookback + 1)
    values, _ = stable_samples(0, windows, (1, 2), *shape)
    held_out, _ = stable_samples(10**6, HELD_OUT, (1, 2), *shape)
    test_values, oracle = stable_samples(2 * 10**6, TEST, (3, 4), *shape)
    return Task(Samples(values, held_out, test_values), oracle, np.ones(len(oracle), dtype=bool))


def orders(
    bench: Bench, data: str, network: str, clipped: bool, lookback: int, windows: int, epochs: int, seed: int
) -> dict[str, Any]:
    """A network's squared error on every test sample.

    Args:
        bench: its store holds the trial; reports progress.
        data: `published` or `stable`, see `task`.
        network: one of `NETWORKS`.
        clipped: whether the norm of the gradient is bounded in training.
        lookback: steps of input, see `task`.
        windows: in training, see `task`.
        epochs: of training.
        seed: of the fit.

    Returns:
        Means over `all` and over `stable` test samples, the `squared` errors of the latter, and the validation loss.
    """
    made = task(data, windows, lookback)
    name, options, last = NETWORKS[network]
    options = RECIPE | options | {"epochs": epochs, "micro_batch": RECIPE["batch"], "clip": CLIP if clipped else None}
    squared, fitted = fit_samples(bench, made.samples, name, options, seed, last)
    return _errors(squared, made) | {
        "validation": fitted["details"]["validation_loss"],
        "parameters": fitted["parameters"],
    }


def references(bench: Bench, data: str, lookback: int) -> dict[str, Any]:
    """Squared errors of the oracle, zero, the last value, and autoregressions fitted inside the window.

    Args:
        bench: not needed.
        data: `published` or `stable`, see `task`.
        lookback: steps of input, see `task`.

    Returns:
        Their `errors`, as `orders` gives them, and the `ridge` that is best on held-out samples.
    """
    del bench
    made = task(data, 2, lookback)
    x, y = made.samples.test[:, :-1], made.samples.test[:, -1]
    ridge = min(RIDGES, key=lambda ridge: float(_regression(made.samples.validation, 4, ridge).mean()))
    forecasts = {"oracle": made.oracle, "zero": np.zeros_like(y), "last value": x[:, -1]}
    squared = {name: np.square(forecast - y).mean(axis=1) for name, forecast in forecasts.items()}
    squared |= {f"OLS VAR({order})": _regression(made.samples.test, order, 0.0) for order in (3, 4)}
    squared["ridge VAR(4)"] = _regression(made.samples.test, 4, ridge)
    return {"ridge": ridge, "errors": {name: _errors(values, made) for name, values in squared.items()}}


def _regression(
    values: Float[np.ndarray, "sample step channel"], order: int, ridge: float
) -> Float[np.ndarray, " sample"]:
    windows = torch.from_numpy(values[:, :-1])
    forecast = forecast_windows(windows, fit_windows(windows, order, ridge)).numpy()
    return np.square(forecast - values[:, -1]).mean(axis=1)


def _errors(squared: Float[np.ndarray, " test_sample"], made: Task) -> dict[str, Any]:
    """Mean over all samples and over stable ones, and the latter one by one in four digits."""
    calm = squared[made.stable]
    return {
        "all": float(squared.mean()),
        "stable": float(calm.mean()),
        "squared": [float(f"{value:.4g}") for value in calm],
        "unstable samples": int((~made.stable).sum()),
    }


def _published(network: str, clipped: bool, windows: int, seed: int) -> dict[str, Any]:
    """A training on the published set."""
    given = {"data": "published", "network": network, "clipped": clipped, "lookback": 64}
    return given | {"windows": windows, "epochs": 1, "seed": seed}


PUBLISHED = ("SAMoVAR", "FixedVAR", "LinTrans")
ORDERS = Experiment(
    "orders",
    orders,
    quick=[_published(network, clipped, 4000, seed=0) for clipped in (True, False) for network in PUBLISHED],
    full=[
        _published(network, clipped, 12_000, seed)
        for clipped in (True, False)
        for network in PUBLISHED
        for seed in range(2)
    ],
)
STABLE = Experiment(
    "stable orders",
    orders,
    quick=[
        {"data": "stable", "network": network, "clipped": True, "lookback": 32, "windows": 6000, "epochs": 1, "seed": 0}
        for network in PUBLISHED
    ],
    full=[
        {
            "data": "stable",
            "network": network,
            "clipped": True,
            "lookback": 32,
            "windows": 12_000,
            "epochs": 1,
            "seed": seed,
        }
        for network in NETWORKS
        for seed in range(2)
    ],
)
REFERENCES = Experiment("references", references, quick=[{"data": "published", "lookback": 64}])
STABLE_REFERENCES = Experiment("stable references", references, quick=[{"data": "stable", "lookback": 32}])
