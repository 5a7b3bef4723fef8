"""Points that count as right when they are near enough."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured, measured, ratio
from forecheck.anomaly.segments import distances

_INTERVALS = "ceur-ws Vol-1226 and Acta Universitatis Sapientiae Informatica, 2019, as packages have it: over points"


def near_alarms(pair: Pair, tolerance: int) -> Bool[np.ndarray, "time"]:
    """Points with an alarm within `tolerance` steps."""
    if not pair.p.any():
        return np.zeros(pair.n, dtype=bool)
    return distances(pair.p) <= tolerance


@metric(
    "time_tolerant",
    title="precision, recall and F of points within a tolerance",
    needs=Needs.ALARMS,
    source="Scharwaechter & Mueller, 2020",
    edges="no alarm: precision 0",
    warning="points that are spread over an anomaly score higher than the same points together",
)
def time_tolerant(pair: Pair, *, tolerance: int = 3, beta: float = 1.0) -> Measured:
    r"""Points count as right if one of the other side is within d steps.

    .. math:: P = \frac{\#\{t : p_t = 1, d(t, y) \le d\}}{\#\{t : p_t = 1\}}, \quad
        R = \frac{\#\{t : y_t = 1, d(t, p) \le d\}}{\#\{t : y_t = 1\}}

    Args:
        pair: labels and alarms.
        tolerance: d, in steps.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("tolerance", tolerance, 0)
    true = int((pair.p & (pair.to_truth <= tolerance)).sum())
    found = int((pair.y & near_alarms(pair, tolerance)).sum())
    return measured(ratio(true, pair.tp + pair.fp), ratio(found, pair.tp + pair.fn), beta)


@metric(
    "tdir",
    title="share of true points with an alarm near (TDIR)",
    needs=Needs.ALARMS,
    source=_INTERVALS,
    warning="alarms everywhere give 1",
)
def tdir(pair: Pair, *, tolerance: int = 3) -> Measured:
    r"""Exact hits and true points with an alarm within k steps, over all true points.

    .. math:: \frac{EM + DA}{EM + DA + MA}

    Args:
        pair: labels and alarms.
        tolerance: k, in steps.
    """
    within("tolerance", tolerance, 0)
    found = int((pair.y & near_alarms(pair, tolerance)).sum())
    return Measured(found / (pair.tp + pair.fn), details={"exact": pair.tp, "near": found - pair.tp})


@metric(
    "dair",
    title="points found in range over them and false ones (DAIR)",
    needs=Needs.ALARMS,
    source=_INTERVALS,
    edges="no alarm: 0",
)
def dair(pair: Pair, *, tolerance: int = 3) -> Measured:
    r"""Exact hits and true points with an alarm within k steps, over themselves and false points.

    .. math:: \frac{EM + DA}{EM + DA + FA}

    Args:
        pair: labels and alarms.
        tolerance: k, in steps.
    """
    within("tolerance", tolerance, 0)
    found = int((pair.y & near_alarms(pair, tolerance)).sum())
    return Measured(ratio(found, found + pair.fp), details={"exact": pair.tp, "near": found - pair.tp})
