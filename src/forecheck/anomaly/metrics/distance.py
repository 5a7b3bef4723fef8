"""How far alarms are from anomalies, and where in them they lie."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured
from forecheck.anomaly.segments import distances

_CEUR = "ceur-ws Vol-1226, paper 31"
_ACTA = "Acta Universitatis Sapientiae Informatica, 2019"


def hit_places(pair: Pair) -> tuple[Int[np.ndarray, "hit"], Int[np.ndarray, "hit"]]:
    """Hits and the anomalies they lie in."""
    at = np.flatnonzero(pair.y & pair.p)
    return at, np.searchsorted(pair.truth.starts, at, side="right") - 1


def from_centre(pair: Pair) -> tuple[Float[np.ndarray, "hit"], Int[np.ndarray, "hit"]]:
    """How far each hit is from the centre of its anomaly, and that anomaly's length."""
    at, anomaly = hit_places(pair)
    centres = (pair.truth.starts + pair.truth.ends - 1) / 2
    return np.abs(at - centres[anomaly]), pair.truth.lengths[anomaly]


@metric(
    "adc",
    title="mean share of an anomaly that is hit",
    needs=Needs.ALARMS,
    source=_CEUR,
    warning="false alarms cost nothing: alarms everywhere give 1",
)
def adc(pair: Pair) -> Measured:
    r"""Mean share of an anomaly that is hit.

    .. math:: \frac1k \sum_j \frac{1}{|A_j|} \sum_{t \in A_j} p_t
    """
    return Measured(float((pair.hits / pair.truth.lengths).mean()))


@metric(
    "wdd",
    title="central hits less distant false points (WDD)",
    needs=Needs.ALARMS,
    source=_ACTA,
    edges="no alarm: 0; not bounded",
)
def wdd(pair: Pair, *, tolerance: int = 3) -> Measured:
    r"""Hits weighted by a Gaussian over their anomaly, less false points by their distance.

    .. math:: \sum_{t : y_t p_t = 1} e^{-(t - c_j)^2 / 2 \sigma_j^2} - \sum_{t : p_t = 1, y_t = 0} \min(1, d(t, y) / k),
        \quad \sigma_j = \max(|A_j| / 2, 1)

    Args:
        pair: labels and alarms.
        tolerance: k, the distance from which a false point costs 1; at least 1.
    """
    within("tolerance", tolerance, 1)
    away, length = from_centre(pair)
    gained = float(np.exp(-((away / np.maximum(length / 2, 1)) ** 2) / 2).sum())
    charged = float(np.minimum(1.0, pair.to_truth[pair.p & ~pair.y] / tolerance).sum())
    return Measured(gained - charged)


@metric(
    "add",
    title="how far hits are from the anomaly's centre (ADD)",
    needs=Needs.ALARMS,
    source=_CEUR,
    edges="no hit: 0, as for hits in the centre alone",
    lower_is_better=True,
    warning="0 both for hits in the centre and for no hit at all",
)
def add(pair: Pair) -> Measured:
    r"""Mean distance of hits from the centre of their anomaly, in its lengths.

    .. math:: \operatorname{mean}_{t : y_t p_t = 1} |t - c_j| / |A_j|
    """
    away, length = from_centre(pair)
    return Measured(float((away / length).mean()) if len(away) else 0.0, details={"hits": len(away)})


@metric(
    "temporal_distance",
    title="distances of points to the other side, summed",
    needs=Needs.ALARMS,
    source=_ACTA,
    edges="no alarm: n for each true point",
    lower_is_better=True,
    warning="points that are spread over an anomaly score better than the same points together",
)
def temporal_distance(pair: Pair) -> Measured:
    r"""Distances of true points to the nearest alarm, and of alarm points to the nearest anomaly.

    .. math:: \sum_{t : y_t = 1} d(t, p) + \sum_{t : p_t = 1} d(t, y)
    """
    missed = distances(pair.p)[pair.y].sum() if pair.p.any() else pair.n * (pair.tp + pair.fn)
    return Measured(float(missed + pair.to_truth[pair.p].sum()))
