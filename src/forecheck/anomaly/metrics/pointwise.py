"""Points, each on its own."""

from __future__ import annotations

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured, measured, ratio

_NO_ALARM = "no alarm: precision 0"


@metric(
    "pointwise",
    title="precision, recall and F of points",
    needs=Needs.ALARMS,
    source="van Rijsbergen, Information Retrieval, 1979",
    edges=_NO_ALARM,
)
def pointwise(pair: Pair, *, beta: float = 1.0) -> Measured:
    r"""Precision, recall and F of points.

    .. math:: P = \frac{TP}{TP + FP}, \quad R = \frac{TP}{TP + FN}, \quad
        F_\beta = \frac{(1 + \beta^2) P R}{\beta^2 P + R}

    Args:
        pair: labels and alarms.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    tp, fp, fn = pair.tp, pair.fp, pair.fn
    return measured(ratio(tp, tp + fp), ratio(tp, tp + fn), beta, tp=tp, fp=fp, fn=fn)


@metric(
    "accuracy",
    title="share of points that are right",
    needs=Needs.ALARMS,
    source="general",
    warning="with rare anomalies a detector that is always silent comes close to 1",
    without_anomalies=True,
)
def accuracy(pair: Pair) -> Measured:
    r"""Share of points that are right.

    .. math:: (TP + TN) / n
    """
    return Measured(1 - (pair.fp + pair.fn) / pair.n)


@metric(
    "false_alarms",
    title="alarms without a true point, in 1000 steps",
    needs=Needs.ALARMS,
    source="ours",
    lower_is_better=True,
    without_anomalies=True,
)
def false_alarms(pair: Pair) -> Measured:
    r"""Alarms that overlap no anomaly, in 1000 normal steps.

    .. math:: 1000 \cdot \#\{i : P_i \cap A = \emptyset\} / \#\{t : y_t = 0\}

    No normal point: 0.
    """
    false = int((pair.touched == 0).sum())
    normal = pair.n - int(pair.truth.lengths.sum())
    return Measured(1000 * ratio(false, normal), details={"false_alarms": false, "false_points": pair.fp})
