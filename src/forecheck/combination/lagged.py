"""What past columns tell of the steps ahead beyond the series' own past: one ridge regression by step, pooled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from forecheck.combination.features import Column, Raw
from forecheck.combination.maps import CHUNK, WORK, series_weights, wild, windows_between
from forecheck.combination.origins import Origin
from forecheck.combination.ragged import Ragged, in_units
from forecheck.combination.views import View

RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_LAGS = (1, 4, 8)
_INPUTS = 120
"""Lagged values of all columns at most."""
FEWEST = 10
"""Windows that effects are fitted on at least."""
_FURTHER = 0.1
"""Of the range that was seen; what lies further outside is held at the edge."""
Gram = Float[np.ndarray, "joint joint"]


@dataclass(frozen=True)
class Sizes:
    """Of a window: what stands where in its moments.

    Attributes:
        lookback: L, values of the series.
        lags: K, values of every past column.
        columns: P.
        horizon: H.
    """

    lookback: int
    lags: int
    columns: int
    horizon: int

    @property
    def own(self) -> int:
        """Inputs of the series' own past, with the constant."""
        return 1 + self.lookback

    @property
    def lagged(self) -> int:
        """Inputs of past columns."""
        return self.lags * self.columns


def lags_tried(lookback: int, seasons: tuple[int, ...], columns: int) -> list[int]:
    """Numbers of lagged values that are tried: the last one, a few, and a season of them.

    Args:
        lookback: of the series' own past, which they do not exceed.
        seasons: steps, the shortest first.
        columns: past columns that vary.
    """
    wanted = {*_LAGS[:2], seasons[0] + 1} if seasons else set(_LAGS)
    most = max(1, min(lookback, _INPUTS // columns))
    return sorted({min(each, most) for each in wanted})


def standardised(raw: Raw, columns: list[Column]) -> Float[np.ndarray, "series step column"]:
    """Past columns in standard deviations around their mean, held near the edge of what effects can be fitted on.

    Args:
        raw: the columns; the last `horizon` steps, which nobody knows, are left out.
        columns: those that vary.
    """
    values = raw.values[:, : -raw.horizon]
    z = np.stack([(values[..., each.place] - each.mean[:, None]) / each.std[:, None] for each in columns], axis=2)
    inner = z[:, : max(1, z.shape[1] - raw.horizon)]  # the last values have no future yet
    if np.isnan(inner).all(axis=(0, 1)).any():
        return z
    low, high = np.nanmin(inner, axis=(0, 1)), np.nanmax(inner, axis=(0, 1))
    room = _FURTHER * (high - low)
    return np.clip(z, low - room, high + room)


def inputs_of(
    z: Float[np.ndarray, "series step column"],
    row: np.ndarray,
    last: np.ndarray,
    lags: int,
) -> Float[np.ndarray, "window lagged"]:
    r"""Last values of past columns, and what was before as differences from them.

    .. math:: (x_t, \; x_{t-1} - x_t, \; \dots, \; x_{t-K+1} - x_t)

    Args:
        z: the columns.
        row: series of every window.
        last: step of every window's last value.
        lags: K; those of fewer lags are the first columns.
    """
    found = z[row[:, None], last[:, None] - np.arange(lags)]  # (window, lag, column)
    found[:, 1:] -= found[:, :1]
    return found.reshape(len(row), -1)


def moments_of(
    batch: Ragged,
    z: Float[np.ndarray, "series step column"],
    channels: int,
    weights: Float[np.ndarray, " unit"],
    sizes: Sizes,
    after: int,
    before: int,
) -> tuple[Gram, int]:
    r"""Moments of windows whose future ends in a part of the batch, and their number.

    .. math:: G = \sum_w c_w v_w v_w^\top, \qquad v = (1, y_{t-L+1} - y_t, \dots, x_t, \dots, y_{t+1} - y_t, \dots)

    Args:
        batch: channels within series, in units of the naive error.
        z: past columns of the series.
        channels: of every series.
        weights: of every series and channel.
        sizes: of a window.
        after: the window's last step is not before this place.
        before: and lies before this one.
    """
    joint, own = sizes.lookback + sizes.horizon, sizes.own
    width = own + sizes.lagged + sizes.horizon
    gram = np.zeros((width, width))
    row, start = windows_between(batch, joint, sizes.lookback, after, before)
    every = max(1, int(len(row) * width * width / WORK))
    row, start = row[::every], start[::every]
    size = max(1, CHUNK // width)
    for first in range(0, len(row), size):
        r, s = row[first : first + size], start[first : first + size]
        y = batch.values[r[:, None], s[:, None] + np.arange(joint)]
        y -= y[:, [sizes.lookback - 1]]
        count = np.sqrt(weights[r] * wild(y))[:, None]
        x = inputs_of(z, r // channels, s + sizes.lookback - 1, sizes.lags)
        parts = (np.ones((len(r), 1)), y[:, : sizes.lookback], x, y[:, sizes.lookback :])
        v = np.concatenate(parts, axis=1) * count
        gram += v.T @ v
    return gram * every, len(row)


@dataclass(frozen=True, eq=False)
class Fit:
    r"""Effects by step of what the series' own past does not tell of past columns.

    .. math:: c = (x - C^\top u) B, \quad C = (G_{uu} + r \lambda I)^{-1} G_{ux}, \quad
              B = (G_{xx} - G_{xu} C + r_x \lambda_x I)^{-1} (G_{xy} - C^\top G_{uy})

    where u is the series' own past with the constant: so u W + c are the forecasts of the ridge regression on both,
    whose two blocks have ridges of their own.

    Attributes:
        sizes: of a window.
        own: W, the map of the series' own past.
        explained: C.
        effects: B, one a ridge of `RIDGES`.

    Source: Frisch & Waugh, *Partial time regressions*, Econometrica 1933; Lovell 1963.
    """

    sizes: Sizes
    own: Float[np.ndarray, "input horizon"]
    explained: Float[np.ndarray, "input lagged"]
    effects: list[Float[np.ndarray, "lagged horizon"]]

    def loss(self, gram: Gram, sizes: Sizes, number: int) -> float:
        """Squared error on windows of these moments, with the effects of a ridge.

        Args:
            gram: moments of at least these lags.
            sizes: of their windows.
            number: of the ridge.
        """
        gram = cut(gram, sizes, self.sizes.lags)[0]
        effect = self.effects[number]
        beta = np.concatenate([-(self.own - self.explained @ effect), -effect, np.eye(self.sizes.horizon)])
        return float(((gram @ beta) * beta).sum())


def fit_lagged(gram: Gram, sizes: Sizes, lags: int, ridge: float) -> Fit:
    """Effects of the first lags of the columns.

    Args:
        gram: moments.
        sizes: of their windows.
        lags: at most theirs.
        ridge: of the series' own past, relative to the mean eigenvalue.
    """
    gram, sizes = cut(gram, sizes, lags)
    u, x, y = np.split(np.arange(len(gram)), [sizes.own, sizes.own + sizes.lagged])
    tiny = np.finfo(float).tiny
    strength = ridge * max(float(np.trace(gram[np.ix_(u, u)])) / len(u), tiny)
    both = np.linalg.solve(gram[np.ix_(u, u)] + strength * np.eye(len(u)), gram[np.ix_(u, np.r_[x, y])])
    explained, own = both[:, : len(x)], both[:, len(x) :]
    inner = gram[np.ix_(x, x)] - gram[np.ix_(x, u)] @ explained
    across = gram[np.ix_(x, y)] - explained.T @ gram[np.ix_(u, y)]
    mean = max(float(np.trace(gram[np.ix_(x, x)])) / len(x), tiny)
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    turned = vectors.T @ across
    effects = [vectors @ (turned / (np.maximum(values, 0.0) + r * mean)[:, None]) for r in RIDGES]
    return Fit(sizes, own, explained, effects)


def cut(gram: Float[np.ndarray, "all all"], sizes: Sizes, lags: int) -> tuple[Gram, Sizes]:
    """Moments of fewer lags.

    Args:
        gram: moments.
        sizes: of their windows.
        lags: that are kept.
    """
    fewer = Sizes(sizes.lookback, lags, sizes.columns, sizes.horizon)
    keep = np.r_[0 : sizes.own + fewer.lagged, sizes.own + sizes.lagged : len(gram)]
    return gram[np.ix_(keep, keep)], fewer


def corrections(
    past: Ragged, z: Float[np.ndarray, "series step column"], channels: int, fit: Fit, number: int
) -> Float[np.ndarray, "unit horizon"]:
    """What is added to forecasts from an origin; 0 for series that do not fill the inputs.

    Args:
        past: the series up to the origin, in units of the naive error.
        z: past columns, of the whole history.
        channels: of every series.
        fit: of what was before.
        number: of the ridge.
    """
    sizes, end = fit.sizes, past.values.shape[1]
    found = np.zeros((len(past.values), sizes.horizon))
    if end < sizes.lookback:
        return found
    there = np.flatnonzero(past.lengths >= sizes.lookback)
    y = past.values[there, end - sizes.lookback :]
    u = np.concatenate([np.ones((len(there), 1)), y - y[:, -1:]], axis=1)
    x = inputs_of(z, there // channels, np.full(len(there), end - 1), sizes.lags)
    found[there] = (x - u @ fit.explained) @ fit.effects[number]
    return found


def places(
    views: list[View],
    origins: list[Origin],
    z: Float[np.ndarray, "series step column"],
    channels: int,
    unit: Float[np.ndarray, " unit"],
    sizes: Sizes,
) -> Iterator[tuple[Ragged, Gram, int, Gram | None]]:
    """Of every origin and of the end: the past, moments before it, their windows, and moments up to the next place.

    Args:
        views: as `views_of` gives them.
        origins: the earliest first.
        z: past columns.
        channels: of every series.
        unit: naive error of every series; infinite where it never changes.
        sizes: of a window.
    """
    width = views[-1].batch.values.shape[1]
    ends = [width - origin.end for origin in origins] + [width]
    weights = np.where(np.isfinite(unit), series_weights(views[-1].batch, sizes.lookback + sizes.horizon), 0.0)
    view: View | None = None
    batch = views[-1].batch
    before, count = np.zeros((0, 0)), 0
    for k, end in enumerate(ends):
        if view is not views[k]:
            view = views[k]
            batch = in_units(view.batch, unit)
            before, count = moments_of(batch, z, channels, weights, sizes, 0, end)
        stretch, more = None, 0
        if k < len(origins):
            stretch, more = moments_of(batch, z, channels, weights, sizes, end, ends[k + 1])
        yield batch.before(width - end), before, count, stretch
        if stretch is not None:
            before, count = before + stretch, count + more
