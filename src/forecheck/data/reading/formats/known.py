"""The binary file formats that are read."""

from __future__ import annotations

from forecheck.data.reading.formats import parquet
from forecheck.data.reading.formats.format import Format

FORMATS: tuple[Format, ...] = (parquet.FORMAT,)


def format_of(data: bytes) -> Format | None:
    """The format of a file, by its first bytes; None for text and whatever else is not known."""
    return next((each for each in FORMATS if data.startswith(each.magic)), None)
