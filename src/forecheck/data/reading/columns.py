"""Columns of numbers: text and special cells are refused by name and place."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from forecheck.data.reading.notation import MISSING, Notation, is_written_number
from forecheck.data.source import Source
from forecheck.errors import DataError

_EXACT = 2**53  # whole numbers beyond this are not exact in float64


def is_text(kind: pa.DataType) -> bool:
    """Whether cells are written as text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def plain_types(table: pa.Table) -> pa.Table:
    """A table whose cells are written out, but for texts, which may be as long as they are few."""
    for place, field in enumerate(table.schema):
        kind, column = field.type, table.column(place)
        if pa.types.is_dictionary(kind) and not is_text(kind.value_type):
            table = table.set_column(place, field.name, column.combine_chunks().dictionary_decode())
        elif pa.types.is_string_view(kind):
            table = table.set_column(place, field.name, column.cast(pa.large_string()))
    return table


def check_text(table: pa.Table, source: Source, drop: Sequence[str]) -> None:
    """Refuse text that is none: files of other programs may hold bytes of another encoding under its name.

    Args:
        table: as it was found.
        source: where it came from.
        drop: columns that are left out.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in drop:
            continue
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not is_text(kind):
            continue
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataError(
                f'{source.name}: column "{name}" is damaged, or text that is not UTF-8',
                f"Export it again as UTF-8, or drop the column with {source.drop(name)}.",
            ) from error


def written_numbers(table: pa.Table, names: Sequence[str]) -> tuple[str, ...]:
    """The columns of text, among those named, whose cells are numbers in whatever notation."""
    found = []
    for name in names:
        if name not in table.column_names:
            continue
        column = table.column(name).combine_chunks()
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        cells = [cell.strip() for cell in column.unique().to_pylist() if cell] if is_text(column.type) else []
        cells = [cell for cell in cells if cell.lower() not in MISSING]
        if cells and all(map(is_written_number, cells)):
            found.append(name)
    return tuple(found)


def as_written(table: pa.Table, names: Sequence[str], notation: Notation, source: Source) -> pa.Table:
    """A table whose columns of text are the numbers that they are in a notation; those that are none stay as they are.

    Args:
        table: that holds the columns.
        names: see `written_numbers`.
        notation: see `find_notation`.
        source: where the table came from.
    """
    for name in names:
        column = table.column(name).combine_chunks()
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        if all(cell.strip().lower() in MISSING or notation.plain(cell.strip()) for cell in column.to_pylist() if cell):
            plain = numbers(column, name, source, notation=notation)
            table = table.set_column(table.column_names.index(name), name, pa.array(plain, from_pandas=True))
    return table


def numbers(
    column: pa.Array, name: str, source: Source, remedy: str = "", notation: Notation | None = None
) -> Float[np.ndarray, " time"]:
    """A column as float64, missing cells as NaN.

    Args:
        column: numbers, or text in which every cell is a number or missing.
        name: the column's name, for messages.
        source: where it came from, for messages.
        remedy: what else the user can do, said after "drop the column".
        notation: how numbers are written in text; with a decimal point by default.

    Raises:
        DataError: for the first cell that is no number, or a whole number too large for float64.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if is_text(kind):
        return _from_text(column.to_pylist(), name, source, remedy, notation or Notation())
    if pa.types.is_decimal(kind):
        _check_exact(column, name, source)
        column = column.cast(pa.float64())
    elif pa.types.is_integer(kind):
        _check_exact(column, name, source)
        column = column.cast(pa.float64(), safe=False)
    elif pa.types.is_floating(kind):
        column = column.cast(pa.float64())
    else:
        described = "true and false" if pa.types.is_boolean(kind) else f"values of type {kind}"
        raise DataError(
            f'{source.name} holds {described}, not numbers, in column "{name}"',
            f"Convert the column to numbers, or drop it with {source.drop(name)}.{remedy}",
        )
    if column.null_count:
        column = pc.fill_null(column, float("nan"))
    return np.from_dlpack(column)


def _check_exact(column: pa.Array, name: str, source: Source) -> None:
    edges = pc.min_max(column).as_py()
    if edges["min"] is not None and max(abs(edges["min"]), abs(edges["max"])) > _EXACT:
        for row, cell in enumerate(column.to_pylist()):
            if cell is not None and cell == int(cell) and int(float(cell)) != cell:
                raise _inexact(cell, name, row, source)


def _from_text(
    cells: list[str | None], name: str, source: Source, remedy: str, notation: Notation
) -> Float[np.ndarray, " time"]:
    result = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        text = "" if cell is None else cell.strip()
        if text.lower() in MISSING:
            continue
        plain = notation.plain(text)
        if plain is None:
            raise DataError(
                f'{source.name} holds "{text[:40]}", which is not a number, in column "{name}" at {source.at(row)}',
                f"Correct the cell, or drop the column with {source.drop(name)}.{_advice(text, source)}{remedy}",
            )
        result[row] = float(plain)
        if abs(result[row]) > _EXACT and re.fullmatch(r"[+-]?\d+", plain) and int(result[row]) != int(plain):
            raise _inexact(plain, name, row, source)
    return result


def _advice(text: str, source: Source) -> str:
    """What to do about a cell that is almost a number."""
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text):
        return f" Write thousands without a comma, or say {source.option('thousands', ',')}."
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        return f" Write decimals with a point, or all with a comma ({source.option('decimal', ',')})."
    if re.fullmatch(r"[-\u2013\u2014?.*x/]+|#[A-Z/0!?]+|(no|missing).*", text, re.IGNORECASE):
        return f" If it means a missing value, leave the cell empty and fill it with {source.fill}."
    if re.search(r"\d", text) and re.search(r"[%$€£¥₹]|^[A-Z]{3} |[A-Za-z]$", text):
        return " Write the number alone, without a sign or unit."
    return ""


def _inexact(number: object, name: str, row: int, source: Source) -> DataError:
    return DataError(
        f'{source.name} holds {number} in column "{name}" at {source.at(row)}, a whole number that would lose digits',
        f"Is it a name rather than a number? Drop the column with {source.drop(name)}, or divide it.",
    )
