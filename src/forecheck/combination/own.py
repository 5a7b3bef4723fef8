"""Linear maps of single series, pulled to the one that is pooled over all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from forecheck.combination.maps import wild
from forecheck.combination.pooled import Pooled
from forecheck.combination.ragged import Ragged

PULLS = (1.0, 3.0, 10.0)
"""Windows of all series that are added to those of a series, in units of its lookback."""
RIDGE = 1e-4
"""In units of the mean eigenvalue."""
_HELD = 4_000_000
"""Numbers of the matrices of a chunk of series."""


def own_forecasts(
    pooled: Pooled, lookback: int, pulls: Sequence[float], series: Int[np.ndarray, " some"]
) -> Float[np.ndarray, "pull place some horizon"]:
    r"""Forecasts by a map of every series from every origin and from the end.

    .. math:: W_s = (G^s_{xx} + \kappa L \bar G_{xx} + r \lambda I)^{-1} (G^s_{xy} + \kappa L \bar G_{xy})

    with the moments of a series up to there and the mean moments of a window of all series, from the last value on: a
    ridge regression that is drawn to the pooled map instead of to zero.

    Args:
        pooled: the series, and their moments at every place.
        lookback: L, one of those of the pooled maps.
        pulls: every kappa that is wanted.
        series: rows of those that are forecast.

    Returns:
        In the units of the series; NaN where they are too short, or where there are too few windows yet.

    Source: Lindley & Smith, *Bayes estimates for the linear model*, JRSS B 1972.
    """
    found = np.full((len(pulls), len(pooled.ends), len(series), pooled.horizon), np.nan)
    size = max(1, _HELD // (1 + lookback + pooled.horizon) ** 2)
    for first in range(0, len(series), size):
        part = slice(first, first + size)
        _fill(found[:, :, part], pooled, lookback, pulls, series[part])
    return found


def _fill(
    found: Float[np.ndarray, "pull place some horizon"],
    pooled: Pooled,
    lookback: int,
    pulls: Sequence[float],
    series: Int[np.ndarray, " some"],
) -> None:
    """Forecasts of a chunk of series, place after place; their moments are summed from one to the next."""
    batch = pooled.batch.only(series)
    unit, inputs, joint = pooled.unit[series], 1 + lookback, lookback + pooled.horizon
    gram = np.zeros((len(series), joint + 1, joint + 1))
    width, reached = batch.values.shape[1], 0
    for place, end in enumerate(pooled.ends):
        _add_windows(gram, batch, lookback, joint, reached, width - end)
        reached = width - end
        past, shared = batch.before(end).values[:, -lookback:], pooled.mean_moments(place, lookback)
        if shared is None or past.shape[1] < lookback:
            continue
        level = past[:, -1:]
        z = np.concatenate([np.ones_like(level), past - level], axis=1)
        for j, pull in enumerate(pulls):
            both = gram + pull * lookback * shared
            strength = RIDGE * np.trace(both[:, :inputs, :inputs], axis1=1, axis2=2) / inputs
            left = both[:, :inputs, :inputs] + np.maximum(strength, 1e-12)[:, None, None] * np.eye(inputs)
            maps = np.linalg.solve(left, both[:, :inputs, inputs:])
            found[j, place] = (level + np.einsum("si,sih->sh", z, maps)) * unit[:, None]


def _add_windows(
    gram: Float[np.ndarray, "some joint joint"], batch: Ragged, lookback: int, joint: int, after: int, before: int
) -> None:
    """Moments of the windows of every series whose future was observed and ends in a part of the batch."""
    start = max(after, joint - 1)
    size = max(1, _HELD // (len(gram) * (joint + 1)))
    for low in range(start, before, size):
        rows = slice(low - joint + 1, min(before, low + size))
        windows = np.lib.stride_tricks.sliding_window_view(batch.values[:, rows], joint, axis=1)
        there = rows.start + np.arange(windows.shape[1]) >= batch.first[:, None]
        if not batch.truth.all():
            seen = np.lib.stride_tricks.sliding_window_view(batch.truth[:, rows], joint, axis=1)
            there &= seen[..., lookback:].all(axis=2)
        if not there.any():
            continue
        z = np.ones((*there.shape, joint + 1))
        np.subtract(windows, windows[..., lookback - 1 : lookback], out=z[..., 1:])
        z[~there] = 0.0
        z *= np.sqrt(wild(z[..., 1:]))[..., None]
        gram += z.transpose(0, 2, 1) @ z
