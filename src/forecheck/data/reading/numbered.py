"""Times written as numbers: digits of the calendar, Unix time, the days of spreadsheets."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

Times = np.ndarray[Any, np.dtype[Any]]

_LARGEST = 2.0**62
_DAY = 86_400_000_000  # microseconds
_YEARS = 1700, 2299
_UNIX = 631_152_000, 4_102_444_800  # seconds of 1990 and 2100
_EXCEL = 25_569, 73_051  # days of 1970 and 2100; day 60 (29 February 1900) never was, so earlier ones are off by one
_SAYS_UNIX = re.compile(r"unix|epoch|timestamp|posix", re.IGNORECASE)
_SAYS_DATE = re.compile(r"\b(date|datetime|datum|fecha)\b", re.IGNORECASE)
# Parts of the calendar from the right, two digits each, by the number's digits in all; the year comes before them.
_DIGITS = {8: "md", 10: "mdh", 12: "mdhi", 14: "mdhis"}


class NoSuchWeekError(ValueError):
    """Numbers that are years and weeks but for one.

    Args:
        row: of the number, from 0.
    """

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


class NoLastWeekError(NoSuchWeekError):
    """Numbers that are years and weeks, but every year with an ISO week 53 lacks it."""


def calendar(numbers: Times, name: str = "") -> tuple[Times, str] | None:
    """Stamps that whole or broken numbers stand for, and what they are called; None if they are no calendar.

    20240131, 202401 (months), 202401 to 202452 (ISO weeks, which begin on Monday), 2024013123, 202401312359 and
    20240131235959 are known by their digits. Unix seconds, milli-, micro- and nanoseconds of 1990 to 2100 are known by
    whole minutes between them or by the column's name, days of a spreadsheet by the column's name alone.

    Args:
        numbers: int64 or float64, finite.
        name: of the column.

    Raises:
        NoSuchWeekError: if all are years and weeks, but a year has fewer.
        NoLastWeekError: if they are, but weeks are counted in another way.
    """
    if not len(numbers) or (numbers.dtype.kind == "f" and np.abs(numbers).max() > _LARGEST):
        return None
    whole = numbers.astype(np.int64) if (numbers == np.floor(numbers)).all() else None
    found = _year_point_month(numbers) if whole is None else _by_digits(whole)
    if found is not None:
        return found
    return _unix(numbers, name) or _excel(numbers, name)


def says_unix(name: str) -> bool:
    """Whether a column's name tells Unix time."""
    return bool(_SAYS_UNIX.search(name))


def _year_point_month(numbers: Times) -> tuple[Times, str] | None:
    """1990.01 to 1990.12: the first month is never 1990.1, so the tenth may be."""
    hundreds = np.round(numbers * 100)
    year, month = np.divmod(hundreds.astype(np.int64) if np.abs(hundreds).max() < 2**53 else np.zeros(1, int), 100)
    if np.abs(numbers * 100 - hundreds).max() > 1e-6 or month.min() < 1 or month.max() > 12:
        return None
    if year.min() < _YEARS[0] or year.max() > _YEARS[1]:
        return None
    return _microseconds(_months(year, month)), "year and month"


def _by_digits(numbers: Times) -> tuple[Times, str] | None:
    low, high = int(numbers.min()), int(numbers.max())
    for digits, parts in _DIGITS.items():
        scale = 10 ** (digits - 4)
        if _YEARS[0] * scale <= low and high < (_YEARS[1] + 1) * scale:
            return _dates(numbers, parts)
    if not (_YEARS[0] * 100 < low and high < (_YEARS[1] + 1) * 100):
        return None
    year, part = np.divmod(numbers, 100)
    if part.min() < 1 or part.max() > 53:
        return None
    if part.max() <= 12:
        return _microseconds(_months(year, part)), "year and month"
    mondays = iso_weeks(year, part)
    _check_last_weeks(year, part)
    return mondays, "year and week"


def _dates(numbers: Times, parts: str) -> tuple[Times, str] | None:
    rest, found = numbers, {}
    for part in reversed(parts):
        rest, found[part] = np.divmod(rest, 100)
    dates = dates_of(rest, found["m"], found["d"])
    clock = [found.get(part, np.zeros_like(rest)) for part in "his"]
    if dates is None or any((each > most).any() for each, most in zip(clock, (23, 59, 59), strict=True)):
        return None
    seconds = clock[0] * 3600 + clock[1] * 60 + clock[2]
    return dates + (1_000_000 * seconds).astype("timedelta64[us]"), "year to " + {
        "d": "day",
        "h": "hour",
        "i": "minute",
        "s": "second",
    }[parts[-1]]


def _months(year: Times, month: Times) -> Times:
    return np.asarray(((year - 1970) * 12 + month - 1).astype("datetime64[M]"))


def _microseconds(dates: Times) -> Times:
    return dates.astype("datetime64[us]")


def dates_of(year: Times, month: Times, day: Times) -> Times | None:
    """Dates of their parts, None if one is none, as 31 June.

    Args:
        year: whole numbers.
        month: whole numbers, 1 to 12.
        day: whole numbers, from 1.

    Returns:
        Stamps in microseconds, at midnight.
    """
    if min(month.min(), day.min()) < 1 or month.max() > 12 or day.max() > 31:
        return None
    start = _months(year, month)
    dates = start.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
    return _microseconds(dates) if (dates.astype("datetime64[M]") == start).all() else None


def iso_weeks(year: Times, week: Times) -> Times:
    """Mondays of ISO weeks.

    Raises:
        NoSuchWeekError: if a year has no such week.
    """
    monday = _first_monday(year) + (7 * (week - 1)).astype("timedelta64[D]")
    wrong = np.flatnonzero(monday >= _first_monday(year + 1))
    if len(wrong):
        raise NoSuchWeekError(int(wrong[0]))
    return _microseconds(monday)


def _check_last_weeks(year: Times, week: Times) -> None:
    """Refuse weeks 52 that are followed by weeks 1 in every year that has 53: 52 weeks a year are no ISO weeks."""
    turns = np.flatnonzero((week[:-1] == 52) & (week[1:] == 1) & (year[1:] == year[:-1] + 1))
    long = _first_monday(year[turns] + 1) - _first_monday(year[turns]) > np.timedelta64(52 * 7, "D")
    if long.any() and not (week == 53).any():
        raise NoLastWeekError(int(turns[long][0]) + 1)


def _first_monday(year: Times) -> Times:
    """Monday of the week that holds 4 January."""
    fourth = _months(year, np.ones_like(year)).astype("datetime64[D]") + np.timedelta64(3, "D")
    return np.asarray(fourth - ((fourth.astype(np.int64) + 3) % 7).astype("timedelta64[D]"))


def _unix(numbers: Times, name: str) -> tuple[Times, str] | None:
    low, high = float(numbers.min()), float(numbers.max())
    for scale, unit in ((1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")):
        if not (_UNIX[0] * scale <= low and high <= _UNIX[1] * scale):
            continue
        if numbers.dtype.kind == "f":
            stamps = np.round(numbers * (10**6 / scale)).astype(np.int64)
        elif scale > 10**6:
            if (numbers % 1000).any():  # finer than what stamps hold
                return None
            stamps = numbers // 1000
        else:
            stamps = numbers * (10**6 // scale)
        if not says_unix(name) and (np.diff(stamps) % 60_000_000).any():
            return None
        return stamps.astype("datetime64[us]"), f"Unix {unit}"
    return None


def _excel(numbers: Times, name: str) -> tuple[Times, str] | None:
    if not _SAYS_DATE.search(name.replace("_", " ")) or numbers.min() < _EXCEL[0] or numbers.max() > _EXCEL[1]:
        return None
    stamps = np.round((numbers - _EXCEL[0]) * _DAY).astype(np.int64)
    for unit in (3_600_000_000, 60_000_000, 1_000_000):  # 44197.041667 is 1:00, not 1:00:00.03
        rounded = (stamps + unit // 2) // unit * unit
        if (np.abs(rounded - stamps) <= 1_000_000).all():
            stamps = rounded
            break
    return stamps.astype("datetime64[us]"), "days of a spreadsheet"
