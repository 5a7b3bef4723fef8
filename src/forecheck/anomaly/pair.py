"""What is compared: labels with alarms, or labels with scores; what many metrics need of them is computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.anomaly.segments import Overlaps, Segments, counts, distances, first_marked, overlaps, segments


@dataclass(frozen=True, eq=False)
class Pair:
    """Labels and alarms.

    Attributes:
        y: which points are anomalous.
        p: at which there is an alarm.
    """

    y: Bool[np.ndarray, "time"]
    p: Bool[np.ndarray, "time"]

    @property
    def n(self) -> int:
        """Points."""
        return len(self.y)

    @cached_property
    def truth(self) -> Segments:
        """The anomalies."""
        return segments(self.y)

    @cached_property
    def alarms(self) -> Segments:
        """The alarms."""
        return segments(self.p)

    @cached_property
    def shared(self) -> Overlaps:
        """What anomalies and alarms share."""
        return overlaps(self.truth, self.alarms)

    @cached_property
    def hits(self) -> Int[np.ndarray, "anomaly"]:
        """Points with an alarm in each anomaly."""
        return counts(self.p, self.truth)

    @cached_property
    def runs(self) -> Int[np.ndarray, "anomaly"]:
        """Alarms that overlap each anomaly."""
        return np.bincount(self.shared.first, minlength=len(self.truth))

    @cached_property
    def touched(self) -> Int[np.ndarray, "alarm"]:
        """Anomalies that each alarm overlaps."""
        return np.bincount(self.shared.second, minlength=len(self.alarms))

    @cached_property
    def delay(self) -> Int[np.ndarray, "anomaly"]:
        """Steps from each anomaly's start to the first alarm point at or after it, which may lie behind its end."""
        return first_marked(self.p, self.truth) - self.truth.starts

    @cached_property
    def tp(self) -> int:
        """Points with an alarm in an anomaly."""
        return int(self.hits.sum())

    @cached_property
    def fp(self) -> int:
        """Points with an alarm outside."""
        return int(np.count_nonzero(self.p)) - self.tp

    @cached_property
    def fn(self) -> int:
        """Anomalous points without an alarm."""
        return int(self.truth.lengths.sum()) - self.tp

    @cached_property
    def to_truth(self) -> Int[np.ndarray, "time"]:
        """Distance of each point to the nearest anomaly; there is one."""
        return distances(self.y)

    def with_alarms(self, p: Bool[np.ndarray, "time"]) -> Pair:
        """The same labels with other alarms."""
        return Pair(self.y, p)


@dataclass(frozen=True, eq=False)
class Ranked:
    """Labels and scores.

    Attributes:
        y: which points are anomalous.
        s: scores, higher for what looks more anomalous; finite.
    """

    y: Bool[np.ndarray, "time"]
    s: Float[np.ndarray, "time"]

    @property
    def n(self) -> int:
        """Points."""
        return len(self.y)

    @cached_property
    def truth(self) -> Segments:
        """The anomalies."""
        return segments(self.y)

    @cached_property
    def order(self) -> Int[np.ndarray, "time"]:
        """Points by falling score."""
        return np.argsort(-self.s, kind="stable")

    @cached_property
    def steps(self) -> Int[np.ndarray, "threshold"]:
        """How many points reach each distinct score, the highest first."""
        falling = self.s[self.order]
        return np.append(np.flatnonzero(falling[1:] != falling[:-1]) + 1, self.n)

    @property
    def thresholds(self) -> Float[np.ndarray, "threshold"]:
        """The distinct scores, the highest first."""
        return self.s[self.order[self.steps - 1]]

    @cached_property
    def tps(self) -> Int[np.ndarray, "threshold"]:
        """Anomalous points that reach each distinct score."""
        return np.cumsum(self.y[self.order])[self.steps - 1]

    def at(self, threshold: float) -> Pair:
        """Alarms where the score reaches a threshold."""
        return Pair(self.y, self.s >= threshold)
