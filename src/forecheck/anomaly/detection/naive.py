"""Detectors that everything is compared to: the last value, the last season, a moving z-score, and chance."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Int

from forecheck.anomaly.detection.alarms import segmented
from forecheck.anomaly.detection.detector import Detector, Scored

MOVING = "moving z-score"
RANDOM = "random"
_WINDOW = 48


def moving_window(period: int, room: int) -> int:
    """Rows of a moving z-score: two seasons, at least 48, at most what the training part has room for."""
    return max(2, min(max(_WINDOW, 2 * period), room))


def random_scored(
    scored: Scored, detector: Detector, offsets: Int[np.ndarray, " series_plus_one"], seed: int = 0
) -> Scored:
    """What a detector that knows nothing says of the same rows: scores uniform on [0, 1], alarms at the same rate.

    Args:
        scored: by a detector; rows that it has no score for get none.
        detector: of the same streams, whose rate and rule are taken.
        offsets: of the series.
        seed: of the scores.
    """
    drawn = np.random.default_rng(seed).random(scored.scores.shape)
    scores = np.where(np.isnan(scored.scores), np.nan, drawn)
    alarm, first = np.zeros(scores.shape, dtype=bool), np.full(scores.shape, -1)
    for start, end in pairwise(offsets):
        for stream in range(scores.shape[1]):
            over = scores[start:end, stream] > 1 - detector.false_alarms / 1000
            alarm[start:end, stream], place = segmented(over, detector.rule)
            first[start:end, stream] = np.where(place >= 0, place + start, -1)
    return Scored(scores, 1 - scores, alarm, first, scored.expected, scored.low, scored.high)
