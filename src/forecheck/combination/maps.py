"""Linear maps from the last steps to the next, pooled over series in units of their naive error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from forecheck.combination.ragged import Ragged

ANCHORS = ("last", "mean")
RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_LONGEST = 400
"""Steps of input."""
WORK = 2e10
"""Multiplications that moments may cost; beyond it every so many windows are taken."""
CHUNK = 1 << 21
"""Numbers of the windows that are held at once."""
_WILD = 3.0
"""Units; windows whose root mean square is larger count less."""
Map = Float[np.ndarray, "input horizon"]


@dataclass(frozen=True, eq=False)
class Moments:
    r"""Sums over windows of a past of L and a future of H steps, from their last past value on.

    .. math:: G = \sum_w c_w z_w z_w^\top, \qquad z = (1, y_{t-L+1} - y_t, \dots, y_{t+H} - y_t)

    Attributes:
        gram: G.
        windows: how many there are.
        lookback: L.
    """

    gram: Float[np.ndarray, "joint joint"]
    windows: int
    lookback: int

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.gram + other.gram, self.windows + other.windows, self.lookback)


def moments(
    batch: Ragged, weights: Float[np.ndarray, " series"], lookback: int, horizon: int, after: int, before: int
) -> Moments:
    r"""Moments of the windows whose future ends in a part of the batch.

    A window counts c = weight / max(1, rms(z) / 3): large changes would decide alone what is fitted by squares.

    Args:
        batch: in units of the naive error.
        weights: of every series.
        lookback: L, the longest that maps will have.
        horizon: H.
        after: the window's last step is not before this place.
        before: and lies before this one.
    """
    joint = lookback + horizon
    row, start = windows_between(batch, joint, lookback, after, before)
    every = max(1, int(len(row) * joint * joint / WORK))
    row, start = row[::every], start[::every]
    gram = np.zeros((joint + 1, joint + 1))
    size = max(1, CHUNK // joint)
    for first in range(0, len(row), size):
        r, s = row[first : first + size], start[first : first + size]
        z = np.ones((len(r), joint + 1))
        z[:, 1:] = batch.values[r[:, None], s[:, None] + np.arange(joint)]
        z[:, 1:] -= z[:, lookback][:, None].copy()
        z *= np.sqrt(weights[r] * wild(z[:, 1:]))[:, None]
        gram += z.T @ z
    return Moments(gram * every, len(row), lookback)


def wild(z: Float[np.ndarray, "*window joint"]) -> Float[np.ndarray, "*window"]:
    """What a window counts by its size."""
    return 1.0 / np.maximum(1.0, np.sqrt(np.square(z).mean(axis=-1)) / _WILD)


def windows_between(
    batch: Ragged, joint: int, lookback: int, after: int, before: int
) -> tuple[Int[np.ndarray, " window"], Int[np.ndarray, " window"]]:
    """Series and first steps of whole windows whose future was observed throughout.

    Args:
        batch: the series.
        joint: steps of a window.
        lookback: those of its past.
        after, before: as in `moments`.
    """
    last = np.arange(max(after, joint - 1), before)
    if not len(last):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    there = last - joint + 1 >= batch.first[:, None]
    if not batch.truth.all():
        missing = np.cumsum(~batch.truth, axis=1)
        there &= missing[:, last] == missing[:, last - (joint - lookback)]
    row, place = np.nonzero(there)
    return row, last[place] - joint + 1


def series_weights(batch: Ragged, joint: int) -> Float[np.ndarray, " series"]:
    """One over the windows of every series, so that all count alike; long ones up to four times as much as short ones.

    Args:
        batch: the series.
        joint: steps of a window.
    """
    count = np.maximum(0, batch.lengths - joint + 1).astype(float)
    if not count.any():
        return np.ones(len(count))
    usual = np.median(count[count > 0])
    return np.where(count > 0, np.clip(count / usual, 0.25, 4.0) / np.maximum(1.0, count), 0.0)


def fit_maps(found: Moments, lookback: int, anchor: str, horizon: int) -> list[Map]:
    r"""Ridge regressions of the next steps on the last ones, one for every strength.

    .. math:: W_r = (G_{xx} + r \lambda I)^{-1} G_{xy}, \qquad \lambda = \operatorname{tr} G_{xx} / d

    Inputs and targets are taken from their anchor on: the last value, or the mean of the window.

    Args:
        found: moments of at least this lookback.
        lookback: L, steps of input.
        anchor: `last` or `mean`.
        horizon: H.

    Returns:
        Maps of 1 + L inputs, the first of which is the constant.
    """
    start = 1 + found.lookback - lookback
    keep = np.r_[0, start : len(found.gram)]
    gram = found.gram[np.ix_(keep, keep)]
    if anchor == "mean":
        move = np.eye(1 + lookback + horizon)
        move[1:, 1 : 1 + lookback] -= 1 / lookback
        gram = move @ gram @ move.T
    inputs = 1 + lookback
    values, vectors = np.linalg.eigh(gram[:inputs, :inputs])
    mean = max(float(values.mean()), np.finfo(float).tiny)
    across = vectors.T @ gram[:inputs, inputs:]
    return [vectors @ (across / (np.maximum(values, 0.0) + ridge * mean)[:, None]) for ridge in RIDGES]


def apply_map(batch: Ragged, weights: Map, anchor: str) -> Float[np.ndarray, "series horizon"]:
    """Forecasts from the last steps; NaN for series that do not fill them.

    Args:
        batch: in units of the naive error.
        weights: as `fit_maps` gives them.
        anchor: that they were fitted with.
    """
    lookback = len(weights) - 1
    if batch.values.shape[1] < lookback:
        return np.full((len(batch.values), weights.shape[1]), np.nan)
    x = batch.values[:, -lookback:]
    level = x[:, -1:] if anchor == "last" else x.mean(axis=1, keepdims=True)
    return level + weights[0] + (x - level) @ weights[1:]


def usual_lookbacks(seasons: tuple[int, ...]) -> tuple[int, ...]:
    """Lookbacks that the seasons suggest, as far as the work for them is small.

    Args:
        seasons: steps of the known seasons, the shortest first; empty if there is none.
    """
    if not seasons:
        return (4, 8, 16, 32)
    m = seasons[0]
    if len(seasons) > 1:
        wanted: tuple[int, ...] = (m + 1, 2 * m + 1, seasons[-1] + 1, 2 * seasons[-1] + 1)
    else:
        wanted = (m + 1, m + m // 2 + 1, 2 * m + 1, 3 * m + 1)
    return tuple(sorted({lookback for lookback in wanted if lookback <= _LONGEST})) or (32, 128, _LONGEST)
