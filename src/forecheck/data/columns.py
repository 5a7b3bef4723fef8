"""Columns of numbers: text and special cells are refused by name and place."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from forecheck.data.source import Source
from forecheck.errors import DataError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "#na", "#n/a n/a", "null", "none", "<na>"})
_EXACT = 2**53  # whole numbers beyond this are not exact in float64


def numbers(column: pa.Array, name: str, source: Source, remedy: str = "") -> Float[np.ndarray, " time"]:
    """A column as float64, missing cells as NaN.

    Args:
        column: numbers, or text in which every cell is a number or missing.
        name: the column's name, for messages.
        source: where it came from, for messages.
        remedy: what else the user can do, said after "drop the column".

    Raises:
        DataError: for the first cell that is no number, or a whole number too large for float64.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _from_text(column.to_pylist(), name, source, remedy)
    if pa.types.is_decimal(kind):
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
            if cell is not None and int(float(cell)) != cell:
                raise DataError(
                    f'{source.name} holds {cell} in column "{name}" at {source.at(row)}, a whole number that would '
                    "lose digits",
                    f"Is it a name rather than a number? Drop the column with {source.drop(name)}, or divide it.",
                )


def _from_text(cells: list[str | None], name: str, source: Source, remedy: str) -> Float[np.ndarray, " time"]:
    result = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        text = "" if cell is None else cell.strip()
        if text.lower() in _MISSING:
            continue
        if not _NUMBER.fullmatch(text):
            comma = " Write decimals with a point." if re.fullmatch(r"[+-]?\d+,\d+", text) else ""
            raise DataError(
                f'{source.name} holds "{text[:40]}", which is not a number, in column "{name}" at {source.at(row)}',
                f"Correct the cell, or drop the column with {source.drop(name)}.{comma}{remedy}",
            )
        result[row] = float(text)
    return result
