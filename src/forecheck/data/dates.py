"""Columns of time: dates of many notations, or whole numbers, read without guessing."""

from __future__ import annotations

import re
from calendar import month_abbr, month_name
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forecheck.data.frequency import infer_frequency

_CLOCK = (
    r"(?:[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<part>\d{1,6}))?)?"
    r"\s*(?P<half>[AaPp][Mm])?)?"
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")  # fits int64
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?" + _CLOCK)
_YEAR_LAST = (  # the same text may be read both ways: see _year_last
    re.compile(r"(?P<day>\d{1,2})[-/.](?P<month>\d{1,2})[-/.](?P<year>\d{4})" + _CLOCK),
    re.compile(r"(?P<month>\d{1,2})[-/.](?P<day>\d{1,2})[-/.](?P<year>\d{4})" + _CLOCK),
)
_QUARTER = re.compile(r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])")
_NAMED = (
    re.compile(r"(?P<name>[A-Za-z]{3,9})\.?[- /](?:(?P<day>\d{1,2}),?[- /])?(?P<year>\d{4})" + _CLOCK),
    re.compile(r"(?:(?P<day>\d{1,2})\.?[- /])?(?P<name>[A-Za-z]{3,9})\.?[- /](?P<year>\d{4})" + _CLOCK),
)
_MONTHS = {name.lower(): number for names in (month_name, month_abbr) for number, name in enumerate(names) if name}
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


def parse_times(column: pa.Array) -> Times:
    """Stamps as `datetime64[us]` (UTC where the zone is given) or int64 steps.

    Eight-digit numbers that are all dates of the years 1700 to 2299 (19580329) are dates.

    Raises:
        UnreadableTimeError: for the first cell that is missing or cannot be read.
    """
    if column.null_count:
        raise UnreadableTimeError(pc.index(column.is_null(), value=True).as_py(), "is missing")
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        try:
            whole = column.cast(pa.timestamp("us", getattr(kind, "tz", None)))
        except pa.ArrowInvalid as error:
            raise UnreadableTimeError(0, f"is finer than a microsecond or out of range ({error})") from error
        return np.from_dlpack(whole.view(pa.int64())).astype("datetime64[us]")
    if pa.types.is_integer(kind):
        return _steps(np.from_dlpack(column).astype(np.int64))
    if pa.types.is_floating(kind):
        numbers = np.from_dlpack(column).astype(np.float64)
        odd = np.flatnonzero(~(np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < 2**53)))
        if len(odd):
            raise UnreadableTimeError(int(odd[0]), f"is neither a date nor a whole number: {numbers[odd[0]]:g}")
        return _steps(numbers.astype(np.int64))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return parse_text([text.strip() for text in column.to_pylist()])
    raise UnreadableTimeError(0, f"is of type {kind}, which is neither a date nor a whole number")


def parse_text(texts: list[str]) -> Times:
    """Stamps of written times; ISO 8601 first, then the notations listed at the head of this module.

    Raises:
        UnreadableTimeError: for the first text that cannot be read as the others can, or if day and month cannot be
            told apart.
    """
    for row, text in enumerate(texts):
        if not text:
            raise UnreadableTimeError(row, "is missing")
    if all(_WHOLE.fullmatch(text) for text in texts):
        return _steps(np.array([int(text) for text in texts], dtype=np.int64))
    try:
        return _iso(texts)
    except UnreadableTimeError as error:
        failure = error
    for pattern in (_YEAR_FIRST, _QUARTER, *_NAMED):
        if pattern.fullmatch(texts[0]):
            try:
                return _by(pattern, texts)
            except UnreadableTimeError as error:
                raise max(failure, error, key=lambda found: found.row) from None
    if _YEAR_LAST[0].fullmatch(texts[0]):
        return _year_last(texts)
    raise failure


def _steps(numbers: Times) -> Times:
    if len(numbers) and numbers.min() >= 17000101 and numbers.max() <= 22991231:
        year, month, day = numbers // 10000, numbers // 100 % 100, numbers % 100
        if (month >= 1).all() and (month <= 12).all() and (day >= 1).all() and (day <= 31).all():
            start = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
            dates = start.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
            if (dates.astype("datetime64[M]") == start).all():  # no 31 June
                return dates.astype("datetime64[us]")
    return numbers


def _iso(texts: list[str]) -> Times:
    stamps: list[datetime] = []
    zoned_first: bool | None = None
    for row, text in enumerate(texts):
        try:
            found = datetime.fromisoformat(text)
            zoned = found.tzinfo is not None
            found = found.astimezone(UTC).replace(tzinfo=None) if zoned else found
        except (ValueError, OverflowError):  # the latter for zones at the end of the calendar
            raise UnreadableTimeError(row, f'cannot be read as a date: "{text[:40]}"') from None
        if zoned_first is None:
            zoned_first = zoned
        if zoned != zoned_first:
            raise UnreadableTimeError(row, f'has a time zone where others have none, or the reverse: "{text[:40]}"')
        stamps.append(found)
    return np.array(stamps, dtype="datetime64[us]")


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
    if "half" in part:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if part["half"].lower() == "pm" else 0)
    if "name" in part:
        month = _MONTHS[part["name"].lower()]
    elif "quarter" in part:
        month = 3 * int(part["quarter"]) - 2
    else:
        month = int(part["month"])
    fraction = int(part.get("part", "0").ljust(6, "0"))
    return datetime(  # noqa: DTZ001  (no zone is written, so none is claimed)
        int(part["year"]),
        month,
        int(part.get("day", 1)),
        hour,
        int(part.get("minute", 0)),
        int(part.get("second", 0)),
        fraction,
    )


def _year_last(texts: list[str]) -> Times:
    """03/04/2021: the order that reads all cells; if both do, the one that makes the series regular."""
    read: list[Times] = []
    failures: list[UnreadableTimeError] = []
    for pattern in _YEAR_LAST:
        try:
            read.append(_by(pattern, texts))
        except UnreadableTimeError as error:
            failures.append(error)
    if not read:
        raise max(failures, key=lambda error: error.row)
    if len(read) == 1 or (read[0] == read[1]).all():
        return read[0]
    regular = [
        times for times in read if (np.diff(times).astype(np.int64) > 0).all() and infer_frequency(times) is not None
    ]
    if len(regular) == 1:
        return regular[0]
    row = int(np.argmax(read[0] != read[1]))
    days = " or ".join(str(times[row].astype("datetime64[D]")) for times in read)
    raise UnreadableTimeError(row, f'may be read in two ways, "{texts[row]}" as {days}')


def stamp(time: Any) -> str:
    """A time to the minute, or a step."""
    return str(np.datetime_as_string(time, unit="m")) if isinstance(time, np.datetime64) else str(time)
