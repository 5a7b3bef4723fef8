"""A table of the steps after the end: its rows in any order, held against the series and the times of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from forecheck.data.frequency import Frequency
from forecheck.data.grid import Timeline
from forecheck.data.reading.columns import is_text, numbers
from forecheck.data.reading.dates import UnreadableTimeError, read_times
from forecheck.data.reading.roles import Roles, column_of, find_roles
from forecheck.data.reading.values import alone
from forecheck.data.source import Source, count, listed, stamp
from forecheck.errors import DataError


@dataclass(frozen=True, eq=False)
class Cells:
    """A column.

    Attributes:
        values: numbers, or places of categories; NaN where a cell is empty.
        levels: the categories; empty for numbers.
    """

    values: Float[np.ndarray, " row"]
    levels: tuple[str, ...] = ()


def read_future(
    table: pa.Table,
    source: Source,
    known: tuple[str, ...],
    history: Mapping[str, Cells],
    levels: Mapping[str, tuple[str, ...]],
    timeline: Timeline,
    roles: Roles,
    frequency: Frequency,
) -> tuple[Float[np.ndarray, "series ahead known"], dict[str, tuple[str, ...]], list[str]]:
    """Values of known columns after the end of every series, categories with new ones, and notes.

    Args:
        table: the future.
        source: where it came from.
        known: names of the columns.
        history: the same columns by row of the timeline.
        levels: categories of those that are none of numbers.
        timeline: of the history.
        roles: of the columns of the data.
        frequency: of the data.

    Raises:
        DataError: if columns, cells or steps are missing, a time occurs twice or is none of the series' grid, no row
            is of a series of the data, or rows of the history say something else than the data.
    """
    for name in (*known, *([roles.series] if roles.series is not None else [])):
        if name not in table.column_names:
            raise source.unknown(name, table.column_names)
    if table.num_rows == 0:
        raise DataError(f"{source.name} holds no rows", "Give it a row a step and series.")
    widened = {name: dict.fromkeys(each) for name, each in levels.items()}
    cells = np.stack([_column(table, name, source, widened) for name in known], axis=1)
    times, names = _times(table, source, known, timeline, roles), _names(table, roles)
    places = {name: place for place, name in enumerate(timeline.series)}
    strange = [name for name in dict.fromkeys(names) if name not in places]
    notes = [f"set aside: {listed(strange)} of {source.name}, which the data do not have"] if strange else []
    if len(strange) == len(set(names)):
        raise DataError(
            f"{source.name} has no row of a series of the data: it has {listed(strange, 3)}, they have "
            f"{listed(timeline.series, 3)}",
            f'Write the names in column "{roles.series}" as the data do.',
        )
    series = np.array([places.get(name, -1) for name in names])
    found: dict[int, np.ndarray] = {}
    for place in np.unique(series[series >= 0]).tolist():
        rows = np.flatnonzero(series == place)
        start, end = int(timeline.offsets[place]), int(timeline.offsets[place + 1])
        of = timeline.of(start)
        steps = _steps(times, rows, timeline.time[end - 1], frequency, of, source)
        _check_overlap(rows, steps, cells, history, known, timeline, (start, end), source)
        ahead = steps > 0
        if not ahead.any():
            continue
        most = int(steps.max())
        if ahead.sum() < most:
            missing = int(np.setdiff1d(np.arange(1, most + 1), steps)[0])
            raise DataError(
                f"{source.name} lacks {count(most - int(ahead.sum()), 'step')} after the end of the data{of}, the "
                f"first is {stamp(frequency.future(timeline.time[end - 1], missing)[-1])}",
                "Give a row for every step from the end of the data on.",
            )
        values = np.empty((most, len(known)))
        values[steps[ahead] - 1] = cells[rows[ahead]]
        _check_whole(values, known, of, frequency.future(timeline.time[end - 1], most), source)
        _check_far(values, history, known, (start, end), frequency.future(timeline.time[end - 1], most), source)
        found[place] = values
    future = np.full((len(timeline.series), max((len(each) for each in found.values()), default=0), len(known)), np.nan)
    for place, values in found.items():
        future[place, : len(values)] = values
    return future, {name: tuple(each) for name, each in widened.items()}, notes


def _column(
    table: pa.Table, name: str, source: Source, levels: dict[str, dict[str, None]]
) -> Float[np.ndarray, " row"]:
    column = column_of(table, name)
    if name not in levels:
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        try:
            return numbers(column, name, source)
        except DataError as error:
            raise DataError(error.message, "Correct the cell, or do not name the column as known.") from error
    texts = [None if cell is None else str(cell).strip() for cell in column.to_pylist()]
    if not is_text(column.type) and any(texts):
        raise DataError(
            f'{source.name} holds numbers in column "{name}", which holds texts in the data',
            "Write the same categories in both.",
        )
    levels[name] |= dict.fromkeys(text for text in texts if text)
    places = {level: float(place) for place, level in enumerate(levels[name])}
    return np.array([places[text] if text else np.nan for text in texts])


def _times(table: pa.Table, source: Source, known: tuple[str, ...], timeline: Timeline, roles: Roles) -> Any:
    """Stamps of the rows, or how many steps they are behind the end where the data have no times."""
    if timeline.column is None:
        if roles.series is not None:
            raise DataError(
                f"the data have no time column, so that rows of {source.name} cannot be told apart",
                "Give times to both.",
            )
        return timeline.time[-1] + 1 + np.arange(table.num_rows)
    named = roles.time if roles.time in table.column_names else None
    if named is None and "+" in timeline.column:
        parts = timeline.column.split("+")
        others = [column for column in table.column_names if column not in (*parts, roles.series, known[0])]
        table, found = find_roles(table, source, time=None, series=roles.series, target=known[0], drop=others)
        named = found.time
    if named is None:
        raise source.unknown(timeline.column, table.column_names)
    try:
        times = read_times(column_of(table, named), named)[0]
    except UnreadableTimeError as error:
        raise DataError(
            f'{source.name}: the time in column "{named}" at {source.at(error.row)} {error.why}',
            "Write times as 2024-12-31 23:00, as in the data.",
        ) from None
    if times.dtype.kind != timeline.time.dtype.kind:
        raise DataError(
            f'{source.name} has {"dates" if times.dtype.kind == "M" else "numbers"} in column "{named}", other than '
            "the data",
            "Write times as the data do.",
        )
    return times


def _names(table: pa.Table, roles: Roles) -> list[str]:
    if roles.series is None:
        return ["0"] * table.num_rows
    return [str(name) for name in column_of(table, roles.series).to_pylist()]


def _steps(times: Any, rows: Any, last: Any, frequency: Frequency, of: str, source: Source) -> np.ndarray:
    """Steps of rows after the last stamp of their series; not positive for rows of the history."""
    mine = times[rows]
    twice = np.flatnonzero(np.diff(np.sort(mine)).astype(np.int64) == 0)
    if len(twice):
        time = np.sort(mine)[twice[0]]
        first, second = rows[np.flatnonzero(mine == time)[:2]]
        raise DataError(
            f"{source.name} has the same time twice{of}: {stamp(time)} at row {source.line(int(first))} and row "
            f"{source.line(int(second))}",
            "Keep one row a time and series.",
        )
    joined = np.concatenate([np.array([last], dtype=mine.dtype), mine])
    steps = frequency.positions(joined)
    if steps is None:
        odd = next(row for row, time in zip(rows, mine, strict=True) if _off(last, time, mine, frequency))
        raise DataError(
            f"{source.name} has a time that is no step of the data{of}: {stamp(times[odd])} at row "
            f"{source.line(int(odd))}; after {stamp(last)} there is one every {frequency}",
            "Write the times of the steps after the end of the data.",
        )
    return np.asarray(steps[1:])


def _off(last: Any, time: Any, mine: Any, frequency: Frequency) -> bool:
    return frequency.positions(np.array([last, time], dtype=mine.dtype)) is None


def _check_overlap(
    rows: Any,
    steps: np.ndarray,
    cells: Float[np.ndarray, "row known"],
    history: Mapping[str, Cells],
    known: tuple[str, ...],
    timeline: Timeline,
    span: tuple[int, int],
    source: Source,
) -> None:
    """Refuse rows of the history that say something else than the data do."""
    start, end = span
    places = end - 1 + steps
    inside = (steps <= 0) & (places >= start)
    for column, name in enumerate(known):
        said, were = cells[rows[inside], column], history[name].values[places[inside]]
        differs = np.flatnonzero(~np.isclose(said, were, rtol=1e-9, equal_nan=True))
        if len(differs):
            row = rows[inside][differs[0]]
            raise DataError(
                f'{source.name} overlaps with the data and says otherwise in column "{name}"{timeline.of(start)} at '
                f"{source.at(int(row), timeline.time[places[inside][differs[0]]])}: {said[differs[0]]:g} beside "
                f"{were[differs[0]]:g}",
                "Leave out the rows of the past, or correct one of the two.",
            )


def _check_whole(
    values: Float[np.ndarray, "step known"], known: tuple[str, ...], of: str, stamps: Any, source: Source
) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        step, column = bad[0]
        raise DataError(
            f'{source.name} has {count(len(bad), "missing or infinite value")}, the first in column "{known[column]}"'
            f"{of} at {stamp(stamps[step])}",
            "Write what is known, or do not name the column as known.",
        )


def _check_far(
    values: Float[np.ndarray, "step known"],
    history: Mapping[str, Cells],
    known: tuple[str, ...],
    span: tuple[int, int],
    stamps: Any,
    source: Source,
) -> None:
    """Refuse a value beside which nothing is left of those before the end, as a code for missing."""
    for column, name in enumerate(known):
        before = history[name].values[slice(*span)]
        if history[name].levels:
            continue
        step = int(np.argmax(np.abs(values[:, column] - np.median(before))))
        if alone(np.append(before, values[step, column])) == len(before):
            raise DataError(
                f'{source.name} holds {values[step, column]:g} in column "{name}" at {stamp(stamps[step])}, so far '
                "from all values of the data that nothing is left of them beside it",
                "Correct it, or do not name the column as known.",
            )
