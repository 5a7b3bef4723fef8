"""The regular series among statsmodels' bundled data sets, as tables with one time column."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from forecheck.errors import DataError


def table(name: str) -> pa.Table:
    """One row a time; the time is in the column `date` (calendar) or `time` (years).

    The files are read directly: importing statsmodels takes half a second.

    Raises:
        DataError: if this release of statsmodels does not hold the file.
    """
    spec = find_spec("statsmodels")
    package = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
    path = package / "datasets" / name / f"{name}.csv"
    if not path.is_file():
        raise DataError(f"{name} is not in the installed statsmodels: there is no {path}", "Install another release.")
    raw = pa_csv.read_csv(path)
    if name in ("sunspots", "nile"):
        return raw.rename_columns(["time", raw.column_names[1].lower()])
    if name == "elnino":  # one row a year, one column a month
        months = np.stack(
            [np.from_dlpack(raw.column(month).combine_chunks()) for month in raw.column_names[1:]], axis=1
        )
        start = np.datetime64(str(raw.column(0)[0].as_py()), "M")
        return pa.table({"date": pa.array(_days(start, months.size, 1)), "sst": months.ravel()})
    if name == "macrodata":  # year and quarter in two columns
        start = np.datetime64(
            f"{raw.column('year')[0].as_py():.0f}-{3 * raw.column('quarter')[0].as_py() - 2:02.0f}", "M"
        )
        return raw.drop_columns(["year", "quarter"]).add_column(0, "date", pa.array(_days(start, raw.num_rows, 3)))
    if name == "elec_equip":
        return raw.rename_columns(["date", name])
    return raw


def _days(start: np.datetime64, count: int, months: int) -> np.ndarray:
    return (start + months * np.arange(count)).astype("datetime64[D]")
