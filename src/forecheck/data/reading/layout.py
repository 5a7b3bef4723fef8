"""The layout of a text file: delimiter, lines before the header, header."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

from forecheck.data.reading.header import all_data, check_commas, is_date, is_header, is_number
from forecheck.data.reading.text import LARGEST_CELL, check_text, decoded, lines_of, records
from forecheck.data.reading.written import Written
from forecheck.data.source import Source
from forecheck.errors import DataError

_COMMENT = re.compile(r"(#|%|//)")
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_HEAD_BYTES, _HEAD_LINES = 65536, 50
_TITLES = 12


@dataclass(frozen=True)
class Layout:
    """How a text file is cut into cells.

    Attributes:
        delimiter: between two cells.
        names: the columns' names; numbers from 0 where the file has no header.
        header: whether the first line that is not skipped holds the names.
        skip: lines before it.
        blank: whether blank lines are rows, whose cell is missing: in files of one column.
        spaces: whether any number of spaces is one delimiter.
        notes: what was decided, to be reported.
    """

    delimiter: str
    names: tuple[str, ...]
    header: bool
    skip: int = 0
    blank: bool = False
    spaces: bool = False
    notes: tuple[str, ...] = ()


def layout(data: bytes, source: Source, written: Written) -> Layout:
    """The layout of a text file.

    A first line in which every cell is a number or a date is data, not a header. Before it, `sep=;`, comments and
    titles (lines of one cell) are skipped.

    Args:
        data: the file, unpacked.
        source: named in messages.
        written: what is known of how the file is written; the rest is found.

    Raises:
        DataError: if the file is empty, not text, not UTF-8, or if its first line may be a header as well as data.
    """
    check_text(data, source)
    head = decoded(data[: _head(data)])
    if not head.strip():
        raise DataError(f"{source.name} is empty", "Give it a header line and one line a time.")
    skip, delimiter, comment = _leading(head, written)
    body = "".join(lines_of(head)[skip:])
    spaces = delimiter == " "
    if spaces:
        body, delimiter = parted(body), "\t"
    delimiter = delimiter or _delimiter(body)
    try:
        found = list(itertools.islice(records(body, delimiter), _HEAD_LINES))
    except csv.Error as error:
        raise DataError(
            f"{source.name} has a cell of more than {LARGEST_CELL:,} characters in its first rows: {error}",
            "Is a quote never closed? Correct it, or export the file again.",
        ) from error
    if not found:
        raise DataError(f"{source.name} holds no rows", "Give it a header line and one line a time.")
    if not spaces and written.delimiter is None and written.thousands != " ":
        _check_spaces(found, source)
    titles = _titles(found) if written.skip is None and written.header is not False else 0
    notes = [f'line {skip + line} is no row ("{_joined(cells)}")' for line, cells in found[:titles]]
    found = found[titles:]
    skip += found[0][0] - 1
    rows = [[cell.strip() for cell in cells] for _, cells in found]
    common = {"skip": skip, "blank": len(rows[0]) == 1, "spaces": spaces}
    if is_header(rows, source, written):
        names = tuple(normalize("NFC", cell) for cell in rows[0])
        return Layout(delimiter, names, header=True, **common, notes=tuple(notes))  # type: ignore[arg-type]
    if delimiter == "," and written.delimiter is None:
        check_commas(rows, source)
    names = tuple(cell.strip() for cell in next(records(comment, delimiter))[1]) if comment else ()
    if len(names) == len(rows[0]) > 1 and not all_data(names):
        notes.append("names of columns taken from the last comment")
    else:
        dated = is_date(rows[0][0])
        names = ("date" if dated else "0", *(str(position - dated) for position in range(1, len(rows[0]))))
    return Layout(delimiter, names, header=False, **common, notes=tuple(notes))  # type: ignore[arg-type]


def parted(text: str) -> str:
    """Text whose cells are parted by spaces, with tabs in their place."""
    return re.sub(r"[ \t]+", "\t", re.sub(r"(?m)^[ \t]+|[ \t]+(?=\r?$)", "", text))


def line_of(data: bytes, found: Layout, row: int) -> int:
    """The line of the file (from 1) on which a row of the table (from 0) begins.

    Blank lines may be no rows, and a quoted cell may span lines, so the file is read again; this happens only on the
    way to an error message.

    Args:
        data: the bytes that the layout is of.
        found: the layout of the file.
        row: of the table, the header not counted.

    Raises:
        DataError: if a quote that is never closed takes in the row.
    """
    last = 0
    for place, (line, _) in enumerate(records(_after(data, found), found.delimiter, blank=found.blank)):
        last = line
        if place == row + found.header:
            return found.skip + line
    raise DataError(
        f"a quote in the row that begins in line {found.skip + last} is never closed",
        "Close it, or remove it; a quote inside a cell is written twice.",
    )


def ragged_line(data: bytes, found: Layout) -> tuple[int, int] | None:
    """The first line whose number of cells differs from the names', and that number; 0 cells for one too long."""
    line = 0
    try:
        for line, cells in records(_after(data, found), found.delimiter):
            if len(cells) != len(found.names):
                return found.skip + line, len(cells)
    except csv.Error:
        return found.skip + line, 0
    return None


def _after(data: bytes, found: Layout) -> str:
    return "".join(lines_of(decoded(data))[found.skip :])


def _head(data: bytes) -> int:
    """Bytes of whole lines that tell the layout: some tens of them, however long."""
    end = 0
    for _ in range(_HEAD_LINES):
        end = data.find(b"\n", end) + 1
        if not end:
            return len(data)
    return max(end, data.rfind(b"\n", 0, _HEAD_BYTES) + 1)


def _leading(head: str, written: Written) -> tuple[int, str | None, str]:
    """Lines to skip, the delimiter if it is known, and the last comment without its mark."""
    if written.skip is not None:
        return written.skip, written.delimiter, ""
    skip, delimiter, comment = 0, written.delimiter, ""
    for line in lines_of(head):
        if skip == 0 and (match := _SEPARATOR.fullmatch(line.rstrip("\r\n"))):
            delimiter = delimiter or match[1]
        elif _COMMENT.match(line):
            comment = _COMMENT.sub("", line, count=1).strip()
        elif line.strip():
            break
        skip += 1
    return skip, delimiter, comment


def _delimiter(body: str) -> str:
    """Tab, semicolon or bar where it cuts most lines into equally many cells, at least two, else the comma."""
    for delimiter in ("\t", ";", "|"):
        try:
            lengths = [len(cells) for _, cells in itertools.islice(records(body, delimiter), _HEAD_LINES)]
        except csv.Error:
            continue
        if not lengths:
            continue
        usual, often = Counter(lengths).most_common(1)[0]
        if usual > 1 and (often == len(lengths) or set(lengths[min(len(lengths) - 1, _TITLES) :]) == {usual}):
            return delimiter
        if usual > 1 and often >= len(lengths) / 2 and set(lengths[lengths.index(usual) :]) == {usual}:
            return delimiter
    return ","


def _check_spaces(found: Sequence[tuple[int, list[str]]], source: Source) -> None:
    """Refuse what seems to be parted by spaces: a column of one cell may hold spaces, too."""
    lines = [cells[0].split() for _, cells in found if len(cells) == 1]
    width = len(lines[-1]) if lines else 0
    if len(lines) < len(found) or width < 2 or any(len(line) != width for line in lines):
        return
    if all(is_number(cell) or is_date(cell) or ":" in cell for line in lines[1:] for cell in line):
        raise DataError(
            f"{source.name} seems to be parted by spaces, as in row {found[-1][0]}: {' '.join(lines[-1][:4])}",
            f"Say so with {source.option('delimiter', 'space')}; if spaces part thousands, "
            f"{source.option('thousands', 'space')}.",
        )


def _titles(found: Sequence[tuple[int, list[str]]]) -> int:
    """Records before the header: lines of one cell above lines of several, the first of which holds names."""
    width = Counter(len(cells) for _, cells in found).most_common(1)[0][0]
    for at, (_, cells) in enumerate(found[: _TITLES + 1]):
        filled = [cell for cell in cells if cell.strip()]
        if len(cells) != width or (len(filled) <= 1 and width > 2):
            if len(filled) > 1:
                return 0
            continue
        names = not any(is_number(cell.strip()) or is_date(cell.strip()) for cell in cells)
        return at if names else 0
    return 0


def _joined(cells: Sequence[str]) -> str:
    return ", ".join(cell.strip() for cell in cells if cell.strip())[:40]
