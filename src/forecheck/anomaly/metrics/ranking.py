"""Scores without a threshold, from one sort, and the best threshold that only an oracle knows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Ranked
from forecheck.anomaly.result import Measured, f_score
from forecheck.errors import UsageError

_CONSTANT = "constant scores have one threshold: everything"
_ORACLE = "the threshold is chosen by the labels that are to be found: no detector can have it"


def area(x: Float[np.ndarray, "point"], y: Float[np.ndarray, "point"]) -> float:
    """Area under straight lines between points."""
    return float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2))


def roc_area(tps: Int[np.ndarray, "threshold"], counts: Int[np.ndarray, "threshold"]) -> float:
    """Area under the ROC of true points and points that reach each threshold."""
    rates = [np.concatenate(([0.0], each / each[-1])) for each in (counts - tps, tps)]
    return area(*rates)


def pr_area(tps: Int[np.ndarray, "threshold"], counts: Int[np.ndarray, "threshold"], rule: str) -> float:
    """Area under the curve of precision over recall, in steps or trapezoids.

    Args:
        tps: anomalous points found at every threshold, from the highest threshold to the lowest.
        counts: all points at or above every threshold.
        rule: `step` (average precision) or `trapezoid`.

    Raises:
        UsageError: if the rule is neither.
    """
    if rule not in ("step", "trapezoid"):
        raise UsageError(f"rule is {rule!r}", "It is step (average precision) or trapezoid.")
    recall, precision = np.append(0.0, tps / tps[-1]), tps / counts
    if rule == "step":
        return float(np.sum(np.diff(recall) * precision))
    return area(recall, np.append(1.0, precision))


@metric(
    "auc_roc",
    title="area under the ROC curve",
    needs=Needs.SCORES,
    source="Hanley & McNeil, Radiology 143, 1982",
    edges=f"{_CONSTANT}, area 0.5",
    without_normal=False,
)
def auc_roc(ranked: Ranked) -> Measured:
    r"""Probability that an anomalous point scores higher than a normal one, ties counted half.

    .. math:: \Pr(s_t > s_u) + \tfrac12 \Pr(s_t = s_u), \qquad y_t = 1, y_u = 0
    """
    return Measured(roc_area(ranked.tps, ranked.steps))


@metric(
    "auc_pr",
    title="area under the curve of precision over recall",
    needs=Needs.SCORES,
    source="Davis & Goadrich, ICML 2006",
    edges=f"{_CONSTANT}, area the share of anomalous points by steps",
)
def auc_pr(ranked: Ranked, *, rule: str = "step") -> Measured:
    r"""Area under precision over recall at all distinct scores.

    .. math:: \sum_i (R_i - R_{i-1}) P_i

    Args:
        ranked: labels and scores.
        rule: `step` (average precision) or `trapezoid`, which starts at precision 1 and is too good for coarse scores.
    """
    return Measured(pr_area(ranked.tps, ranked.steps, rule))


@metric(
    "oracle_f",
    title="best F of points over all thresholds",
    needs=Needs.SCORES,
    source="general",
    edges=_CONSTANT,
    warning=_ORACLE,
)
def oracle_f(ranked: Ranked, *, beta: float = 1.0) -> Measured:
    r"""The best F that any threshold gives.

    .. math:: \max_\tau F_\beta(1[s \ge \tau])
    """
    within("beta", beta, 0)
    tps, counts = ranked.tps, ranked.steps
    f = (1 + beta**2) * tps / (beta**2 * tps[-1] + counts)
    best = int(np.argmax(f))
    precision, recall = float(tps[best] / counts[best]), float(tps[best] / tps[-1])
    threshold = float(ranked.thresholds[best])
    return Measured(f_score(precision, recall, beta), precision, recall, {"threshold": threshold})


@metric(
    "oracle_precision_at_k",
    title="precision of the k highest, k anomalous points",
    needs=Needs.SCORES,
    source="general; with ties as TimeEval has it",
    edges=_CONSTANT,
    warning=_ORACLE,
)
def oracle_precision_at_k(ranked: Ranked) -> Measured:
    r"""Precision at the k-th highest score, k the number of anomalous points.

    .. math:: TP / \#\{t : s_t \ge \tau\}, \qquad \tau = s_{(k)}, \; k = \sum_t y_t

    With ties more than k points reach it.
    """
    k = int(ranked.tps[-1])
    step = int(np.searchsorted(ranked.steps, k))
    precision = float(ranked.tps[step] / ranked.steps[step])
    return Measured(precision, details={"threshold": float(ranked.thresholds[step]), "k": k})
