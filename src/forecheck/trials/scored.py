"""What is saved of a scored forecaster: losses of every window, their means in both units, examples, versions."""

from __future__ import annotations

import platform
import time
from typing import Any

import numpy as np
import torch

import forecheck
from forecheck.data.splits import PARTS
from forecheck.data.windows import Experiment, Windows
from forecheck.forecasters.base import Forecaster
from forecheck.progress import Progress
from forecheck.statistics.metrics import observed_mean
from forecheck.trials.score import Predicts, Scores, score
from forecheck.trials.store import Array

_EXAMPLES = 6


def scored(
    forecaster: Forecaster, experiment: Experiment, progress: Progress | None, device: str = "cpu"
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Losses on test and validation windows, and what the harness checks of a forecaster.

    Args:
        forecaster: fitted.
        experiment: the panel, cut into windows.
        progress: called with the share that is done.
        device: where windows are gathered.

    Returns:
        A summary as JSON types, and arrays: losses of every test window and example forecasts.

    Raises:
        FloatingPointError: if a forecast is not finite.
    """
    started = time.perf_counter()
    scores = score(forecaster, experiment.test.on(device), progress)
    scoring = time.perf_counter() - started
    validation = score(forecaster, experiment.validation.on(device))
    summary = summary_of(experiment, scores) | {
        "scoring_seconds": scoring,
        "validation_mse": float(observed_mean(validation.mse)),
        "harness": {"batch_difference": _batch_difference(forecaster, experiment.test)},
    }
    return summary, arrays_of(scores) | example_forecasts(forecaster, experiment.test)


def arrays_of(scores: Scores) -> dict[str, Array]:
    """Losses of every window, by name."""
    return {"mse": scores.mse, "mae": scores.mae, "horizon_mse": scores.horizon_mse}


def summary_of(experiment: Experiment, scores: Scores) -> dict[str, Any]:
    """Losses in both units, window counts and versions."""
    std = experiment.scaler.std[experiment.panel.series_of(experiment.test.origins)]  # (window, channel)
    return {
        "mse": float(observed_mean(scores.mse)),
        "mae": float(observed_mean(scores.mae)),
        "mse_real": float(observed_mean(scores.mse * std**2)),
        "mae_real": float(observed_mean(scores.mae * std)),
        "windows": {part: len(experiment.part(part)) for part in PARTS},
        **versions(),
    }


def versions() -> dict[str, Any]:
    """What computed a result."""
    return {
        "versions": {
            "forecheck": forecheck.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "threads": torch.get_num_threads(),
    }


def _batch_difference(forecaster: Forecaster, windows: Windows, count: int = 5) -> float:
    """Largest relative change of a forecast when its batch is cut into single windows."""
    x, _ = windows.gather(slice(0, count))
    whole = forecaster.predict(x)
    parts = torch.cat([forecaster.predict(one) for one in torch.split(x, 1)])
    return float((whole - parts).abs().max() / whole.abs().max().clamp(min=1e-12))


def example_windows(windows: Windows) -> torch.Tensor:
    """Indices of a few test windows, evenly spread: chosen by position, never by how good the forecast looks."""
    return torch.linspace(0, len(windows) - 1, min(len(windows), _EXAMPLES)).round().long()


def example_forecasts(forecaster: Predicts, windows: Windows) -> dict[str, Array]:
    """Forecasts of the example windows (example, horizon, channel)."""
    x, _ = windows.gather(example_windows(windows))
    return {"examples": forecaster.predict(x).float().cpu().numpy()}
