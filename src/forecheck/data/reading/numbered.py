"""Times written as numbers: digits of the calendar, Unix time, the days of spreadsheets."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from forecheck.data.frequency import infer_frequency

Times = np.ndarray[Any, np.dtype[Any]]

_LARGEST = 2.0**62
_DAY = 86_400_000_000  # microseconds
_YEARS = 1700, 2299
_LAST_YEAR = 2100  # of months and weeks that may be days of this century
_UNIX = 631_152_000, 4_102_444_800  # seconds of 1990 and 2100
_EXCEL = 25_569, 73_051  # days of 1970 and 2100; day 60 (29 February 1900) never was, so earlier ones are off by one
_SAYS_UNIX = re.compile(r"unix|epoch|timestamp|posix|(?<![a-z])(ts|t|time|at|utc|date|datetime)(?![a-z])")
PIVOT = 69
"""Years of two digits from here on are those of the last century, as POSIX has it: 69 is 1969, 68 is 2068."""
_CLEAR = 0.9  # share of numbers that are a calendar, so many that those which are none are mistaken
_FEWEST = 5  # distinct dates in digits that are hardly such by chance
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


class DoubtfulNumberError(NoSuchWeekError):
    """Numbers that are a calendar but for one, or that may be two.

    Args:
        row: of the number, from 0.
        why: what is wrong with it, to stand after "the time".
    """

    def __init__(self, row: int, why: str) -> None:
        super().__init__(row)
        self.why = why


class NoLastWeekError(NoSuchWeekError):
    """Numbers that are years and weeks, but every year with an ISO week 53 lacks it."""


def calendar(numbers: Times, name: str = "") -> tuple[Times, str] | None:
    """Stamps that whole or broken numbers stand for, and what they are called; None if they are no calendar.

    20240131, 202401 (months), 202401 to 202452 (ISO weeks, which begin on Monday), 240131 (from 2010 on), 2024013123,
    202401312359 and 20240131235959 are known by their digits, 31012024 also by the column's name. Unix seconds, milli-,
    micro- and nanoseconds of 1990 to 2100 are known by whole minutes between them or by the column's name, days of a
    spreadsheet by the column's name alone.

    Args:
        numbers: int64 or float64, finite.
        name: of the column.

    Raises:
        NoSuchWeekError: if all are years and weeks, but a year has fewer.
        NoLastWeekError: if they are, but weeks are counted in another way.
        DoubtfulNumberError: if all but a few are dates in digits, or if they may be so in two ways.
    """
    if not len(numbers) or (numbers.dtype.kind == "f" and np.abs(numbers).max() > _LARGEST):
        return None
    whole = numbers.astype(np.int64) if (numbers == np.floor(numbers)).all() else None
    found = _year_point_month(numbers) if whole is None else _by_digits(whole)
    if found is not None:
        return found
    return _unix(numbers, name) or _excel(numbers, name) or (None if whole is None else _year_last(whole, name))


def says_unix(name: str) -> bool:
    """Whether a column's name tells that numbers as large as Unix time are such."""
    return bool(_SAYS_UNIX.search(re.sub(r"([a-z])(?=[A-Z])", r"\1_", name).lower()))


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
    days = _short_dates(numbers)
    if not (_YEARS[0] * 100 < low and high < (_YEARS[1] + 1) * 100):
        return days
    year, part = np.divmod(numbers, 100)
    if part.min() < 1 or part.max() > 53:
        _check_few(numbers, (part >= 1) & (part <= 12), "a year and a month")
        return days
    months = bool(part.max() <= 12)
    found = _microseconds(_months(year, part)) if months else iso_weeks(year, part)
    if days is not None and _are_days(numbers, days[0], found, months=months):
        return days
    if not months:
        _check_last_weeks(year, part)
    return found, "year and month" if months else "year and week"


def _dates(numbers: Times, parts: str) -> tuple[Times, str] | None:
    rest, found = numbers, {}
    for part in reversed(parts):
        rest, found[part] = np.divmod(rest, 100)
    clock = [found.get(part, np.zeros_like(rest)) for part in "his"]
    late = np.any([each > most for each, most in zip(clock, (23, 59, 59), strict=True)], axis=0)
    _check_few(numbers, _are_dates(rest, found["m"], found["d"]) & ~late, "a date in digits")
    dates = dates_of(rest, found["m"], found["d"])
    if dates is None or late.any():
        return None
    seconds = clock[0] * 3600 + clock[1] * 60 + clock[2]
    return dates + (1_000_000 * seconds).astype("timedelta64[us]"), "year to " + {
        "d": "day",
        "h": "hour",
        "i": "minute",
        "s": "second",
    }[parts[-1]]


def _short_dates(numbers: Times) -> tuple[Times, str] | None:
    """240131, 240201: a year of two digits, month and day, from 2010 on, as fewer digits may be anything."""
    if len(numbers) < 2 or numbers.min() < 100_101 or numbers.max() > 991_231:
        return None
    rest, day = np.divmod(numbers, 100)
    year, month = np.divmod(rest, 100)
    dates = dates_of(year + np.where(year >= PIVOT, 1900, 2000), month, day)
    return None if dates is None else (dates, "year of two digits to day")


def _are_days(numbers: Times, days: Times, others: Times, *, months: bool) -> bool:
    """Whether 200101, 200102 are the days of January 2020, not weeks or months of 2001.

    Raises:
        DoubtfulNumberError: if nothing tells days from weeks; of days and months, months are usual.
    """
    if numbers.min() > (_LAST_YEAR + 1) * 100:
        return True
    regular = [infer_frequency(np.unique(times)) is not None for times in (days, others)]
    if regular[0] == regular[1] and not months:
        raise DoubtfulNumberError(
            0, f"may be a year and a week or a date of two-digit year, month and day: {int(numbers[0])}"
        )
    return regular[0] and not regular[1]


def _year_last(numbers: Times, name: str) -> tuple[Times, str] | None:
    """31012024 or 1312024 of a column that is called a date: day, month and year, in the order that fits."""
    if not _says_date(name) or numbers.min() < 1_010_000 or numbers.max() > 31_129_999:
        return None
    rest, year = np.divmod(numbers, 10_000)
    first, second = np.divmod(rest, 100)
    if year.min() < _YEARS[0] or year.max() > _YEARS[1]:
        return None
    read = [dates_of(year, *order) for order in ((second, first), (first, second))]
    fitting = [dates for dates in read if dates is not None]
    if len(fitting) == 2 and (fitting[0] != fitting[1]).any():
        fitting = [dates for dates in fitting if infer_frequency(np.unique(dates)) is not None and _rises(dates)]
        if len(fitting) != 1:
            raise DoubtfulNumberError(0, f"may be read in two ways, day or month first: {int(numbers[0]):08d}")
    return (fitting[0], "day, month and year") if fitting else None


def _rises(dates: Times) -> bool:
    return bool((np.diff(dates).astype(np.int64) > 0).all())


def _are_dates(year: Times, month: Times, day: Times) -> Times:
    """Which parts are a date."""
    inside = (month >= 1) & (month <= 12) & (day >= 1)
    return np.asarray(inside & (day <= month_length(_months(year, np.where(inside, month, 1)))))


def month_length(months: Times) -> Times:
    """Days of every month."""
    return np.asarray(((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64))


def _check_few(numbers: Times, good: Times, what: str) -> None:
    """Refuse numbers that are clearly a calendar but for a few.

    Raises:
        DoubtfulNumberError: names the first.
    """
    if good.all() or good.mean() < _CLEAR or len(np.unique(numbers[good])) < _FEWEST:
        return
    row = int(np.argmin(good))
    raise DoubtfulNumberError(row, f"seems to be {what} as the others are, but is none: {int(numbers[row])}")


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


def _says_date(name: str) -> bool:
    return bool(_SAYS_DATE.search(name.replace("_", " ")))


def _excel(numbers: Times, name: str) -> tuple[Times, str] | None:
    if not _says_date(name) or numbers.min() < _EXCEL[0] or numbers.max() > _EXCEL[1]:
        return None
    stamps = np.round((numbers - _EXCEL[0]) * _DAY).astype(np.int64)
    for unit in (3_600_000_000, 60_000_000, 1_000_000):  # 44197.041667 is 1:00, not 1:00:00.03
        rounded = (stamps + unit // 2) // unit * unit
        if (np.abs(rounded - stamps) <= 1_000_000).all():
            stamps = rounded
            break
    return stamps.astype("datetime64[us]"), "days of a spreadsheet"
