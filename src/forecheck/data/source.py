"""Where data came from, so that messages can name the place and the remedy in the reader's own terms."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecheck.errors import DataError


def _same(row: int) -> int:
    return row


@dataclass(frozen=True)
class Source:
    """A file or a frame.

    Attributes:
        name: the file's name, or what the caller calls the frame.
        is_file: remedies are options of the command line; otherwise arguments of Python.
        line: the row of the table (from 0) as the reader counts it: for text files the line, the header being line 1.
    """

    name: str
    is_file: bool = False
    line: Callable[[int], int] = _same

    def at(self, row: int, time: Any = None) -> str:
        """`row 1204 (2023-05-02 04:00)`."""
        return f"row {self.line(row)}" + ("" if time is None else f" ({stamp(time)})")

    def option(self, name: str, value: str) -> str:
        """An option as the reader would write it: `--time when`, or `time="when"`."""
        return f"--{name} {shlex.quote(value)}" if self.is_file else f'{name}="{value}"'

    def drop(self, *columns: str) -> str:
        """How to leave columns out."""
        if self.is_file:
            return " ".join(f"--drop {shlex.quote(column)}" for column in columns)
        return "drop=[" + ", ".join(f'"{column}"' for column in columns) + "]"

    @property
    def fill(self) -> str:
        """How to fill missing values."""
        return "--fill linear | last | seasonal" if self.is_file else 'fill="linear" | "last" | "seasonal"'

    def unknown(self, column: str, columns: Iterable[str]) -> DataError:
        """The error for a column that is not there."""
        columns = list(columns)
        near = difflib.get_close_matches(column, columns, n=3, cutoff=0.5)
        if not near:
            near = [name for name in columns if name.lower() == column.lower()]
        listed = ", ".join(f'"{name}"' for name in columns[:10]) + (", ..." if len(columns) > 10 else "")
        hint = "Did you mean " + " or ".join(f'"{name}"' for name in near) + "? " if near else ""
        return DataError(f'{self.name} has no column "{column}"', f"{hint}Its columns are {listed}.")


def stamp(time: Any) -> str:
    """A time as people write it: without seconds, or without a clock, where these are zero."""
    if not isinstance(time, np.datetime64):
        return f"time {time}"
    text = str(time.astype("datetime64[us]")).replace("T", " ")
    for zeros in (".000000", ":00", " 00:00"):
        if not text.endswith(zeros):
            break
        text = text.removesuffix(zeros)
    return text


def count(number: int, thing: str, plural: str = "s") -> str:
    """`1 missing value`, `3 missing values`.

    Args:
        number: how many.
        thing: in the singular.
        plural: what is appended unless there is one.
    """
    return f"{number:,} {thing}" + ("" if number == 1 else plural)


def listed(names: Iterable[str], most: int = 5) -> str:
    """`"a", "b" and 3 more`."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(f'"{name}"' for name in names[:most]) + more
