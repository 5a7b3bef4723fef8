"""Whether the first line of a text file holds names or data."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from forecheck.data.reading.dates import UnreadableTimeError, parse_text
from forecheck.data.reading.notation import MISSING, is_written_number
from forecheck.data.reading.units import split_unit
from forecheck.data.reading.written import Written
from forecheck.data.source import Source
from forecheck.errors import DataError

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_MOST_OF_CLOCK = 59
_MARK = re.compile(r"[-\u2013\u2014?.*]+|[+-]?inf(inity)?", re.IGNORECASE)
"""Cells that people write where they have no number."""


def is_header(rows: Sequence[Sequence[str]], source: Source, written: Written) -> bool:
    """Whether the first row holds names.

    Args:
        rows: the first rows of the file, without blanks around the cells.
        source: named in messages.
        written: what the user says.

    Raises:
        DataError: if it may be data as well.
    """
    if written.header is not None:
        return written.header
    first = rows[0]
    dates = sum(is_date(cell) for cell in first)
    if dates <= 1 and (first[0] or len(first) == 1) and not all_data(first) and all(map(_is_value, first)):
        return _is_decorated_header(rows, source)
    if not all_data(first) or not first[0] or dates > 1:
        broken = [cell for cell in first if re.fullmatch(r"[+-]?\d*[.,]\d+", cell)]
        if dates == 1 or (broken and first[0]) or _goes_on(rows):
            raise _doubt(first, "seem to be data, but not all are numbers or dates", source)
        return True
    if dates or (len(rows) == 1 and len(first) > 1):
        return False
    if len(first) > 1 and list(first) in ([str(i + start) for i in range(len(first))] for start in (0, 1)):
        raise _doubt(first, "may be numbers of columns as well as data", source)
    if not all(cell.isdigit() for cell in first) or len(set(first)) < len(first) or len(rows) == 1:
        return False
    if len(first) > 1 and len(rows) >= 5 and _counts([row[0] for row in rows]):
        return False
    raise _doubt(first, "may be names of columns as well as data", source)


def check_commas(rows: Sequence[Sequence[str]], source: Source) -> None:
    """Refuse decimals that the delimiter cuts off, as in 100,13 and 99,05 in a file without names.

    Then all cells are whole numbers, and in some column as wide as each other: of two digits also beyond 59, so that
    they are no parts of a date or a clock.

    Args:
        rows: the first rows of a file that is cut at commas.
        source: named in messages.

    Raises:
        DataError: if it may be so.
    """
    if len({len(row) for row in rows}) > 1:
        return
    if not all(cell.lstrip("+-").isdigit() or is_date(cell) for row in rows for cell in row):
        return
    for place in range(1, len(rows[0])):
        cells = [row[place] for row in rows]
        alike = len({len(cell) for cell in cells}) == 1 < len(cells[0]) and all(map(str.isdigit, cells))
        if alike and any(cell.startswith("0") for cell in cells) and max(map(int, cells)) > _MOST_OF_CLOCK:
            first = ",".join(rows[0][place - 1 : place + 1])
            raise DataError(
                f'{source.name}: "{first}" in row 1 may be one number with a decimal comma, or two columns',
                f"If it is one, write decimals with a point; if not, say {source.option('delimiter', ',')}.",
            )


def is_number(cell: str) -> bool:
    """Whether a cell is a number with at most one mark, of decimals."""
    return _NUMBER.fullmatch(cell) is not None


def is_date(cell: str) -> bool:
    """Whether a cell is a date, though it may be one of two."""
    try:
        return parse_text([cell]).dtype.kind == "M"
    except UnreadableTimeError as error:
        return " ways" in error.why


def all_data(cells: Sequence[str]) -> bool:
    """Whether all cells are numbers, dates or missing, and not all of them missing."""
    known = [cell for cell in cells if is_number(cell) or is_date(cell)]
    return bool(known) and all(cell in known or cell.lower() in MISSING for cell in cells)


def _is_decorated_header(rows: Sequence[Sequence[str]], source: Source) -> bool:
    """Whether a first row whose cells could all be values, but not plain ones, holds names (5%, 95%).

    The second row tells: numbers with a unit, or parted thousands, go on as they began.
    """
    first = rows[0]
    decorated = [place for place, cell in enumerate(first) if _is_decorated(cell)]
    if decorated and len(rows) > 1 and len(rows[1]) == len(first):
        if all(_is_decorated(rows[1][place]) for place in decorated):
            return False
        if all(split_unit(first[place])[1] and is_number(rows[1][place]) for place in decorated):
            return True
    raise _doubt(first, "may be names of columns as well as data", source)


def _is_value(cell: str) -> bool:
    return (
        is_number(cell)
        or cell.lower() in MISSING
        or bool(_MARK.fullmatch(cell))
        or _is_decorated(cell)
        or is_date(cell)
    )


def _is_decorated(cell: str) -> bool:
    """Whether a cell is a number that is not written plainly: with a unit, thousands, another minus."""
    return bool(re.search(r"\d", cell)) and not is_number(cell) and is_written_number(split_unit(cell)[0])


def _goes_on(rows: Sequence[Sequence[str]]) -> bool:
    """Whether texts beside numbers, or dates, go on below the first row, as s1, s1 or 1. Mai 2021, 2. Mai 2021 do."""
    first = rows[0]
    below = [row for row in rows[1:] if len(row) == len(first)]
    dates = [place for place, cell in enumerate(first) if is_date(cell)]
    if dates and below and all(is_date(below[0][place]) for place in dates):
        return True
    if not dates and not any(map(is_number, first)):
        return False
    texts = [place for place, cell in enumerate(first) if not _is_value(cell)]
    return any(
        row[place] == first[place] or (re.search(r"\d", first[place]) and _shape(row[place]) == _shape(first[place]))
        for row in below
        for place in texts
    )


def _shape(cell: str) -> str:
    """A text with one letter for a word and one digit for a number."""
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", cell))


def _counts(cells: Sequence[str]) -> bool:
    """Whether whole numbers rise by one step from the first row on."""
    if not all(cell.isdigit() for cell in cells):
        return False
    steps = {int(b) - int(a) for a, b in itertools.pairwise(cells)}
    return len(steps) == 1 and steps != {0}


def _doubt(first: Sequence[str], why: str, source: Source) -> DataError:
    shown = ", ".join(cell[:20] for cell in first[:3]) + (", ..." if len(first) > 2 else "")
    yes, no = ("--header", "--no-header") if source.is_file else ("header=True", "header=False")
    return DataError(
        f"{source.name}: row 1 ({shown}) {why}",
        f"Name the columns in words, or say which: {yes} or {no}.",
    )
