"""Data that come in pieces: rows of an earlier piece put before those of the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int

from forecheck.data.frequency import stamp
from forecheck.data.panel import Panel
from forecheck.errors import DataError


def continued(before: Panel, panel: Panel) -> tuple[Panel, Int[np.ndarray, " series"]]:
    """The panel with the rows of an earlier one before its own, and how many they are in every series.

    Series that only the earlier panel has are left out; those that it lacks have no rows before. Rows of data without
    times are numbered on.

    Args:
        before: earlier rows of the same channels in the same order.
        panel: rows that follow them at once.

    Raises:
        DataError: if a series does not go on where it ended.
    """
    untimed = before.reading.time is None and panel.reading.time is None and panel.time.dtype.kind != "M"
    earlier = {name: before.series_rows(place) for place, name in enumerate(before.series)}
    values, times, masks, counts = [], [], [], []
    for place, name in enumerate(panel.series):
        rows = panel.series_rows(place)
        time, count = panel.time[rows], 0
        if name in earlier:
            past = earlier[name]
            count = past.stop - past.start
            following = panel.frequency.future(before.time[past.stop - 1], rows.stop - rows.start)
            if untimed:
                time = following
            elif time[0] != following[0]:
                of = f' of series "{name}"' if len(panel.series) > 1 else ""
                raise DataError(
                    f"{panel.name} does not go on where {before.name} ends{of}: it begins at {stamp(time[0])}, but "
                    f"{stamp(following[0])} follows {stamp(before.time[past.stop - 1])}",
                    "Give the rows that come right before, or none.",
                )
            values.append(before.values[past])
            times.append(before.time[past])
            masks.append(_mask(before, past))
        values.append(panel.values[rows])
        times.append(time)
        masks.append(_mask(panel, rows))
        counts.append(count)
    lengths = np.array(counts) + panel.lengths
    filled = np.concatenate(masks)
    whole = replace(
        panel,
        values=np.concatenate(values),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        time=np.concatenate(times),
        filled=filled if filled.any() else None,
    )
    return whole, np.array(counts)


def _mask(panel: Panel, rows: slice) -> Bool[np.ndarray, "row channel"]:
    shape = (rows.stop - rows.start, len(panel.channels))
    return np.zeros(shape, dtype=bool) if panel.filled is None else panel.filled[rows]
