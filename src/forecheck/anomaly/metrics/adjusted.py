"""Alarms that are changed before points are counted."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from forecheck.anomaly.metrics.ranking import pr_area, roc_area
from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair, Ranked
from forecheck.anomaly.result import Measured, f_score, measured, ratio
from forecheck.anomaly.segments import Segments

_NO_ALARM = "no alarm: precision 0"
WARNING = (
    "point adjustment turns one lucky hit into a whole detected anomaly: random scores can reach an F above 0.9; "
    "do not compare detectors by it"
)


def _whole(pair: Pair, taken: Bool[np.ndarray, "anomaly"], beta: float) -> Measured:
    """F of points once some anomalies count as wholly detected and the others as they are."""
    tp = int(np.where(taken, pair.truth.lengths, pair.hits).sum())
    return measured(ratio(tp, tp + pair.fp), ratio(tp, pair.tp + pair.fn), beta)


@metric(
    "pa",
    title="point-adjusted F",
    needs=Needs.ALARMS,
    source="Xu et al., WWW 2018, arXiv 1802.03903",
    edges=_NO_ALARM,
    warning=WARNING,
)
def pa(pair: Pair, *, beta: float = 1.0) -> Measured:
    r"""F of points after every anomaly with a hit counts as wholly found.

    .. math:: p'_t = 1 \text{ for } t \in A_j \text{ if } \textstyle\sum_{u \in A_j} p_u > 0

    Args:
        pair: labels and alarms.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    return _whole(pair, pair.hits > 0, beta)


@metric(
    "pa_k",
    title="point-adjusted F where at least K % are hit",
    needs=Needs.ALARMS,
    source="Kim et al., AAAI 2022, arXiv 2109.05257",
    edges=f"{_NO_ALARM}; K = 0 is `pa`; exactly K % suffice",
    warning="for small K it inherits the faults of point adjustment",
)
def pa_k(pair: Pair, *, k: float = 20.0, beta: float = 1.0) -> Measured:
    r"""F of points after every anomaly of which at least K % are hit counts as wholly found.

    .. math:: p'_t = 1 \text{ for } t \in A_j \text{ if } \textstyle\sum_{u \in A_j} p_u / |A_j| \ge K / 100

    Args:
        pair: labels and alarms.
        k: K, in percent; at 0 one hit is still needed.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("k", k, 0, 100)
    return _whole(pair, _met(pair, k), beta)


@metric(
    "pa_k_area",
    title="point-adjusted F, mean over K",
    needs=Needs.ALARMS,
    source="Kim et al., AAAI 2022, arXiv 2109.05257",
    edges=_NO_ALARM,
)
def pa_k_area(pair: Pair, *, beta: float = 1.0) -> Measured:
    r"""Area under `pa_k` over K from 0 to 100 by trapezoids of one percent.

    .. math:: \frac{1}{100} \int_0^{100} F_K \, dK

    Args:
        pair: labels and alarms.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    reached = np.where(pair.hits > 0, np.floor(100 * pair.hits / pair.truth.lengths + 1e-9), -1).astype(int)
    # What is gained when an anomaly is met, summed from the highest K down.
    gains = np.bincount(reached + 1, pair.truth.lengths - pair.hits, 102)
    tp = pair.tp + np.cumsum(gains[::-1])[::-1][1:]
    precision, recall = tp / np.maximum(tp + pair.fp, 1), tp / (pair.tp + pair.fn)
    f = (1 + beta**2) * precision * recall / np.maximum(beta**2 * precision + recall, 1e-300)
    return Measured(float(((f[1:] + f[:-1]) / 200).sum()))


def _met(pair: Pair, k: float) -> Bool[np.ndarray, "anomaly"]:
    return (pair.hits > 0) & (100 * pair.hits >= k * pair.truth.lengths - 1e-9)


@metric(
    "dtpa",
    title="F adjusted where the hit comes within k steps",
    needs=Needs.ALARMS,
    source="Ren et al., KDD 2019, arXiv 1906.03821",
    edges=_NO_ALARM,
    warning="as point adjustment, but for anomalies that are hit early; late hits count as misses",
)
def dtpa(pair: Pair, *, delay: int = 3, beta: float = 1.0) -> Measured:
    r"""F of points after an anomaly counts as wholly found if it is hit within k steps, else as wholly missed.

    .. math:: p'_t = 1[\exists u \in A_j : p_u = 1, u \le a_j + k] \text{ for } t \in A_j

    Args:
        pair: labels and alarms.
        delay: k, in steps; 0 is the first point.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("delay", delay, 0)
    early = (pair.hits > 0) & (pair.delay <= delay)
    tp = int(pair.truth.lengths[early].sum())
    return measured(ratio(tp, tp + pair.fp), ratio(tp, pair.tp + pair.fn), beta)


def _widened(within_gaps: Segments, marked: Bool[np.ndarray, "time"], reach: int) -> Bool[np.ndarray, "time"]:
    """Points within `reach` of a marked one in the same segment."""
    n = len(marked)
    at = np.arange(n)
    segment = np.zeros(n + 1, dtype=int)
    segment[within_gaps.starts] = 1
    place = np.cumsum(segment[:-1])
    low = np.append(0, within_gaps.starts)[place]
    inside = np.zeros(n + 1, dtype=int)
    inside[within_gaps.starts] += 1
    inside[within_gaps.ends] -= 1
    inside = np.cumsum(inside)[:-1] > 0
    taken = marked & inside
    high = np.append(0, within_gaps.ends)[place]
    before = np.maximum.accumulate(np.where(taken, at, -n - reach))
    after = np.minimum.accumulate(np.where(taken, at, 2 * n + reach)[::-1])[::-1]
    left = (at - before <= reach) & (before >= low)
    right = (after - at <= reach) & (after < high)
    found: Bool[np.ndarray, "time"] = inside & (left | right)
    return found


@metric(
    "balanced_pa",
    title="point-adjusted F with widened false alarms",
    needs=Needs.ALARMS,
    source="IEEE document 10890568",
    edges=_NO_ALARM,
    warning=WARNING,
)
def balanced_pa(pair: Pair, *, width: int = 5, beta: float = 1.0) -> Measured:
    r"""Point-adjusted F whose false points are widened, too.

    .. math:: p'_t = 1 \text{ for } |t - u| \le \lfloor w / 2 \rfloor \text{ if } p_u = 1, y_u = 0

    What is widened into an anomaly does not detect it.

    Args:
        pair: labels and alarms.
        width: w, in steps.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("width", width, 0)
    false = pair.p & ~pair.y
    steps = np.zeros(pair.n + 1, dtype=int)
    at, half = np.flatnonzero(false), int(width) // 2
    np.add.at(steps, np.maximum(at - half, 0), 1)
    np.add.at(steps, np.minimum(at + half + 1, pair.n), -1)
    fp = int(((np.cumsum(steps)[:-1] > 0) & ~pair.y).sum())
    tp = int(pair.truth.lengths[pair.hits > 0].sum())
    return measured(ratio(tp, tp + fp), ratio(tp, pair.tp + pair.fn), beta)


@metric(
    "pa_k_tolerance",
    title="F adjusted around hits where at least K % are hit",
    needs=Needs.ALARMS,
    source="Sensors 24(16), 5310, 2024",
    edges=_NO_ALARM,
)
def pa_k_tolerance(pair: Pair, *, k: float = 20.0, tolerance: int = 3, beta: float = 1.0) -> Measured:
    r"""F of points after points near a hit count as found, in anomalies of which at least K % are hit.

    .. math:: p'_t = 1 \text{ for } t \in A_j \text{ if } A_j \text{ meets } K \text{ and } \exists u \in A_j : p_u = 1,
        |t - u| \le L

    Args:
        pair: labels and alarms.
        k: K, in percent.
        tolerance: L, in steps.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("k", k, 0, 100)
    within("tolerance", tolerance, 0)
    met = _met(pair, k)
    near = _widened(Segments(pair.truth.starts[met], pair.truth.ends[met]), pair.p, int(tolerance))
    tp = int((near | (pair.p & pair.y)).sum())
    return measured(ratio(tp, tp + pair.fp), ratio(tp, pair.tp + pair.fn), beta)


@metric(
    "latency_sparsity",
    title="F of blocks from the first hit on",
    needs=Needs.ALARMS,
    source="Abdulaal et al., RANSynCoders, KDD 2021",
    edges=_NO_ALARM,
    warning="the grid of blocks begins with the series: a shifted series has another value",
)
def latency_sparsity(pair: Pair, *, width: int = 3, beta: float = 1.0) -> Measured:
    r"""F of blocks of w points; neighbouring anomalous blocks are found from the first with an alarm on.

    .. math:: y_B = \max_{t \in B} y_t, \quad p_B = \max_{t \in B} p_t, \qquad p'_B = \max_{C \le B} p_C
        \text{ over the blocks } C \text{ of the run of } B, \text{ if } y_B = 1

    Args:
        pair: labels and alarms.
        width: w, in steps; 1 has every anomaly found from its first hit on.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    within("width", width, 1)
    blocks = np.arange(0, pair.n, int(width))
    y, p = (np.logical_or.reduceat(each, blocks) for each in (pair.y, pair.p))
    of = Pair(y, p)
    tp = int((of.truth.lengths - of.delay)[of.hits > 0].sum())
    fp, fn = of.fp, int(y.sum()) - tp
    return measured(ratio(tp, tp + fp), ratio(tp, tp + fn), beta, tp=tp, fp=fp, fn=fn)


def adjusted_counts(ranked: Ranked) -> tuple[Int[np.ndarray, "threshold"], Int[np.ndarray, "threshold"]]:
    """True points after point adjustment and all points, at every distinct score."""
    truth = ranked.truth
    best = np.maximum.reduceat(np.append(ranked.s, -np.inf), np.stack((truth.starts, truth.ends), axis=1).ravel())[::2]
    step = np.searchsorted(-ranked.thresholds, -best)
    tps = np.cumsum(np.bincount(step, truth.lengths, len(ranked.steps))).astype(int)
    return tps, tps + ranked.steps - ranked.tps


@metric(
    "pa_auc_roc",
    title="area under ROC after point adjustment",
    needs=Needs.SCORES,
    source="Xu et al., WWW 2018, over all thresholds",
    warning=WARNING,
    without_normal=False,
)
def pa_auc_roc(ranked: Ranked) -> Measured:
    r"""Area under ROC after point adjustment at every threshold: each anomaly has its highest score everywhere.

    .. math:: s'_t = \max_{u \in A_j} s_u \text{ for } t \in A_j
    """
    return Measured(roc_area(*adjusted_counts(ranked)))


@metric(
    "pa_auc_pr",
    title="area under precision over recall after point adjustment",
    needs=Needs.SCORES,
    source="Xu et al., WWW 2018, over all thresholds",
    warning=WARNING,
)
def pa_auc_pr(ranked: Ranked, *, rule: str = "step") -> Measured:
    r"""Area under precision over recall after point adjustment at every threshold.

    .. math:: s'_t = \max_{u \in A_j} s_u \text{ for } t \in A_j

    Args:
        ranked: labels and scores.
        rule: `step` or `trapezoid`.
    """
    return Measured(pr_area(*adjusted_counts(ranked), rule))


@metric(
    "oracle_pa",
    title="best point-adjusted F over all thresholds",
    needs=Needs.SCORES,
    source="Xu et al., WWW 2018",
    warning=f"{WARNING}; and its threshold is chosen by the labels that are to be found",
)
def oracle_pa(ranked: Ranked, *, beta: float = 1.0) -> Measured:
    r"""The best point-adjusted F that any threshold gives.

    .. math:: \max_\tau F_\beta(p'_\tau)

    Args:
        ranked: labels and scores.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    tps, counts = adjusted_counts(ranked)
    best = int(np.argmax((1 + beta**2) * tps / (beta**2 * tps[-1] + counts)))
    precision, recall = float(tps[best] / counts[best]), float(tps[best] / tps[-1])
    threshold = float(ranked.thresholds[best])
    return Measured(f_score(precision, recall, beta), precision, recall, {"threshold": threshold})
