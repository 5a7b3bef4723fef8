"""Uncertainty over anomalies, which ones happened to be there: intervals of one detector, and of two on the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.anomaly.segments import segments
from forecheck.progress import Progress

FEWEST = 3
"""Anomalies from which an interval says anything."""
DRAWS = 200
_Z = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A number with its interval of 95 %; None for ends that so few anomalies do not tell."""

    value: float
    interval: tuple[float, float] | None

    def to_list(self) -> list[float | None]:
        """Value, low end and high end."""
        low, high = self.interval or (None, None)
        return [self.value, low, high]


def share(hits: Bool[np.ndarray, " anomaly"]) -> Estimate:
    r"""Share of anomalies that were found, with Wilson's interval: a bootstrap of none or of all has width zero.

    .. math:: \frac{\hat p + z^2/2n \pm z \sqrt{\hat p (1 - \hat p)/n + z^2/4n^2}}{1 + z^2/n}

    Args:
        hits: of every anomaly, at least one.

    Source: Wilson, JASA 1927.
    """
    n, found = len(hits), float(hits.mean())
    middle = (found + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * math.sqrt(found * (1 - found) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return Estimate(found, (max(0.0, middle - half), min(1.0, middle + half)))


def share_difference(hits: Bool[np.ndarray, " anomaly"], others: Bool[np.ndarray, " anomaly"]) -> Estimate:
    r"""Difference of two detectors' shares on the same anomalies, `hits` less `others`.

    .. math:: d \pm z \sqrt{\frac{\tilde p_{10} + \tilde p_{01} - (\tilde p_{10} - \tilde p_{01})^2}{n + 2}}, \qquad
        \tilde p_{ij} = \frac{n_{ij} + 1}{n + 2}

    Source: Bonett & Price, *Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data*, J. Educ. Behav. Stat. 2012.
    """
    n = len(hits)
    more, less = (float((a & ~b).sum() + 1) / (n + 2) for a, b in ((hits, others), (others, hits)))
    half = _Z * math.sqrt((more + less - (more - less) ** 2) / (n + 2))
    middle = more - less
    return Estimate(float(hits.mean() - others.mean()), (max(-1.0, middle - half), min(1.0, middle + half)))


def blocks_of(labels: Bool[np.ndarray, " time"]) -> list[slice]:
    """The rows in one block an anomaly, cut in the middle between two; none without an anomaly."""
    found = segments(labels)
    middles = [int(end + start) // 2 for end, start in zip(found.ends[:-1], found.starts[1:], strict=True)]
    borders = [0, *middles, len(labels)]
    return [slice(a, b) for a, b in pairwise(borders)] if len(found) else []


def resampled(
    labels: Bool[np.ndarray, " time"],
    measure: Callable[[Int[np.ndarray, " row"]], Float[np.ndarray, " number"]],
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Float[np.ndarray, "draw number"]:
    """What is measured of rows that are resampled by blocks of one anomaly each, with replacement.

    Args:
        labels: of the rows.
        measure: called with the rows of a draw; gives numbers of several detectors, so that these share the draws.
        draws: how many.
        seed: of the draws.
        progress: called with the share that is done.
    """
    blocks = [np.arange(block.start, block.stop) for block in blocks_of(labels)]
    rng = np.random.default_rng(seed)
    found = []
    for draw in range(draws):
        drawn = rng.integers(len(blocks), size=len(blocks))
        found.append(measure(np.concatenate([blocks[each] for each in drawn])))
        if progress is not None:
            progress((draw + 1) / draws, "bootstrap")
    return np.stack(found)


def percentile_interval(draws: Float[np.ndarray, " draw"]) -> tuple[float, float] | None:
    """The middle 95 % of draws; None if a draw is not a number.

    Source: Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13.
    """
    if np.isnan(draws).any():
        return None
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
