"""Parquet."""

from __future__ import annotations

import json

import pyarrow as pa

from forecheck.data.formats.format import Format
from forecheck.data.memory import check_memory
from forecheck.data.source import Source
from forecheck.errors import DataError

_FACTOR = 5  # peak memory, measured: 4.5 times the float64 values


def read(data: bytes, source: Source) -> pa.Table:
    """The table of a Parquet file.

    Raises:
        DataError: if the file is damaged or its values are larger than memory.
    """
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        check_memory(8 * file.metadata.num_rows * file.metadata.num_columns, _FACTOR, source)
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{source.name} is a damaged Parquet file: {str(error).splitlines()[0]}", "Fetch or export it again."
        ) from error
    # pandas stores its index last; as columns it comes first. An index that only counts rows is not stored.
    stored = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    index = [name for name in stored if isinstance(name, str) and name in table.column_names]
    return table.select([*index, *(name for name in table.column_names if name not in index)]) if index else table


FORMAT = Format("Parquet", b"PAR1", (".parquet", ".pq"), read)
