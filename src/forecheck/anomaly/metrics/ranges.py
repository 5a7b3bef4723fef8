"""Range-based precision and recall: what of a segment is overlapped, where, and in how many pieces."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured, measured
from forecheck.anomaly.segments import Segments
from forecheck.errors import UsageError

BIASES = ("flat", "front", "back", "middle")
CARDINALITIES = ("one", "reciprocal", "timesead")
_NO_ALARM = "no alarm: precision 0"


def _summed(bias: str, upto: Int[np.ndarray, "piece"], length: Int[np.ndarray, "piece"]) -> Float[np.ndarray, "piece"]:
    """Sum of the weights of the first `upto` points of segments."""
    t, size = upto.astype(float), length.astype(float)
    if bias == "flat":
        return t
    if bias == "back":
        return t * (t + 1) / 2
    if bias == "front":
        return t * size - t * (t - 1) / 2
    half = np.floor(size / 2)
    rising = np.minimum(t, half)
    over = t - rising
    found: Float[np.ndarray, "piece"] = rising * (rising + 1) / 2 + over * (size + 1) - over * (2 * half + over + 1) / 2
    return found


def _rewards(
    of: Segments,
    place: Int[np.ndarray, "piece"],
    starts: Int[np.ndarray, "piece"],
    ends: Int[np.ndarray, "piece"],
    bias: str,
    cardinality: str,
) -> Float[np.ndarray, "segment"]:
    """Weighted share of each segment that is overlapped, less for more pieces."""
    if bias not in BIASES:
        raise UsageError(f"bias is {bias!r}", f"It is one of {', '.join(BIASES)}.")
    if cardinality not in CARDINALITIES:
        raise UsageError(f"cardinality is {cardinality!r}", f"It is one of {', '.join(CARDINALITIES)}.")
    length = of.lengths[place]
    part = _summed(bias, ends - of.starts[place], length) - _summed(bias, starts - of.starts[place], length)
    share = np.bincount(place, part, len(of)) / _summed(bias, of.lengths, of.lengths)
    pieces = np.maximum(np.bincount(place, minlength=len(of)), 1)
    if cardinality == "one":
        return share
    if cardinality == "reciprocal":
        return share / pieces
    found: Float[np.ndarray, "segment"] = share * ((of.lengths - 1) / of.lengths) ** (pieces - 1.0)
    return found


def _both(
    pair: Pair, alpha: float, bias: str, precision_bias: str, cardinality: str
) -> tuple[Float[np.ndarray, "alarm"], Float[np.ndarray, "anomaly"]]:
    within("alpha", alpha, 0, 1)
    shared = pair.shared
    overlap = _rewards(pair.truth, shared.first, shared.starts, shared.ends, bias, cardinality)
    recall = alpha * (pair.hits > 0) + (1 - alpha) * overlap
    return _rewards(pair.alarms, shared.second, shared.starts, shared.ends, precision_bias, cardinality), recall


@metric(
    "range",
    title="range-based precision, recall and F",
    needs=Needs.ALARMS,
    source="Tatbul et al., NeurIPS 2018, arXiv 1803.03639",
    edges=_NO_ALARM,
)
def range_f(
    pair: Pair,
    *,
    alpha: float = 0.0,
    bias: str = "flat",
    precision_bias: str = "flat",
    cardinality: str = "reciprocal",
    beta: float = 1.0,
) -> Measured:
    r"""Existence and weighted overlap of anomalies, weighted overlap of alarms, less for more pieces.

    .. math:: R = \frac1k \sum_j \Big[ \alpha E_j + (1 - \alpha) \gamma(x_j) \sum_i \omega(A_j, A_j \cap P_i) \Big],
        \quad P = \frac1l \sum_i \gamma(x_i) \sum_j \omega(P_i, P_i \cap A_j), \quad
        \omega(A, O) = \sum_{t \in O} \delta(t) / \sum_{t \in A} \delta(t)

    x is the number of segments of the other side that overlap; delta weighs places in the segment.

    Args:
        pair: labels and alarms.
        alpha: how much recall rewards existence alone, 0 to 1.
        bias: delta of recall: flat, front, back or middle.
        precision_bias: delta of precision.
        cardinality: gamma: one, reciprocal (1/x), or timesead, ((L-1)/L)^(x-1), with which recall never falls when the
            threshold falls.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    precision, recall = _both(pair, alpha, bias, precision_bias, cardinality)
    return measured(precision.mean() if len(precision) else 0.0, recall.mean(), beta)


@metric(
    "range_front",
    title="range-based F that rewards early hits",
    needs=Needs.ALARMS,
    source="Tatbul et al., NeurIPS 2018: alpha 0, front bias for recall",
    edges=_NO_ALARM,
)
def range_front(pair: Pair, *, cardinality: str = "reciprocal", beta: float = 1.0) -> Measured:
    r"""`range` with alpha = 0 and a front bias for recall: early points of an anomaly weigh most.

    .. math:: \delta(t) = L - t + 1 \text{ for recall}, \quad 1 \text{ for precision}

    Args:
        pair: labels and alarms.
        cardinality: one, reciprocal or timesead.
        beta: how much more recall counts than precision.
    """
    return range_f(pair, bias="front", cardinality=cardinality, beta=beta)


@metric(
    "range_weighted",
    title="range-based F with consistent recall (TimeSeAD)",
    needs=Needs.ALARMS,
    source="Wagner et al., TimeSeAD, TMLR 2023",
    edges=_NO_ALARM,
)
def range_weighted(pair: Pair, *, beta: float = 1.0) -> Measured:
    r"""Range-based F whose recall never falls with the threshold, its precision weighted by the alarms' lengths.

    .. math:: \gamma(x, L) = \Big(\frac{L - 1}{L}\Big)^{x - 1}, \qquad
        P = \sum_i |P_i| \gamma(x_i, |P_i|) \sum_j \omega(P_i, P_i \cap A_j) / \sum_i |P_i|

    Args:
        pair: labels and alarms.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    precision, recall = _both(pair, 0.0, "flat", "flat", "timesead")
    sizes = pair.alarms.lengths
    return measured((precision * sizes).sum() / sizes.sum() if len(sizes) else 0.0, recall.mean(), beta)
