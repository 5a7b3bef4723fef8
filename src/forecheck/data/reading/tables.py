"""Panels of tables: the one end of files and frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forecheck.data.covariates import Covariates
from forecheck.data.fill import check_fill, fill_missing
from forecheck.data.grid import Timeline, regular
from forecheck.data.panel import Panel, Reading
from forecheck.data.reading.beside import NOTHING, Asked, set_apart
from forecheck.data.reading.columns import as_written, check_text, is_text, numbers, plain_types, written_numbers
from forecheck.data.reading.dates import UnreadableTimeError, read_times
from forecheck.data.reading.notation import MISSING, Notation, find_notation
from forecheck.data.reading.roles import Roles, column_of, find_roles
from forecheck.data.reading.units import without_units
from forecheck.data.reading.values import check_finite, check_range
from forecheck.data.reading.written import Written
from forecheck.data.sentinels import sentinels
from forecheck.data.source import Source, count
from forecheck.errors import DataError

_AS_FOUND = Written()
_CODES = 3


def from_table(
    table: pa.Table,
    source: Source,
    *,
    time: str | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    fill: str | None = None,
    drop: Sequence[str] = (),
    written: Written = _AS_FOUND,
    delimiter: str | None = None,
    notes: Sequence[str] = (),
    asked: Asked = NOTHING,
) -> Panel:
    """Panel of an arrow table; see `forecheck.data.reading.frames.from_frame`, whose other end this is for files, too.

    Args:
        table: the data.
        source: named in messages.
        time: as in `from_frame`, as the next four.
        series: likewise.
        target: likewise.
        fill: likewise.
        drop: likewise.
        written: how numbers are written, where the user says it.
        delimiter: of the text file that the table came from.
        notes: what reading the file decided, to be reported with the rest.
        asked: columns that are no channels but may tell of them.
    """
    check_fill(fill)
    if table.num_columns == 0 or table.num_rows == 0:
        raise DataError(f"{source.name} holds no rows", "Give it rows below the names of its columns.")
    check_names(table.column_names, source)
    check_text(table, source, (drop,) if isinstance(drop, str) else drop)
    table = plain_types(table)
    drop = _single(table, [_own(table, column) for column in ((drop,) if isinstance(drop, str) else drop)])
    time, series = (None if column is None else _own(table, column) for column in (time, series))
    if target is not None:
        target = [_own(table, column) for column in ((target,) if isinstance(target, str) else target)]
    asked = asked.called(lambda column: _own(table, column))
    asked.check(table, source, (time, series, *(target or ()), *drop))
    beside = (*drop, *asked.columns)
    table, roles = find_roles(table, source, time=time, series=series, target=target, drop=beside)
    asked.check_parts(table, roles, source, chosen=bool(target))
    timeline, filled = _timeline(table, source, roles, [column for column in drop if column not in table.column_names])
    if np.diff(timeline.offsets).max() == 1:
        raise DataError(
            f"{source.name} has a single row" + (" a series" if len(timeline.series) > 1 else ""),
            "A forecast needs a history: at least lookback + horizon rows.",
        )
    table, units = without_units(table, (*roles.channels, *asked.numbers))
    beside = written_numbers(table, asked.numbers)
    notation = _notation(table, (*roles.channels, *beside), source, written, delimiter)
    values = np.empty((len(timeline.rows), len(roles.channels)))
    for column, channel in enumerate(roles.channels):
        cells = numbers(column_of(table, channel), channel, source, _hint(table, channel, source, roles), notation)
        values[:, column] = cells if roles.series is None else cells[timeline.rows]
    check_finite(values, timeline, roles.channels, source)
    check_range(values, timeline, roles.channels, source)
    timeline, frequency = regular(timeline, source, complete=fill is not None)
    if len(timeline.rows) > len(values):
        completed = np.full((len(timeline.rows), len(roles.channels)), np.nan)
        completed[timeline.rows >= 0] = values
        values = completed
    covariates: Covariates | None = None
    said: tuple[str, ...] = ()
    if asked is not NOTHING:
        table = as_written(table, beside, notation, source)
        asked = _future_as_written(asked, written, notation, units)
        timeline, values, covariates, said = set_apart(asked, table, timeline, values, roles, frequency, fill, source)
    holes = np.isnan(values)
    values, fills = fill_missing(values, timeline, roles.channels, frequency, fill=fill, source=source)
    panel = Panel(
        values,
        timeline.offsets,
        timeline.time,
        timeline.series,
        roles.channels,
        frequency,
        source.name,
        fills=fills,
        filled=holes if fills else None,
        fill=fill or "" if fills else "",
        covariates=covariates,
    )
    remarks = (*notes, *roles.notes, *filled, *said, *units, *_of_notation(notation), *_of_codes(panel))
    return replace(panel, reading=Reading(roles.time, _kind(table, roles.series), remarks))


def _own(table: pa.Table, name: str) -> str:
    """The column of this name, however its accents are composed."""
    if name in table.column_names:
        return name
    composed = normalize("NFC", name)
    return next((column for column in table.column_names if normalize("NFC", column) == composed), name)


def _single(table: pa.Table, drop: Sequence[str]) -> tuple[str, ...]:
    """Columns to drop, where times that were joined are named as messages name them: `year+month`."""
    names = set(table.column_names)
    found: list[str] = []
    for column in drop:
        parts = column.split("+")
        found += parts if column not in names and set(parts) <= names else [column]
    return tuple(found)


def _kind(table: pa.Table, series: str | None) -> Literal["", "text", "integer"]:
    if series is None:
        return ""
    return "integer" if pa.types.is_integer(column_of(table, series).type) else "text"


def _notation(
    table: pa.Table, names: Sequence[str], source: Source, written: Written, delimiter: str | None
) -> Notation:
    """How the columns of numbers that are text are written."""
    texts, point = {}, False
    for channel in names:
        column = column_of(table, channel)
        if is_text(column.type):
            cells = (cell.strip() for cell in column.unique().to_pylist() if cell is not None)
            texts[channel] = [cell for cell in cells if cell.lower() not in MISSING]
        elif pa.types.is_floating(column.type) and not point and delimiter is not None:
            whole = pc.all(pc.equal(column, pc.floor(column))).as_py()
            point = whole is False and written.decimal != ","
    return find_notation(texts, written, source, point=point, delimiter=delimiter) if texts else Notation()


def _future_as_written(asked: Asked, written: Written, notation: Notation, units: Sequence[str]) -> Asked:
    """What is asked, with the numbers of the future read as those of the data are written.

    Raises:
        DataError: if a column has a unit in one of them alone, or numbers that may be read in two ways.
    """
    if asked.future is None:
        return asked
    table, source = asked.future
    for name in asked.known:
        table, own = without_units(table, (name,) if name in table.column_names else ())
        if set(own) != {note for note in units if note.startswith(f'"{name}" read')}:
            raise DataError(
                f'{source.name} and the data do not write column "{name}" alike: one has a unit beside its numbers',
                "Write the same unit in both, or none.",
            )
    beside = written_numbers(table, asked.known)
    if notation != Notation():
        written = Written(decimal=notation.decimal, thousands=notation.thousands or None)
    notation = _notation(table, beside, source, written, None)
    return replace(asked, future=(as_written(table, beside, notation, source), source))


def _of_codes(panel: Panel) -> list[str]:
    """A note on the first values that look like codes for missing."""
    return [
        f'{code.value:g} in "{code.channel}" looks like a code for missing ({count(code.count, "row")})'
        for code in sentinels(panel)[:_CODES]
    ]


def _of_notation(notation: Notation) -> list[str]:
    if notation == Notation():
        return []
    thousands = f", thousands parted by {notation.thousands!r}" if notation.thousands else ""
    return [f"decimals written with {notation.decimal!r}{thousands}"]


def check_names(names: Sequence[str], source: Source) -> None:
    """Refuse columns that cannot be told apart, and nameless ones but the first (a pandas index)."""
    first: dict[str, int] = {}
    for position, column in enumerate(names):
        if column in first:
            called = f'called "{column}"' if column else "without a name"
            raise DataError(
                f"{source.name} has two columns {called}: columns {first[column] + 1} and {position + 1}",
                "Give every column its own name.",
            )
        if not column and position:
            raise DataError(f"{source.name}: column {position + 1} has no name", "Name it in the header, or remove it.")
        first[column] = position


def _hint(table: pa.Table, channel: str, source: Source, roles: Roles) -> str:
    """Text is often a time or a name."""
    column = column_of(table, channel)
    if roles.series is not None or not is_text(column.type) or 2 * len(column.unique()) > len(column) > 2:
        return ""
    series = f"it names series, use {source.option('series', channel)}."
    if channel != table.column_names[0] or roles.time is not None:
        return f" If {series}"
    time = source.option("time", channel)
    return f" If it holds times, write them as 2024-12-31 23:00 and name it with {time}; if {series}"


def _check_alike(names: Sequence[str], series: str, source: Source) -> tuple[str, ...]:
    """Refuse names of series that look the same, as with a blank at the end: one series would be two.

    Returns:
        A note on the first two that differ in capital letters alone.
    """
    seen: dict[str, str] = {}
    folded: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    for name in names:
        plain = normalize("NFC", name.strip())
        other = seen.setdefault(plain, name)
        if other != name:
            raise DataError(
                f'{source.name} names series {other!r} and {name!r} in column "{series}", which look the same',
                "Write each name in one way, without blanks at its ends; two series need two names.",
            )
        other = folded.setdefault(plain.casefold(), name)
        if other != name and not notes:
            notes = (f'series "{other}" and "{name}" are two',)
    return notes


def _timeline(
    table: pa.Table, source: Source, roles: Roles, drop_series: Sequence[str]
) -> tuple[Timeline, tuple[str, ...]]:
    """Series end to end, in order of first appearance; rows keep their order within a series."""
    rows = np.arange(table.num_rows)
    offsets = np.array([0, len(rows)])
    names: tuple[str, ...] = ("0",)
    alike: tuple[str, ...] = ()
    if roles.series is not None:
        column = column_of(table, roles.series)
        coded = column.dictionary_encode()
        try:
            cells = coded.dictionary.to_pylist()
        except OverflowError:  # a time that no calendar has
            raise DataError(
                f'{source.name}: column "{roles.series}" holds times beyond the year 9999, which name no series',
                f"Name a column of texts or whole numbers: {source.option('series', 'NAME')}.",
            ) from None
        unnamed = [cell is None or cell == "" for cell in cells]
        if column.null_count or any(unnamed):
            row = next(row for row, cell in enumerate(column.to_pylist()) if cell is None or cell == "")
            raise DataError(
                f'{source.name}: the name of the series is missing in column "{roles.series}" at {source.at(row)}',
                "Name the series of every row.",
            )
        names = tuple(str(cell) for cell in cells)
        alike = _check_alike(names, roles.series, source)
        codes = np.from_dlpack(coded.indices)
        known = set(names)
        for unknown in drop_series:
            if unknown not in known:
                raise source.unknown(unknown, table.column_names)
        dropped = set(drop_series)
        keep = np.array([label not in dropped for label in names])
        rows = np.argsort(codes, kind="stable")
        rows = rows[keep[codes[rows]]]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(names))[keep])])
        names = tuple(label for label in names if label not in dropped)
        if not names:
            raise DataError(f"{source.name}: all series are dropped", "Keep at least one.")
    if roles.time is None:
        lengths = np.diff(offsets)
        counts = np.arange(len(rows)) - np.repeat(offsets[:-1], lengths)
        return Timeline(counts, offsets, rows, names, column=None, named=roles.series is not None), alike
    try:
        time, note = read_times(column_of(table, roles.time), roles.time)
    except UnreadableTimeError as error:
        missing = error.why == "is missing"
        raise DataError(
            f'{source.name}: the time in column "{roles.time}" at {source.at(error.row)} {error.why}',
            ("Write it, or remove the row" if missing else "Write times as 2024-12-31 23:00 (or whole numbers)")
            + f", name another column with {source.option('time', 'COLUMN')}, or take rows as consecutive steps with "
            f"{source.drop(roles.time)}.",
        ) from None
    notes = (*alike, note) if note else alike
    return Timeline(time[rows], offsets, rows, names, roles.time, named=roles.series is not None), notes
