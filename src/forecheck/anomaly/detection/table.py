"""What a detector says, row by row, as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from forecheck.anomaly.detection.detector import Scored
from forecheck.data.panel import Panel
from forecheck.errors import UsageError
from forecheck.forecasting.combined import unit_names

JOINT = "joint"


def stream_names(panel: Panel) -> list[list[str | int]]:
    """Of every series the names of its streams, as forecasts name them: the channels, and last all of them jointly.

    Raises:
        UsageError: if a channel is called as the joint stream is.
    """
    channels = len(panel.channels)
    names = unit_names(panel)
    named = [names[place : place + channels] for place in range(0, len(names), channels)]
    if channels == 1:
        return named
    if JOINT in panel.channels:
        raise UsageError(f'a channel is called "{JOINT}", as the score of all channels is', "Rename it, or --drop it.")
    alone = len(panel.series) == 1 and not panel.reading.ids
    return [[*each, JOINT if alone else f"{series}/{JOINT}"] for each, series in zip(named, panel.series, strict=True)]


def table_of(panel: Panel, scored: Scored, first: Int[np.ndarray, " series"]) -> dict[str, Any]:
    """Columns, stream by stream: `unique_id, ds, y, yhat, score, p_value, alarm, segment`.

    A segment is named by the time of its first alarm. What is not known is masked: values and scores where the value
    was missing, values and forecasts of the joint stream, segments without alarm.

    Args:
        panel: the data.
        scored: what was said of all rows.
        first: row of every series from which on rows are reported.
    """
    channels = len(panel.channels)
    parts: dict[str, list[Any]] = {name: [] for name in ("ds", "y", "yhat", "score", "p_value", "alarm", "place")}
    names: list[str | int] = []
    truth = panel.values if panel.filled is None else np.where(panel.filled, np.nan, panel.values)
    for streams, start, end, lo in zip(stream_names(panel), panel.offsets[:-1], panel.offsets[1:], first, strict=True):
        rows = slice(int(start + lo), int(end))
        count = max(0, rows.stop - rows.start)
        nothing = np.full(count, np.nan)
        for stream, name in enumerate(streams):
            names += [name] * count
            parts["ds"].append(panel.time[rows])
            parts["y"].append(truth[rows, stream] if stream < channels else nothing)
            parts["yhat"].append(scored.expected[rows, stream] if stream < channels else nothing)
            parts["score"].append(scored.scores[rows, stream])
            parts["p_value"].append(scored.p[rows, stream])
            parts["alarm"].append(scored.alarm[rows, stream])
            parts["place"].append(scored.first[rows, stream])
    columns = {name: np.concatenate(each) for name, each in parts.items()}
    place = columns.pop("place")
    numbers = {name: np.ma.masked_invalid(columns[name]) for name in ("y", "yhat", "score", "p_value")}
    segment = np.ma.masked_array(panel.time[np.maximum(place, 0)], mask=place < 0)
    return {"unique_id": names, "ds": columns["ds"], **numbers, "alarm": columns["alarm"], "segment": segment}
