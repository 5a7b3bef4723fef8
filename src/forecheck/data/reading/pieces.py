"""Parquet data of many series that need not fit into memory: panels of some whole series, one after the other."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from forecheck.data.panel import Panel
from forecheck.data.reading.roles import find_roles
from forecheck.data.reading.tables import check_names, from_table
from forecheck.data.source import Source
from forecheck.errors import DataError, UsageError
from forecheck.progress import Progress

_SUFFIXES = (".parquet", ".pq")
_MAGIC = b"PAR1"
_BATCH = 1 << 16  # rows that are decoded at once
_VALUES = 1 << 19  # about so many values are in a panel
_HEAD = 1000  # rows that tell what the columns are


@dataclass(frozen=True)
class Pieces:
    """A Parquet file, or a folder of such, in long form: the rows of a series follow each other.

    Attributes:
        place: the file or folder.
        files: in the order in which they are read.
        source: what messages call the data.
        time: the column of stamps.
        series: the column of the series' names.
        channels: the columns of values.
        begins: the row at which each table begins, and where the last one ends; `divided` finds them.
    """

    place: Path
    files: tuple[Path, ...]
    source: Source
    time: str
    series: str
    channels: tuple[str, ...]
    begins: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for a process that sees the same files; see `of`."""
        columns = {"time": self.time, "series": self.series, "channels": self.channels}
        where = {"place": str(self.place), "files": list(map(str, self.files)), "signature": self.signature}
        return columns | where | {"source": self.source.name, "begins": self.begins}

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Pieces:
        """The pieces that `to_dict` described.

        Raises:
            DataError: if the files are not those, or not as they were.
        """
        columns = described["time"], described["series"], tuple(described["channels"])
        files = tuple(map(Path, described["files"]))
        source = Source(described["source"], is_file=True)
        found = cls(Path(described["place"]), files, source, *columns, tuple(described["begins"]))
        try:
            same = found.signature == described["signature"]
        except OSError:
            same = False
        if not same:
            raise DataError(
                f"{source.name} is not the same here as where the run began, or was changed since",
                "Name data that all machines see under one path, and leave them as they are.",
            )
        return found

    @property
    def signature(self) -> list[list[Any]]:
        """Name, size and time of change of every file: whether the data are those of an earlier run."""
        return [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in self.files]

    @property
    def sizes(self) -> list[int]:
        """Rows that are decoded at once, and values of a table: they decide where tables are cut."""
        return [_BATCH, _VALUES]

    @property
    def rows(self) -> int:
        """Rows of all files.

        Raises:
            DataError: if a file is damaged.
        """
        import pyarrow.parquet as pq

        total = 0
        for path in self.files:
            with _reading(path, self.source):
                total += pq.read_metadata(path).num_rows
        return total

    def divided(self, progress: Progress | None = None) -> Pieces:
        """With the rows at which tables of whole series begin; reads the names of the series alone.

        Args:
            progress: called with the share that is done.

        Raises:
            DataError: if the rows of a series do not follow each other.
        """
        most, total = max(1, _VALUES // len(self.channels)), self.rows
        begins, first, done = [0], 0, 0
        seen: set[Any] = set()
        held: list[pa.Array] = []
        for _, batch in _batches(self.place, self.files, [self.series], self.source):
            held.append(batch.column(0))
            done += batch.num_rows
            if progress is not None:
                progress(done / total, "names")
            if done - first < most:
                continue
            names = pa.chunked_array(held)
            starts = _starts(names)
            # Two series stay for the last table: a panel of one is read by other rules.
            cut = int(starts[-2]) if len(starts) >= 4 else 0
            if cut:
                self._check(names.slice(0, cut), seen)
                names, first = names.slice(cut), first + cut
                begins.append(first)
            held = names.chunks
        if held:
            self._check(pa.chunked_array(held), seen)
        return replace(self, begins=(*begins, done))

    def tables(self, wanted: Collection[int] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Tables of whole series, at least two of them if there are so many, with their numbers, in order.

        Args:
            wanted: numbers of those that are read; None for all.
        """
        numbers = range(len(self.begins) - 1) if wanted is None else sorted(wanted)
        spans = [(self.begins[number], self.begins[number + 1]) for number in numbers]
        columns = [self.series, self.time, *self.channels]
        rows = _batches(self.place, self.files, columns, self.source, spans=None if wanted is None else spans)
        held = pa.table({})
        at = 0  # the row that the held ones begin at
        for number, (first, end) in zip(numbers, spans, strict=True):
            while at + len(held) < end:
                start, batch = next(rows)
                if start + batch.num_rows <= first:
                    continue
                more = pa.Table.from_batches([batch])
                apart = not len(held) or start != at + len(held)
                held, at = (more, start) if apart else (pa.concat_tables([held, more]), at)
            yield number, held.slice(first - at, end - first).combine_chunks()
            held, at = held.slice(end - at), end

    def _check(self, names: pa.ChunkedArray, seen: set[Any]) -> None:
        """Refuse a table whose series have rows elsewhere; they are seen from now on."""
        for name in names.take(pa.array(_starts(names))).to_pylist():
            if name is None:
                continue  # which reading it refuses
            if name in seen:
                raise DataError(
                    f'{self.source.name}: the rows of series "{name}" do not follow each other',
                    f'Sort the data once: python -c "import polars; polars.scan_parquet({str(self.place)!r})'
                    f".sort({self.series!r}, {self.time!r}).sink_parquet('sorted.parquet')\"",
                )
            seen.add(name)

    def panel(self, number: int, table: pa.Table) -> Panel:
        """The panel of one of `tables`.

        Raises:
            DataError: if its data cannot be used as they are.
        """
        source = replace(self.source, line=lambda row: self.begins[number] + row)
        try:
            return from_table(table, source, time=self.time, series=self.series, target=self.channels)
        except DataError as error:
            raise DataError(
                error.message,
                "Mend the data where they come from: what is streamed is not filled or completed. Data that fit into "
                "memory can be, with fill, by fit and forecast.",
            ) from error


def open_pieces(
    path: str | os.PathLike[str],
    *,
    time: str | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    drop: Sequence[str] = (),
) -> Pieces:
    """A Parquet file or folder in long form; of a folder every file below it, by name.

    Args:
        path: a file, or a folder; columns may stand in names of folders, as `unique_id=a/part.parquet`.
        time: the column of stamps; found as in `forecheck.data.reading.frames.from_frame`, as the next three.
        series: the column of the series' names.
        target: columns of values.
        drop: columns to leave out.

    Raises:
        DataError: if there is no such file, it is damaged, or of other columns than the first.
        UsageError: if the data are not in long form, or have no stamps.
    """
    place = Path(path).expanduser()
    files = _files(place)
    source = Source(place.name, is_file=True)
    _, head = next(_batches(place.resolve(), files, None, source, size=_HEAD), (0, None))
    if head is None or not head.num_columns:
        raise DataError(f"{source.name} holds no rows", "Give it at least a few hundred rows of data.")
    table = pa.Table.from_batches([head])
    check_names(table.column_names, source)
    for column in drop:
        if column not in table.column_names:
            raise source.unknown(column, table.column_names)
    table, roles = find_roles(table, source, time=time, series=series, target=target, drop=drop)
    if roles.series is None:
        raise UsageError(
            f"{source.name} has no column that names series: a stream is of many series in long form",
            "Name it with series (--series COLUMN). Few long series fit into memory: forecheck forecast.",
        )
    kind = None if roles.time is None or "+" in roles.time else table.schema.field(roles.time).type
    if roles.time is None or kind is None or not _is_stamp(kind):
        found = "no time column" if roles.time is None else f'times of type {kind} in column "{roles.time}"'
        raise UsageError(
            f"{source.name} has {found}: a stream needs timestamps without zone or in UTC, dates, or whole numbers",
            "Name the column with time (--time COLUMN), or store it so.",
        )
    return Pieces(place.resolve(), files, source, roles.time, roles.series, roles.channels)


def _files(place: Path) -> tuple[Path, ...]:
    try:
        if place.is_file():
            with place.open("rb") as file:
                if file.read(len(_MAGIC)) != _MAGIC:
                    raise DataError(
                        f"{place.name} is no Parquet file, and a stream reads no other",
                        "Write it as Parquet, or, if it fits into memory: forecheck forecast.",
                    )
        found = [place] if place.is_file() else sorted(path for path in place.rglob("*") if _is_data(place, path))
    except OSError as error:
        raise DataError(f"{place} cannot be read: {error.strerror}", "Check it and its permissions.") from error
    if not place.exists():
        raise DataError(f"there is no file or folder {place}", f"Check the path; it is looked for from {Path.cwd()}.")
    if not found:
        raise DataError(f"{place} holds no Parquet files", "Name a folder that does, or a Parquet file.")
    return tuple(path.resolve() for path in found)


def _is_data(place: Path, path: Path) -> bool:
    """Parquet, and no file beside the data or in the making, whose names begin so by custom."""
    hidden = any(part.startswith(("_", ".")) for part in path.relative_to(place).parts)
    return path.suffix.lower() in _SUFFIXES and not hidden and path.is_file()


def _is_stamp(kind: pa.DataType) -> bool:
    if pa.types.is_timestamp(kind):
        return kind.tz in (None, "UTC", "Etc/UTC", "+00:00")
    return bool(pa.types.is_date(kind) or pa.types.is_integer(kind))


def _batches(
    place: Path,
    files: Sequence[Path],
    columns: Sequence[str] | None,
    source: Source,
    size: int | None = None,
    spans: Sequence[tuple[int, int]] | None = None,
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Rows of all files in order with the number of the first, with these columns in this order.

    Args:
        place: of the data.
        files: in order.
        columns: None for those of the first file.
        source: what messages call the data.
        size: rows that are decoded at once.
        spans: ranges of rows that are needed, of which whole row groups are read; None for all.
    """
    import pyarrow.parquet as pq

    types: pa.Schema | None = None
    above = 0
    for path in files:
        with _reading(path, source), pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
            stored = file.schema_arrow.names
            named = _named(path.relative_to(place), stored)
            columns = columns or [*named, *stored]
            for name in columns:
                if name not in named and name not in stored:
                    raise source.unknown(name, [*named, *stored])
            read = [name for name in columns if name not in named] or stored[:1]  # one column tells how many rows
            for begin, groups in _runs(file.metadata, above, spans):
                first = begin
                for batch in file.iter_batches(size or _BATCH, row_groups=list(groups), columns=read):
                    made = _plain(batch, columns, named)
                    types = types or made.schema
                    if not made.schema.equals(types):
                        raise DataError(
                            f"{source.name}: {path.name} has columns of other types than the first file",
                            "Write all files with the same types.",
                        )
                    if made.num_rows:
                        yield first, made
                    first += made.num_rows
            above += file.metadata.num_rows


def _runs(stored: Any, above: int, spans: Sequence[tuple[int, int]] | None) -> Iterator[tuple[int, range]]:
    """Row groups of a file that follow each other and hold rows of spans, with the number of their first row.

    Args:
        stored: what the file says of itself.
        above: rows of the files before.
        spans: ranges of rows of all files; None for all.
    """
    if spans is None:
        yield above, range(stored.num_row_groups)
        return
    first, begin, run = above, above, range(0)
    for group in range(stored.num_row_groups):
        end = first + stored.row_group(group).num_rows
        if any(start < end and stop > first for start, stop in spans):
            begin, run = (begin, range(run.start, group + 1)) if run else (first, range(group, group + 1))
        elif run:
            yield begin, run
            run = range(0)
        first = end
    if run:
        yield begin, run


@contextmanager
def _reading(path: Path, source: Source) -> Iterator[None]:
    """Say which file is damaged."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{source.name}: {path.name} is a damaged Parquet file, or none: {(str(error).splitlines() or [''])[0]}",
            "Fetch or export it again.",
        ) from error


def _named(path: Path, stored: Sequence[str]) -> dict[str, str]:
    """Columns that stand in the names of a file's folders below the data's own."""
    parts = (part.partition("=") for part in path.parent.parts if "=" in part)
    return {key: unquote(value) for key, _, value in parts if key and key not in stored}


def _plain(batch: pa.RecordBatch, columns: Sequence[str], named: dict[str, str]) -> pa.RecordBatch:
    """The columns in their order, texts and numbers written out, without what libraries store beside the types."""
    arrays = []
    for name in columns:
        array = pa.repeat(named[name], batch.num_rows) if name in named else batch.column(name)
        array.validate(full=True)  # text may be none
        array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        arrays.append(array.cast(pa.string()) if pa.types.is_large_string(array.type) else array)
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _starts(column: pa.ChunkedArray) -> Int[np.ndarray, " series"]:
    """First row of every stretch of one name."""
    changes = pc.fill_null(pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)), True)
    return np.concatenate([[0], np.flatnonzero(changes.to_numpy(zero_copy_only=False)) + 1])
