"""Exponential smoothing of many series at once: simple, damped trend, and Theta, over a grid of constants."""

from __future__ import annotations

from itertools import product

import numpy as np
from jaxtyping import Float, Int

from forecheck.combination.naive import Forecasts
from forecheck.combination.ragged import Ragged
from forecheck.combination.seasonal import Season

_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0)
_DAMPED = tuple(product((0.1, 0.2, 0.35, 0.55, 0.8, 1.0), (0.03, 0.1, 0.25, 0.5), (0.8, 0.9, 0.98)))
_CHUNK = 1 << 16
"""Numbers of a chunk's states: they stay in the cache."""
Grid = Float[np.ndarray, "point constant"]

SIMPLE: Grid = np.array([(alpha, 0.0, 1.0) for alpha in _ALPHAS])
DAMPED: Grid = np.array(_DAMPED)
THETA: Grid = np.concatenate([SIMPLE, SIMPLE])
"""Grids of (alpha, beta, phi): smoothing of level, of trend, and damping."""
_SHARES = np.repeat([0.5, 1.0], len(SIMPLE))
"""Of the slope of the least-squares line that Theta takes as drift: theta is 2, or infinite."""


def smooth(
    values: Float[np.ndarray, "series time"],
    first: Int[np.ndarray, " series"],
    grid: Grid,
    trend: Float[np.ndarray, "point series"],
) -> tuple[Float[np.ndarray, "point series"], ...]:
    r"""Level, trend and squared one-step errors after the last value, for every point of a grid.

    .. math:: e_t = y_t - l_{t-1} - \phi b_{t-1}, \quad l_t = l_{t-1} + \phi b_{t-1} + \alpha e_t, \quad
              b_t = \phi b_{t-1} + \alpha \beta e_t

    Args:
        values: series that end together.
        first: place of every series' first value; what stands before it is not read.
        grid: constants (alpha, beta, phi).
        trend: b at the first value, where l is that value.

    Source: Gardner & McKenzie, *Forecasting trends in time series*, Management Science 1985.
    """
    alpha, beta, phi = (column[:, None] for column in grid.T)
    pull = alpha * beta
    shape = (len(grid), len(values))
    level, slope, loss = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    starts = set(first.tolist())
    columns = np.ascontiguousarray(np.nan_to_num(values).T)
    step, error = np.empty(shape), np.empty(shape)
    for t in range(int(first.min()), values.shape[1]):
        y = columns[t]
        np.multiply(slope, phi, out=slope)
        np.add(level, slope, out=step)
        np.subtract(y, step, out=error)
        np.multiply(error, alpha, out=level)
        level += step
        np.multiply(error, pull, out=step)
        slope += step
        np.multiply(error, error, out=error)
        loss += error
        if t in starts:
            new = first == t
            level[:, new], slope[:, new], loss[:, new] = y[new], trend[:, new], 0.0
    return level, slope, loss


def smoothing_members(batch: Ragged, season: Season, horizon: int) -> Forecasts:
    r"""Simple smoothing, damped trend and Theta of the adjusted series, each averaged over its constants.

    .. math:: \hat y_{T+h} = l_T, \qquad l_T + b_T \textstyle\sum_{i=1}^{h} \phi^i, \qquad l_T + c \, b \, h

    where b is the slope of the least-squares line: Theta is simple smoothing with a share c of it as drift, a half
    (theta = 2) or all of it. Forecasts of the constants count by their likelihood in the sample (`_shares`): of a short
    series many are about as likely as the best.

    Args:
        batch: series in any unit.
        season: what to take out before and to put back.
        horizon: H.

    Source: Gardner & McKenzie 1985; Assimakopoulos & Nikolopoulos, IJF 2000, in the form of Hyndman & Billah,
    *Unmasking the Theta method*, IJF 2003.
    """
    adjusted = season.without(batch.values)
    first = np.minimum(batch.first, adjusted.shape[1] - 1)
    drift, early = _slope(adjusted), _early_trend(adjusted, first)
    trends = (np.zeros(len(SIMPLE)), np.ones(len(DAMPED)), _SHARES)
    kinds = zip(("simple", "damped", "theta"), (SIMPLE, DAMPED, THETA), trends, (drift, early, drift), strict=True)
    found = {}
    size = max(1, _CHUNK // len(DAMPED))
    for name, grid, shares, trend in kinds:
        parts = []
        for start in range(0, len(adjusted), size):
            part = slice(start, start + size)
            level, slope, loss = smooth(adjusted[part], first[part], grid, shares[:, None] * trend[part])
            share = _shares(loss, adjusted.shape[1] - 1 - first[part])
            reach = np.cumsum(grid[:, 2][:, None] ** np.arange(1, horizon + 1), axis=1)
            parts.append((share * level).sum(axis=0)[:, None] + (share * slope).T @ reach)
        found[name] = season.put_back(np.concatenate(parts))
    return found


def _shares(
    loss: Float[np.ndarray, "point series"], steps: Int[np.ndarray, " series"]
) -> Float[np.ndarray, "point series"]:
    r"""Likelihoods of the constants beside each other, of normal errors whose variance is that of the sample.

    .. math:: w_i \propto S_i^{-n/2}

    Args:
        loss: S, sums of squared one-step errors.
        steps: n, how many of them.

    Source: Buckland, Burnham & Augustin, *Model selection: an integral part of inference*, Biometrics 1997 (weights by
    the information criterion; all points have as many parameters).
    """
    tiny = np.finfo(float).tiny
    ratio = np.log(np.maximum(loss, tiny)) - np.log(np.maximum(loss.min(axis=0), tiny))
    share = np.exp(-0.5 * np.maximum(1, steps) * ratio)
    found: Float[np.ndarray, "point series"] = share / share.sum(axis=0)
    return found


def _slope(values: Float[np.ndarray, "series time"]) -> Float[np.ndarray, " series"]:
    """Of the least-squares line; 0 for a single value."""
    known = ~np.isnan(values)
    count = np.maximum(1, known.sum(axis=1))
    time = np.where(known, np.arange(values.shape[1]), 0.0)
    time = np.where(known, time - (time.sum(axis=1) / count)[:, None], 0.0)
    y = np.where(known, values, 0.0)
    y = np.where(known, y - (y.sum(axis=1) / count)[:, None], 0.0)
    return (time * y).sum(axis=1) / np.maximum(np.square(time).sum(axis=1), 1.0)


def _early_trend(
    values: Float[np.ndarray, "series time"], first: Int[np.ndarray, " series"]
) -> Float[np.ndarray, " series"]:
    """Mean change over the first four steps, or those that there are."""
    row = np.arange(len(values))
    end = np.minimum(first + 4, values.shape[1] - 1)
    return (values[row, end] - values[row, first]) / np.maximum(1, end - first)
