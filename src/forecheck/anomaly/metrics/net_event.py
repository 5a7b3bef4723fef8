"""What detection gains net of what its false alarms cost, event by event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from forecheck.anomaly.metrics.registry import Needs, metric, within
from forecheck.anomaly.pair import Pair
from forecheck.anomaly.result import Measured
from forecheck.anomaly.segments import segments
from forecheck.errors import UsageError


@dataclass(frozen=True)
class Weights:
    """What the score rewards and what it charges; see `net_event`."""

    existence: float = 0.5
    coverage: float = 0.25
    earliness: float = 0.25
    redundancy: float = 0.15
    alarm: float = 0.25
    length: float = 0.25
    border: float = 0.125
    border_length: float = 0.375
    tolerance: float = 8.0

    def __post_init__(self) -> None:
        for name in ("existence", "earliness", "border_length"):
            within(name, getattr(self, name), 0, 1)
        if abs(self.existence + self.coverage + self.earliness - 1) > 1e-9:
            raise UsageError("existence, coverage and earliness do not sum to 1", "A perfect detection is worth 1.")
        if not 0 < self.redundancy < self.coverage:
            raise UsageError(
                f"redundancy is {self.redundancy}", f"It lies between 0 and coverage ({self.coverage}): hits must gain."
            )
        if not min(self.alarm, self.length) > 0 or not np.isfinite(self.alarm + self.length):
            raise UsageError("alarm and length must be above 0", "Else some false alarms cost nothing.")
        most = min(self.existence, 0.5)
        if not (self.coverage / 2 <= self.border and self.border + self.border_length <= most + 1e-12):
            raise UsageError(
                f"border is {self.border}, border_length {self.border_length}",
                f"border is at least half of coverage ({self.coverage / 2:g}), and their sum at most {most:g}.",
            )
        if not 0 < self.tolerance < np.inf:
            raise UsageError(f"tolerance is {self.tolerance}", "It is a number of steps above 0.")


@dataclass(frozen=True, eq=False)
class Parts:
    """The score by anomaly: `net = (sum(rewards) - sum(costs)) / max(k, 1)`.

    Attributes:
        rewards: r_j of each anomaly.
        costs: q_R of each run of false points.
        nearest: which anomaly each run of false points is nearest to, for resampling by anomaly; -1 without anomalies.
    """

    rewards: Float[np.ndarray, "anomaly"]
    costs: Float[np.ndarray, "run"]
    nearest: Int[np.ndarray, "run"]


def parts(pair: Pair, weights: Weights) -> Parts:
    """Rewards and costs, one by one."""
    false = segments(pair.p & ~pair.y)
    truth, k = pair.truth, len(pair.truth)
    lengths = truth.lengths.astype(float)
    hit = pair.hits > 0
    rewards = np.where(
        hit,
        weights.existence
        + weights.coverage * pair.hits / lengths
        + weights.earliness * (1 - pair.delay / lengths)
        - weights.redundancy * (pair.runs - 1) / lengths,
        0.0,
    )
    if not len(false):
        return Parts(rewards, np.zeros(0), np.zeros(0, dtype=int))
    weight = np.minimum(1.0, pair.to_truth / weights.tolerance) if k else np.ones(pair.n)
    sums = np.concatenate(([0.0], np.cumsum(np.where(pair.y, 0.0, weight))))
    total = sums[false.ends] - sums[false.starts]
    largest = np.maximum.reduceat(np.append(weight, 0.0), np.stack((false.starts, false.ends), axis=1).ravel())[::2]
    usual = lengths.mean() if k else weights.tolerance
    share = total / (total + usual)
    # A run of false points ends at a hit where its neighbour has an alarm: the neighbour is then anomalous.
    alarm = np.concatenate(([False], pair.p, [False]))
    ends = alarm[false.starts].astype(int) + alarm[false.ends + 1]
    apart = weights.alarm * largest
    touching = ends * (weights.border + weights.border_length * share)
    costs = weights.length * share + np.where(ends > 0, touching, apart)
    return Parts(rewards, costs, _nearest(pair, false.starts, false.ends))


def _nearest(pair: Pair, low: Int[np.ndarray, "run"], high: Int[np.ndarray, "run"]) -> Int[np.ndarray, "run"]:
    """The anomaly that each run of false points is nearest to, the later of two."""
    k = len(pair.truth)
    if not k:
        return np.full(len(low), -1)
    after = np.searchsorted(pair.truth.starts, low)
    before = np.maximum(after - 1, 0)
    behind = np.where(after > 0, low - pair.truth.ends[before], 2 * pair.n)
    ahead = np.where(after < k, pair.truth.starts[np.minimum(after, k - 1)] - high, 2 * pair.n)
    return np.where(ahead <= behind, np.minimum(after, k - 1), before)


def squashed(net: float) -> float:
    """The score of a net gain: what is below 0 is brought into (-1, 0)."""
    return net if net >= 0 else net / (1 - net)


@metric(
    "net_event",
    title="gains of detection less costs of false alarms",
    needs=Needs.ALARMS,
    source="ours; docs/anomaly-metrics.md has the proofs",
    edges="no alarm: 0; no anomaly: false alarms alone count, and silence has 0",
    without_anomalies=True,
)
def net_event(
    pair: Pair,
    *,
    existence: float = 0.5,
    coverage: float = 0.25,
    earliness: float = 0.25,
    redundancy: float = 0.15,
    alarm: float = 0.25,
    length: float = 0.25,
    border: float = 0.125,
    border_length: float = 0.375,
    tolerance: float = 8.0,
) -> Measured:
    r"""Rewards of detected anomalies less the costs of runs of false points; 1 is perfect, 0 silence, below 0 worse.

    .. math:: r_j = e + c \frac{H_j}{n_j} + v \Big(1 - \frac{d_j}{n_j}\Big) - \rho \frac{m_j - 1}{n_j}
        \text{ if hit, else } 0, \qquad
        q_R = \beta \psi + \big( x (B_0 + B_1 \psi) \text{ if } x > 0 \text{ else } \alpha \max_t w_t \big)

    .. math:: S = \frac1k \Big( \sum_j r_j - \sum_R q_R \Big), \qquad \text{score} = S \text{ if } S \ge 0 \text{ else }
        S / (1 - S)

    H_j hits, d_j steps to the first, m_j alarms in an anomaly of n_j points; w_t = min(1, distance to the nearest
    anomaly / tolerance), psi = s / (s + mean n_j), s the sum of w over the run R; x, how many ends of R touch a hit.

    Args:
        pair: labels and alarms.
        existence: e, for being hit at all; e + c + v = 1.
        coverage: c, for the share that is hit.
        earliness: v, for being hit early.
        redundancy: rho, charged for each alarm more; below c.
        alarm: alpha, charged for each false alarm.
        length: beta, charged for its length.
        border: B_0, charged for an alarm that crosses a border of an anomaly; at least c/2.
        border_length: B_1, the same by length; B_0 + B_1 at most e and 1/2.
        tolerance: steps from an anomaly within which a false point costs less.
    """
    weights = Weights(existence, coverage, earliness, redundancy, alarm, length, border, border_length, tolerance)
    found = parts(pair, weights)
    k = max(len(pair.truth), 1)
    gained, charged = float(found.rewards.sum()) / k, float(found.costs.sum()) / k
    return Measured(squashed(gained - charged), details={"gained": gained, "charged": charged})
