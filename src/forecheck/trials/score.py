"""Scores: a forecaster's losses on all windows of a part, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.training.loop import Progress

# Forecasts of this many numbers are held at once; wide panels get smaller batches.
_BATCH_VALUES = 2_000_000


@dataclass(frozen=True, eq=False)
class Scores:
    """Losses in standardised units.

    Attributes:
        mse: squared error, mean over the horizon, of every window and channel.
        mae: absolute error, likewise.
        horizon_mse: squared error of every horizon step, mean over windows and channels.
    """

    mse: Float[np.ndarray, "window channel"]
    mae: Float[np.ndarray, "window channel"]
    horizon_mse: Float[np.ndarray, " horizon"]


def batch_size(windows: Windows) -> int:
    """Windows scored at once."""
    return max(8, min(256, _BATCH_VALUES // ((windows.lookback + windows.horizon) * windows.channels)))


@runtime_checkable
class Predicts(Protocol):
    """All that scoring needs of a forecaster."""

    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast, without gradient."""


def score(forecaster: Predicts, windows: Windows, progress: Progress | None = None) -> Scores:
    """Losses of a forecaster on every window, the last partial batch included.

    Raises:
        FloatingPointError: if a forecast is not finite.
    """
    mse = np.empty((len(windows), windows.channels))
    mae = np.empty_like(mse)
    total = np.zeros(windows.horizon)
    for index, x, y in windows.batches(batch_size(windows)):
        error = (forecaster.predict(x) - y).double().numpy()
        squared = np.square(error)
        mse[index] = squared.mean(axis=1)
        mae[index] = np.abs(error).mean(axis=1)
        total += squared.mean(axis=2).sum(axis=0)
        if progress is not None:
            progress(index.stop / len(windows), "scoring")
    if not np.isfinite(mse).all():
        bad = int(np.argwhere(~np.isfinite(mse))[0][0])
        raise FloatingPointError(f"a forecast is not finite in window {bad}")
    return Scores(mse, mae, total / len(windows))
