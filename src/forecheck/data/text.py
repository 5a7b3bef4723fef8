"""The layout of a text file: encoding, delimiter, header."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from forecheck.data.dates import UnreadableTimeError, parse_text
from forecheck.data.source import Source
from forecheck.errors import DataError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WIDE_ENCODINGS = {  # UTF-32 first: its mark begins as UTF-16's does
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_HEAD = 65536  # bytes that tell the layout
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Layout:
    """How a text file is cut into cells.

    Attributes:
        delimiter: between two cells.
        names: the columns' names; numbers from 0 where the file has no header.
        header: whether the first line holds the names.
    """

    delimiter: str
    names: tuple[str, ...]
    header: bool


def layout(data: bytes, source: Source) -> Layout:
    """The layout of a text file.

    A first line in which every cell is a number or a date is data, not a header.

    Raises:
        DataError: if the file is empty, not text, not UTF-8, or if its first line may be a header as well as data.
    """
    check_text(data, source)
    head = data[:_HEAD].decode(errors="ignore").removeprefix("\ufeff")
    if not head.strip():
        raise DataError(f"{source.name} is empty", "Give it a header line and one line a time.")
    if len(data) > _HEAD:
        head = head[: head.rfind("\n") + 1] or head
    delimiter = _delimiter(head)
    records = _records(head, delimiter)
    first = [cell.strip() for cell in next(records)[1]]
    alone = next(records, None) is None
    if not all(_NUMBER.fullmatch(cell) or _is_date(cell) for cell in first):
        return Layout(delimiter, tuple(first), header=True)
    if len(first) > 1 and not alone and first in ([str(i + start) for i in range(len(first))] for start in (0, 1)):
        raise DataError(
            f"{source.name}: row 1 ({', '.join(first[:3])}, ...) may be numbers of columns as well as data",
            "Name the columns in words, for example c0, c1.",
        )
    dated = _is_date(first[0])
    names = ["date" if dated else "0", *(str(position - dated) for position in range(1, len(first)))]
    return Layout(delimiter, tuple(names), header=False)


def check_text(data: bytes, source: Source) -> None:
    """Refuse what is not UTF-8 text.

    Raises:
        DataError: names the kind of the file if it is known, else the first line that is not text.
    """
    for mark, encoding in _WIDE_ENCODINGS.items():
        if data.startswith(mark):
            raise DataError(
                f"{source.name} is not UTF-8 text but {encoding}", "Save it as CSV UTF-8 (comma delimited)."
            )
    control = re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", data[:_HEAD])
    if control:
        raise DataError(
            f"{source.name} is not a text file: byte {control.start()} is {control.group()[0]:#04x}",
            "forecheck reads CSV (also .gz) and Parquet; export the data as one of these.",
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _CHUNK):
        try:
            decoder.decode(data[start : start + _CHUNK], final=start + _CHUNK >= len(data))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, start + error.start) + 1
            raise DataError(
                f"{source.name} is not UTF-8 text: row {line} holds byte {error.object[error.start]:#04x}",
                f"Save it as UTF-8, for example: iconv -f latin1 -t utf-8 {source.name} > utf8.csv",
            ) from None


def line_of(data: bytes, found: Layout, row: int) -> int:
    """The line of the file (from 1) on which a row of the table (from 0) begins.

    Blank lines are no rows, and a quoted cell may span lines, so the file is read again; this happens only on the
    way to an error message.
    """
    records = _records(_decode(data), found.delimiter)
    return next(itertools.islice(records, row + found.header, None))[0]


def ragged_line(data: bytes, found: Layout) -> tuple[int, int] | None:
    """The first line whose number of cells differs from the first line's, and that number."""
    for line, cells in _records(_decode(data), found.delimiter):
        if len(cells) != len(found.names):
            return line, len(cells)
    return None


def _decode(data: bytes) -> str:
    return data.decode(errors="replace").removeprefix("\ufeff")


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every record that is not blank, with the line it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    begin = 1
    for cells in reader:
        if cells:
            yield begin, cells
        begin = reader.line_num + 1


def _delimiter(head: str) -> str:
    """Tab, semicolon or bar where it cuts the first lines into equally many cells, else the comma."""
    for delimiter in ("\t", ";", "|"):
        lengths = {len(cells) for _, cells in itertools.islice(_records(head, delimiter), 20)}
        if len(lengths) == 1 and lengths != {1}:
            return delimiter
    return ","


def _is_date(cell: str) -> bool:
    try:
        return parse_text([cell]).dtype.kind == "M"
    except UnreadableTimeError as error:
        return "two ways" in error.why
