"""Widths of intervals from the errors at rolling origins, by series and step, shrunk to what all series have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri, stdtrit

_PSEUDO = 2.0
"""Origins with the usual error that every series is given."""
_ALIKE = 10
"""Series that count as independent of each other at most: what happens in the world happens to all of them."""
_ENOUGH = 120
"""Errors that a quantile is taken of; neighbouring steps lend theirs where there are fewer."""


@dataclass(frozen=True, eq=False)
class Spread:
    """How large errors are.

    Attributes:
        errors: absolute ones in units of the naive error and of the series' own factor; NaN where unknown.
        factor: of every series, its errors relative to the usual ones.
        independent: origins that do not overlap.
        rising: whether widths may not shrink along the horizon.
    """

    errors: Float[np.ndarray, "origin series step"]
    factor: Float[np.ndarray, " series"]
    independent: float
    rising: bool


def spread_of(errors: Float[np.ndarray, "origin series step"], independent: float, *, rising: bool) -> Spread:
    r"""Errors and a factor a series, shrunk to one by two pseudo-origins.

    .. math:: c_s = \frac{\sum_k \bar e_{ks} / \bar e_k + 2}{n_s + 2}

    Args:
        errors: of forecasts at rolling origins, in units of the naive error; NaN where unknown.
        independent: origins that do not overlap.
        rising: whether widths may not shrink along the horizon.
    """
    size = np.abs(errors)
    known = ~np.isnan(size)
    usual = np.where(known, size, 0.0).sum(axis=(0, 1)) / np.maximum(1, known.sum(axis=(0, 1)))
    with np.errstate(all="ignore"):
        relative = size / np.where(usual > 0, usual, np.nan)
    seen = ~np.isnan(relative)
    steps = seen.sum(axis=2)
    per = np.where(seen, relative, 0.0).sum(axis=2) / np.maximum(1, steps)
    count = (steps > 0).sum(axis=0)
    factor = (per.sum(axis=0) + _PSEUDO) / (count + _PSEUDO)
    return Spread(size / factor[:, None], factor, independent, rising)


def half_widths(spread: Spread, level: float, horizon: int) -> Float[np.ndarray, "series horizon"]:
    r"""Half-widths in units of the naive error.

    .. math:: w_{sh} = c_s \, q_h \, t_\nu(p) / z(p), \qquad \nu = 1 + n \min(S, 10)

    where q is the quantile of the errors, neighbouring steps pooled where there are few of them. Student's t in place
    of the normal distribution widens what rests on few series S and origins n that do not overlap. Steps beyond those
    that the origins reach are wider by the square root of their number.

    Args:
        spread: of the errors.
        level: coverage in percent.
        horizon: H.
    """
    share = level / 100
    steps = spread.errors.shape[2]
    columns = [column[~np.isnan(column)] for column in spread.errors.reshape(-1, steps).T]
    quantiles = np.empty(steps)
    for h in range(steps):
        reach = 0
        pooled = columns[h]
        while len(pooled) < _ENOUGH and reach < steps // 4:
            reach += 1
            pooled = np.concatenate(columns[max(0, h - reach) : h + reach + 1])
        if not len(pooled):
            pooled = np.concatenate(columns)
        corrected = min(1.0, share * (1 + 1 / max(1, len(pooled))))
        quantiles[h] = np.quantile(pooled, corrected, method="higher") if len(pooled) else 0.0
    if spread.rising:
        quantiles = np.maximum.accumulate(quantiles)
    both = (1 + share) / 2
    quantiles *= stdtrit(1 + spread.independent * min(len(spread.factor), _ALIKE), both) / ndtri(both)
    beyond = np.sqrt(np.arange(steps + 1, horizon + 1) / steps)
    return spread.factor[:, None] * np.concatenate([quantiles, quantiles[-1] * beyond])
