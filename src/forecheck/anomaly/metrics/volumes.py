"""Areas and volumes under curves whose labels have soft borders."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.ranking import area
from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Ranked
from forecheck.anomaly.result import Measured
from forecheck.anomaly.segments import Segments
from forecheck.errors import UsageError

_SOURCE = "Paparrizos et al., PVLDB 15(11), 2022"
_EDGES = "constant scores: one threshold, at which everything is an alarm"
_WARNING = "it grows with the window: state the window, and keep it for all detectors of a data set"


class SoftLabels:
    """Soft labels of every window, and what reaches each threshold of them.

    A point within l/2 of one anomaly has the label sqrt(1 - d/l), within l/2 of several 1: their sum is above 1.

    Args:
        ranked: labels and scores.
        widest: the widest window.
        thresholds: how many scores are thresholds, at equal ranks.
        version: `paper`, or `package`, where borders count as positive only where they are predicted, and the area
            under precision is a sum of steps.

    Raises:
        UsageError: if there is no such version.
    """

    def __init__(self, ranked: Ranked, widest: int, thresholds: int, version: str) -> None:
        within("thresholds", thresholds, 2)
        if version not in ("paper", "package"):
            raise UsageError(f"version is {version!r}", "It is paper or package.")
        self.package = version == "package"
        n, truth = ranked.n, ranked.truth
        falling = np.sort(-ranked.s)
        levels = falling[np.linspace(0, n - 1, thresholds).astype(int)]
        # The first threshold that each point reaches.
        self.bins = np.searchsorted(levels, -ranked.s, side="left")
        self.many, self.n, self.truth = thresholds, n, truth
        self.predicted = np.cumsum(np.bincount(self.bins, minlength=thresholds))
        self.core = np.cumsum(np.bincount(self.bins[ranked.y], minlength=thresholds))
        self.positive = int(truth.lengths.sum())
        at, self.near, self.second = _around(truth, n, widest // 2)
        self.near_bins = self.bins[at]
        self.reach = np.minimum.reduceat(
            np.append(self.bins, thresholds), np.stack((truth.starts, truth.ends), axis=1).ravel()
        )[::2]

    def areas(self, window: int) -> tuple[float, float]:
        """Area under ROC and under precision over recall; windows must be asked for in rising order."""
        half = window // 2
        count = int(np.searchsorted(self.near, half, side="right"))
        soft = np.where(self.second[:count] <= half, 1.0, np.sqrt(1 - self.near[:count] / max(window, 1)))
        border = np.cumsum(np.bincount(self.near_bins[:count], soft, self.many))
        tp = self.core + border
        positive = self.positive + (border if self.package else soft.sum()) / 2
        recall = np.minimum(tp / positive, 1.0) * self.widen(half)
        roc = area(
            np.concatenate(([0.0], (self.predicted - tp) / (self.n - positive), [1.0])),
            np.concatenate(([0.0], recall, [1.0])),
        )
        precision = tp / self.predicted
        if self.package:
            return roc, float(np.sum(np.diff(recall, prepend=0.0) * precision))
        return roc, area(np.append(0.0, recall), np.append(1.0, precision))

    def widen(self, half: int) -> Float[np.ndarray, "threshold"]:
        """Share of widened anomalies that have an alarm at each threshold; those that meet count as one."""
        low, high = np.maximum(self.truth.starts - half, 0), np.minimum(self.truth.ends - 1 + half, self.n - 1)
        self.reach = np.minimum(self.reach, np.minimum(self.bins[low], self.bins[high]))
        begins = np.flatnonzero(np.append(True, self.truth.ends[:-1] - 1 + half >= self.truth.starts[1:] - half) ^ True)
        firsts = np.minimum.reduceat(self.reach, np.append(0, begins))
        found: Float[np.ndarray, "threshold"] = np.cumsum(np.bincount(firsts, minlength=self.many)) / len(firsts)
        return found


def _around(
    truth: Segments, n: int, reach: int
) -> tuple[Int[np.ndarray, "point"], Int[np.ndarray, "point"], Int[np.ndarray, "point"]]:
    """Normal points within reach of an anomaly, by distance; the distances to the nearest anomaly and the second."""
    gap_low, gap_high = np.append(0, truth.ends), np.append(truth.starts, n)
    # In each gap the points next to its two ends, each once.
    left = np.minimum(gap_high - gap_low, reach)
    left[0] = 0
    right = np.minimum(gap_high - gap_low - left, reach)
    right[-1] = 0
    starts = np.concatenate((gap_low, gap_high - right))
    sizes = np.concatenate((left, right))
    at = np.arange(sizes.sum()) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    far = 4 * n
    ends = np.concatenate(([-far, -far], truth.ends - 1))
    begins = np.concatenate((truth.starts, [far, far]))
    after = np.searchsorted(truth.starts, at)
    candidates = np.stack((at - ends[after + 1], at - ends[after], begins[after] - at, begins[after + 1] - at))
    candidates.sort(axis=0)
    order = np.argsort(candidates[0], kind="stable")
    return at[order], candidates[0][order], candidates[1][order]


def _default(ranked: Ranked, window: int | None) -> int:
    """The window: the median length of the anomalies if none is given."""
    if window is None:
        return int(np.median(ranked.truth.lengths))
    within("window", window, 0, ranked.n)
    return int(window)


def _range(ranked: Ranked, window: int | None, thresholds: int, version: str) -> tuple[float, float, int]:
    width = _default(ranked, window)
    soft = SoftLabels(ranked, width, thresholds, version)
    for half in range(width // 2):  # what a widened anomaly reaches grows step by step
        soft.widen(half)
    return *soft.areas(width), width


def _volume(ranked: Ranked, window: int | None, thresholds: int, version: str) -> tuple[float, float, int]:
    width = _default(ranked, window)
    soft = SoftLabels(ranked, width, thresholds, version)
    areas = np.array([soft.areas(each) for each in range(width + 1)])
    return *areas.mean(axis=0).tolist(), width


@metric(
    "range_auc_roc",
    title="area under the ROC curve of soft labels",
    needs=Needs.SCORES,
    source=_SOURCE,
    edges=_EDGES,
    warning=_WARNING,
    without_normal=False,
)
def range_auc_roc(
    ranked: Ranked, *, window: int | None = None, thresholds: int = 250, version: str = "paper"
) -> Measured:
    r"""Area under ROC of labels with soft borders.

    .. math:: y^l_t = \min\big(1, y_t + \textstyle\sum_{j : 0 < d_j \le l/2} \sqrt{1 - d_j / l}\big), \quad
        TP = \sum_t y^l_t p_t, \quad P_l = \tfrac12 \sum_t (y_t + y^l_t), \quad
        TPR = \min(1, TP / P_l) \, E_l, \quad FPR = \frac{\sum p - TP}{n - P_l}

    E_l is the share of widened anomalies with an alarm.

    Args:
        ranked: labels and scores.
        window: l, in steps; the median length of the anomalies if not given.
        thresholds: scores at as many equal ranks are thresholds.
        version: `paper`, or `package` for the numbers of vus 0.0.6 and TSB-AD.
    """
    roc, _, width = _range(ranked, window, thresholds, version)
    return Measured(roc, details={"window": width})


@metric(
    "range_auc_pr",
    title="area under precision over recall of soft labels",
    needs=Needs.SCORES,
    source=_SOURCE,
    edges=_EDGES,
    warning=_WARNING,
    without_normal=False,
)
def range_auc_pr(
    ranked: Ranked, *, window: int | None = None, thresholds: int = 250, version: str = "paper"
) -> Measured:
    r"""Area under precision over recall of labels with soft borders; see `range_auc_roc`.

    .. math:: P = TP / \textstyle\sum_t p_t, \qquad R = \min(1, TP / P_l) \, E_l

    Args:
        ranked: labels and scores.
        window: l, in steps; the median length of the anomalies if not given.
        thresholds: scores at as many equal ranks are thresholds.
        version: `paper`, or `package` for the numbers of vus 0.0.6 and TSB-AD.
    """
    _, pr, width = _range(ranked, window, thresholds, version)
    return Measured(pr, details={"window": width})


@metric(
    "vus_roc",
    title="volume under the ROC surface",
    needs=Needs.SCORES,
    source=_SOURCE,
    edges=_EDGES,
    warning=_WARNING,
    without_normal=False,
)
def vus_roc(ranked: Ranked, *, window: int | None = None, thresholds: int = 250, version: str = "paper") -> Measured:
    r"""Mean of the areas under ROC of soft labels over all windows up to L.

    .. math:: \frac{1}{L + 1} \sum_{l=0}^{L} \text{range\_auc\_roc}_l

    Args:
        ranked: labels and scores.
        window: L, in steps; the median length of the anomalies if not given.
        thresholds: scores at as many equal ranks are thresholds.
        version: `paper`, or `package` for the numbers of vus 0.0.6 and TSB-AD.
    """
    roc, _, width = _volume(ranked, window, thresholds, version)
    return Measured(roc, details={"window": width})


@metric(
    "vus_pr",
    title="volume under the surface of precision over recall",
    needs=Needs.SCORES,
    source=_SOURCE,
    edges=_EDGES,
    warning=_WARNING,
    without_normal=False,
)
def vus_pr(ranked: Ranked, *, window: int | None = None, thresholds: int = 250, version: str = "paper") -> Measured:
    r"""Mean of the areas under precision over recall of soft labels over all windows up to L.

    .. math:: \frac{1}{L + 1} \sum_{l=0}^{L} \text{range\_auc\_pr}_l

    Args:
        ranked: labels and scores.
        window: L, in steps; the median length of the anomalies if not given.
        thresholds: scores at as many equal ranks are thresholds.
        version: `paper`, or `package` for the numbers of vus 0.0.6 and TSB-AD.
    """
    _, pr, width = _volume(ranked, window, thresholds, version)
    return Measured(pr, details={"window": width})
