"""A known causal path: where explanations of a trained network say that a forecast comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.samovar_explained import explain, jacobian
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.samovar.causal_path import CAUSES, CHANNELS, causal_panel, causal_path
from forecheck.papers.samovar.samples import fit
from forecheck.papers.samovar.window_regression import fit_windows

LOOKBACK = 8
"""Steps and, as a patch is a step, patches: the share that finds a lag by chance is 1/8."""
VALIDATION, TEST = 1000, 1000
EXPLAINED = 100
RECIPE = {"width": 32, "heads": 2, "layers": 3, "lr": 5e-3, "batch": 32, "micro_batch": 32}


def recovery(bench: Bench, network: str, windows: int, epochs: int, seed: int) -> dict[str, Any]:
    """Share of windows in which the strongest influence on B and on C has the lag of its cause.

    By path: the source of the path with the largest matrix; by coefficient: the patch with the largest Γ, both tokens
    together; by part: the patch that adds most to the forecast; by Jacobian: the step with the largest derivative, all
    channels together, and the step and channel. `learned` is the share of a channel's predictable variance that the
    network's forecasts explain, 1 for the best forecast and below 0 where it is worse than none.

    Args:
        bench: its store holds the trial; reports progress.
        network: `samovar` or `lintrans`; only the former has paths, coefficients and parts.
        windows: in training.
        epochs: of training.
        seed: of path and fit.

    Returns:
        `found`, the shares by driven channel; `learned`; and `regression`, 1 where the largest coefficient of an
        autoregression of order 3 is the cause's.
    """
    panel = causal_panel(windows + LOOKBACK + VALIDATION + TEST, seed)
    split = f"{windows + LOOKBACK}+{VALIDATION}+{TEST}"
    result = fit(bench, panel, split, network, LOOKBACK, RECIPE | {"epochs": epochs}, seed)
    forecaster = registry.load(result.folder / "model")
    assert isinstance(forecaster, NeuralForecaster)
    experiment = prepare(panel, LOOKBACK, 1, split)
    index = torch.linspace(0, len(experiment.test) - 1, EXPLAINED).round().long()
    x, _ = experiment.test.gather(index)
    error = result.arrays["mse"].mean(axis=0) * experiment.scaler.std[0] ** 2
    least = causal_path().noise[0].diagonal()
    answers = jacobian(forecaster.module, x).values[:, 0]
    found = {
        "Jacobian": _shares(np.linalg.norm(answers, axis=3)),
        "Jacobian, with channel": _shares_with_channel(np.abs(answers)),
    }
    if network == "samovar":
        explained = explain(forecaster.module, x, paths=1)
        found["path"] = _shares(_sources(explained.path_nodes[:, :, 0]))
        found["coefficient"] = _shares(_by_patch(np.linalg.norm(explained.coefficients, axis=(4, 5)) ** 2))
        found["part"] = _shares(np.abs(explained.parts.sum(axis=2)[:, :, 0]).swapaxes(1, 2))
    fitted = fit_windows(torch.from_numpy(experiment.train.values[None, : windows + LOOKBACK]), 3)[0].numpy()
    return {
        "found": found,
        "learned": {c: float((1 - error[k]) / (1 - least[k])) for k, c in enumerate(CHANNELS) if c in CAUSES},
        "regression": _regression_finds(fitted),
    }


def _shares(strength: Float[np.ndarray, "window channel step"]) -> dict[str, float]:
    """By driven channel, share of windows whose strongest step is the cause's lag before the forecast."""
    strongest = LOOKBACK - strength.argmax(axis=2)
    return {c: float((strongest[:, CHANNELS.index(c)] == lag).mean()) for c, (_, lag) in CAUSES.items()}


def _shares_with_channel(strength: Float[np.ndarray, "window channel step source"]) -> dict[str, float]:
    strongest = strength.reshape(*strength.shape[:2], -1).argmax(axis=2)
    right = {c: (LOOKBACK - lag) * len(CHANNELS) + CHANNELS.index(cause) for c, (cause, lag) in CAUSES.items()}
    return {c: float((strongest[:, CHANNELS.index(c)] == place).mean()) for c, place in right.items()}


def _sources(nodes: Int[np.ndarray, "window channel node"]) -> Float[np.ndarray, "window channel step"]:
    """One at the patch of a path's source, whichever of its two tokens it is."""
    ends = np.where(nodes >= 0, nodes, np.inf).min(axis=2)  # nodes do not increase
    return (ends[..., None] // 2 == np.arange(LOOKBACK)).astype(float)


def _by_patch(strength: Float[np.ndarray, "window channel head token"]) -> Float[np.ndarray, "window channel step"]:
    return strength.sum(axis=2).reshape(*strength.shape[:2], LOOKBACK, 2).sum(axis=3)


def _regression_finds(coefficients: Float[np.ndarray, "lag channel source"]) -> dict[str, float]:
    """Whether the largest coefficient of a driven channel is its cause's, at its lag."""
    found = {}
    for channel, (cause, lag) in CAUSES.items():
        row = np.abs(coefficients[:, CHANNELS.index(channel)])
        found[channel] = float(row.argmax() == (lag - 1) * len(CHANNELS) + CHANNELS.index(cause))
    return found


RECOVERY = Experiment(
    "recovery",
    recovery,
    quick=[
        {"network": network, "windows": 10_000, "epochs": 1, "seed": seed}
        for network in ("samovar", "lintrans")
        for seed in range(2)
    ],
    full=[
        {"network": network, "windows": 20_000, "epochs": 2, "seed": seed}
        for network in ("samovar", "lintrans")
        for seed in range(3)
    ],
)
