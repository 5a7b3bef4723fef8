"""Tables of another shape than a row a time: a row a series or a year, or series below each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from forecheck.data.reading.counters import as_numbers, counts
from forecheck.data.reading.dates import MONTHS
from forecheck.data.reading.header import is_date
from forecheck.data.source import Source
from forecheck.errors import DataError

_HEADER_TIMES = 4
_FEWEST_ROWS = 8  # of a series among others that is known by its times alone
_YEAR, _BESIDE = 12, 3  # months, and columns beside them, as the year and a total
_CALENDAR = {
    *("year", "quarter", "month", "mm", "week", "day", "dd", "doy", "dow", "weekday", "dayofweek"),
    *("hour", "hh", "minute", "second"),
}
"""Names of parts of the calendar, which count anew by nature."""


def check_header(names: Sequence[str], source: Source) -> None:
    """Refuse a row a series, or a row a year, with the times as header, which would be read as rows a time.

    Args:
        names: of the columns that are not named as targets or left out.
        source: named in messages.

    Raises:
        DataError: names two of the columns, and how to turn the table.
    """
    _check_months(names, source)
    times = [name for name in names if _is_time(name)]
    if len(times) < _HEADER_TIMES or 2 * len(times) < len(names) or not _rises(times):
        return
    read, write = _read(source)
    first = next((name for name in names if name not in times), None)
    turned = f'.set_index("{first}")' if first else ""
    raise DataError(
        f'{source.name} has times as names of columns ("{times[0]}", "{times[1]}", ...): a row a series, it seems, '
        "not a row a time",
        f"Turn it, for example in pandas: {read}{turned}.T{write} (only columns of numbers besides). If they are "
        f"channels, name them with {source.option('target', times[0])} and so on.",
    )


def check_stacked(table: pa.Table, names: Sequence[str], source: Source) -> None:
    """Refuse series below each other, or beside each other row by row, whose names and times would be channels.

    One column of whole numbers, as 0, 1, 2, 0, 1, 2, counts anew for each of the few numbers of another.

    Args:
        table: without a time and without a column of series.
        names: the columns that may be channels.
        source: named in messages.

    Raises:
        DataError: names both columns.
    """
    numbers = {name: as_numbers(table.column(name).combine_chunks()) for name in names}
    whole = {name: cells for name, cells in numbers.items() if cells is not None and cells.dtype.kind == "i"}
    lines = {name: cells for name, cells in whole.items() if name.strip().lower() not in _CALENDAR and _repeats(cells)}
    for name, cells in whole.items() if len(names) > 2 else ():
        _, codes, sizes = np.unique(cells, return_inverse=True, return_counts=True)
        if name.strip().lower() in _CALENDAR or len(sizes) < 2 or sizes.min() < _FEWEST_ROWS:
            continue
        order = np.argsort(codes, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        for other, times in lines.items():
            first = np.diff(times[order[: sizes[0]]])
            if other == name or (first != first[0]).any() or not counts(times[order], offsets):
                continue
            raise DataError(
                f'{source.name} seems to hold several series: "{other}" counts anew for each number in "{name}"',
                f"Name both: {source.option('series', name)} {source.option('time', other)}. If they tell nothing, "
                f"leave them out: {source.drop(name, other)}. If they are values, name all channels with "
                f"{source.option('target', 'COLUMN')}.",
            )


def _repeats(cells: Int[np.ndarray, " time"]) -> bool:
    """Whether numbers are those of a straight line, each more than once."""
    found, sizes = np.unique(cells, return_counts=True)
    steps = np.diff(found)
    return bool(len(found) >= _FEWEST_ROWS and sizes.max() > 1 and (steps == steps[0]).all())


def _check_months(names: Sequence[str], source: Source) -> None:
    months = [name for name in names if name.strip().lower() in MONTHS]
    others = [name for name in names if name not in months]
    if len(months) != _YEAR or len({MONTHS[name.strip().lower()] for name in months}) != _YEAR or len(others) > _BESIDE:
        return
    read, write = _read(source)
    year = next((name for name in others if name.strip().lower() == "year"), others[0] if others else "")
    totals = [name for name in others if name != year]
    stack = f'.set_index("{year}").rename_axis(columns="month").stack().rename("value")' if others else ".stack()"
    stack = (f".drop(columns={totals})" if totals else "") + stack
    if not write:
        write = ".reset_index()" if others else '.reset_index(drop=True).to_frame("value")'
    elif not others:
        write = write.replace(")", ', index=False, header=["value"])')
    raise DataError(
        f'{source.name} has months as names of columns ("{months[0]}", "{months[1]}", ...): a row a year, it seems, '
        "not a row a time",
        f"Stack it, for example in pandas: {read}{stack}{write}. If they are channels, name them with "
        f"{source.option('target', months[0])} and so on.",
    )


def _read(source: Source) -> tuple[str, str]:
    """How pandas reads the data, and writes them."""
    return (f'pd.read_csv("{source.name}")', '.to_csv("turned.csv")') if source.is_file else ("frame", "")


def _is_time(name: str) -> bool:
    if name.isdigit() and len(name) == 4:
        return 1500 <= int(name) <= 2300
    return is_date(name)


def _rises(times: Sequence[str]) -> bool:
    """Whether names are times in a row: years that rise by one step, or dates."""
    if all(name.isdigit() and len(name) == 4 for name in times):
        return len(set(np.diff([int(name) for name in times]).tolist())) == 1
    return True
