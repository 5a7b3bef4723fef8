"""A detector: what is expected, how errors become scores, and which scores are alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from forecheck.anomaly.detection.alarms import Rule, segmented
from forecheck.anomaly.detection.calibrated import p_values, threshold
from forecheck.anomaly.detection.expected import Source, expected_of
from forecheck.anomaly.detection.rows import Rows, rows_of
from forecheck.anomaly.detection.scoring import Scoring
from forecheck.data.panel import Panel
from forecheck.data.scaling import Scaler
from forecheck.progress import Progress


@dataclass(frozen=True, eq=False)
class Ground:
    """What detectors of one fit share.

    Attributes:
        scaler: mean and standard deviation of the training rows.
        series: names of the series, in the order of the scaler's rows.
        period: steps a season whose phases are told apart; 1 for none.
        start: stamp from which phases are counted.
    """

    scaler: Scaler
    series: tuple[str, ...]
    period: int
    start: Any

    def rows(self, panel: Panel) -> Rows:
        """The rows of a panel whose series are all in the fit."""
        return rows_of(panel, self.scaler, self.series, self.period, self.start)


@dataclass(frozen=True, eq=False)
class Scored:
    """What a detector says of rows; NaN and False where it says nothing.

    Attributes:
        scores, p: of every row and stream: the channels and, if there are several, last all of them jointly.
        alarm: whether there is an alarm.
        first: row of the first alarm of the segment that an alarm belongs to, -1 without alarm.
        expected: values in the units of the data.
        low, high: a value outside is over the threshold.
    """

    scores: Float[np.ndarray, "time stream"]
    p: Float[np.ndarray, "time stream"]
    alarm: Bool[np.ndarray, "time stream"]
    first: Int[np.ndarray, "time stream"]
    expected: Float[np.ndarray, "time channel"]
    low: Float[np.ndarray, "time channel"]
    high: Float[np.ndarray, "time channel"]


@dataclass(frozen=True, eq=False)
class Detector:
    """Scores rows by how far they are from what was expected, and raises alarms at a calibrated rate.

    Attributes:
        name: of the forecaster or the rule behind it.
        source: what expects.
        scoring: how errors become scores.
        calibration: scores of the calibration part, of every stream, the smallest first.
        false_alarms: per 1000 steps of a stream.
        rule: how alarms become segments.
    """

    name: str
    source: Source
    scoring: Scoring
    calibration: tuple[Float[np.ndarray, " _"], ...]
    false_alarms: float
    rule: Rule

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Scores above which there is an alarm, of every stream."""
        return tuple(threshold(scores, self.false_alarms) for scores in self.calibration)

    def score(
        self,
        ground: Ground,
        panel: Panel,
        first: Int[np.ndarray, " series"],
        progress: Progress | None = None,
    ) -> Scored:
        """Score the rows of every series from a row on.

        Args:
            ground: of the fit.
            panel: the data, all series of which are in the fit.
            first: row of every series; rows of the source's context get no score in any case.
            progress: called with the share that is done.
        """
        rows = ground.rows(panel)
        expected = expected_of(self.source, rows, first, panel.lengths, progress)
        scores = self.scoring.scores(rows, expected.errors(rows))
        p = np.stack([p_values(each, known) for each, known in zip(scores.T, self.calibration, strict=True)], axis=1)
        over = scores > np.array(self.thresholds)  # NaN is not
        alarm, begun = np.zeros(scores.shape, dtype=bool), np.full(scores.shape, -1)
        for start, end in zip(panel.offsets[:-1], panel.offsets[1:], strict=True):
            for stream in range(scores.shape[1]):
                alarm[start:end, stream], opened = segmented(over[start:end, stream], self.rule)
                begun[start:end, stream] = np.where(opened >= 0, opened + start, -1)
        place = self.scoring.place(rows)
        centre, scale = self.scoring.centre[place] * expected.unit, self.scoring.scale[place] * expected.unit
        reach = np.array(self.thresholds[: centre.shape[1]]) * scale
        real = [
            self._real(ground, rows, each)
            for each in (expected.value, expected.value + centre - reach, expected.value + centre + reach)
        ]
        return Scored(scores, p, alarm, begun, *real)

    def _real(
        self, ground: Ground, rows: Rows, values: Float[np.ndarray, "time channel"]
    ) -> Float[np.ndarray, "time channel"]:
        repeats = np.diff(rows.offsets)
        mean, std = ground.scaler.mean[rows.series], ground.scaler.std[rows.series]
        return values * np.repeat(std, repeats, axis=0) + np.repeat(mean, repeats, axis=0)


def calibrated(
    name: str,
    source: Source,
    scoring: Scoring,
    scores: Sequence[Float[np.ndarray, " _"]],
    false_alarms: float,
    rule: Rule,
) -> Detector:
    """A detector from the scores of its calibration part, of every stream, in any order.

    Args:
        name: of the forecaster or the rule behind it.
        source: what expects.
        scoring: how errors become scores.
        scores: of the calibration part, an array a stream; NaN where there is none.
        false_alarms: accepted alarms in 1000 steps of a stream.
        rule: how alarms become segments.
    """
    known = tuple(np.sort(each[~np.isnan(each)]) for each in scores)
    return Detector(name, source, scoring, known, false_alarms, rule)
