"""Values that no forecast can be made of: infinite, constant, or out of the range that arithmetic has."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from forecheck.data.grid import Timeline
from forecheck.data.source import Source, count
from forecheck.errors import DataError

_LARGEST = 1e100
"""Squares of larger values, summed and scaled, leave float64."""
_SMALLEST = 1e-100
"""Squares of smaller ones vanish."""
_LOST = 1e4
"""Standard deviations per usual deviation from the median beyond which float32 has few digits for what is usual."""
_GAP = 1e3
"""Ratio of a value's distance from the median to the next smaller one beyond which it stands alone."""
_ALONE = 0.05
"""Share of the values that may stand alone."""
_FEWEST = 30
"""Values that tell what is usual."""


def check_finite(
    values: Float[np.ndarray, "time channel"], timeline: Timeline, channels: tuple[str, ...], source: Source
) -> None:
    """Refuse infinite values (DataError).

    Args:
        values: in the units of the data; NaN where missing.
        timeline: the rows' times and series, for messages.
        channels: names of the columns of `values`.
        source: named in messages.
    """
    infinite = np.isinf(values)
    if not infinite.any():
        return
    column = int(np.argmax(infinite.any(axis=0)))
    row = int(np.argmax(infinite[:, column]))
    time = None if timeline.column is None else timeline.time[row]
    raise DataError(
        f"{source.name} has {count(int(infinite[:, column].sum()), 'infinite value')} in column "
        f'"{channels[column]}"{timeline.of(row)}, the first at {source.at(int(timeline.rows[row]), time)}',
        f"Leave the cells empty and fill them with {source.fill}, or drop the column with "
        f"{source.drop(channels[column])}.",
    )


def check_range(
    values: Float[np.ndarray, "time channel"], timeline: Timeline, channels: tuple[str, ...], source: Source
) -> None:
    r"""Refuse values that arithmetic cannot hold beside the others.

    Models see windows as (x - mean) / std in float32. A value that stands alone, far from all others, is refused where
    it makes std so large that what is usual loses its digits:

    .. math:: std(x) > 10^4 \, median |x - median(x)|

    as a code for missing does (1e20, 9.96921e36, 2147483647). Explosive series, whose values grow one from the
    other, have none that stands alone.

    Args:
        values: in the units of the data; NaN where missing.
        timeline: the rows' times and series; each series is checked by itself.
        channels: names of the columns of `values`.
        source: named in messages.

    Raises:
        DataError: names the value, its column, row and time.
    """
    for column, channel in enumerate(channels):
        for start, end in zip(timeline.offsets[:-1], timeline.offsets[1:], strict=True):
            rows = int(start) + np.flatnonzero(~np.isnan(values[start:end, column]))
            if not len(rows):
                continue
            part = values[rows, column]
            extreme = int(np.argmax(np.abs(part)))
            row, largest = int(rows[extreme]), abs(float(part[extreme]))
            if largest > _LARGEST or (0 < largest < _SMALLEST):
                why = "too large" if largest > 1 else "as its largest value: too small"
                raise DataError(
                    f'{source.name} holds {part[extreme]:g} in column "{channel}"{timeline.of(row)} at '
                    f"{_place(row, timeline, source)}, {why} to be squared",
                    "Give the column in another unit; if the value is a code for missing, leave the cell empty and "
                    f"fill it with {source.fill}.",
                )
            far = alone(part)
            if far is not None:
                row = int(rows[far])
                raise DataError(
                    f'{source.name} holds {part[far]:g} in column "{channel}"{timeline.of(row)} at '
                    f"{_place(row, timeline, source)}, so far from all other values that nothing is left of them "
                    "beside it",
                    f"If it is a code for missing, leave the cell empty and fill it with {source.fill}; if it is an "
                    f"error, correct it, or leave the column out with {source.drop(channel)}.",
                )


def alone(x: Float[np.ndarray, " time"]) -> int | None:
    """The first row of a value so far from all others that nothing is left of them beside it, None if there is none."""
    if len(x) < _FEWEST:
        return None
    off = np.abs(x - np.median(x))
    usual = float(np.median(off[off > 0])) if (off > 0).any() else 0.0
    if not usual or off.max() < _LOST * usual or float(x.std()) <= _LOST * usual:
        return None
    ranked = np.sort(off)
    most = max(1, int(_ALONE * len(x)))
    beyond = ranked[-most - 1 :]
    gaps = np.flatnonzero(beyond[1:] > _GAP * np.maximum(beyond[:-1], usual))
    return int(np.argmax(off >= beyond[1:][gaps[0]])) if len(gaps) else None


def _place(row: int, timeline: Timeline, source: Source) -> str:
    time = None if timeline.column is None else timeline.time[row]
    return source.at(int(timeline.rows[row]), time)
