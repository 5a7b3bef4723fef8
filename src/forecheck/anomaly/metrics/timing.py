"""When alarms come."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Graded, Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured
from forecheck.anomaly.segments import Segments, first_marked
from forecheck.errors import UsageError

PROFILES = {"standard": (1.0, 0.11, 1.0), "low_fp": (1.0, 0.22, 1.0), "low_fn": (1.0, 0.11, 2.0)}
"""What a true positive earns, a false one costs, and a missed window costs."""


def sigmoid(r: Float[np.ndarray, "place"]) -> Float[np.ndarray, "place"]:
    """NAB's weight of a place relative to a window: -1 is its start, 0 its end."""
    return 2 / (1 + np.exp(5 * r)) - 1


@metric(
    "nab",
    title="NAB score",
    needs=Needs.ALARMS,
    source="Lavin & Ahmad, ICMLA 2015, arXiv 1510.03336",
    edges="no alarm: 0; behind a window of one point r counts steps",
)
def nab(pair: Pair, *, profile: str = "standard") -> Measured:
    r"""The earliest hit of a window earns by how early it is; false points cost by how late after a window they are.

    .. math:: 100 \, \frac{S - S_0}{S_1 - S_0}, \quad
        S = \sum_{j \in D} A_{TP} \frac{\sigma(r_j)}{\sigma(-1)} - A_{FN} (k - |D|) + A_{FP} \sum_{\text{false } t}
        \sigma(r_t), \quad \sigma(r) = \frac{2}{1 + e^{5r}} - 1

    r_j = -(b_j - t + 1)/|A_j| at the first hit t; r_t = (t - b)/(|A| - 1) behind the window before, and sigma is -1 if
    there is none or r > 3. S_0 is for no alarm, S_1 for a hit at every start. The best is 100; there is no lowest.

    Args:
        pair: labels and alarms; a window is an anomaly.
        profile: standard, low_fp or low_fn.
    """
    if profile not in PROFILES:
        raise UsageError(f"profile is {profile!r}", f"It is one of {', '.join(PROFILES)}.")
    true, false, missed = PROFILES[profile]
    truth, hit, k = pair.truth, pair.hits > 0, len(pair.truth)
    r = (pair.delay[hit] - truth.lengths[hit]) / truth.lengths[hit]
    earned = true * float((sigmoid(r) / sigmoid(np.array([-1.0]))[0]).sum()) - missed * int((~hit).sum())
    at = np.flatnonzero(pair.p & ~pair.y)
    before = np.searchsorted(truth.starts, at, side="right") - 1
    after = (at - truth.ends[before] + 1) / np.maximum(truth.lengths[before] - 1, 1)
    costs = np.where((before < 0) | (after > 3), -1.0, sigmoid(np.minimum(after, 3.0)))
    score = earned + false * float(costs.sum())
    return Measured(100 * (score + missed * k) / ((true + missed) * k))


@metric(
    "early_detection",
    title="early-detection score",
    needs=Needs.ALARMS,
    source="IEEE document 7987310",
    edges="no alarm in a window: 0 for it",
    warning="false alarms outside the windows cost nothing",
)
def early_detection(pair: Pair, *, share: float = 0.1) -> Measured:
    r"""How early the first alarm lies in a window around the start of each anomaly.

    .. math:: \frac1k \sum_j \Big( 1 - \frac{t_j - u_j}{v_j - u_j} \Big), \qquad [u_j, v_j] = a_j \pm \frac{0.1 n}{2k}

    Windows are cut at the ends of the series.

    Args:
        pair: labels and alarms.
        share: of the series that all windows have together, above 0 to 1.
    """
    within("share", share, 1e-9, 1)
    half = share * pair.n / len(pair.truth) / 2
    low = np.maximum(np.ceil(pair.truth.starts - half), 0).astype(int)
    high = np.minimum(np.floor(pair.truth.starts + half), pair.n - 1).astype(int)
    first = first_marked(pair.p, Segments(low, high))
    value = np.where(first <= high, 1 - (first - low) / np.maximum(high - low, 1), 0.0)
    return Measured(float(value.mean()))


@metric(
    "mttd",
    title="mean time to detect",
    needs=Needs.ALARMS,
    source="ACM document 10.1145/3691338",
    edges="no alarm at or after any start: not a number",
    lower_is_better=True,
    warning="missed anomalies cost nothing, and an alarm counts however late it is; never report it alone",
)
def mttd(pair: Pair) -> Measured:
    r"""Mean steps from the start of an anomaly to the first alarm point at or after it, wherever it lies.

    .. math:: \operatorname{mean}_j \big( \min\{t \ge a_j : p_t = 1\} - a_j \big)

    Anomalies without any alarm after their start are left out.
    """
    found = pair.delay[pair.truth.starts + pair.delay < pair.n]
    return Measured(float(found.mean()) if len(found) else float("nan"), details={"counted": len(found)})


@metric(
    "adtqc",
    title="quality of the timing of detections",
    needs=Needs.ALARMS,
    source="Kotowski et al., ESA-ADB, arXiv 2406.17826",
    edges="nothing detected: 0; before the first anomaly an alarm may be as early as the anomaly is long",
)
def adtqc(pair: Pair, *, exponent: float = math.e) -> Measured:
    r"""How near the start of the first overlapping alarm is to the start of each detected anomaly.

    .. math:: q(x) = \begin{cases} ((x + \alpha) / \alpha)^e & -\alpha < x \le 0 \\
        1 / (1 + (x / (\beta - x))^e) & 0 < x < \beta \\ 0 & \text{else} \end{cases}

    x: start of the first overlapping alarm - a_j; beta = |A_j|; alpha = min(beta, a_j - a_{j-1}).

    Args:
        pair: labels and alarms.
        exponent: e.
    """
    within("exponent", exponent, 0)
    truth = pair.truth
    hit, first = np.unique(pair.shared.first, return_index=True)
    x = (pair.alarms.starts[pair.shared.second[first]] - truth.starts[hit]).astype(float)
    late = truth.lengths[hit].astype(float)
    early = np.minimum(truth.lengths, np.diff(truth.starts, prepend=-pair.n - 1))[hit].astype(float)
    before = np.maximum((x + early) / early, 0.0) ** exponent
    odds = (np.clip(x, 0, None) / np.maximum(late - x, 1e-300)) ** exponent
    value = np.where(x <= 0, np.where(x <= -early, 0.0, before), np.where(x >= late, 0.0, 1 / (1 + odds)))
    details = {"after_share": float((x > 0).mean())} if len(x) else {}
    return Measured(float(value.mean()) if len(value) else 0.0, details=details)


def _first_grades(pair: Graded) -> Int[np.ndarray, "detected"]:
    """The grade at the first alarm point of each detected event."""
    events = pair.truth
    first = first_marked(pair.p, events)
    found: Int[np.ndarray, "detected"] = pair.grades[first[first < events.ends]]
    return found


_GRADED = "NoBOOM's graded labels; companions of `alarm`"
_NOTHING = "nothing detected: 0"


@metric(
    "edf",
    title="share of detected events whose first alarm is early",
    needs=Needs.GRADED,
    source=_GRADED,
    edges=_NOTHING,
)
def edf(pair: Graded) -> Measured:
    r"""Share of detected events whose first alarm lies in the early window (grade 1).

    .. math:: \#\{j \in D : g_{t_j} = 1\} / |D|
    """
    grades = _first_grades(pair)
    return Measured(float((grades == 1).mean()) if len(grades) else 0.0, details={"detected": len(grades)})


@metric(
    "ldf",
    title="share of detected events whose first alarm is late",
    needs=Needs.GRADED,
    source=_GRADED,
    edges=_NOTHING,
    lower_is_better=True,
)
def ldf(pair: Graded) -> Measured:
    r"""Share of detected events whose first alarm lies in the late window (grade 3).

    .. math:: \#\{j \in D : g_{t_j} = 3\} / |D|

    A first alarm in the anomaly itself (grade 2) is neither early nor late; NoBOOM's code counts it late.
    """
    grades = _first_grades(pair)
    return Measured(float((grades == 3).mean()) if len(grades) else 0.0, details={"detected": len(grades)})
