"""Columns that only count: numbers that rise or fall by the same step in every row."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

FEWEST = 30
"""Rows that a column of values needs before a straight line in it says anything."""
_NEARLY = 0.9  # share of steps that are the same, of a counter with rows missing or doubled
_FEWEST_NAMED = 5  # rows of a counter that is called so
_DENSE = 1.5
"""Numbers between the first and the last of a counter, for one that is there."""


def as_numbers(column: pa.Array) -> Float[np.ndarray, " time"] | Int[np.ndarray, " time"] | None:
    """A column of numbers without missing cells, int64 where they are whole; None if it is none.

    Text is none, although its cells may be written as numbers.
    """
    kind = column.type
    if column.null_count or not len(column):
        return None
    if pa.types.is_integer(kind):
        if pa.types.is_uint64(kind) and max(column.to_pylist()) >= 2**63:
            return None
        return np.from_dlpack(column.cast(pa.int64()))
    if not pa.types.is_floating(kind):
        return None
    numbers = np.from_dlpack(column.cast(pa.float64()))
    if not np.isfinite(numbers).all():
        return None
    whole = (numbers == np.floor(numbers)).all() and np.abs(numbers).max() < 2**53
    return numbers.astype(np.int64) if whole else numbers


def counts(numbers: np.ndarray[Any, np.dtype[Any]], offsets: Int[np.ndarray, " series_plus_one"]) -> bool:
    r"""Whether numbers lie on a straight line within every series, up to the rounding of their last digit.

    .. math:: x_i = x_0 + i \, d, \qquad d \ne 0

    All series share d, or the whole column is one line. Rounded numbers, as in a column of decimal years, may be off by
    one unit of the last digit if a step is many of them.
    """
    return _line(numbers) or (len(offsets) > 2 and _lines(numbers, offsets))


def counts_by_name(numbers: np.ndarray[Any, np.dtype[Any]]) -> bool:
    """Whether whole numbers follow each other without a gap, in any order, as a short counter called so does."""
    if numbers.dtype.kind != "i" or len(numbers) < _FEWEST_NAMED:
        return False
    return bool((np.diff(np.sort(numbers)) == 1).all())


def numbers_rows(numbers: np.ndarray[Any, np.dtype[Any]], offsets: Int[np.ndarray, " series_plus_one"]) -> bool:
    """Whether whole numbers name every row of a series once, in any order and with few left out."""
    if numbers.dtype.kind != "i":
        return False
    for start, end in pairwise(offsets):
        part = np.sort(numbers[start:end])
        if (np.diff(part) == 0).any() or int(part[-1]) - int(part[0]) >= _DENSE * max(len(part), FEWEST):
            return False
    return True


def breaks(numbers: np.ndarray[Any, np.dtype[Any]], offsets: Int[np.ndarray, " series_plus_one"]) -> int | None:
    """The first row at which numbers leave a straight line that nearly all of them follow within their series.

    So they would be a counter, if rows were not missing, doubled or moved. None if they keep to the line, have none, or
    begin anew at the same number, as hours do.
    Numbers that a straight line is made of in another order leave it where they first fall.
    """
    inside = np.ones(len(numbers) - 1, dtype=bool)
    inside[offsets[1:-1] - 1] = False
    rows = 1 + np.flatnonzero(inside)
    if len(rows) < FEWEST - 1:
        return None
    steps = numbers[rows].astype(float) - numbers[rows - 1]
    usual = float(np.median(steps))
    unit = _last_digit(numbers) if numbers.dtype.kind == "f" else 0.0
    slack = max(1e-9 * float(np.abs(numbers).max()), 1.01 * unit if abs(usual) >= 20 * unit else 0.0)
    kept = np.abs(steps - usual) <= slack
    left = rows[~kept]
    again, often = np.unique(numbers[left], return_counts=True)
    if abs(usual) > slack and len(left) and kept.mean() >= _NEARLY:
        odd = left[numbers[left] != again[np.argmax(often)]]  # the others begin anew
        if len(odd) or not (steps[~kept] * usual < 0).all():
            return int(odd[0] if len(odd) and often.max() > 1 else left[0])
    if len(offsets) == 2 and _line(np.sort(numbers)) and (steps < 0).any() and (steps > 0).any():
        return int(rows[np.argmax(steps < 0)])
    return None


def _lines(numbers: np.ndarray[Any, np.dtype[Any]], offsets: Int[np.ndarray, " series_plus_one"]) -> bool:
    inside = np.ones(len(numbers) - 1, dtype=bool)
    inside[offsets[1:-1] - 1] = False
    steps = np.diff(numbers)[inside]
    return bool(len(steps)) and bool(steps[0] != 0) and bool((steps == steps[0]).all())


def _line(numbers: np.ndarray[Any, np.dtype[Any]]) -> bool:
    count = len(numbers)
    if count < 2 or numbers[0] == numbers[-1]:
        return False
    if numbers.dtype.kind == "i":
        steps = np.diff(numbers)
        return bool((steps == steps[0]).all())
    step = (numbers[-1] - numbers[0]) / (count - 1)
    off = float(np.abs(numbers - (numbers[0] + step * np.arange(count))).max())
    unit = _last_digit(numbers)
    exact = off <= 1e-9 * float(np.abs(numbers).max())
    return bool(exact or (unit > 0 and off <= 1.01 * unit and abs(step) >= 20 * unit))


def _last_digit(numbers: Float[np.ndarray, " time"]) -> float:
    """The unit of the last digit that the numbers are written with, 0 if they have more than six."""
    for digits in range(1, 7):
        scaled = numbers * 10**digits
        if (np.abs(scaled - np.round(scaled)) < 1e-6 * np.maximum(1.0, np.abs(scaled) * 1e-9)).all():
            return 10.0**-digits
    return 0.0
