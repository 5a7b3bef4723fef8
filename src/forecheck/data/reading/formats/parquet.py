"""Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from forecheck.data.memory import check_memory
from forecheck.data.reading.columns import is_text
from forecheck.data.reading.formats.format import Format
from forecheck.data.source import Source
from forecheck.errors import DataError

_LONGEST = 10_000  # bytes of a cell of text
_FACTOR = 5  # peak memory, measured: 4.5 times the float64 values


def read(data: bytes, source: Source) -> pa.Table:
    """The table of a Parquet file.

    Raises:
        DataError: if the file is damaged or its values are larger than memory.
    """
    import pyarrow.parquet as pq

    try:
        # Texts as dictionaries: a file of some bytes may hold one text a million times.
        schema = pq.read_schema(pa.BufferReader(data))
        texts = [field.name for field in schema if is_text(field.type)]
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
        check_memory(8 * file.metadata.num_rows * max(1, len(schema)), _FACTOR, source)
        table = pa.table({}) if not len(schema) else file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{source.name} is a damaged Parquet file: {(str(error).splitlines() or [''])[0]}",
            "Fetch or export it again.",
        ) from error
    _check_texts(table, source)
    index = [name for name in _index_of(table.schema.metadata) if table.column_names.count(name) == 1]
    places = [table.column_names.index(name) for name in index]
    return table.select([*places, *(at for at in range(table.num_columns) if at not in places)]) if index else table


def _index_of(metadata: Mapping[bytes, bytes] | None) -> list[str]:
    """Columns that pandas stored of an index: last, although they come first. One that only counts rows is not stored.

    Metadata that are no such are none of the table, and change nothing.
    """
    try:
        stored = json.loads((metadata or {}).get(b"pandas", b"{}"))
        return [name for name in stored.get("index_columns", []) if isinstance(name, str)]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []


def _check_texts(table: pa.Table, source: Source) -> None:
    """Refuse texts so long that they are no names, dates or numbers, before they are written out a row each."""
    for name, column in zip(table.column_names, table.columns, strict=True):  # a name may be there twice
        if not pa.types.is_dictionary(column.type) or not is_text(column.type.value_type):
            continue
        longest = max((pc.max(pc.binary_length(each.dictionary)).as_py() or 0 for each in column.chunks), default=0)
        if longest > _LONGEST:
            raise DataError(
                f'{source.name} holds texts of {longest:,} bytes in column "{name}"',
                "Write the table without this column.",
            )
        check_memory(longest * table.num_rows, 2, source)


FORMAT = Format("Parquet", b"PAR1", (".parquet", ".pq"), read)
