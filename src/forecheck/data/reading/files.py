"""Panels of files: CSV (plain or gzipped, with or without header and dates) and Parquet."""

from __future__ import annotations

import gzip
import io
import os
import shlex
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from forecheck.data.memory import check_memory
from forecheck.data.panel import Panel
from forecheck.data.reading.beside import NOTHING, Asked
from forecheck.data.reading.csv import read_csv
from forecheck.data.reading.formats.known import FORMATS, format_of
from forecheck.data.reading.layout import line_of
from forecheck.data.reading.tables import from_table
from forecheck.data.reading.written import Written
from forecheck.data.source import Source
from forecheck.errors import DataError, UsageError

_GZIP = b"\x1f\x8b"
_FOREIGN = {  # first bytes of files that people have beside their CSV
    b"PK\x03\x04": "a ZIP archive (Excel workbooks are such)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x89PNG": "a PNG image",
    b"\x89HDF": "an HDF5 file",
    b"ARROW1": "an Arrow or Feather file",
    b"%PDF": "a PDF document",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x93NUMPY": "a NumPy array",
}
# Peak memory, measured: 6 to 10 times the text (18 where every cell is one digit, hence the second check of `read_csv`
# once the cells are counted).
_TEXT_FACTOR = 10
_PIECE = 1 << 24  # bytes unpacked between two looks at the memory
_AS_FOUND = Written()


def read(
    path: str | os.PathLike[str],
    *,
    time: str | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    fill: str | None = None,
    drop: Sequence[str] = (),
    name: str | None = None,
    written: Written = _AS_FOUND,
    asked: Asked = NOTHING,
) -> Panel:
    """Panel of a CSV or Parquet file; its format is recognised from its bytes, not from its name.

    Delimiter (comma, semicolon, tab, bar), header and dates are found. A file without header has columns "0", "1", ...
    Rows in messages are lines of a text file (the header is row 1) and count from 0 in Parquet.

    Args:
        path: the file.
        time: see `forecheck.data.reading.frames.from_frame`, as for the next four.
        series: likewise.
        target: likewise.
        fill: likewise.
        drop: likewise.
        name: what messages and reports call the data; the file's name by default.
        written: what is known of how a text file is written.
        asked: columns that are no channels but may tell of them.

    Raises:
        DataError: if the file is missing, cannot be read, or its data cannot be used as they are; the message names
            file, column, row, time and remedy.
        UsageError: if `fill` is unknown, or something is said of the text of a file that is none.
    """
    path = Path(path)
    source = Source(name or path.name, is_file=True)
    data = unpacked(path, source)
    how: dict[str, Any] = {"time": time, "series": series, "target": target, "fill": fill, "drop": drop}
    return parse(data, source, **how, written=written, asked=asked)


def table_of(path: str | os.PathLike[str], series: str | None, written: Written) -> tuple[pa.Table, Source]:
    """The table of a file, and where it came from.

    Args:
        path: CSV or Parquet.
        series: the column of names, which is kept as text.
        written: what is known of how a text file is written.

    Raises:
        DataError: if the file cannot be read.
    """
    path = Path(path).expanduser()
    source = Source(path.name, is_file=True)
    data = unpacked(path, source)
    if binary := format_of(data):
        return binary.read(data, source), source
    table, found, data = read_csv(data, source, series, written)
    return table, replace(source, line=partial(line_of, data, found))


def parse(
    data: bytes,
    source: Source,
    *,
    time: str | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    fill: str | None = None,
    drop: Sequence[str] = (),
    written: Written = _AS_FOUND,
    asked: Asked = NOTHING,
) -> Panel:
    """Panel of the bytes of a CSV or Parquet file; see `read`.

    Args:
        data: the file, unpacked.
        source: named in messages.
        time: see `forecheck.data.reading.frames.from_frame`, as for the next four.
        series: likewise.
        target: likewise.
        fill: likewise.
        drop: likewise.
        written: what is known of how a text file is written.
        asked: columns that are no channels but may tell of them.

    Raises:
        DataError: if the file cannot be read, or its data cannot be used as they are.
        UsageError: if `fill` is unknown, or `written` describes the text of a file that is none.
    """
    how: dict[str, Any] = {"time": time, "series": series, "target": target, "fill": fill, "drop": drop}
    if binary := format_of(data):
        if written.of_file:
            raise UsageError(
                f"{source.name} is a {binary.name} file: it has no header line, delimiter or lines to skip"
            )
        return from_table(binary.read(data, source), source, **how, written=written, asked=asked)
    table, found, data = read_csv(data, source, series, written)
    source = replace(source, line=partial(line_of, data, found))
    said: dict[str, Any] = {"delimiter": found.delimiter, "notes": found.notes, "asked": asked}
    return from_table(table, source, **how, written=written, **said)


def unpacked(path: Path, source: Source) -> bytes:
    """The file's bytes, unpacked if gzipped.

    Raises:
        DataError: if the file is missing, empty, damaged, of a kind that is not read, or larger than memory.
    """
    if path.is_dir():
        raise _folder(path)
    try:
        with path.open("rb") as file:
            _check_head(file, path, source)
            file.seek(0)
            data = file.read()
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", f"Check the path; it is looked for from {Path.cwd()}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "Check the file and its permissions.") from error
    if not data.startswith(_GZIP):
        return data
    try:
        return _gunzip(data, source)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{source.name} is a damaged or incomplete gzip file: {error}", "Fetch or pack it again."
        ) from error


def _check_head(file: BinaryIO, path: Path, source: Source) -> None:
    """Refuse by the first and last bytes what is empty, foreign, misnamed or too large, before reading all of it."""
    head = file.read(8)
    binary = format_of(head)
    size = file.seek(0, os.SEEK_END)
    if not head:
        raise DataError(f"{source.name} is empty", "Give it a header line and one line a time.")
    for magic, kind in _FOREIGN.items():
        if head.startswith(magic) and binary is None:
            raise DataError(
                f"{source.name} is not a CSV or Parquet file but {kind}",
                "Export the data as CSV (also .gz) or Parquet.",
            )
    packed = head.startswith(_GZIP)
    kinds = ((".gz",), "gzip", packed), *((each.suffixes, each.name, each is binary) for each in FORMATS)
    for suffixes, kind, so in kinds:
        if path.suffix.lower() in suffixes and not so:
            raise DataError(
                f"{source.name} is not a {kind} file though its name says so", "Rename it, or fetch or export it again."
            )
    if packed:
        # The file ends with its unpacked size modulo 4 GB; numbers written as text shrink at least to a half.
        file.seek(max(0, size - 4))
        size = max(int.from_bytes(file.read(4), "little"), 2 * size)
    check_memory(size, 1 if binary else _TEXT_FACTOR, source)


def _gunzip(data: bytes, source: Source) -> bytes:
    """Unpacked in pieces: the size that a packed file states is modulo 4 GB, and may be a lie."""
    pieces, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        while piece := file.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            check_memory(size, _TEXT_FACTOR, source)
    return b"".join(pieces)


def _folder(path: Path) -> DataError:
    """A folder of Parquet files is one table in parts, of which a single one is of no use."""
    if any(path.rglob("*.parquet")):
        return DataError(
            f"{path} is a folder of Parquet files, not a file",
            'Make one file of it: python -c "import pyarrow.parquet as pq; '
            f"pq.write_table(pq.read_table('{path}'), 'whole.parquet')\"; or, for many series in long form, let "
            f"forecheck stream {shlex.quote(str(path))} read it piece by piece.",
        )
    return DataError(f"{path} is a folder, not a file", "Name a CSV or Parquet file in it.")
