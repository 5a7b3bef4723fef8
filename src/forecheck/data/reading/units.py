"""Units that are written beside numbers: a sign of percent or of money in every cell of a column."""

from __future__ import annotations

import re

import pyarrow as pa

from forecheck.data.reading.columns import is_text
from forecheck.data.reading.notation import MISSING

_MONEY = r"[$€£¥₹]|EUR|USD|GBP|CHF|JPY|CNY|INR"
_CELL = re.compile(rf"([+\-\u2212]?)\s*(?:({_MONEY})\s*)?([+\-\u2212]?)\s*(\d[^%A-Za-z$€£¥₹]*?)\s*(%|{_MONEY})?")


def without_units(table: pa.Table, channels: tuple[str, ...]) -> tuple[pa.Table, tuple[str, ...]]:
    """A table whose columns of text hold numbers alone where every cell had the same unit, and a note for each.

    Args:
        table: as it was read; 12.5 % stays 12.5.
        channels: the columns that are to be numbers. Where cells have several units, or some none, a column is left as
            it is.
    """
    notes = []
    positions = {name: position for position, name in enumerate(table.column_names)}
    for channel in channels:
        position = positions[channel]
        column = table.column(position)
        if not is_text(column.type):
            continue
        cells = column.to_pylist()
        split = {cell: split_unit(cell.strip()) for cell in set(cells) - {None} if cell.strip().lower() not in MISSING}
        units = {unit for _, unit in split.values()}
        if len(units) != 1 or not (unit := units.pop()):
            continue
        plain = pa.array([split[cell][0] if cell in split else cell for cell in cells], column.type)
        table = table.set_column(position, channel, plain)
        notes.append(f'"{channel}" read without its {unit}')
    return table, tuple(notes)


def split_unit(cell: str) -> tuple[str, str]:
    """A number and its unit; no unit if it has none, or two.

    Args:
        cell: without blanks around it.
    """
    match = _CELL.fullmatch(cell)
    if match is None or (match[2] and match[5]) or (match[1] and match[3]):
        return cell, ""
    return f"{match[1] or match[3]}{match[4].strip()}", match[2] or match[5] or ""
