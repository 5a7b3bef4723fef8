"""ALARM, as public code has it, at one threshold and at all."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Needs, metric
from forecheck.anomaly.pair import Pair, Ranked
from forecheck.anomaly.result import Measured
from forecheck.anomaly.segments import Segments

SOURCE = (
    "public code: github.com/neurips2026-anon123-noboom/NoBOOMBenchmark, commit 14ec7b7d9a61, which cites no paper. "
    "That it is the ALARM of arXiv 2510.17562 is inferred from its name, its group and its fit with the abstract; its "
    "authors note a doubt about one term. Written here from the formula alone."
)
WARNING = (
    "in float64 what lies more than about 53 points behind an anomaly's start weighs nothing; and more true points can "
    "lower it"
)
TAU = 2.0


@metric(
    "alarm",
    title="ALARM, from the formula of public code",
    needs=Needs.ALARMS,
    source=SOURCE,
    edges="no alarm: 0; not bounded below",
    warning=WARNING,
)
def alarm(pair: Pair) -> Measured:
    r"""Detected anomalies and how early and how often they are alarmed, less false alarms and crossed borders.

    .. math:: |D| - \frac F\tau - \Big(1 - \frac{1}{N_{fp}}\Big)[N_{fp} > 0]
        + \frac{1}{|D|} \sum_{j \in D} 2^{-m_j} \Big(1 + \sum_{t \in A_j, p_t = 1} 2^{-(t - a_j + 1)}\Big)
        - \frac{3 E}{2 \tau} - \frac{L}{2 \tau}, \qquad \tau = 2

    An alarm counts for the first anomaly that it touches alone; D: anomalies with such an alarm, m_j how many. F:
    alarms without a true point; N_fp: false points; E, L: anomalies whose start, end an alarm crosses. `percent` beside
    it is the share of what p = y reaches.
    """
    value = _value(pair)
    best = float(best_value(pair.truth))
    return Measured(value, details={"percent": 100 * value / best, "best": best})


def best_value(truth: Segments) -> float:
    """ALARM of alarms that are the labels: one more than the anomalies, less the mean of 2^-(length + 1)."""
    return float(len(truth) + 1 - (2.0 ** -(truth.lengths + 1.0)).mean())


def _value(pair: Pair) -> float:
    if not len(pair.alarms):
        return 0.0
    shared, truth, k = pair.shared, pair.truth, len(pair.truth)
    # By anomaly, then by alarm: in rising order of both, so that the first of an alarm is its first anomaly.
    _, first = np.unique(shared.second, return_index=True)
    anomaly = shared.first[first]
    away = (shared.starts[first] - truth.starts[anomaly], shared.ends[first] - truth.starts[anomaly])
    runs = np.bincount(anomaly, minlength=k)
    weights = np.bincount(anomaly, 2.0 ** -away[0].astype(float) - 2.0 ** -away[1].astype(float), k)
    found = runs > 0
    near = float((2.0 ** -runs[found].astype(float) * (1 + weights[found])).mean()) if found.any() else 0.0
    padded = np.concatenate(([False], pair.p, [False]))
    starts, ends = truth.starts, truth.ends
    early = int((padded[starts] & padded[starts + 1]).sum())
    late = int((padded[ends] & padded[ends + 1]).sum())
    false = int((pair.touched == 0).sum())
    length = 1 - 1 / pair.fp if pair.fp else 0.0
    return int(found.sum()) - false / TAU - length + near - 1.5 * early / TAU - 0.5 * late / TAU


def _steps(ranked: Ranked) -> Int[np.ndarray, "time"]:
    """The first threshold that each point reaches."""
    steps = np.empty(ranked.n, dtype=np.int64)
    steps[ranked.order] = np.repeat(np.arange(len(ranked.steps)), np.diff(ranked.steps, prepend=0))
    return steps


def all_values(ranked: Ranked) -> Float[np.ndarray, "threshold"]:
    """ALARM at every distinct score, the highest first, in one sort: all its counts are of points and of neighbours.

    A path falls into as many runs as it has points less its edges, and an edge is there once both its points are. A run
    of false points reaches from anomaly to anomaly once the whole gap and both borders are alarmed: the bridge. The
    first run of the next anomaly is then suppressed.
    """
    step, many = _steps(ranked), len(ranked.steps)
    truth, y = ranked.truth, ranked.y

    def counted(at: Int[np.ndarray, "some"]) -> Int[np.ndarray, "threshold"]:
        return np.cumsum(np.bincount(at, minlength=many + 1)[:many])

    edge = np.maximum(step[1:], step[:-1])
    padded = np.concatenate(([many], step, [many]))
    early = counted(np.maximum(padded[truth.starts], padded[truth.starts + 1]))
    late = counted(np.maximum(padded[truth.ends], padded[truth.ends + 1]))
    gaps = np.stack((truth.ends[:-1] - 1, truth.starts[1:] + 1), axis=1).ravel()
    # Every other slice is a gap with the borders of both anomalies; the last may end with the series.
    bridges = np.maximum.reduceat(np.append(step, 0), gaps)[::2] if len(gaps) else np.zeros(0, dtype=np.int64)
    false_points = counted(step[~y])
    false_runs = false_points - counted(edge[~y[1:] & ~y[:-1]]) - early - late + counted(bridges)
    found, near = _inside(ranked, step, edge, bridges)
    length = np.where(false_points > 0, 1 - 1 / np.maximum(false_points, 1), 0.0)
    values: Float[np.ndarray, "threshold"] = (
        found - false_runs / TAU - length + near / np.maximum(found, 1) - 1.5 * early / TAU - 0.5 * late / TAU
    )
    return values


def _inside(
    ranked: Ranked,
    step: Int[np.ndarray, "time"],
    edge: Int[np.ndarray, "edge"],
    bridges: Int[np.ndarray, "gap"],
) -> tuple[Float[np.ndarray, "threshold"], Float[np.ndarray, "threshold"]]:
    """Detected anomalies, and the sum of their nearness, at every threshold; changes are summed anomaly by anomaly."""
    many, truth, k = len(ranked.steps), ranked.truth, len(ranked.truth)
    at = np.flatnonzero(ranked.y)
    anomaly = np.searchsorted(truth.starts, at, side="right") - 1
    weight = 2.0 ** -(at - truth.starts[anomaly] + 1.0)
    inner = np.flatnonzero(ranked.y[1:] & ranked.y[:-1])
    bridge = np.append(many, bridges)  # none leads to the first
    # The run at an anomaly's start has grown to a point once all points before it are alarmed.
    grown = np.maximum.accumulate(step[at] + anomaly * (many + 1)) - anomaly * (many + 1)
    suppressed = np.maximum(grown, bridge[anomaly])
    whose = np.concatenate((anomaly, np.searchsorted(truth.starts, inner, side="right") - 1, np.arange(k), anomaly))
    when = np.concatenate((step[at], edge[inner], bridge, suppressed))
    runs = np.concatenate((np.ones(len(at)), -np.ones(len(inner)), -np.ones(k), np.zeros(len(at))))
    weights = np.concatenate((weight, np.zeros(len(inner) + k), -weight))
    kept = when < many
    whose, when, runs, weights = whose[kept], when[kept], runs[kept], weights[kept]
    key = whose * many + when
    order = np.argsort(key, kind="stable")
    key, runs, weights = key[order], np.cumsum(runs[order]), np.cumsum(weights[order])
    last = np.append(key[1:] != key[:-1], True)
    key, runs, weights = key[last], runs[last], weights[last]
    whose, when = key // many, key % many
    # Once all is said of an anomaly its sums stay in the cumulated ones; they are taken off.
    begin = np.append(True, whose[1:] != whose[:-1])
    places = np.maximum.accumulate(np.where(begin, np.arange(len(key)), 0))
    runs = runs - np.where(places > 0, runs[places - 1], 0.0)
    weights = weights - np.where(places > 0, weights[places - 1], 0.0)
    hit = runs > 0.5
    near = np.where(hit, 2.0**-runs * (1 + weights), 0.0)
    changes = [np.diff(each, prepend=0.0) for each in (hit.astype(float), near)]
    for change, each in zip(changes, (hit.astype(float), near), strict=True):
        change[begin] = each[begin]
    found, nearness = (np.cumsum(np.bincount(when, change, many)) for change in changes)
    return found, nearness


@metric(
    "oracle_alarm",
    title="best ALARM over all thresholds",
    needs=Needs.SCORES,
    source=SOURCE,
    edges="silence is a threshold, too: at least 0",
    warning=f"{WARNING}; and its threshold is chosen by the labels that are to be found",
)
def oracle_alarm(ranked: Ranked) -> Measured:
    r"""The best ALARM that any threshold gives.

    .. math:: \max(0, \max_\tau \text{ALARM}(y, 1[s \ge \tau]))
    """
    values = all_values(ranked)
    at = int(np.argmax(values))
    best = best_value(ranked.truth)
    value = max(float(values[at]), 0.0)
    threshold = float(ranked.thresholds[at]) if values[at] > 0 else float("inf")
    return Measured(value, details={"threshold": threshold, "percent": 100 * value / best, "best": best})
