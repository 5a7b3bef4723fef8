"""Classical decomposition: the seasonal indices of many series, where a test finds a season."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from forecheck.combination.ragged import Ragged

_CRITICAL = 1.645
"""Of the normal distribution at 90 % from both sides, as in the Theta method of the M4 competition."""


@dataclass(frozen=True, eq=False)
class Season:
    """What is taken out of series and put back into forecasts.

    Attributes:
        index: of every phase, the first one that of the step after the last; 1 (or 0) where there is no season.
        multiplicative: whether the index is a factor, else it is a summand.
    """

    index: Float[np.ndarray, "series period"]
    multiplicative: Bool[np.ndarray, " series"]

    def without(self, values: Float[np.ndarray, "series time"]) -> Float[np.ndarray, "series time"]:
        """Values adjusted for the season."""
        index = self._along(np.arange(-values.shape[1], 0))
        factor = self.multiplicative[:, None]
        return np.where(factor, values / np.where(factor, index, 1.0), values - index)

    def put_back(self, forecast: Float[np.ndarray, "series horizon"]) -> Float[np.ndarray, "series horizon"]:
        """Forecasts of adjusted values in the units of the values."""
        index = self._along(np.arange(forecast.shape[1]))
        return np.where(self.multiplicative[:, None], forecast * index, forecast + index)

    def _along(self, steps: np.ndarray) -> Float[np.ndarray, "series time"]:
        return self.index[:, steps % self.index.shape[1]]


def decompose(batch: Ragged, period: int) -> Season:
    r"""Indices by the ratio to (or difference from) the centred moving average; none where the test finds no season.

    .. math:: I_p = \frac{1}{|T_p|} \sum_{t \in T_p} y_t / \tilde y_t, \qquad
              \tilde y_t = \frac1m \Big( \tfrac12 y_{t-m/2} + \sum_{|j| < m/2} y_{t+j} + \tfrac12 y_{t+m/2} \Big)

    normalised to mean 1 (or 0). A series is seasonal if its autocorrelation at lag m exceeds 1.645 standard errors by
    Bartlett's formula; it needs two whole seasons. Indices are factors where all values are positive.

    Args:
        batch: series in their own units.
        period: m; without a season (1) the indices change nothing.

    Source: Assimakopoulos & Nikolopoulos, *The theta model*, IJF 2000; Hyndman & Athanasopoulos, 3.4.
    """
    x = batch.values
    positive = np.nanmin(x, axis=1) > 0
    if period < 2 or x.shape[1] < 2 * period + 1:
        return Season(np.where(positive, 1.0, 0.0)[:, None], positive)
    trend = _moving_average(x, period)
    with np.errstate(all="ignore"):
        ratio = np.where(positive[:, None], x / trend, x - trend)
    width = x.shape[1]
    pad = -width % period
    by_phase = np.concatenate([np.full((len(x), pad), np.nan), ratio], axis=1).reshape(len(x), -1, period)
    known = np.isfinite(by_phase)
    count = known.sum(axis=1)
    index = np.where(known, by_phase, 0.0).sum(axis=1) / np.maximum(1, count)
    whole = (count > 0).all(axis=1)
    mean = index.mean(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        index = np.where(positive[:, None], index / mean, index - mean)
    # A factor near zero would blow adjusted values up.
    tame = ~positive | (np.nan_to_num(index).min(axis=1) > 0.01)
    seasonal = _is_seasonal(x, period) & whole & tame & (batch.lengths >= 2 * period + 1)
    return Season(np.where(seasonal[:, None], index, np.where(positive, 1.0, 0.0)[:, None]), positive)


def _moving_average(x: Float[np.ndarray, "series time"], period: int) -> Float[np.ndarray, "series time"]:
    """Centred, of an even number of steps with half weights at both ends; NaN where it does not fit in."""
    weights = np.full(period if period % 2 else period + 1, 1.0 / period)
    if period % 2 == 0:
        weights[[0, -1]] /= 2
    half = len(weights) // 2
    found = np.full_like(x, np.nan)
    width = x.shape[1] - 2 * half
    inner = np.zeros((len(x), width))
    for lag, weight in enumerate(weights):
        inner += weight * x[:, lag : lag + width]
    found[:, half : half + width] = inner
    return found


def _is_seasonal(x: Float[np.ndarray, "series time"], period: int) -> Bool[np.ndarray, " series"]:
    """Whether the autocorrelation at the lag of the season is significant and positive."""
    known = ~np.isnan(x)
    size = known.sum(axis=1)
    centred = np.where(known, x - np.nanmean(x, axis=1, keepdims=True), 0.0)
    variance = np.maximum(np.square(centred).sum(axis=1), np.finfo(float).tiny)
    lags = [(centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / variance for lag in range(1, period + 1)]
    bound = _CRITICAL * np.sqrt((1 + 2 * np.square(lags[:-1]).sum(axis=0)) / size)
    return lags[-1] > bound
