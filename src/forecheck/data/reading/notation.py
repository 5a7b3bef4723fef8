"""How numbers are written as text: with which decimal mark, and whether thousands are parted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from forecheck.data.reading.written import Written
from forecheck.data.source import Source
from forecheck.errors import DataError

MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "#na", "#n/a n/a", "null", "none", "<na>"})
_MARKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'", "\u2212": "-"})
_THREE = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_FEWEST_ALIKE = 20  # cells of three decimals that are hardly rounded by chance


@dataclass(frozen=True)
class Notation:
    """A decimal mark, and what parts thousands, if anything."""

    decimal: str = "."
    thousands: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What a whole number cell looks like."""
        d, t = re.escape(self.decimal), re.escape(self.thousands)
        grouped = rf"[1-9]\d{{0,2}}(?:{t}\d{{3}})+(?:{d}\d+)?|" if t else ""
        return re.compile(
            rf"[+-]?(?:{grouped}(?:\d+(?:{d}\d*)?|{d}\d+)(?:[eE][+-]?\d+)?)|[+-]?inf(?:inity)?", re.IGNORECASE
        )

    def plain(self, cell: str) -> str | None:
        """The number as Python writes it, None if the cell is none."""
        cell = cell.translate(_MARKS)
        if not self.pattern.fullmatch(cell):
            return None
        return (cell.replace(self.thousands, "") if self.thousands else cell).replace(self.decimal, ".")


_ALL = [
    Notation(decimal, thousands)
    for decimal, thousands in itertools.product((".", ","), ("", ",", ".", " ", "'"))
    if decimal != thousands
]


def is_written_number(cell: str) -> bool:
    """Whether a cell is a number in any notation."""
    return any(each.plain(cell) is not None for each in _ALL)


def find_notation(
    columns: Mapping[str, Sequence[str]], written: Written, source: Source, *, point: bool, delimiter: str | None
) -> Notation:
    """The one notation in which all columns of text are numbers; the plain one if there is none, and cells tell why.

    Args:
        columns: distinct cells of the columns that are to be numbers, without missing ones.
        written: what the user says.
        source: for messages.
        point: whether columns that are numbers already have decimals, written with a point.
        delimiter: of the file; None for a frame.

    Raises:
        DataError: if numbers may be read in two ways, as 1.010 beside 987.
    """
    fitting = [
        each
        for each in _ALL
        if written.decimal in (None, each.decimal) and written.thousands in (None, each.thousands or written.thousands)
    ]
    if written.decimal is None and point:
        fitting = [each for each in fitting if each.decimal == "."]
    start = fitting[0] if fitting else Notation()
    read = [(name, cells) for name, cells in columns.items() if cells]
    for _, cells in read:
        fitting = [each for each in fitting if all(each.plain(cell) is not None for cell in cells)]
    if not fitting:
        return Notation(written.decimal or start.decimal, written.thousands or "")
    for name, cells in read:
        for other in fitting[1:]:
            odd = next((cell for cell in cells if fitting[0].plain(cell) != other.plain(cell)), None)
            if odd is None or _surely_decimal(cells, fitting[0], delimiter):
                continue
            ways = sorted({str(each.plain(odd)) for each in fitting}, key=len)
            raise DataError(
                f'{source.name} holds "{odd}" in column "{name}", which may be {" or ".join(ways)}',
                f"Say how numbers are written: {source.option('decimal', _mark(odd))} or "
                f"{source.option('thousands', _mark(odd))}.",
            )
    return fitting[0]


def _surely_decimal(cells: Sequence[str], first: Notation, delimiter: str | None) -> bool:
    """Three decimals everywhere, in a file whose delimiter is the comma, are written by a program, with a point."""
    return (
        first == Notation()
        and delimiter == ","
        and len(cells) >= _FEWEST_ALIKE
        and all(_THREE.fullmatch(cell) and "." in cell for cell in cells)
    )


def _mark(cell: str) -> str:
    return "," if "," in cell else "."
