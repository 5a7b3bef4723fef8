"""PATE: alarms near an anomaly count in part, and points that are missed after it was found count less."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair, Ranked
from forecheck.anomaly.result import Measured, f_score, ratio
from forecheck.anomaly.segments import Segments

_SOURCE = "Ghorbani et al., KDD 2024, arXiv 2405.12096"
_BUFFERS = "where buffers meet, the delay buffer of the earlier anomaly comes first"


class Buffers:
    """Points around anomalies that count in part.

    Args:
        truth: the anomalies.
        n: points.
        early: steps before an anomaly.
        delay: steps behind it, which the next anomaly cuts.

    Attributes:
        behind, before: the points of the buffers.
        behind_weights, before_weights: how much each counts as true.
        before_of: the anomaly of each point before.
    """

    def __init__(self, truth: Segments, n: int, early: int, delay: int) -> None:
        late = np.minimum(truth.ends + delay, np.append(truth.starts[1:], n))
        self.behind, whose = _points(truth.ends, late)
        centres = (truth.starts + truth.ends - 1) / 2
        # Mean distance to the anomaly's points, over that at the buffer's end.
        self.behind_weights = 1 - (self.behind - centres[whose]) / (late[whose] - 1 - centres[whose])
        soon = np.maximum(truth.starts - early, np.append(0, late[:-1]))
        self.before, self.before_of = _points(soon, truth.starts)
        middle = centres[self.before_of]
        self.before_weights = 1 - (middle - self.before) / (middle - soon[self.before_of])


def _points(
    low: Int[np.ndarray, "anomaly"], high: Int[np.ndarray, "anomaly"]
) -> tuple[Int[np.ndarray, "point"], Int[np.ndarray, "point"]]:
    """All points of some intervals, and which interval each is of."""
    sizes = np.maximum(high - low, 0)
    whose = np.repeat(np.arange(len(low)), sizes)
    return np.arange(len(whose)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + low[whose], whose


class Anomalous:
    """The anomalous points, anomaly by anomaly, for the weights of those that are missed.

    Args:
        truth: the anomalies.
    """

    def __init__(self, truth: Segments) -> None:
        self.truth = truth
        self.at, self.whose = _points(truth.starts, truth.ends)
        self.begins = np.cumsum(truth.lengths) - truth.lengths

    def missed(self, found: np.ndarray) -> float:
        """Weighted missed points: 1 up to the anomaly's start plus its first detection's length, then falling.

        Args:
            found: which of the anomalous points have an alarm.
        """
        if not found.any():
            return float(len(found))
        places = np.arange(len(found))
        stop = np.append(~found, True)
        # For each anomaly the first hit, and the first miss behind it.
        hit = np.append(np.flatnonzero(found), len(found))
        first = hit[np.searchsorted(hit[:-1], self.begins)]
        misses = np.flatnonzero(stop)
        end = np.minimum(misses[np.searchsorted(misses, first)], self.begins + self.truth.lengths)
        length = np.where(first < self.begins + self.truth.lengths, end - first, self.truth.lengths)
        gone = ~found
        offset = (places - self.begins[self.whose] - length[self.whose])[gone]
        room = (self.truth.lengths - length)[self.whose][gone]
        return float(np.where(offset <= 0, 1.0, 1 - offset / np.maximum(room, 1)).sum())


def _grid(early: int, delay: int, splits: int) -> list[tuple[int, int]]:
    within("early", early, 0)
    within("delay", delay, 0)
    within("splits", splits, 1)
    sizes = [[round(most * i / splits) for i in range(splits + 1)] for most in (early, delay)]
    return [(e, d) for e in sizes[0] for d in sizes[1]]


@metric(
    "pate_f",
    title="PATE of alarms",
    needs=Needs.ALARMS,
    source=_SOURCE,
    edges=f"no alarm: precision 0; {_BUFFERS}",
)
def pate_f(pair: Pair, *, early: int = 5, delay: int = 5, splits: int = 1) -> Measured:
    r"""F of weighted points: near an anomaly an alarm is true in part, and false for the rest.

    .. math:: w_x = 1 - \frac{\sum_{u \in A} |x - u|}{\sum_{u \in A} |x_{end} - u|}, \quad
        P = \frac{\sum w p}{\sum p}, \quad R = \frac{\sum w p}{\sum w p + FN}

    Inside w = 1, outside the buffers 0; before an anomaly that is not hit 0. A missed point of an anomaly that is hit
    counts 1 up to the anomaly's start plus the length of its first detection, then less and less.

    Args:
        pair: labels and alarms.
        early: steps before an anomaly.
        delay: steps behind it.
        splits: the mean is taken over 0, early / splits, 2 early / splits, ..., early, and the same of delay.
    """
    grid = _grid(early, delay, splits)
    fn = Anomalous(pair.truth).missed(pair.p[pair.y])
    both = []
    for e, d in grid:
        buffers = Buffers(pair.truth, pair.n, e, d)
        true = pair.tp + (buffers.behind_weights * pair.p[buffers.behind]).sum()
        taken = pair.p[buffers.before] & (pair.hits > 0)[buffers.before_of]
        true = float(true + (buffers.before_weights * taken).sum())
        both.append((ratio(true, pair.tp + pair.fp), ratio(true, true + fn)))
    precision, recall = (float(np.mean(each)) for each in zip(*both, strict=True))
    return Measured(float(np.mean([f_score(*each) for each in both])), precision, recall)


@metric(
    "pate",
    title="PATE of scores: area under precision over recall",
    needs=Needs.SCORES,
    source=_SOURCE,
    edges=f"constant scores: one threshold, at which everything is an alarm; {_BUFFERS}",
)
def pate(ranked: Ranked, *, early: int = 5, delay: int = 5, splits: int = 1, thresholds: int = 250) -> Measured:
    r"""Area under the precision over recall of `pate_f`, by steps.

    .. math:: \sum_i (R_i - R_{i-1}) P_i

    Args:
        ranked: labels and scores.
        early: steps before an anomaly.
        delay: steps behind it.
        splits: the mean is taken over 0, early / splits, 2 early / splits, ..., early, and the same of delay.
        thresholds: scores at as many equal ranks are thresholds.
    """
    within("thresholds", thresholds, 2)
    grid = _grid(early, delay, splits)
    falling = np.sort(-ranked.s)
    levels = np.unique(falling[np.linspace(0, ranked.n - 1, thresholds).astype(int)])
    bins, many = np.searchsorted(levels, -ranked.s, side="left"), len(levels)
    truth = ranked.truth
    anomalous = Anomalous(truth)
    inside = bins[anomalous.at]
    hit = np.minimum.reduceat(inside, anomalous.begins)
    core = np.bincount(inside, minlength=many).astype(float)
    fn = np.array([anomalous.missed(inside <= level) for level in range(many)])
    predicted = np.cumsum(np.bincount(bins, minlength=many))
    areas = []
    for e, d in grid:
        buffers = Buffers(truth, ranked.n, e, d)
        gained = core + np.bincount(bins[buffers.behind], buffers.behind_weights, many)
        reached = np.maximum(bins[buffers.before], hit[buffers.before_of])
        true = np.cumsum(gained + np.bincount(reached, buffers.before_weights, many))
        areas.append(_area(true / predicted, true / np.maximum(true + fn, 1e-300)))
    return Measured(float(np.mean(areas)))


def _area(precision: Float[np.ndarray, "threshold"], recall: Float[np.ndarray, "threshold"]) -> float:
    """By steps, as average precision."""
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))
