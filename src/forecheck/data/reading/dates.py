"""Columns of time: dates of many notations, or whole numbers, read without guessing."""

from __future__ import annotations

import re
from calendar import month_abbr, month_name
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forecheck.data.frequency import infer_frequency
from forecheck.data.reading.numbered import (
    PIVOT,
    DoubtfulNumberError,
    NoLastWeekError,
    NoSuchWeekError,
    calendar,
    iso_weeks,
)

_CLOCK = (
    r"(?:[ T]+(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<part>\d{1,6}))?)?|(?=\s*[AaPp][Mm]))"
    r"\s*(?P<half>[AaPp][Mm])?)?"
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")  # fits int64
_ZONE = re.compile(r"(?<=\d)\s*(UTC|GMT)$|(?<=:\d\d)\s+(?=[+-]\d{2}:?\d{2}$)")
_DATE_ZONE = re.compile(r"(\d{4}-\d{2}-\d{2})(Z|[+-]\d{2}:?\d{2})")  # a clock to Python, whose separator is any sign
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?" + _CLOCK)
_YEAR = r"(?P<year>\d{4}|\d{2})"
_ORDERS = (  # the same text may be read several ways: see _ordered
    re.compile(r"(?P<day>\d{1,2})[-/.](?P<month>\d{1,2})[-/.]" + _YEAR + _CLOCK),
    re.compile(r"(?P<month>\d{1,2})[-/.](?P<day>\d{1,2})[-/.]" + _YEAR + _CLOCK),
    re.compile(r"(?P<year>\d{2})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _CLOCK),
)
_YEAR_WEEK = re.compile(r"(\d{4})[- /]?[Ww]?(\d{1,2})")
_PAIR = re.compile(r"\d{4}[-/.]\d{2}")
_NAMED = (
    re.compile(r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])"),
    re.compile(r"(?:[Qq](?P<quarter>[1-4])|(?P<before>[1-4])[Qq])[- /]?" + _YEAR),
    re.compile(r"(?P<year>\d{4})[- ]?[Mm](?P<month>\d{1,2})"),
    re.compile(r"(?P<name>[A-Za-z]{3,9})\.?[- /](?:(?P<day>\d{1,2}),?[- /])?(?P<year>\d{4})" + _CLOCK),
    re.compile(r"(?:(?P<day>\d{1,2})\.?[- /])?(?P<name>[A-Za-z]{3,9})\.?[- /](?P<year>\d{4})" + _CLOCK),
    re.compile(r"(?P<day>\d{1,2})[- /](?P<name>[A-Za-z]{3,9})\.?[- /](?P<year>\d{2})" + _CLOCK),
    re.compile(r"(?P<name>[A-Za-z]{3,9})\.?[- /'](?P<year>\d{2})"),
)
MONTHS = {name.lower(): number for names in (month_name, month_abbr) for number, name in enumerate(names) if name}
MONTHS["sept"] = 9
_HOUR, _DAY = 3_600_000_000, 86_400_000_000
_MOST = 0.75  # share of stamps at the one time of day
Times = np.ndarray[Any, np.dtype[Any]]


class UnreadableTimeError(ValueError):
    """A cell that is not a time.

    Args:
        row: row of the table, from 0.
        why: what is wrong with the cell, to stand after "the time".
    """

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row = row
        self.why = why


def parse_times(column: pa.Array, name: str = "") -> Times:
    """Stamps as `datetime64[us]` or int64 steps; see `read_times`."""
    return read_times(column, name)[0]


def read_times(column: pa.Array, name: str = "") -> tuple[Times, str]:
    """Stamps as `datetime64[us]` or int64 steps, and what was decided about them, if anything.

    Where a zone is given, stamps are UTC, unless all have one time of day there: days, weeks and months are those of
    the zone, whose midnight is no one time of UTC. Numbers that are a calendar are read as `numbered.calendar` says.

    Args:
        column: of the times.
        name: of the column; it tells Unix seconds and days of a spreadsheet.

    Raises:
        UnreadableTimeError: for the first cell that is missing or cannot be read.
    """
    if column.null_count:
        raise UnreadableTimeError(pc.index(column.is_null(), value=True).as_py(), "is missing")
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = getattr(kind, "tz", None)
        try:
            whole = column.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid as error:
            raise UnreadableTimeError(0, f"is finer than a microsecond or out of range ({error})") from error
        stamps = _stamps(whole)
        return (stamps, "") if zone is None else _of_zone(stamps, _local(whole, zone), zone)
    if pa.types.is_integer(kind):
        if pa.types.is_uint64(kind) and len(column) and pc.max(column).as_py() >= 2**63:
            raise UnreadableTimeError(0, "is a whole number beyond 2^63")
        return _steps(np.from_dlpack(column).astype(np.int64), name)
    if pa.types.is_floating(kind):
        numbers = np.from_dlpack(column).astype(np.float64)
        odd = np.flatnonzero(~(np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < 2**53)))
        if not len(odd):
            return _steps(numbers.astype(np.int64), name)
        found = calendar(numbers, name) if np.isfinite(numbers).all() else None
        if found is None:
            raise UnreadableTimeError(int(odd[0]), f"is neither a date nor a whole number: {float(numbers[odd[0]])!r}")
        return found[0], f'column "{name}" read as {found[1]}'
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _read_text([text.strip() for text in column.to_pylist()], name)
    raise UnreadableTimeError(0, f"is of type {kind}, which is neither a date nor a whole number")


def _stamps(column: pa.Array) -> Times:
    return np.asarray(np.from_dlpack(column.view(pa.int64())).astype("datetime64[us]"))


def _local(column: pa.Array, zone: str) -> Times:
    try:
        return _stamps(pc.local_timestamp(column))
    except pa.ArrowInvalid as error:
        raise UnreadableTimeError(0, f"has a time zone that is not known here: {zone}") from error


def _of_zone(utc: Times, local: Times, zone: str) -> tuple[Times, str]:
    """The local times if they are days or longer apart at one time of day, else those of UTC.

    Single ones may be an hour off: midnight does not exist on some days of some zones, and libraries differ on the
    daylight saving of years to come.
    """
    days = local.astype("datetime64[D]")
    clock = (local - days).astype(np.int64)
    values, counts = np.unique(clock, return_counts=True)
    off = (clock - values[np.argmax(counts)] + _DAY // 2) % _DAY - _DAY // 2
    steps = np.diff(np.unique(utc)).astype(np.int64)
    if len(steps) and steps.min() >= _DAY - 2 * _HOUR and np.abs(off).max() <= _HOUR and (off == 0).mean() >= _MOST:
        whole = local - off.astype("timedelta64[us]")
        return whole, "" if (utc == whole).all() else f"times are those of their zone{f' ({zone})' if zone else ''}"
    return utc, "" if (utc == local).all() else "times are UTC"


def parse_text(texts: list[str]) -> Times:
    """Stamps of written times; ISO 8601 first, then the notations listed at the head of this module.

    Raises:
        UnreadableTimeError: for the first text that cannot be read as the others can, or if day and month cannot be
            told apart.
    """
    return _read_text(texts, "")[0]


def _read_text(texts: list[str], name: str) -> tuple[Times, str]:
    for row, text in enumerate(texts):
        if not text:
            raise UnreadableTimeError(row, "is missing")
    if all(_WHOLE.fullmatch(text) for text in texts):
        return _steps(np.array([int(text) for text in texts], dtype=np.int64), name)
    try:
        return _iso(texts)
    except UnreadableTimeError as error:
        failure = error
    weeks = _year_weeks(texts)
    if weeks is not None:
        return weeks
    for pattern in (_YEAR_FIRST, *_NAMED):
        if pattern.fullmatch(texts[0]):
            try:
                return _with_years(_by(pattern, texts), pattern, texts)
            except UnreadableTimeError as error:
                clear = "may be" in error.why
                raise (error if clear else max(failure, error, key=lambda found: found.row)) from None
    if any(pattern.fullmatch(texts[0]) for pattern in _ORDERS):
        return _ordered(texts)
    raise failure


def _steps(numbers: Times, name: str) -> tuple[Times, str]:
    try:
        found = calendar(numbers, name)
    except NoLastWeekError as error:
        before = int(numbers[error.row - 1])
        raise UnreadableTimeError(
            error.row,
            f"follows week 52 of {before // 100}, which has 53 by ISO 8601: {before} seems to be a year and a week "
            "that are counted in another way",
        ) from None
    except DoubtfulNumberError as error:
        raise UnreadableTimeError(error.row, error.why) from None
    except NoSuchWeekError as error:
        number = int(numbers[error.row])
        raise UnreadableTimeError(
            error.row, f"seems to be a year and an ISO week, but {number // 100} has no week {number % 100}"
        ) from None
    if found is None:
        return numbers, ""
    return found[0], "" if found[1] == "year to day" else f'column "{name}" read as {found[1]}'


def _year_weeks(texts: list[str]) -> tuple[Times, str] | None:
    """Years and weeks, recognised by a W or by numbers beyond 12."""
    matches = [_YEAR_WEEK.fullmatch(text) for text in texts]
    found = [match for match in matches if match is not None]
    if len(found) < len(texts):
        return None
    if not all("w" in text.lower() for text in texts) and max(int(match[2]) for match in found) <= 12:
        return None
    numbers = np.array([100 * int(match[1]) + int(match[2]) for match in found])
    part = numbers % 100
    if part.min() < 1 or part.max() > 53:
        return None
    try:
        return iso_weeks(numbers // 100, part), "times read as year and ISO week"
    except NoSuchWeekError as error:
        raise UnreadableTimeError(
            error.row, f'is an ISO week that its year does not have: "{texts[error.row]}"'
        ) from None


def _with_years(times: Times, pattern: re.Pattern[str], texts: list[str]) -> tuple[Times, str]:
    """Times with the note on years of two digits; refused where they may be days, as in Jan-05, Jan-06."""
    match = pattern.fullmatch(texts[0])
    assert match is not None
    if len(match["year"]) > 2:
        _check_pairs(times, texts)
        return times, ""
    if (
        "day" not in pattern.groupindex
        and len(times) > 1
        and len(np.unique(times.astype("datetime64[M]").astype(int) % 12)) == 1
    ):
        raise UnreadableTimeError(0, f'has two digits that may be a day or a year: "{texts[0]}"')
    return times, f"years of two digits read as {times.min().astype('datetime64[Y]')} and later"


def _check_pairs(times: Times, texts: list[str]) -> None:
    """Refuse 2001-02, 2002-03, 2003-04: pairs of years, as of seasons, that could be months 13 months apart."""
    months = times.astype("datetime64[M]").astype(np.int64)
    pairs = months % 12 + 1 == (months // 12 + 1970 + 1) % 100
    if len(np.unique(times)) > 1 and pairs.all() and all(_PAIR.fullmatch(text) for text in texts):
        raise UnreadableTimeError(0, f'may be a month or two years that follow each other: "{texts[0]}"')


def _iso(texts: list[str]) -> tuple[Times, str]:
    stamps: list[datetime] = []
    local: list[datetime] = []
    zoned_first: bool | None = None
    for row, text in enumerate(texts):
        try:
            zone = _DATE_ZONE.fullmatch(text)
            whole = f"{zone[1]}T00:00{zone[2]}" if zone else text
            found = datetime.fromisoformat(_ZONE.sub(lambda match: "+00:00" if match[1] else "", whole))
            zoned = found.tzinfo is not None
            local.append(found.replace(tzinfo=None))
            found = found.astimezone(UTC).replace(tzinfo=None) if zoned else found
        except (ValueError, OverflowError):  # the latter for zones at the end of the calendar
            raise UnreadableTimeError(row, f'cannot be read as a date: "{text[:40]}"') from None
        if zoned_first is None:
            zoned_first = zoned
        if zoned != zoned_first:
            raise UnreadableTimeError(row, f'has a time zone where others have none, or the reverse: "{text[:40]}"')
        stamps.append(found)
    utc = np.array(stamps, dtype="datetime64[us]")
    return _of_zone(utc, np.array(local, dtype="datetime64[us]"), "") if zoned_first else (utc, "")


def _by(pattern: re.Pattern[str], texts: list[str]) -> Times:
    """All texts in the one notation that the first is in."""
    result = np.empty(len(texts), dtype="datetime64[us]")
    for row, text in enumerate(texts):
        match = pattern.fullmatch(text)
        parts = {} if match is None else {name: part for name, part in match.groupdict().items() if part is not None}
        try:
            result[row] = _stamp(parts)  # a KeyError says that the notation or the month's name is another
        except (ValueError, KeyError):
            raise UnreadableTimeError(row, f'cannot be read as a date: "{text[:40]}"') from None
    return result


def _stamp(part: dict[str, str]) -> datetime:
    hour = int(part.get("hour", 0))
    minute, second = int(part.get("minute", 0)), int(part.get("second", 0))
    if "half" in part:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if part["half"].lower() == "pm" else 0)
    if "name" in part:
        month = MONTHS[part["name"].lower()]
    elif "quarter" in part or "before" in part:
        month = 3 * int(part.get("quarter") or part["before"]) - 2
    else:
        month = int(part["month"])
    year = int(part["year"])
    if len(part["year"]) == 2:
        year += 1900 if year >= PIVOT else 2000
    fraction = int(part.get("part", "0").ljust(6, "0"))
    # 24:00 ends the day, as ISO 8601 had it
    late = timedelta(days=1) if hour == 24 and not (minute or second or fraction) else timedelta()
    whole = datetime(  # noqa: DTZ001  (no zone is written, so none is claimed)
        year, month, int(part.get("day", 1)), 0 if late else hour, minute, second, fraction
    )
    return whole + late


def _ordered(texts: list[str]) -> tuple[Times, str]:
    """03/04/2021, 03/04/21: the order that reads all cells; if several do, the one that makes the series regular."""
    read: list[Times] = []
    failures: list[UnreadableTimeError] = []
    for pattern in _ORDERS:
        if pattern is _ORDERS[-1] and not pattern.fullmatch(texts[0]):
            continue
        try:
            times = _by(pattern, texts)
        except UnreadableTimeError as error:
            failures.append(error)
        else:
            read += [] if any((times == known).all() for known in read) else [times]
    note = "" if re.match(r"(\d+[-/.]){2}\d{4}", texts[0]) else "years have two digits"
    if not read:
        raise max(failures, key=lambda error: error.row)
    if len(read) == 1:
        return read[0], note
    regular = [
        times for times in read if (np.diff(times).astype(np.int64) > 0).all() and infer_frequency(times) is not None
    ]
    if len(regular) == 1:
        return regular[0], note
    row = int(np.argmax(np.any([times != read[0] for times in read[1:]], axis=0)))
    days = " or ".join(str(times[row].astype("datetime64[D]")) for times in read)
    ways = "two" if len(read) == 2 else "several"
    raise UnreadableTimeError(row, f'may be read in {ways} ways, "{texts[row]}" as {days}')
