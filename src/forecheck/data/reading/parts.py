"""Times in several columns: year, month, day and hour apart, or a date beside a clock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from forecheck.data.reading.columns import is_text
from forecheck.data.reading.counters import as_numbers
from forecheck.data.reading.dates import MONTHS, UnreadableTimeError, parse_text, parse_times
from forecheck.data.reading.numbered import NoSuchWeekError, dates_of, iso_weeks, month_length

Times = np.ndarray[Any, np.dtype[Any]]

_NAMES = {
    "year": ("year", "yr", "yyyy", "jahr"),
    "quarter": ("quarter", "qtr", "quartal"),
    "month": ("month", "mon", "mnth", "mm", "monat"),
    "week": ("week", "wk", "isoweek", "iso_week", "weekofyear", "week_of_year", "woche"),
    "day": ("day", "dd", "mday", "day_of_month", "dayofmonth", "tag"),
    "hour": ("hour", "hr", "hh", "hours", "stunde", "hour_ending", "he"),
    "minute": ("minute", "min", "minutes"),
}
_FEWEST = 30  # rows in which a column is a calendar feature hardly by chance
_FIRST_YEAR, _LAST_YEAR = 1500, 2300
_MOST = {"quarter": 4, "month": 12, "week": 53, "day": 31, "hour": 24, "minute": 59}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d*)?)?\s*([AaPp][Mm])?")


def parts_of(table: pa.Table, names: Sequence[str]) -> dict[str, str]:
    """The columns that hold parts of the calendar, as their names and numbers say: part -> column.

    A part that two columns could be is left out.
    """
    found = {}
    for part, usual in _NAMES.items():
        called = [name for name in names if name.lower().strip() in usual]
        if len(called) == 1 and _fits(part, _numbers(table, part, called[0])):
            found[part] = called[0]
    return found


def short_year(table: pa.Table, names: Sequence[str]) -> str | None:
    """The column called a year that holds two digits of it, beside one of months or the like; None if there is none."""
    parts = parts_of(table, names)
    if "year" in parts or not {"quarter", "month", "week"} & set(parts):
        return None
    called = [name for name in names if name.lower().strip() in _NAMES["year"]]
    numbers = [_numbers(table, "year", name) for name in called]
    short = [
        found is not None and found.dtype.kind == "i" and 0 <= found.min() <= found.max() < 100 for found in numbers
    ]
    return called[0] if short == [True] else None


def _fits(part: str, numbers: Times | None) -> bool:
    if numbers is None or numbers.dtype.kind != "i":
        return False
    low, high = int(numbers.min()), int(numbers.max())
    if part == "year":
        return low >= _FIRST_YEAR and high <= _LAST_YEAR
    return low >= (part not in ("hour", "minute")) and high <= _MOST[part]


def _numbers(table: pa.Table, part: str, name: str) -> Times | None:
    """A column's numbers; months may have names."""
    column = table.column(name).combine_chunks()
    if part == "month" and is_text(column.type) and not column.null_count:
        months = [MONTHS.get(text.strip().lower()) for text in column.to_pylist()]
        return np.array(months) if all(months) else None
    return as_numbers(column)


def joined_parts(table: pa.Table, parts: dict[str, str]) -> tuple[list[str], Times] | None:
    """Columns and stamps of year and month, year to day, hour or minute, year and quarter, year and week.

    None if the parts are too few, or together no calendar.
    """
    if "year" not in parts:
        return None
    for chain in (("month", "day", "hour", "minute"), ("quarter",), ("week",)):
        used = ["year"]
        for part in chain:
            if part not in parts:
                break
            used.append(part)
        if len(used) > 1:
            found = {part: _numbers(table, part, parts[part]) for part in used}
            stamps = _stamps({part: numbers for part, numbers in found.items() if numbers is not None})
            return None if stamps is None else ([parts[part] for part in used], stamps)
    return None


def _stamps(found: dict[str, Times]) -> Times | None:
    ones = np.ones_like(found["year"])
    if "week" in found:
        try:
            return iso_weeks(found["year"], found["week"])
        except NoSuchWeekError:
            return None
    month = 3 * found["quarter"] - 2 if "quarter" in found else found.get("month", ones)
    dates = dates_of(found["year"], month, found.get("day", ones))
    if dates is None:
        return None
    seconds = 3600 * found.get("hour", 0 * ones) + 60 * found.get("minute", 0 * ones)
    return dates + (1_000_000 * seconds).astype("timedelta64[us]")


def clock(column: pa.Array, name: str) -> Times | None:
    """Times of day as spans from midnight, of clock cells, or whole hours where the name says so; None for others."""
    kind = column.type
    if column.null_count or not len(column):
        return None
    if pa.types.is_time(kind):
        return np.from_dlpack(column.cast(pa.time64("us")).cast(pa.int64())).astype("timedelta64[us]")
    if is_text(kind):
        return _written_clock(column)
    numbers = as_numbers(column)
    if name.lower().strip() in (*_NAMES["hour"], "time") and _fits("hour", numbers):
        assert numbers is not None
        return (3_600_000_000 * numbers).astype("timedelta64[us]")
    return None


def _written_clock(column: pa.Array) -> Times | None:
    coded = column.dictionary_encode()  # a day has few times
    spans = []
    for text in coded.dictionary.to_pylist():
        match = _CLOCK.fullmatch(text.strip())
        if match is None:
            return None
        hour, minute, second = (int(part or 0) for part in match.groups()[:3])
        if half := match[4]:
            hour = hour % 12 + (12 if half.lower() == "pm" else 0)
        if hour > 24 or minute > 59 or second > 59 or (hour == 24 and minute + second):
            return None
        spans.append(1_000_000 * (3600 * hour + 60 * minute + second))
    return np.array(spans)[np.from_dlpack(coded.indices)].astype("timedelta64[us]")


def joined_clock(dates: pa.Array, spans: Times) -> Times | None:
    """Stamps of a date and a time of day, None if the date has a clock of its own or cannot be read."""
    try:
        found = parse_times(dates)
    except UnreadableTimeError as error:
        return _joined_text(dates, spans) if " ways" in error.why else None
    if found.dtype.kind != "M" or (found != found.astype("datetime64[D]")).any():
        return None
    return found + spans


def _joined_text(dates: pa.Array, spans: Times) -> Times | None:
    """Dates that may be read in two ways, of which one may be regular with the times of day."""
    minutes, seconds = np.divmod(spans.astype("timedelta64[s]").astype(np.int64), 60)
    clocks = [f"{m // 60:02d}:{m % 60:02d}:{s:02d}" for m, s in zip(minutes, seconds, strict=True)]
    try:
        return parse_text([f"{day.strip()} {time}" for day, time in zip(dates.to_pylist(), clocks, strict=True)])
    except UnreadableTimeError:
        return None


def tells_no_more(
    table: pa.Table, time: Times, parts: dict[str, str], clocks: Sequence[str] = (), others: Sequence[str] = ()
) -> list[str]:
    """The columns that only repeat what the times say.

    Args:
        table: that holds the columns.
        time: stamps of its rows.
        parts: columns that may hold a part of the date or the clock (`year`, `quarter`, ..., `minute`), by part.
        clocks: columns that may hold times of day.
        others: columns of any name, which have to be a calendar feature (weekday, day of the year, weekend, ...) in so
            many rows that it is no chance.
    """
    day, month, year = (time.astype(f"datetime64[{unit}]") for unit in "DMY")
    own = {
        "year": year.astype(np.int64) + 1970,
        "quarter": month.astype(np.int64) % 12 // 3 + 1,
        "month": month.astype(np.int64) % 12 + 1,
        "day": (day - month.astype("datetime64[D]")).astype(np.int64) + 1,
        "hour": (time - day).astype("timedelta64[h]").astype(np.int64),
        "minute": (time - day).astype("timedelta64[m]").astype(np.int64) % 60,
    }
    found = []
    for part, column in parts.items():
        numbers = _numbers(table, part, column)
        if numbers is not None and part in own and (numbers == own[part]).all():
            found.append(column)
    for column in clocks:
        spans = clock(table.column(column).combine_chunks(), column)
        if column not in found and spans is not None and (spans == time - day).all():
            found.append(column)
    features = {row.tobytes() for row in _features(time, own)} if others and len(time) >= _FEWEST else set()
    found += [name for name in others if name not in found and _small(table, name).tobytes() in features]
    return found


def may_be_feature(table: pa.Table, name: str) -> bool:
    """Whether a column holds whole numbers no larger than those of calendar features, or yes and no."""
    return len(_small(table, name)) > 0


def _small(table: pa.Table, name: str) -> Times:
    """A column's whole numbers, if none is larger than minutes of a day or years; else nothing."""
    cells = table.column(name).combine_chunks()
    numbers = as_numbers(cells.cast(pa.int64()) if pa.types.is_boolean(cells.type) else cells)
    if numbers is None or numbers.dtype.kind != "i" or numbers.min() < 0 or numbers.max() > _LAST_YEAR:
        return np.zeros(0, dtype=np.int64)
    return numbers


def _features(time: Times, own: dict[str, Times]) -> Iterator[Times]:
    """Calendar features as people compute them, those that change among the times."""
    days = time.astype("datetime64[D]")
    weekday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    of_year = (days - time.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
    length = month_length(time.astype("datetime64[M]"))
    thursday = days - weekday + 3
    week = (thursday - thursday.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) // 7 + 1
    sunday = (weekday + 1) % 7  # Sunday is 0
    weekend = (weekday >= 5).astype(np.int64)
    minutes = 60 * own["hour"] + own["minute"]
    every = [*own.values(), weekday, weekday + 1, sunday, sunday + 1, of_year, of_year + 1, week, length, minutes]
    return (each for each in (*every, weekend, 1 - weekend) if each.min() < each.max())
