"""Panels of data frames: pandas, polars and pyarrow, wide or long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from forecheck.data.panel import Panel
from forecheck.data.reading.beside import NOTHING, Asked
from forecheck.data.reading.columns import is_text
from forecheck.data.reading.header import is_date
from forecheck.data.reading.numbered import DoubtfulNumberError, NoSuchWeekError, calendar
from forecheck.data.reading.tables import check_names, from_table
from forecheck.data.reading.written import Written
from forecheck.data.source import Source
from forecheck.errors import DataError, UsageError

_AS_FOUND = Written()
_SAMPLE = 20


def from_frame(
    frame: Any,
    *,
    time: str | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    fill: str | None = None,
    drop: Sequence[str] = (),
    name: str = "frame",
    written: Written = _AS_FOUND,
    asked: Asked = NOTHING,
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
        written: how numbers in columns of text are written.
        asked: columns that are no channels but may tell of them.

    Raises:
        DataError: if the frame cannot be used as it is; the message names column, row (from 0), time and remedy.
        UsageError: if `fill` is unknown or `frame` is not a data frame.
    """
    if written.of_file:
        raise UsageError(f"{name} is a data frame: it has no header line, delimiter or lines to skip")
    panel = from_table(
        to_arrow(frame, name),
        Source(name),
        time=time,
        series=series,
        target=target,
        fill=fill,
        drop=drop,
        written=written,
        asked=asked,
    )
    if panel.reading.time is None and not panel.reading.ids:
        _check_order(getattr(frame, "index", None), name)
    return panel


def _check_order(index: Any, name: str) -> None:
    """Refuse rows without times whose labels are out of order: they were shuffled, reversed or sorted by a column."""
    labels = index.to_numpy() if hasattr(index, "to_numpy") and getattr(index, "nlevels", 2) == 1 else np.zeros(0)
    if labels.dtype.kind not in "iu" or not index.is_unique or index.is_monotonic_increasing:
        return
    row = 1 + int(np.argmax(labels[1:] < labels[:-1]))
    raise DataError(
        f"{name} has no times, and the labels of its rows are out of order: {labels[row]} follows {labels[row - 1]}",
        f"Sort them: {name}.sort_index(). If the rows are consecutive as they are: {name}.reset_index(drop=True).",
    )


def to_arrow(frame: Any, name: str) -> pa.Table:
    """A frame as an arrow table; see `from_frame`."""
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    frame = _of_series(frame)
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
        wrapped = nw.from_native(_without_periods(_with_index(frame, name)))
    try:
        columns = {str(column.name): _array(column) for column in wrapped.iter_columns()}
    except UnicodeEncodeError as error:
        raise DataError(
            f"{name} holds text that no encoding can write: {error.object!r}",
            'Write it otherwise, as by .str.encode("utf-8", "replace").str.decode("utf-8").',
        ) from error
    if len(columns) < wrapped.shape[1]:  # as 1 and "1" in pandas
        raise DataError(f"{name} has two columns whose names are written alike", "Give every column its own name.")
    return pa.table(columns)


def _of_series(frame: Any) -> Any:
    """A frame of one column where a series is given, of pandas or polars."""
    if type(frame).__name__ != "Series" or not hasattr(frame, "to_frame"):
        return frame
    return frame.to_frame("y" if frame.name in (None, "") else frame.name)


def _with_index(frame: Any, name: str) -> Any:
    """A pandas frame whose index has become its first columns, unless it only counts the rows.

    Raises:
        DataError: if an index is called as a column that holds other cells.
    """
    if type(frame.index).__name__ == "RangeIndex":
        return frame
    if type(frame.index).__name__ == "PeriodIndex":
        frame = frame.set_axis(frame.index.to_timestamp(), axis=0)
    if frame.index.nlevels == 1 and frame.index.name is None:
        if not _holds_times(frame.index):  # neither times nor named: labels of rows that were filtered or sorted
            return frame
        frame = frame.rename_axis(index="date")
    for called in frame.index.names:
        if called is None or called not in frame.columns:
            continue
        level, column = frame.index.get_level_values(called), frame[called]
        if not (level.astype(str) == column.astype(str)).all() and not _same_dates(level, column):
            raise DataError(
                f'{name} has an index that becomes column "{called}", beside a column of that name with other cells',
                f'Leave one of them out: frame.reset_index(drop=True), or frame.drop(columns="{called}").',
            )
        frame = frame.drop(columns=called)
    return frame.reset_index()


def _holds_times(index: Any) -> bool:
    """Whether a pandas index without a name is one of dates, of whatever type, or of irregular spans of time."""
    if hasattr(index, "tz"):
        return True
    if type(index).__name__ == "TimedeltaIndex":
        return len(set(index[1:] - index[:-1])) > 1
    labels = index.to_numpy()
    if labels.dtype.kind in "iuf":
        return bool(len(labels)) and _is_calendar(labels)
    cells = [label for label in labels[:_SAMPLE].tolist() if label is not None]
    return bool(cells) and all(isinstance(cell, date) or (isinstance(cell, str) and is_date(cell)) for cell in cells)


def _is_calendar(labels: Any) -> bool:
    try:
        return bool(np.isfinite(labels).all()) and calendar(labels) is not None
    except DoubtfulNumberError:
        return True
    except NoSuchWeekError:
        return False


def _same_dates(level: Any, column: Any) -> bool:
    """Whether dates are the same though they are written otherwise, as 2024-01-01 and 2024-01-01 00:00."""
    try:
        written = column.astype("datetime64[us]")
        return bool((level.to_numpy().astype("datetime64[us]") == written.to_numpy()).all())
    except (TypeError, ValueError):
        return False


def _without_periods(frame: Any) -> Any:
    """A pandas frame whose columns of periods have become those of their first days."""
    periods = [column for column, kind in frame.dtypes.items() if str(kind).startswith("period")]
    return frame.assign(**{column: frame[column].dt.to_timestamp() for column in periods}) if periods else frame


def _array(column: Any) -> pa.Array:
    """A narwhals column as one arrow array; cells of mixed types become text, which is checked later."""
    try:
        found = column.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        found = pa.array([None if cell is None else str(cell) for cell in column.to_list()], pa.string())
    if column.dtype == nw.Object and not pa.types.is_boolean(found.type) and not is_text(found.type):
        cells = column.to_list()
        if any(isinstance(cell, bool | np.bool_) for cell in cells):  # arrow takes True among numbers for 1
            return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
