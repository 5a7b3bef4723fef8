"""Time-series aware precision and recall: detected or not, and how much of it, with ambiguous tails."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured, measured
from forecheck.anomaly.segments import Overlaps, Segments, overlaps

_NO_ALARM = "no alarm: precision 0"


def tailed(
    pair: Pair, tail: Int[np.ndarray, "anomaly"]
) -> tuple[Int[np.ndarray, "piece"], Int[np.ndarray, "piece"], Float[np.ndarray, "piece"]]:
    """Anomaly, alarm and overlap score of each pair that shares an anomaly or the tail behind it.

    A point of a tail counts 1 / (1 + exp(v)), v from -6 to 6 along the tail, which the next anomaly cuts.
    """
    truth = pair.truth
    size = np.minimum(tail, np.append(truth.starts[1:], pair.n + int(tail.max(initial=0)) + 1) - truth.ends)
    shared = pair.shared
    if not size.any():
        return shared.first, shared.second, shared.lengths.astype(float)
    behind: Overlaps = overlaps(Segments(truth.ends, truth.ends + size), pair.alarms)
    kept = behind.lengths > 0
    anomaly, alarm = behind.first[kept], behind.second[kept]
    low, high = behind.starts[kept] - truth.ends[anomaly], behind.ends[kept] - truth.ends[anomaly]
    # The weights of every tail, one after the other, as far as there is an alarm in it.
    sizes = np.repeat(size[anomaly], high - low)
    at = np.arange(len(sizes)) + np.repeat(low - (np.cumsum(high - low) - (high - low)), high - low)
    weights = 1 / (1 + np.exp(-6 + 12 * at / np.maximum(sizes - 1, 1)))
    scores = np.bincount(np.repeat(np.arange(len(low)), high - low), weights, len(low)).astype(float)
    return (
        np.concatenate((shared.first, anomaly)),
        np.concatenate((shared.second, alarm)),
        np.concatenate((shared.lengths, scores)),
    )


@metric(
    "tapr",
    title="time-series aware precision, recall and F (TaPR)",
    needs=Needs.ALARMS,
    source="Hwang et al., CIKM 2019",
    edges=_NO_ALARM,
)
def tapr(pair: Pair, *, alpha: float = 0.5, theta: float = 0.5, delta: int = 0, beta: float = 1.0) -> Measured:
    r"""Share of segments that are detected, and how much of them, with a tail behind each anomaly.

    .. math:: O(A, P) = |A \cap P| + \sum_{t \in \text{tail} \cap P} \frac{1}{1 + e^{v_t}}, \qquad
        TaR = \frac{\alpha}{k} \#\{j : \rho_j \ge \theta\} + \frac{1 - \alpha}{k} \sum_j \rho_j, \quad
        \rho_j = \min\Big(1, \sum_i \frac{O(A_j, P_i)}{|A_j|}\Big)

    TaP is the same over alarms, without the minimum.

    Args:
        pair: labels and alarms.
        alpha: how much detection counts against the share detected, 0 to 1.
        theta: the share from which a segment is detected, 0 to 1.
        delta: length of the tail, in steps; the next anomaly cuts it.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("alpha", alpha, 0, 1)
    within("theta", theta, 0, 1)
    within("delta", delta, 0)
    anomaly, alarm, score = tailed(pair, np.full(len(pair.truth), int(delta)))
    recall = np.minimum(1.0, np.bincount(anomaly, score, len(pair.truth)) / pair.truth.lengths)
    precision = np.bincount(alarm, score, len(pair.alarms)) / pair.alarms.lengths
    return measured(_mixed(precision, alpha, theta) if len(precision) else 0.0, _mixed(recall, alpha, theta), beta)


def _mixed(shares: Float[np.ndarray, "segment"], alpha: float, theta: float) -> float:
    """How many segments are detected, and how much of them."""
    return float(alpha * (shares >= theta).mean() + (1 - alpha) * shares.mean())


@metric(
    "etapr",
    title="enhanced time-series aware F (eTaPR)",
    needs=Needs.ALARMS,
    source="Hwang et al., SAC 2022",
    edges=_NO_ALARM,
)
def etapr(pair: Pair, *, theta_p: float = 0.5, theta_r: float = 0.1, delta: float = 0.0, beta: float = 1.0) -> Measured:
    r"""Detection and share detected, where what is too little counts for neither side.

    .. math:: eTaR = \frac1k \sum_j \frac{D_j + D_j \rho_j}{2}, \qquad
        eTaP = \sum_i \sqrt{|P_i|} \, \frac{D_i + D_i \rho_i}{2} \Big/ \sum_i \sqrt{|P_i|}

    Overlaps of anomalies with rho_j < theta_r and of alarms with rho_i < theta_p are removed until none is left; D is
    whether a segment reaches its threshold then, rho the share of it that is overlapped, at most 1.

    Args:
        pair: labels and alarms.
        theta_p: the share of an alarm that must be true, 0 to 1.
        theta_r: the share of an anomaly that must be found, 0 to 1.
        delta: length of the tail behind an anomaly, as a share of its length.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("theta_p", theta_p, 0, 1)
    within("theta_r", theta_r, 0, 1)
    within("delta", delta, 0)
    truth, alarms = pair.truth, pair.alarms
    anomaly, alarm, score = tailed(pair, (delta * truth.lengths).astype(int))
    while True:
        found = np.bincount(anomaly, score, len(truth)) / truth.lengths
        true = np.bincount(alarm, score, len(alarms)) / np.maximum(alarms.lengths, 1)
        kept = (found[anomaly] >= theta_r) & (true[alarm] >= theta_p)
        if kept.all():
            break
        anomaly, alarm, score = anomaly[kept], alarm[kept], score[kept]
    recall, precision = (
        (share >= theta) * (share > 0) * (1 + np.minimum(share, 1)) / 2
        for share, theta in ((found, theta_r), (true, theta_p))
    )
    weights = np.sqrt(alarms.lengths)
    return measured((weights * precision).sum() / weights.sum() if len(alarms) else 0.0, recall.mean(), beta)
