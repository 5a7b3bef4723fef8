"""What a detection found, as one plain dict: settings, streams, detectors side by side, and the worst segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from forecheck.anomaly.detection.calibrated import expected_rate
from forecheck.anomaly.detection.detector import Detector, Scored
from forecheck.anomaly.detection.table import stream_names
from forecheck.data.frequency import stamp
from forecheck.data.panel import Panel

WORST = 10
_AROUND = 24
"""Rows shown on either side of a segment in close-up, at least."""
_POINTS = 300
"""Stretches that a drawn series is cut into."""
_DRAWN = 12
"""Streams that are drawn."""
_MOST_CLOSE = 240


def streams_of(
    panel: Panel, scored: Scored, detector: Detector, first: Int[np.ndarray, " series"]
) -> list[dict[str, Any]]:
    """Of every stream: rows, rows without a score, alarms, segments, and how many alarms chance alone would raise.

    Args:
        panel: the data.
        scored: what the detector says of all rows.
        detector: whose thresholds and calibration are reported.
        first: row of every series from which on rows are reported.
    """
    found = []
    borders = zip(panel.offsets[:-1], panel.offsets[1:], first, strict=True)
    for names, (start, end, lo) in zip(stream_names(panel), borders, strict=True):
        rows = slice(int(start + lo), int(end))
        for stream, name in enumerate(names):
            scores, alarm = scored.scores[rows, stream], scored.alarm[rows, stream]
            known = ~np.isnan(scores)
            count = len(detector.calibration[stream])
            steps = int(known.sum())
            usual = expected_rate(count, detector.false_alarms, steps) if steps else (0.0, 0.0)
            found.append(
                {
                    "unique_id": name,
                    "rows": len(scores),
                    "scored": steps,
                    "alarms": int(alarm.sum()),
                    "segments": len(np.unique(scored.first[rows, stream][alarm])),
                    "alarms_per_1000": 1000 * float(alarm.sum()) / steps if steps else None,
                    "expected_per_1000": list(usual),
                    "threshold": detector.thresholds[stream],
                    "calibration": count,
                }
            )
    return found


def segments_of(panel: Panel, scored: Scored, first: Int[np.ndarray, " series"]) -> list[dict[str, Any]]:
    """Segments of alarms, the least p-value and then the highest score first.

    Args:
        panel: the data.
        scored: what the detector says of all rows.
        first: row of every series from which on segments are reported.

    Returns:
        A dict a segment: stream, first and last time and row (in the panel), length, alarms, and score, p-value and
        time of its highest score.
    """
    found = []
    borders = zip(panel.offsets[:-1], panel.offsets[1:], first, strict=True)
    for names, (start, end, lo) in zip(stream_names(panel), borders, strict=True):
        for stream, name in enumerate(names):
            alarms = int(start + lo) + np.flatnonzero(scored.alarm[start + lo : end, stream])
            for begun in np.unique(scored.first[alarms, stream]):
                rows = alarms[scored.first[alarms, stream] == begun]
                peak = int(rows[np.argmax(scored.scores[rows, stream])])
                found.append(
                    {
                        "unique_id": name,
                        "stream": stream,
                        "first": stamp(panel.time[rows[0]]),
                        "last": stamp(panel.time[rows[-1]]),
                        "rows": [int(rows[0]), int(rows[-1])],
                        "length": int(rows[-1] - rows[0] + 1),
                        "alarms": len(rows),
                        "score": float(scored.scores[peak, stream]),
                        "p_value": float(scored.p[peak, stream]),
                        "at": stamp(panel.time[peak]),
                    }
                )
    return sorted(found, key=lambda each: (each["p_value"], -each["score"]))


def apart(
    segments: Sequence[Mapping[str, Any]], offsets: Int[np.ndarray, " series_plus_one"]
) -> list[Mapping[str, Any]]:
    """The worst segments that lie in different rows: a channel and all channels jointly often see the same."""
    taken = np.zeros(int(offsets[-1]), dtype=bool)
    found: list[Mapping[str, Any]] = []
    for each in segments:
        first, last = each["rows"]
        if len(found) < WORST and not taken[first : last + 1].any():
            found.append(each)
            taken[first : last + 1] = True
    return found


def drawn_series(
    panel: Panel, scored: Scored, first: Int[np.ndarray, " series"], labels: Any = None
) -> list[dict[str, Any]]:
    """The first streams of channels as they are drawn: least and greatest value of groups of rows, band and alarms.

    Args:
        panel: the data.
        scored: what the detector says of all rows.
        first: row of every series from which on rows are drawn.
        labels: true anomalies, above 0, a row of the panel each (time,); None if they are not known.
    """
    found: list[dict[str, Any]] = []
    borders = zip(panel.offsets[:-1], panel.offsets[1:], first, strict=True)
    for names, (start, end, lo) in zip(stream_names(panel), borders, strict=True):
        for channel in range(len(panel.channels)):
            rows = np.arange(int(start + lo), int(end))
            if not len(rows) or len(found) == _DRAWN:
                continue
            parts = np.array_split(rows, min(_POINTS, len(rows)))
            found.append(
                {
                    "unique_id": names[channel],
                    "rows": len(rows),
                    "times": [stamp(panel.time[part[0]]) for part in parts],
                    "y": [_ends(_truth(panel)[part, channel]) for part in parts],
                    "low": [_ends(scored.low[part, channel])[0] for part in parts],
                    "high": [_ends(scored.high[part, channel])[1] for part in parts],
                    "alarm": [bool(scored.alarm[part, channel].any()) for part in parts],
                    "label": None if labels is None else [bool((labels[part] > 0).any()) for part in parts],
                }
            )
    return found


def close_ups(
    panel: Panel, scored: Scored, worst: Sequence[Mapping[str, Any]], first: Int[np.ndarray, " series"]
) -> list[dict[str, Any]]:
    """The rows around segments: values, forecasts, band and alarms; of the joint stream its scores.

    Args:
        panel: the data.
        scored: what the detector says of all rows.
        worst: segments, as `segments_of` describes them.
        first: row of every series before which nothing is shown.

    Returns:
        The segments, each with these rows beside what was known of it.
    """
    found = []
    for each in worst:
        begin, last = each["rows"]
        series = int(panel.series_of(np.array([begin]))[0])
        around = max(_AROUND, last - begin)
        start = max(begin - around, int(panel.offsets[series] + first[series]))
        rows = slice(start, min(last + around + 1, start + _MOST_CLOSE, int(panel.offsets[series + 1])))
        stream = each["stream"]
        joint = stream == len(panel.channels)
        about = {
            "title": f"{each['unique_id']}, {each['first']}",
            "times": [stamp(time) for time in panel.time[rows]],
            "alarm": [bool(alarm) for alarm in scored.alarm[rows, stream]],
            "joint": joint,
        }
        if joint:
            about |= {"y": _numbers(scored.scores[rows, stream]), "yhat": None, "low": None, "high": None}
        else:
            about |= {"y": _numbers(_truth(panel)[rows, stream]), "yhat": _numbers(scored.expected[rows, stream])}
            about |= {"low": _numbers(scored.low[rows, stream]), "high": _numbers(scored.high[rows, stream])}
        found.append({**each, **about})
    return found


def _truth(panel: Panel) -> Any:
    return panel.values if panel.filled is None else np.where(panel.filled, np.nan, panel.values)


def _ends(values: Any) -> list[float | None]:
    """Least and greatest, of those that are known."""
    known = values[np.isfinite(values)]
    return [_short(known.min()), _short(known.max())] if len(known) else [None, None]


def _numbers(values: Any) -> list[float | None]:
    return [_short(value) if np.isfinite(value) else None for value in values]


def _short(value: float) -> float:
    """With the digits that a drawing can show."""
    return float(f"{value:.7g}")
