"""The common time grid of all series: refused where it is broken, completed where that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from forecheck.data.frequency import Frequency, infer_frequency, infer_grid
from forecheck.data.source import Source, count, stamp
from forecheck.errors import DataError


@dataclass(frozen=True, eq=False)
class Timeline:
    """Series laid end to end in time, before their values.

    Attributes:
        time: one stamp a row, `datetime64[us]` or int64.
        offsets: first row of every series and, last, the number of rows.
        rows: the row of the table that each row came from, -1 for a row that was missing there.
        series: names of the series; "0" for a wide table.
        column: name of the time column, None if time is the row number.
        named: whether messages name the series, as in a long table.
    """

    time: np.ndarray[Any, np.dtype[Any]]
    offsets: Int[np.ndarray, " series_plus_one"]
    rows: Int[np.ndarray, " time"]
    series: tuple[str, ...]
    column: str | None
    named: bool

    def of(self, row: int) -> str:
        """` of series "A"`, or nothing for a wide table."""
        if not self.named:
            return ""
        return f' of series "{self.series[int(np.searchsorted(self.offsets, row, side="right")) - 1]}"'

    def parts(self) -> list[np.ndarray[Any, np.dtype[Any]]]:
        """The stamps of every series."""
        return np.split(self.time, self.offsets[1:-1])


def regular(timeline: Timeline, source: Source, *, complete: bool) -> tuple[Timeline, Frequency]:
    """The timeline with its one frequency; rows missing from a regular grid are added if `complete`.

    Args:
        timeline: the rows as they were read.
        source: named in messages.
        complete: whether missing rows are added; `rows` of the timeline is -1 for them.

    Raises:
        DataError: if times are unsorted, occur twice, lie on no common grid, or leave holes that are not to be
            completed; the message names the first offending row.
    """
    _check_order(timeline, source)
    frequency = _without_holes(timeline)
    if frequency is not None:
        return timeline, frequency
    parts = timeline.parts()
    frequency = infer_grid(max(parts, key=len))
    grids = [None if frequency is None else frequency.positions(part) for part in parts]
    off_grid = next((index for index, grid in enumerate(grids) if grid is None), None)
    if frequency is None or off_grid is not None:
        raise _irregular(timeline, source, off_grid or 0, frequency)
    positions = [grid for grid in grids if grid is not None]
    lengths = np.array([int(grid[-1]) + 1 for grid in positions])
    missing = int(lengths.sum()) - len(timeline.time)
    if not complete or missing > len(timeline.time):
        raise _holes(timeline, source, frequency, positions, missing, complete=complete)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.full(int(offsets[-1]), -1)
    rows[np.concatenate([offset + grid for offset, grid in zip(offsets[:-1], positions, strict=True)])] = timeline.rows
    time = [
        np.concatenate([part[:1], frequency.future(part[0], int(length) - 1)])
        for part, length in zip(parts, lengths, strict=True)
    ]
    return replace(timeline, time=np.concatenate(time), offsets=offsets, rows=rows), frequency


def _inside(timeline: Timeline) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which steps between neighbouring rows lie within one series."""
    inside = np.ones(len(timeline.time) - 1, dtype=bool)
    inside[timeline.offsets[1:-1] - 1] = False
    return inside


def _check_order(timeline: Timeline, source: Source) -> None:
    wrong = np.flatnonzero((np.diff(timeline.time).astype(np.int64) <= 0) & _inside(timeline))
    if not len(wrong):
        return
    before, after = timeline.time[wrong[0]], timeline.time[wrong[0] + 1]
    rows = [int(timeline.rows[wrong[0] + ahead]) for ahead in (0, 1)]
    of = timeline.of(int(wrong[0]))
    if before == after:
        raise DataError(
            f'{source.name} has the same time twice in column "{timeline.column}"{of}: {stamp(after)} at '
            f"row {source.line(rows[0])} and row {source.line(rows[1])}",
            "Keep one row a time. If the rows belong to several series, name their column with "
            f"{source.option('series', 'COLUMN')}; if they are merely consecutive, leave the clock out with "
            f"{source.drop(timeline.column or '')}.",
        )
    raise DataError(
        f'{source.name} is not sorted by time in column "{timeline.column}"{of}: {stamp(after)} at '
        f"row {source.line(rows[1])} comes after {stamp(before)}",
        f"Sort the rows by time. If they belong to several series, name their column with "
        f"{source.option('series', 'COLUMN')}.",
    )


def _without_holes(timeline: Timeline) -> Frequency | None:
    """The frequency that every series obeys."""
    # Series of one table mostly share their stamps.
    parts = list({part.tobytes(): part for part in timeline.parts() if len(part) > 1}.values())
    if not parts:
        return None
    longest = infer_frequency(max(parts, key=len))
    if longest is not None and longest.unit in ("us", "step"):
        # One pass over all rows instead of one over every series.
        spans = np.diff(timeline.time).astype(np.int64)
        if (spans[_inside(timeline)] == longest.count).all():
            return longest
    # A short series may look like several frequencies (31 days or a month), so each one's guess is tried on all.
    guesses = dict.fromkeys([longest, *(infer_frequency(part) for part in parts)])
    if None in guesses:
        return None
    return next((guess for guess in guesses if guess and all(_obeys(part, guess) for part in parts)), None)


def _obeys(time: np.ndarray[Any, np.dtype[Any]], frequency: Frequency) -> bool:
    positions = frequency.positions(time)
    return positions is not None and bool((np.diff(positions) == 1).all())


def _irregular(timeline: Timeline, source: Source, index: int, frequency: Frequency | None) -> DataError:
    """Names the first step that differs from the usual one."""
    start, end = int(timeline.offsets[index]), int(timeline.offsets[index + 1])
    part = timeline.time[start:end]
    if frequency is None:
        spans = np.diff(part).astype(np.int64)
        steps, counts = np.unique(spans, return_counts=True)
        odd = int(np.argmax(spans != steps[np.argmax(counts)])) + 1
        usual = str(Frequency("us" if part.dtype.kind == "M" else "step", int(steps[np.argmax(counts)])))
    else:
        usual = str(frequency)
        odd = next(row for row in range(1, len(part)) if frequency.positions(part[: row + 1]) is None)
    return DataError(
        f'{source.name} has irregular times in column "{timeline.column}"{timeline.of(start)}: the usual step is '
        f"{usual}, but {stamp(part[odd])} at row {source.line(int(timeline.rows[start + odd]))} "
        f"follows {stamp(part[odd - 1])}",
        f"Resample to a regular step, or take the rows as consecutive steps with {source.drop(timeline.column or '')}.",
    )


def _holes(
    timeline: Timeline,
    source: Source,
    frequency: Frequency,
    positions: list[np.ndarray[Any, np.dtype[np.int64]]],
    missing: int,
    *,
    complete: bool,
) -> DataError:
    index = next(index for index, grid in enumerate(positions) if (np.diff(grid) != 1).any())
    after = int(np.argmax(np.diff(positions[index]) != 1)) + 1
    row = int(timeline.offsets[index]) + after
    expected = frequency.future(timeline.time[row - 1], 1)[0]
    message = (
        f"{source.name} lacks {count(missing, 'step')} of its regular grid of one {frequency} in column "
        f'"{timeline.column}"{timeline.of(row)}, the first is {stamp(expected)}, before row '
        f"{source.line(int(timeline.rows[row]))} ({stamp(timeline.time[row])})"
    )
    consecutive = f"take the rows as consecutive steps with {source.drop(timeline.column or '')}"
    if complete:
        return DataError(
            f"{message}: more than the {len(timeline.time):,} that are there, too many to fill",
            f"Check the times, resample to a longer step, or {consecutive}.",
        )
    return DataError(message, f"Complete them with {source.fill}, or {consecutive}.")
