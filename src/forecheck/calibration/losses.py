"""Simulated losses of overlapping windows, and the tests that people run on them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import fft, stats
from scipy.signal import lfilter

Series = Float[np.ndarray, "repeat time"]
Rejected = Bool[np.ndarray, " repeat"]

_BURN_IN = 100
_BOOTSTRAPS = 499


def overlapping_losses(
    rng: np.random.Generator, repeats: int, count: int, horizon: int, memory: float = 0.0
) -> Float[np.ndarray, "repeat time"]:
    r"""Loss differences of windows one step apart: means of H step losses, with mean zero.

    .. math:: d_t = \frac{1}{H} \sum_{h=0}^{H-1} u_{t+h}, \qquad u_t = \phi u_{t-1} + \epsilon_t

    Args:
        rng: of the step losses.
        repeats: series.
        count: n, windows of a series.
        horizon: H.
        memory: phi; 0 for independent step losses.
    """
    steps = rng.standard_normal((repeats, _BURN_IN + count + horizon - 1))
    if memory:
        steps = lfilter([1.0], [1.0, -memory], steps, axis=1)
    sums = np.cumsum(steps[:, _BURN_IN - 1 :], axis=1)
    return (sums[:, horizon:] - sums[:, :-horizon]) / horizon


def autocovariances(d: Float[np.ndarray, "repeat time"], lags: int) -> Float[np.ndarray, "repeat lag"]:
    r"""gamma_k = (1/n) sum_t (d_t - mean)(d_{t-k} - mean) for k = 0 ... lags - 1, by FFT."""
    count = d.shape[1]
    size = fft.next_fast_len(count + lags, real=True)
    spectrum = fft.rfft(d - d.mean(axis=1, keepdims=True), size, axis=1)
    return fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :lags] / count


def naive(d: Float[np.ndarray, "repeat time"], _horizon: int) -> Bool[np.ndarray, " repeat"]:
    """The t test that takes windows for independent."""
    return stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05


def diebold_mariano(d: Float[np.ndarray, "repeat time"], horizon: int) -> Bool[np.ndarray, " repeat"]:
    """Diebold and Mariano 1995: rectangular weights up to lag H - 1, normal; a negative variance rejects nothing."""
    gamma = autocovariances(d, horizon)
    variance = gamma[:, 0] + 2 * gamma[:, 1:].sum(axis=1)
    return (variance > 0) & (_squared(d, variance) > stats.norm.ppf(0.975) ** 2)


def bartlett(d: Float[np.ndarray, "repeat time"], horizon: int) -> Bool[np.ndarray, " repeat"]:
    """Bartlett weights 1 - k/H and the small-sample factor of Harvey, Leybourne and Newbold 1997, t_{n-1}."""
    gamma, count = autocovariances(d, horizon), d.shape[1]
    weights = 1 - np.arange(horizon) / horizon
    variance = gamma[:, 0] + 2 * gamma[:, 1:] @ weights[1:]
    factor = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    return _squared(d, variance) * factor > stats.t.ppf(0.975, count - 1) ** 2


def stride(d: Float[np.ndarray, "repeat time"], horizon: int) -> Bool[np.ndarray, " repeat"]:
    """The t test on every H-th window."""
    return stats.ttest_1samp(d[:, ::horizon], 0, axis=1).pvalue < 0.05


def block_bootstrap(
    d: Float[np.ndarray, "repeat time"], length: int, rng: np.random.Generator
) -> Bool[np.ndarray, " repeat"]:
    """Percentile interval of the circular block bootstrap (Politis and Romano 1992), of as many blocks as cover d.

    Args:
        d: differences of losses, a simulated test part a row; a true mean of zero is tested.
        length: of a block, in steps.
        rng: to draw the blocks from.

    Returns:
        Whether zero lies outside the 95 % interval.
    """
    blocks = -(-d.shape[1] // length)
    rejected = []
    for row in d:
        sums = np.cumsum(np.concatenate([[0.0], row, row[: length - 1]]))
        means = (sums[length:] - sums[:-length]) / length  # of the block that starts at every step
        drawn = means[rng.integers(len(row), size=(_BOOTSTRAPS, blocks))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        rejected.append(low > 0 or high < 0)
    return np.array(rejected, dtype=bool)


def _squared(
    d: Float[np.ndarray, "repeat time"], variance: Float[np.ndarray, " repeat"]
) -> Float[np.ndarray, " repeat"]:
    """The squared statistic."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return d.mean(axis=1) ** 2 / (variance / d.shape[1])
