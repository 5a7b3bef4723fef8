"""Text: its encoding, what it is if it is no table, and its records."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator

from forecheck.data.source import Source
from forecheck.errors import DataError

_WIDE_ENCODINGS = {  # UTF-32 first: its mark begins as UTF-16's does
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_FOREIGN = [
    (
        re.compile(r"[{\[]\s*[\"{\[\]}]"),
        "JSON",
        "Read it with pandas.read_json (lines=True for JSON lines) and hand on the frame, or write it as CSV.",
    ),
    (re.compile(r"<(!doctype|html|\?xml)", re.IGNORECASE), "a web page or XML", "Fetch the data themselves as CSV."),
    (
        re.compile(r"([#%][^\n]*\n|\s*\n)*@(relation|problemname|attribute|frequency|timestamps)\b", re.IGNORECASE),
        "a .tsf, .ts or ARFF file",
        "Read it with a library that knows the format, such as sktime, and write CSV with columns unique_id, ds, y.",
    ),
]
_HEAD = 65536
_CHUNK = 1 << 24
LARGEST_CELL = csv.field_size_limit()
"""Characters of a cell that are read."""


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
    head = data[:_HEAD].decode(errors="ignore").removeprefix("\ufeff").lstrip()
    for pattern, kind, remedy in _FOREIGN:
        if pattern.match(head):
            raise DataError(f"{source.name} is not a table of cells but {kind}", remedy)
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


def decoded(data: bytes) -> str:
    """Text without byte order marks; bytes that are not UTF-8 become a replacement character."""
    return data.decode(errors="replace").lstrip("\ufeff")


def lines_of(text: str) -> list[str]:
    """Lines with their ends, as whoever parses cells counts them: a form feed or U+2028 ends none."""
    return list(io.StringIO(text, newline=""))


def records(text: str, delimiter: str, *, blank: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Every record, with the line (from 1) it begins on; blank lines are none, or if `blank` have one empty cell.

    Args:
        text: the file, or its beginning.
        delimiter: one character.
        blank: whether a blank line is a record, as in files of one column.

    Raises:
        csv.Error: if a cell is too long, as where a quote is never closed.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    begin = 1
    for cells in reader:
        if cells or blank:
            yield begin, cells or [""]
        begin = reader.line_num + 1
