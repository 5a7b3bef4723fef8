"""Scores: a forecaster's losses on all windows of a part, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.progress import Progress
from forecheck.statistics.metrics import observed_mean

# Forecasts of this many numbers are held at once; wide panels get smaller batches.
_BATCH_VALUES = 2_000_000
Made = Callable[[slice, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Scores:
    """Losses in standardised units.

    Attributes:
        mse: squared error, mean over the observed steps of the horizon, of every window and channel; NaN where a
            window observed nothing of a channel.
        mae: absolute error, likewise.
        horizon_mse: squared error of every horizon step, mean over windows and channels; NaN for a step that was never
            observed.
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

    Args:
        forecaster: forecasts a batch of inputs.
        windows: whose losses are taken.
        progress: called with the share that is done.

    Raises:
        FloatingPointError: if a forecast is not finite.
    """
    return score_made(lambda _, x: forecaster.predict(x), windows, progress)


def score_made(made: Made, windows: Windows, progress: Progress | None = None) -> Scores:
    """Losses of the forecasts that are made of every batch.

    Args:
        made: forecasts (batch, horizon, channel) of the windows at a slice, whose inputs come with it.
        windows: what is forecast.
        progress: called with the share that is done.

    Raises:
        FloatingPointError: if a forecast is not finite.
    """
    mse = np.empty((len(windows), windows.channels))
    mae = np.empty_like(mse)
    total, count = np.zeros(windows.horizon), np.zeros(windows.horizon)
    for index, x, y in windows.batches(batch_size(windows)):
        forecast = made(index, x)
        error = (forecast - y).cpu().double().numpy()
        squared = np.square(error)
        mse[index], mae[index] = observed_mean(squared, axis=1), observed_mean(np.abs(error), axis=1)
        if windows.targets is None:
            total += squared.mean(axis=2).sum(axis=0)
            count += len(squared)
            bad = ~np.isfinite(mse[index])
        else:
            total += np.nansum(squared, axis=(0, 2))
            count += (~np.isnan(squared)).sum(axis=(0, 2))
            # A forecast of NaN must not pass for a missing target.
            bad = ~np.isfinite(forecast.cpu().numpy()).all(axis=1)
        if bad.any():
            raise FloatingPointError(f"a forecast is not finite in window {index.start + int(np.argwhere(bad)[0][0])}")
        if progress is not None:
            progress(index.stop / len(windows), "scoring")
    return Scores(mse, mae, np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))
