"""Anomalies and alarms counted as events."""

from __future__ import annotations

import numpy as np

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured, measured, ratio

_NO_ALARM = "no alarm: precision 0"


def event_recall_of(pair: Pair) -> float:
    """Share of anomalies with an alarm point."""
    return float((pair.hits > 0).mean())


def event_precision_of(pair: Pair) -> float:
    """Detected anomalies over themselves and the alarms that overlap none; 0 if there is neither."""
    found, false = int((pair.hits > 0).sum()), int((pair.touched == 0).sum())
    return ratio(found, found + false)


@metric(
    "segment",
    title="segment-wise precision, recall and F",
    needs=Needs.ALARMS,
    source="Hundman et al., KDD 2018, arXiv 1802.04431",
    edges=_NO_ALARM,
)
def segment(pair: Pair, *, beta: float = 1.0) -> Measured:
    r"""Anomalies that are hit and alarms that hit none.

    .. math:: TP = \#\{j : A_j \cap p \ne \emptyset\}, \quad FN = k - TP, \quad FP = \#\{i : P_i \cap y = \emptyset\}

    Args:
        pair: labels and alarms.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    return measured(event_precision_of(pair), event_recall_of(pair), beta)


@metric(
    "composite",
    title="point precision with event recall",
    needs=Needs.ALARMS,
    source="Garg et al., TNNLS 2021, arXiv 2109.11428",
    edges=_NO_ALARM,
)
def composite(pair: Pair, *, beta: float = 1.0) -> Measured:
    r"""F of the precision of points and the recall of events.

    .. math:: P = \frac{TP}{TP + FP} \text{ of points}, \quad R = \#\{j : A_j \cap p \ne \emptyset\} / k

    Args:
        pair: labels and alarms.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    return measured(ratio(pair.tp, pair.tp + pair.fp), event_recall_of(pair), beta)


@metric(
    "event_corrected",
    title="event-wise F with corrected precision",
    needs=Needs.ALARMS,
    source="Kotowski et al., ESA-ADB, arXiv 2406.17826",
    edges=f"{_NO_ALARM}; no normal point: nothing to correct",
)
def event_corrected(pair: Pair, *, beta: float = 0.5) -> Measured:
    r"""Segment-wise F, its precision times the share of normal time that is free of alarms.

    .. math:: P = \frac{TP_e}{TP_e + FP_e} \Big(1 - \frac{FP}{\#\{y = 0\}}\Big), \quad R = TP_e / k

    Args:
        pair: labels and alarms.
        beta: how much more recall counts than precision.
    """
    within("beta", beta, 0)
    normal = pair.n - int(pair.truth.lengths.sum())
    free = 1 - ratio(pair.fp, normal)
    touching = int((pair.touched > 0).sum())
    found = int((pair.hits > 0).sum())
    alarming = ratio(found, max(touching, found))
    return measured(
        event_precision_of(pair) * free, event_recall_of(pair), beta, free_time=free, alarming_precision=alarming
    )


@metric(
    "event_recall",
    title="share of anomalies that are hit",
    needs=Needs.ALARMS,
    source="general; a companion of `alarm`",
    warning="alarms everywhere give 1",
)
def event_recall(pair: Pair) -> Measured:
    r"""Share of anomalies with an alarm point.

    .. math:: \#\{j : A_j \cap p \ne \emptyset\} / k
    """
    return Measured(event_recall_of(pair))


@metric(
    "alarms_per_anomaly",
    title="alarms in a detected anomaly, on average",
    needs=Needs.ALARMS,
    source="public code of the group of arXiv 2510.17562, as AAF; a companion of `alarm`",
    edges="nothing detected: 0",
    lower_is_better=True,
)
def alarms_per_anomaly(pair: Pair) -> Measured:
    r"""Mean number of alarms that overlap a detected anomaly; 1 is without redundancy.

    .. math:: \frac{1}{|D|} \sum_{j \in D} \#\{i : P_i \cap A_j \ne \emptyset\}
    """
    found = pair.runs[pair.hits > 0]
    return Measured(float(found.mean()) if len(found) else 0.0, details={"detected": len(found)})


@metric(
    "latency",
    title="median delay of the first hit",
    needs=Needs.ALARMS,
    source="ours",
    edges="nothing detected: not a number",
    lower_is_better=True,
    warning="missed anomalies do not count; see `missed` beside it",
)
def latency(pair: Pair) -> Measured:
    r"""Median over detected anomalies of the steps from the start to the first hit inside.

    .. math:: \operatorname{median}_{j \in D} \min\{t \in A_j : p_t = 1\} - a_j
    """
    delays = pair.delay[pair.hits > 0]
    missed = len(pair.truth) - len(delays)
    return Measured(float(np.median(delays)) if len(delays) else float("nan"), details={"missed": missed})
