"""Columns that only count: numbers that rise or fall by the same step in every row."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

FEWEST = 30
"""Rows that a column of values needs before a straight line in it says anything."""
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


def numbers_rows(numbers: np.ndarray[Any, np.dtype[Any]], offsets: Int[np.ndarray, " series_plus_one"]) -> bool:
    """Whether whole numbers name every row of a series once, in any order and with few left out."""
    if numbers.dtype.kind != "i":
        return False
    for start, end in pairwise(offsets):
        part = np.sort(numbers[start:end])
        if (np.diff(part) == 0).any() or int(part[-1]) - int(part[0]) >= _DENSE * max(len(part), FEWEST):
            return False
    return True


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
