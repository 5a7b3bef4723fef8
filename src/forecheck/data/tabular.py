"""A table by columns, series below each other, as frames and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from forecheck.errors import UsageError
from forecheck.outputs import write_output

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  full width counts too


_OTHERS = (".html", ".htm", ".json", ".md", ".xlsx", ".xls", ".feather", ".arrow", ".pdf", ".png")


def check_format(path: str | Path) -> None:
    """Refuse the name of a file that would say that a table is what it is not.

    Raises:
        UsageError: if the name ends as that of a page, a picture, or a table in another format.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _OTHERS:
        raise UsageError(f"a table is not written as {suffix}: {path}", "Name a .csv or a .parquet file.")


class Columns:
    """A table.

    Attributes:
        columns: by name, `unique_id` (text or whole numbers) and `ds` (stamps or whole numbers) among them. What is
            masked is missing.
    """

    columns: dict[str, Any]

    def to_arrow(self) -> Any:
        """As a pyarrow table."""
        import pyarrow as pa

        return pa.table({key: pa.array(values) for key, values in self.columns.items()})

    def to_pandas(self) -> Any:
        """As a pandas frame."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """As a polars frame (needs polars)."""
        import polars as pl

        return pl.from_arrow(self.to_arrow())

    def to_csv(self, *, formulas: bool = True) -> bytes:
        """As CSV; stamps without a fraction of a second are written without one.

        Args:
            formulas: whether a text that begins like a formula is written as it is. Spreadsheets run it; without, it
                begins with an apostrophe, and the names are no longer those of the data.
        """
        import io

        import pyarrow as pa
        import pyarrow.csv

        table = self.to_arrow()
        for place, values in enumerate(self.columns.values()):
            stamps = np.asarray(values)
            if stamps.dtype.kind == "M" and (stamps == stamps.astype("datetime64[s]")).all():
                table = table.set_column(place, table.column_names[place], table[place].cast(pa.timestamp("s")))
        if not formulas:
            place = table.schema.get_field_index("unique_id")
            table = table.set_column(place, "unique_id", pa.array(map(_no_formula, self.columns["unique_id"])))
        # Arrow quotes either all texts or none, and all names of a header.
        special = any(set(str(name)) & set(',"\r\n') for name in set(self.columns["unique_id"]))
        plain = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed" if special else "none")
        buffer = io.BytesIO()
        pyarrow.csv.write_csv(table, buffer, plain)
        return ",".join(table.column_names).encode() + b"\n" + buffer.getvalue()

    def write(self, path: str | Path, *, formulas: bool = True) -> None:
        """Write CSV, see `to_csv`, or Parquet if the path ends so.

        Raises:
            UsageError: if the path ends as that of another format.
            WriteError: if the system does not let it.
        """
        check_format(path)
        if Path(path).suffix.lower() not in (".parquet", ".pq"):
            write_output(path, self.to_csv(formulas=formulas))
            return
        import io

        import pyarrow.parquet

        buffer = io.BytesIO()
        pyarrow.parquet.write_table(self.to_arrow(), buffer)
        write_output(path, buffer.getvalue())


def _no_formula(name: str | int) -> str | int:
    """A number, or a text that no spreadsheet takes for a formula, wherever it splits cells."""
    return f"'{name}" if isinstance(name, str) and name.startswith(_FORMULA) else name
