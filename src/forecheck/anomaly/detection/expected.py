"""What is expected of every row before it is seen: by a forecaster from 1 to H steps before, or by the rows before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int

from forecheck.anomaly.detection.rows import Rows
from forecheck.errors import DataError
from forecheck.forecasters.base import Forecaster
from forecheck.progress import Progress

_BATCH = 64
"""Windows forecast at once, always: sums of another size are rounded otherwise, and pieces of data must score alike."""
_BLOCK = 4096
_LEAST_UNIT = 1e-6
"""Standardised; smaller differences are rounding of float32."""


@runtime_checkable
class Source(Protocol):
    """Says of rows what is expected of them and how large a surprise is, from earlier rows alone."""

    @property
    def context(self) -> int:
        """Rows that it needs before the first row it can say something of."""

    def expect(
        self, values: Float[np.ndarray, "time channel"], first: int, last: int
    ) -> tuple[Float[np.ndarray, "row channel"], Float[np.ndarray, "row channel"]]:
        """Expected values of rows [first, last) of one series, and the unit of their surprise.

        Args:
            values: standardised rows of the series.
            first: first row to be expected; at least `context`.
            last: row after the last one.
        """


def step_forecasts(
    forecaster: Forecaster, values: Float[np.ndarray, "time channel"], first: int, last: int
) -> Float[np.ndarray, "row horizon channel"]:
    r"""Forecasts of rows [first, last) of one series, made 1, ..., H steps before: :math:`\hat y_{t|t-h}`.

    Args:
        forecaster: fitted.
        values: standardised rows of the series.
        first: at least lookback + horizon - 1.
        last: row after the last one.

    Raises:
        DataError: if a forecast is not finite.
    """
    lookback, horizon = forecaster.task.lookback, forecaster.task.horizon
    start = first - horizon + 1  # the earliest origin whose forecast reaches the first row
    windows = np.lib.stride_tricks.sliding_window_view(values[start - lookback : last - 1], lookback, axis=0)
    made = np.empty((len(windows), horizon, values.shape[1]))
    batch = np.zeros((_BATCH, lookback, values.shape[1]), dtype=np.float32)
    for place in range(0, len(windows), _BATCH):
        part = windows[place : place + _BATCH].transpose(0, 2, 1)
        batch[: len(part)] = part
        made[place : place + len(part)] = forecaster.predict(torch.from_numpy(batch)).numpy()[: len(part)]
    if not np.isfinite(made).all():
        raise DataError(f"{forecaster.name} forecasts values that are not finite", "Take another model with --model.")
    ahead = np.arange(1, horizon + 1)
    origins = np.arange(last - first)[:, None] + horizon - ahead  # row t is step h of the forecast from t - h + 1
    return made[origins, ahead - 1]


@dataclass(frozen=True, eq=False)
class ForecastSource:
    r"""The forecasts of a row from H origins, weighted by how sure they are.

    .. math:: \hat y_t = \sum_{h=1}^{H} w_h \, \hat y_{t|t-h}, \qquad w_h = \frac{1 / s_h}{\sum_k 1 / s_k}

    with the robust scale s of the errors h steps ahead. Forecasts from before an anomaly do not know of it yet, so that
    a shift stays a surprise for H rows.
    """

    forecaster: Forecaster
    weights: Float[np.ndarray, "horizon channel"]

    @property
    def context(self) -> int:
        """A lookback, H - 1 rows before the row itself."""
        return self.forecaster.task.lookback + self.forecaster.task.horizon - 1

    def expect(
        self, values: Float[np.ndarray, "time channel"], first: int, last: int
    ) -> tuple[Float[np.ndarray, "row channel"], Float[np.ndarray, "row channel"]]:
        """The weighted mean of the forecasts; one unit."""
        expected = (step_forecasts(self.forecaster, values, first, last) * self.weights).sum(axis=1)
        return expected, np.ones_like(expected)


@dataclass(frozen=True)
class MovingSource:
    """The mean and the standard deviation of the last rows: a moving z-score."""

    window: int

    @property
    def context(self) -> int:
        """The rows of the window that the mean is taken of."""
        return self.window

    def expect(
        self, values: Float[np.ndarray, "time channel"], first: int, last: int
    ) -> tuple[Float[np.ndarray, "row channel"], Float[np.ndarray, "row channel"]]:
        """Mean and standard deviation of the rows before each."""
        before = np.lib.stride_tricks.sliding_window_view(values[first - self.window : last - 1], self.window, axis=0)
        return before.mean(axis=2), np.maximum(before.std(axis=2), _LEAST_UNIT)


@dataclass(frozen=True, eq=False)
class Expected:
    """Of every row and channel, standardised; NaN where nothing is expected."""

    value: Float[np.ndarray, "time channel"]
    unit: Float[np.ndarray, "time channel"]

    def errors(self, rows: Rows) -> Float[np.ndarray, "time channel"]:
        """What was observed less what was expected, in units; NaN where either is missing."""
        return (rows.truth - self.value) / self.unit


def expected_of(
    source: Source,
    rows: Rows,
    first: Int[np.ndarray, " series"],
    last: Int[np.ndarray, " series"],
    progress: Progress | None = None,
) -> Expected:
    """What a source expects of some rows of every series.

    Args:
        source: what expects.
        rows: the data.
        first, last: rows of every series, counted from its own first row; earlier ones than the source's context are
            left out.
        progress: called with the share that is done.
    """
    value, unit = np.full_like(rows.values, np.nan), np.full_like(rows.values, np.nan)
    total, done = int(np.maximum(last - first, 0).sum()), 0
    for start, end, lo, hi in zip(rows.offsets[:-1], rows.offsets[1:], first, last, strict=True):
        series = rows.values[start:end]
        for place in range(max(int(lo), source.context), int(hi), _BLOCK):
            until = min(place + _BLOCK, int(hi))
            value[start + place : start + until], unit[start + place : start + until] = source.expect(
                series, place, until
            )
            if progress is not None:
                progress((done + until - int(lo)) / total, "forecast errors")
        done += max(0, int(hi) - int(lo))
    return Expected(value, unit)
