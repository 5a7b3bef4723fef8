"""Rank correlation of a few things, measured on several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from forecheck.errors import DataError

FEWEST = 4
"""Things that are needed for an interval."""
_NORMAL = 1.959963984540054


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's coefficient and its 95 % interval.

    Attributes:
        value: mean over seeds, by way of Fisher's z.
        interval: of 95 %.
        things: ranked by each seed, on average.
        seeds: that entered.
    """

    value: float
    interval: tuple[float, float]
    things: float
    seeds: int


def rank_correlation(
    pairs: Sequence[tuple[Float[np.ndarray, " thing"], Float[np.ndarray, " thing"]]],
) -> RankCorrelation | None:
    r"""Spearman's :math:`\rho` within every seed, put together by Fisher's z.

    .. math:: \bar z = \tfrac{\sum_s (n_s - 3)\, \mathrm{artanh} \rho_s}{\sum_s (n_s - 3)}, \qquad
        \mathrm{Var}\, \bar z \approx \frac{1 + \bar\rho^2 / 2}{\sum_s (n_s - 3)}

    A perfect order counts as the one next to it, :math:`|\rho| \le 1 - 12 / (n (n^2 - 1))`, since few things may be in
    order by chance. Things of different seeds count as different things.

    Args:
        pairs: by seed, two measurements of the same things.

    Returns:
        None where no seed has four things or more that differ in both measurements.

    Raises:
        DataError: if a measurement is not finite.

    Source: Bonett & Wright 2000, Sample size requirements for estimating Pearson, Kendall and Spearman correlations,
    equation 6.
    """
    from scipy import stats

    sums = weights = things = 0.0
    seeds = 0
    for x, y in pairs:
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise DataError("a rank correlation was asked for of numbers that are not finite")
        n = len(x)
        if n < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        most = 1 - 12 / (n * (n * n - 1))
        sums += (n - 3) * math.atanh(float(np.clip(stats.spearmanr(x, y).statistic, -most, most)))
        weights, things, seeds = weights + n - 3, things + n, seeds + 1
    if not seeds:
        return None
    z = sums / weights
    value = math.tanh(z)
    half = _NORMAL * math.sqrt((1 + value**2 / 2) / weights)
    return RankCorrelation(value, (math.tanh(z - half), math.tanh(z + half)), things / seeds, seeds)
