"""Effects of known columns: one ridge regression of seasonal differences, pooled over series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from forecheck.combination.features import Column, Raw, design
from forecheck.combination.maps import series_weights
from forecheck.combination.origins import Origin
from forecheck.combination.ragged import Ragged, naive_error

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_WILD = 3.0
"""Units; larger differences of the target count less."""
_CHUNK = 1 << 23
"""Numbers of a design that are held at once."""
_FEWEST = 10
"""Rows that a regression is fitted on at least."""
Gram = Float[np.ndarray, "joint joint"]


@dataclass(frozen=True, eq=False)
class Effects:
    """What known columns explain of the series, as fitted before every origin and before the end.

    Attributes:
        values: a place is an origin, the last one is the end; of every step of the history and of the horizon, in the
            units of the series, with mean zero over the history. Equal objects for places that share a fit.
        ridge: relative to the mean eigenvalue.
    """

    values: tuple[Float[np.ndarray, "series step"], ...]
    ridge: float

    def over(self, scale: Float[np.ndarray, " series"]) -> Effects:
        """On series that are divided by a number each."""
        shared = {id(each): each / scale[:, None] for each in self.values}
        return replace(self, values=tuple(shared[id(each)] for each in self.values))


def effects_of(
    batch: Ragged,
    raw: Raw,
    columns: list[Column],
    channels: int,
    lag: int,
    origins: list[Origin],
    *,
    each: bool,
) -> Effects | None:
    r"""Effects of known columns on every series, by a regression that is pooled over series.

    .. math:: \beta = (G_{xx} + r \lambda I)^{-1} G_{xy}, \qquad
              G = \sum_{s,t} c_{st} \, (\Delta_m x_{st}, \Delta_m y_{st} / q_s) (\cdot)^\top

    over rows that were observed, where q is the naive error; differences over a season free the series from level and
    season. Large ones count less, c = weight / max(1, abs(dy) / 3). The ridge is that of least squares of every stretch
    between two origins by what was before it.

    Args:
        batch: channels within series, in their own units.
        raw: known columns of the series.
        columns: how they enter.
        channels: of every series.
        lag: m.
        origins: the earliest first.
        each: fit before every origin; else before the first one for all of them.

    Returns:
        None where there are too few rows before the first origin.

    Source: Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, 10 (regression with time series errors).
    """
    width = batch.values.shape[1]
    unit = naive_error(batch, lag)
    unit = np.where(unit > 0, unit, np.inf)  # what never changes has no effect
    stops = [width - origin.end for origin in origins] + [width]
    grams, rows = _grams(batch, raw, columns, channels, lag, unit, stops)
    if rows[0] < _FEWEST:
        return None
    before = np.cumsum(grams, axis=0)
    size = np.sqrt(np.maximum(np.diagonal(before[0])[:-1], 0.0))
    size = np.where(size > 0, size, np.inf)  # columns that never changed before the first origin enter later only
    later = np.sqrt(np.maximum(np.diagonal(before[-1])[:-1], 0.0))
    size = np.where(np.isfinite(size), size, np.where(later > 0, later, np.inf))
    scale = np.append(size / np.sqrt(max(1, rows[0])), 1.0)
    before = before / np.outer(scale, scale)
    grams = grams / np.outer(scale, scale)
    ridge = min(RIDGES, key=lambda r: _blind_loss(before, grams, r))
    fits = [_solve(gram, ridge) / scale[:-1] for gram in before]
    if not each:
        fits = [fits[0], fits[-1]]
    values = _values(batch, raw, columns, channels, np.where(np.isfinite(unit), unit, 0.0), np.stack(fits, axis=1))
    if not each:
        values = [values[0]] * len(origins) + [values[-1]]
    return Effects(tuple(values), ridge)


def _chunks(raw: Raw, columns: list[Column]) -> Iterator[slice]:
    features = 4 * len(columns) * (1 if raw.parts is None else 25) * raw.groups.shape[1]
    size = max(1, _CHUNK // (features * raw.values.shape[1]))
    yield from (slice(start, start + size) for start in range(0, len(raw.values), size))


def _grams(
    batch: Ragged,
    raw: Raw,
    columns: list[Column],
    channels: int,
    lag: int,
    unit: Float[np.ndarray, " unit"],
    stops: list[int],
) -> tuple[Float[np.ndarray, "stop joint joint"], list[int]]:
    """Moments of every stretch that ends at a stop, and its rows."""
    width = batch.values.shape[1]
    weights = series_weights(batch, 1 + lag)
    grams: list[np.ndarray] = []
    rows = [0] * len(stops)
    known = batch.truth & ~np.isnan(batch.values)
    for part in _chunks(raw, columns):
        x = design(raw, columns, part)[:, :width]
        dx = x[:, lag:] - x[:, :-lag]
        if not grams:
            grams = [np.zeros((dx.shape[2] + 1,) * 2) for _ in stops]
        start = part.start * channels
        for channel in range(channels):
            mine = slice(start + channel, start + len(x) * channels, channels)
            y = batch.values[mine] / unit[mine, None]
            dy = y[:, lag:] - y[:, :-lag]
            seen = known[mine, lag:] & known[mine, :-lag]
            weight = weights[mine, None] / np.maximum(1.0, np.abs(np.nan_to_num(dy)) / _WILD)
            first = 0
            for place, stop in enumerate(stops):
                there = seen.copy()
                there[:, :first] = False
                there[:, max(0, stop - lag) :] = False
                first = max(0, stop - lag)
                joint = np.concatenate([dx[there], dy[there][:, None]], axis=1) * np.sqrt(weight[there])[:, None]
                grams[place] += joint.T @ joint
                rows[place] += len(joint)
    return np.stack(grams), rows


def _solve(gram: Gram, ridge: float) -> Float[np.ndarray, " feature"]:
    inner = gram[:-1, :-1]
    strength = ridge * max(float(np.trace(inner)) / len(inner), np.finfo(float).tiny)
    return np.linalg.solve(inner + strength * np.eye(len(inner)), gram[:-1, -1])


def _blind_loss(
    before: Float[np.ndarray, "stop joint joint"], grams: Float[np.ndarray, "stop joint joint"], ridge: float
) -> float:
    """Squared error of every stretch by the fit on what was before it."""
    loss = 0.0
    for fit, new in zip(before[:-1], grams[1:], strict=True):
        beta = np.append(-_solve(fit, ridge), 1.0)
        loss += float(beta @ new @ beta)
    return loss


def _values(
    batch: Ragged,
    raw: Raw,
    columns: list[Column],
    channels: int,
    unit: Float[np.ndarray, " unit"],
    fits: Float[np.ndarray, "feature fit"],
) -> list[Float[np.ndarray, "unit step"]]:
    """Effects by fit, in the units of the series, around zero."""
    width = batch.values.shape[1]
    steps = raw.values.shape[1]
    found = np.empty((fits.shape[1], len(batch.values), steps))
    for part in _chunks(raw, columns):
        effect = (design(raw, columns, part) @ fits).transpose(2, 0, 1)
        units = slice(part.start * channels, part.start * channels + effect.shape[1] * channels)
        found[:, units] = np.repeat(effect, channels, axis=1)
    there = ~np.isnan(batch.values)
    count = np.maximum(1, there.sum(axis=1))
    mean = np.where(there, found[:, :, :width], 0.0).sum(axis=2) / count
    found = (found - mean[..., None]) * unit[:, None]
    return list(found)
