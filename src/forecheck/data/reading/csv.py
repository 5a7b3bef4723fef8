"""Tables of CSV files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from forecheck.data.memory import check_memory
from forecheck.data.reading.layout import Layout, layout, parted, ragged_line
from forecheck.data.reading.roles import LONG
from forecheck.data.reading.tables import check_names
from forecheck.data.reading.text import LARGEST_CELL, decoded, lines_of, records
from forecheck.data.reading.written import Written
from forecheck.data.source import Source, count
from forecheck.errors import DataError

_TABLE_FACTOR = 2
_BLOCK = 1 << 20  # bytes that are parsed at once; no line may be longer
_EXACT = 2.0**53
_THREE_DIGITS = 0.5


def read_csv(data: bytes, source: Source, series: str | None, written: Written) -> tuple[pa.Table, Layout, bytes]:
    """The table of a CSV file, its layout, and the bytes that the layout is of.

    Columns without a name and without a cell are left out, and rows without a cell at the end. Numbers that a point
    may have been left out of, or that are too long for a float, stay text, to be looked at one by one.

    Args:
        data: the file, unpacked.
        source: named in messages.
        series: the column of names, which stays text; None if it is to be found.
        written: what is known of how the file is written.

    Raises:
        DataError: if it cannot be read; the message names the line.
    """
    found = layout(data, source, written)
    if found.spaces:
        data = parted(decoded(data)).encode()
    if found.blank:
        data = data.rstrip(b"\r\n") + b"\n"
    nameless = [position for position, name in enumerate(found.names) if position and not name]
    names = [name or (f"\0{position}" if position else "") for position, name in enumerate(found.names)]
    check_names(names, source)
    text = {f"f{position}" for position, name in enumerate(names) if name == series or name.lower() in LONG}
    table = _parse(data, found, source, text, written)
    if table.num_columns != len(names):
        raise _unreadable(data, found, source, ValueError(f"{table.num_columns} columns"))
    check_memory(8 * table.num_rows * table.num_columns, _TABLE_FACTOR, source)
    doubtful = _doubtful(table, written) - text
    if doubtful:
        again = _parse(data, found, source, doubtful, written, only=True)
        for position, name in enumerate(table.column_names):
            if name in doubtful:
                table = table.set_column(position, name, again[name])
    table, notes = _trimmed(table.rename_columns(names), nameless, source)
    return table, replace(found, notes=(*found.notes, *notes)), data


def _trimmed(table: pa.Table, nameless: Sequence[int], source: Source) -> tuple[pa.Table, list[str]]:
    """The table without nameless columns and last rows that have no cells, as spreadsheets write them."""
    notes, columns = [], table.num_columns
    for position in nameless:
        if not _empty(table.column(position)):
            raise DataError(f"{source.name}: column {position + 1} has no name", "Name it in the header, or remove it.")
    if nameless:
        table = table.drop_columns([table.column_names[position] for position in nameless])
        notes.append(f"left out: {count(len(nameless), 'column')} without name and cells")
    rows = _filled_rows(table) if columns > 1 else table.num_rows
    if rows < table.num_rows:
        notes.append(f"left out: {count(table.num_rows - rows, 'row')} without cells at the end")
    return table.slice(0, rows), notes


def _parse(
    data: bytes, found: Layout, source: Source, text: set[str], written: Written, *, only: bool = False
) -> pa.Table:
    """The cells, as numbers and times where all of a column are such; columns are called f0, f1, ..."""
    longest = max((len(line) for line in data[: 1 << 22].splitlines()), default=0)
    try:
        return pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(
                skip_rows=found.skip + (found.header and _header_lines(data, found)),
                autogenerate_column_names=True,
                use_threads=False,
                block_size=max(_BLOCK, 4 * longest),
            ),
            # Names of series are text even if they look like numbers: "007" is not "7".
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(text, pa.string()),
                include_columns=sorted(text) if only else None,
                decimal_point=written.decimal or ".",
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=found.delimiter, newlines_in_values=b'"' in data, ignore_empty_lines=not found.blank
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            raise DataError(f"{source.name} holds no rows", "Give it rows below the names of its columns.") from None
        raise _unreadable(data, found, source, error) from error


def _header_lines(data: bytes, found: Layout) -> int:
    """Lines of the header, in which a quoted name may span several."""
    rest = "".join(lines_of(decoded(data))[found.skip : found.skip + 100])
    kept = records(rest, found.delimiter)
    next(kept)
    following = next(kept, None)
    return following[0] - 1 if following and not found.blank else 1


def _unreadable(data: bytes, found: Layout, source: Source, error: Exception) -> DataError:
    ragged = ragged_line(data, found)
    if ragged is None:
        return DataError(f"{source.name} cannot be read as CSV: {error}", "Check it, or export it again.")
    line, cells = ragged
    if not cells:
        return DataError(
            f"{source.name} has a cell of more than {LARGEST_CELL:,} characters after row {line}",
            "Is a quote never closed? Correct it, or export the file again.",
        )
    first = found.skip + 1
    return DataError(
        f"{source.name} has {count(cells, 'cell')} at row {line}, but {len(found.names)} at row {first}",
        "Correct the line; cells that hold the delimiter must be in quotes. If the lines before the header are none of "
        f"the table, leave them out: {source.option('skip', str(line - 1))}."
        if line <= first + 1
        else "Correct the line; cells that hold the delimiter must be in quotes.",
    )


def _doubtful(table: pa.Table, written: Written) -> set[str]:
    """Columns of numbers that may have been misread: 1.010 that is 1010, and what is longer than a float holds."""
    found = set()
    for name in table.column_names:
        column = table[name]
        if not pa.types.is_floating(column.type) or column.null_count == len(column):
            continue
        values = pc.drop_null(column).to_numpy()
        values = values[np.isfinite(values)]
        size = np.abs(values)
        if (size >= _EXACT).any():
            found.add(name)
        elif written.decimal is None and (written.thousands in (None, ".")):
            broken = size[size != np.floor(size)]
            if len(broken) and size.max() < 1000 and broken.min() >= 1 and _three(broken):
                found.add(name)
        elif written.thousands == ".":
            found.add(name)
    return found


def _three(values: np.ndarray) -> bool:
    """Whether numbers have three decimals; the last may be zero in some."""
    return bool(_decimals(values, 3).all() and (~_decimals(values, 2)).mean() >= _THREE_DIGITS)


def _decimals(values: np.ndarray, digits: int) -> np.ndarray:
    """Which values have no more decimals."""
    scaled = values * 10**digits
    return np.abs(scaled - np.round(scaled)) < 1e-6


def _empty(column: pa.ChunkedArray) -> bool:
    if column.null_count == len(column):
        return True
    return pa.types.is_string(column.type) and not any(re.search(r"\S", cell or "") for cell in column.to_pylist())


def _filled_rows(table: pa.Table) -> int:
    """Rows up to the last that has a cell."""
    last = 0
    for name in table.column_names:
        column = table[name]
        filled = pc.is_valid(column)
        if pa.types.is_string(column.type):
            filled = pc.and_kleene(filled, pc.not_equal(column, ""))
        last = max(last, len(column) - _trailing(pc.fill_null(filled, fill_value=False).to_numpy()))
        if last == table.num_rows:
            break
    return last


def _trailing(filled: np.ndarray) -> int:
    """False ones at the end."""
    return len(filled) if not filled.any() else int(np.argmax(filled[::-1]))
