"""Missing values: refused by name and place, or filled by the method the user asked for."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from forecheck.data.frequency import Frequency
from forecheck.data.grid import Timeline
from forecheck.data.source import Source, count, stamp
from forecheck.errors import DataError, UsageError

Fill = Literal["linear", "last", "seasonal"]
_REMEDY = "Choose another of linear | last | seasonal, cut the series there, or leave it out with {drop}."


def check_fill(fill: str | None) -> None:
    """Refuse a method that does not exist.

    Raises:
        UsageError: if `fill` is neither None nor one of linear, last, seasonal.
    """
    if fill is not None and fill not in get_args(Fill):
        raise UsageError(f"unknown way to fill missing values: {fill!r}", "Use linear, last or seasonal.")


def fill_missing(
    values: Float[np.ndarray, "time channel"],
    timeline: Timeline,
    channels: tuple[str, ...],
    frequency: Frequency,
    *,
    fill: str | None,
    source: Source,
) -> tuple[Float[np.ndarray, "time channel"], dict[str, int]]:
    """Values without NaN, and how many were filled, by channel.

    - `linear`: on the straight line between the neighbours; needs one on either side.
    - `last`: the last value seen; needs one before.
    - `seasonal`: the value one period earlier (filled ones count, so a gap longer than a season repeats the season
      before it), else the first one that the same phase has later.

    Args:
        values: in the units of the data; NaN where missing.
        timeline: the rows' times and series; nothing is filled across two series.
        channels: names of the columns of `values`, for messages.
        frequency: of the timeline; its period is the season.
        fill: linear, last or seasonal; None refuses missing values.
        source: named in messages.

    Raises:
        DataError: if values are missing and `fill` is None, or if the method has nothing to fill from; the message
            names column, row and time.
    """
    holes = np.isnan(values)
    if not holes.any():
        return values, {}
    if fill is None:
        raise _missing(holes, timeline, channels, source)
    if fill == "seasonal" and frequency.period == 1:
        raise DataError(
            f"{source.name} cannot be filled by season: a step of one {frequency} has no season that is known",
            "Use --fill linear or --fill last." if source.is_file else 'Use fill="linear" or fill="last".',
        )
    filled = values.copy()
    for column in range(values.shape[1]):
        if not holes[:, column].any():
            continue
        for start, end in zip(timeline.offsets[:-1], timeline.offsets[1:], strict=True):
            part = filled[start:end, column]
            if fill == "linear":
                _linear(part)
            elif fill == "last":
                carry_forward(part)
            else:
                _seasonal(part, frequency.period)
    left = np.argwhere(np.isnan(filled.T))
    if len(left):
        raise _not_filled(int(left[0][1]), int(left[0][0]), holes, timeline, channels, fill=fill, source=source)
    counts = holes.sum(axis=0)
    return filled, {name: int(number) for name, number in zip(channels, counts, strict=True) if number}


def _missing(
    holes: np.ndarray[Any, np.dtype[np.bool_]], timeline: Timeline, channels: tuple[str, ...], source: Source
) -> DataError:
    counts = holes.sum(axis=0)
    column = int(np.argmax(counts > 0))
    first = int(np.argmax(holes[:, column]))
    others = np.flatnonzero(counts)[1:]
    more = ""
    if len(others):
        more = f" (and {int(counts[others].sum()):,} more in {count(len(others), 'other column')})"
    if counts[column] == len(holes):
        return DataError(
            f'{source.name} has no values at all in column "{channels[column]}"{more}',
            f"Drop the column with {source.drop(channels[column])}.",
        )
    return DataError(
        f'{source.name} has {count(int(counts[column]), "missing value")} in column "{channels[column]}"'
        f", the first at {_place(first, timeline, source)}{timeline.of(first)}{more}.",
        f"Fill them with {source.fill}, or drop the column with {source.drop(channels[column])}.",
    )


def _not_filled(
    row: int,
    column: int,
    holes: np.ndarray[Any, np.dtype[np.bool_]],
    timeline: Timeline,
    channels: tuple[str, ...],
    *,
    fill: str,
    source: Source,
) -> DataError:
    index = int(np.searchsorted(timeline.offsets, row, side="right")) - 1
    start, end = int(timeline.offsets[index]), int(timeline.offsets[index + 1])
    if holes[start:end, column].all():
        why = "it has no values at all"
    elif fill == "seasonal":
        why = "the same phase has no value in any season"
    elif holes[start : row + 1, column].all():
        why = f"it begins with {count(int(np.argmin(holes[start:end, column])), 'missing value')}, nothing comes before"
    else:
        why = f"it ends with {count(int(np.argmin(holes[start:end, column][::-1])), 'missing value')}, nothing follows"
    drop = source.drop(timeline.series[index] if timeline.of(row) else channels[column])
    return DataError(
        f'{source.name} cannot be filled by {fill} in column "{channels[column]}"{timeline.of(row)} at '
        f"{_place(row, timeline, source)}: {why}",
        _REMEDY.format(drop=drop),
    )


def _place(row: int, timeline: Timeline, source: Source) -> str:
    time = None if timeline.column is None else timeline.time[row]
    if timeline.rows[row] < 0:
        return f"the missing row of {stamp(time)}"
    return source.at(int(timeline.rows[row]), time)


def _linear(x: Float[np.ndarray, " time"]) -> None:
    seen = np.flatnonzero(~np.isnan(x))
    if len(seen):
        inner = slice(seen[0], seen[-1] + 1)
        x[inner] = np.interp(np.arange(seen[0], seen[-1] + 1), seen, x[seen])


def carry_forward(x: Float[np.ndarray, " time"]) -> None:
    """Put the last value seen into every NaN behind one."""
    latest = np.maximum.accumulate(np.where(np.isnan(x), -1, np.arange(len(x))))
    x[latest >= 0] = x[latest[latest >= 0]]


def _seasonal(x: Float[np.ndarray, " time"], period: int) -> None:
    for phase in range(min(period, len(x))):
        same = x[phase::period]  # a view
        carry_forward(same)
        carry_forward(same[::-1])
