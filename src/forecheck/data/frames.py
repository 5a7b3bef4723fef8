"""Panels of data frames: pandas, polars and pyarrow, wide or long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from jaxtyping import Float

from forecheck.data.columns import numbers
from forecheck.data.dates import UnreadableTimeError, parse_text, parse_times
from forecheck.data.fill import check_fill, fill_missing
from forecheck.data.grid import Timeline, regular
from forecheck.data.panel import Panel
from forecheck.data.source import Source, count
from forecheck.errors import DataError, UsageError

_TIMES = ("date", "ds", "timestamp", "time", "datetime")
_UNNAMED = ("", "unnamed: 0", "__index_level_0__")  # what writing a pandas index leaves behind
# The name of the series column, as Nixtla's libraries and AutoGluon have it -> time and target.
LONG = {"unique_id": ("ds", "y"), "item_id": ("timestamp", "target")}


def from_frame(
    frame: Any,
    *,
    time: str | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    fill: str | None = None,
    drop: Sequence[str] = (),
    name: str = "frame",
) -> Panel:
    """Panel of a pandas, polars or pyarrow frame.

    A wide frame has one row a time: an optional time column and numeric channels; it makes one series. A long frame
    has one row a series and time, recognised by a column `unique_id` or `item_id` or by `series`; it makes one series
    of every name, in order of first appearance, and its rows may be interleaved.

    Args:
        frame: the data; the index of a pandas frame counts as columns unless it is a plain range.
        time: the time column. Found if it is called date, ds, timestamp, time or datetime in any case, or is the
            first column and holds dates; without one the rows are consecutive steps. Dates with a zone become UTC.
        series: the column with the series' names; makes the frame long.
        target: the columns to keep as channels, in this order; all numeric ones by default (`y` or `target` of a
            long frame that has it).
        fill: how to fill missing values and complete missing rows of a regular grid: linear, last or seasonal;
            None refuses them.
        drop: columns to leave out (the time column too: then rows are consecutive steps), or series of a long frame.
        name: what messages and reports call the data.

    Raises:
        DataError: if the frame cannot be used as it is; the message names column, row (from 0), time and remedy.
        UsageError: if `fill` is unknown or `frame` is not a data frame.
    """
    return from_table(
        _to_arrow(frame, name), Source(name), time=time, series=series, target=target, fill=fill, drop=drop
    )


def from_table(
    table: pa.Table,
    source: Source,
    *,
    time: str | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    fill: str | None = None,
    drop: Sequence[str] = (),
) -> Panel:
    """Panel of an arrow table; see `from_frame`, whose other end this is for files and frames alike."""
    check_fill(fill)
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    if table.num_columns == 0 or table.num_rows == 0:
        raise DataError(f"{source.name} holds no rows", "Give it at least a few hundred rows of data.")
    check_names(table.column_names, source)
    roles = _roles(table, source, time=time, series=series, target=target, drop=drop)
    timeline = _timeline(table, source, roles, [column for column in drop if column not in table.column_names])
    if np.diff(timeline.offsets).max() == 1:
        raise DataError(
            f"{source.name} has a single row" + (" a series" if len(timeline.series) > 1 else ""),
            "A forecast needs a history: at least lookback + horizon rows.",
        )
    values = np.empty((len(timeline.rows), len(roles.channels)))
    for column, channel in enumerate(roles.channels):
        cells = numbers(_column(table, channel), channel, source, _hint(table, channel, source, roles))
        values[:, column] = cells if roles.series is None else cells[timeline.rows]
    _check_finite(values, timeline, roles.channels, source)
    timeline, frequency = regular(timeline, source, complete=fill is not None)
    if len(timeline.rows) > len(values):
        completed = np.full((len(timeline.rows), len(roles.channels)), np.nan)
        completed[timeline.rows >= 0] = values
        values = completed
    holes = np.isnan(values)
    values, fills = fill_missing(values, timeline, roles.channels, frequency, fill=fill, source=source)
    panel = Panel(
        values, timeline.offsets, timeline.time, timeline.series, roles.channels, frequency, source.name, fills=fills
    )
    return replace(panel, filled=holes, fill=fill or "") if fills else panel


@dataclass(frozen=True)
class _Roles:
    time: str | None
    series: str | None
    channels: tuple[str, ...]


def _to_arrow(frame: Any, name: str) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    try:
        wrapped = nw.from_native(frame)
    except nw.exceptions.DuplicateError:
        check_names([str(column) for column in frame.columns], Source(name))
        raise
    except TypeError as error:
        raise UsageError(
            f"{name} is a {type(frame).__name__}, not a data frame", "Give a pandas, polars or pyarrow frame."
        ) from error
    if isinstance(wrapped, nw.LazyFrame):
        wrapped = wrapped.collect()
    index = nw.maybe_get_index(wrapped)
    if index is not None:
        wrapped = nw.from_native(_with_index(frame))
    columns = {str(column.name): _array(column) for column in wrapped.iter_columns()}
    if len(columns) < wrapped.shape[1]:  # as 1 and "1" in pandas
        raise DataError(f"{name} has two columns whose names are written alike", "Give every column its own name.")
    return pa.table(columns)


def _with_index(frame: Any) -> Any:
    """A pandas frame whose index has become its first columns, unless it only counts the rows."""
    if type(frame.index).__name__ == "RangeIndex":
        return frame
    if type(frame.index).__name__ == "PeriodIndex":
        frame = frame.set_axis(frame.index.to_timestamp(), axis=0)
    if frame.index.nlevels == 1 and frame.index.name is None:
        if not hasattr(frame.index, "tz"):  # neither dates nor named: labels of rows that were filtered or sorted
            return frame
        frame = frame.rename_axis(index="date")
    return frame.reset_index()


def _array(column: Any) -> pa.Array:
    """A narwhals column as one arrow array; cells of mixed types become text, which is checked later."""
    try:
        found = column.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        found = pa.array([None if cell is None else str(cell) for cell in column.to_list()], pa.string())
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _column(table: pa.Table, name: str) -> pa.Array:
    """One column as one array."""
    column = table.column(name).combine_chunks()
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def check_names(names: Sequence[str], source: Source) -> None:
    """Refuse columns that cannot be told apart, and nameless ones but the first (a pandas index)."""
    for position, column in enumerate(names):
        if column in names[:position]:
            called = f'called "{column}"' if column else "without a name"
            raise DataError(
                f"{source.name} has two columns {called}: columns {names.index(column) + 1} and {position + 1}",
                "Give every column its own name.",
            )
        if not column and position:
            raise DataError(f"{source.name}: column {position + 1} has no name", "Name it in the header, or remove it.")


def _roles(
    table: pa.Table,
    source: Source,
    *,
    time: str | None,
    series: str | None,
    target: str | Sequence[str] | None,
    drop: Sequence[str],
) -> _Roles:
    """Which column plays which part."""
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    for column in (time, series, *targets):
        if column is not None and column not in table.column_names:
            raise source.unknown(column, table.column_names)
    left = [column for column in table.column_names if column not in drop]
    lower = {column.lower(): column for column in left}
    key = next((known for known in LONG if known in lower), None)
    series = series or (lower[key] if key else None)
    usual_time, usual_target = LONG[series.lower()] if series and series.lower() in LONG else ("", "")
    time = time or lower.get(usual_time) or _find_time(table, left, source)
    rest = [column for column in left if column not in (time, series)]
    if not targets:
        known = [lower[column] for column in (usual_target, "y", "target") if column in lower and lower[column] in rest]
        targets = tuple(known[:1] if series and known else rest)
    unknown = [column for column in drop if column not in table.column_names]
    if unknown and series is None:
        raise source.unknown(unknown[0], table.column_names)
    for column in targets:
        if column in (time, series) or column in drop or targets.count(column) > 1:
            raise DataError(
                f'{source.name}: column "{column}" cannot be a target, since it is also the time, the series, dropped '
                "or named twice",
                f"Choose among {', '.join(rest)}.",
            )
    if not targets:
        raise DataError(
            f"{source.name} has no columns of values beside {', '.join(left) or 'those dropped'}",
            "Give it at least one numeric column.",
        )
    return _Roles(time, series, targets)


def _find_time(table: pa.Table, names: list[str], source: Source) -> str | None:
    found = [name for name in names if name.lower() in _TIMES]
    if len(found) > 1:
        raise DataError(
            f'{source.name} has several columns that may be the time: "{found[0]}" and "{found[1]}"',
            f"Name it with {source.option('time', found[0])}, and drop the others that hold no numbers.",
        )
    if found:
        return found[0]
    first = names[0] if names else None
    if first is None:
        return None
    column = _column(table, first)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return first
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        cell = next((text.strip() for text in column.slice(0, 1).to_pylist() if text), "")
        try:
            dates = parse_text([cell]).dtype.kind == "M"
        except UnreadableTimeError as error:
            dates = "two ways" in error.why
        return first if dates else None
    return first if first.lower() in _UNNAMED and pa.types.is_integer(kind) else None


def _hint(table: pa.Table, channel: str, source: Source, roles: _Roles) -> str:
    """Text in the first column is often a time or a name."""
    if channel != table.column_names[0] or roles.time is not None or roles.series is not None:
        return ""
    return (
        f" If it holds times, write them as 2024-12-31 23:00 and name it with {source.option('time', channel)}; if it "
        f"names series, use {source.option('series', channel)}."
    )


def _timeline(table: pa.Table, source: Source, roles: _Roles, drop_series: Sequence[str]) -> Timeline:
    """Series end to end, in order of first appearance; rows keep their order within a series."""
    rows = np.arange(table.num_rows)
    offsets = np.array([0, len(rows)])
    names: tuple[str, ...] = ("0",)
    if roles.series is not None:
        column = _column(table, roles.series)
        coded = column.dictionary_encode()
        unnamed = [cell is None or cell == "" for cell in coded.dictionary.to_pylist()]
        if column.null_count or any(unnamed):
            row = next(row for row, cell in enumerate(column.to_pylist()) if cell is None or cell == "")
            raise DataError(
                f'{source.name}: the name of the series is missing in column "{roles.series}" at {source.at(row)}',
                "Name the series of every row.",
            )
        names = tuple(str(cell) for cell in coded.dictionary.to_pylist())
        codes = np.from_dlpack(coded.indices)
        for unknown in drop_series:
            if unknown not in names:
                raise source.unknown(unknown, table.column_names)
        keep = np.array([label not in drop_series for label in names])
        rows = np.argsort(codes, kind="stable")
        rows = rows[keep[codes[rows]]]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(names))[keep])])
        names = tuple(label for label in names if label not in drop_series)
        if not names:
            raise DataError(f"{source.name}: all series are dropped", "Keep at least one.")
    if roles.time is None:
        lengths = np.diff(offsets)
        counts = np.arange(len(rows)) - np.repeat(offsets[:-1], lengths)
        return Timeline(counts, offsets, rows, names, column=None, named=roles.series is not None)
    try:
        time = parse_times(_column(table, roles.time))
    except UnreadableTimeError as error:
        raise DataError(
            f'{source.name}: the time in column "{roles.time}" at {source.at(error.row)} {error.why}',
            "Write times as 2024-12-31 23:00 (or whole numbers), name another column with "
            f"{source.option('time', 'COLUMN')}, or take rows as consecutive steps with {source.drop(roles.time)}.",
        ) from None
    return Timeline(time[rows], offsets, rows, names, roles.time, named=roles.series is not None)


def _check_finite(
    values: Float[np.ndarray, "time channel"], timeline: Timeline, channels: tuple[str, ...], source: Source
) -> None:
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
