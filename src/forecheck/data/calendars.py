"""Features of the calendar, from the stamps alone: known for every step to come."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.data.frequency import Frequency, day_of_month, days_in_month
from forecheck.errors import DataError, UsageError

Stamps = np.ndarray[Any, np.dtype[Any]]
_COUNTRY = "country"
_DAY = 86_400_000_000
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LEVELS: dict[str, tuple[str, ...]] = {
    "hour": tuple(f"{hour:02d}:00" for hour in range(24)),
    "dayofweek": _WEEKDAYS,
    "month": _MONTHS,
    "quarter": ("Q1", "Q2", "Q3", "Q4"),
}
"""Features that are categories."""


def _days(time: Stamps) -> Any:
    return time.astype("datetime64[D]")


def _hour(time: Stamps) -> Any:
    return (time - _days(time)).astype("timedelta64[h]").astype(np.int64)


def _weekday(time: Stamps) -> Any:
    return (_days(time).astype(np.int64) + 3) % 7  # the first of January 1970 was a Thursday


def _month(time: Stamps) -> Any:
    return time.astype("datetime64[M]").astype(np.int64) % 12


FEATURES: dict[str, Callable[[Stamps], Any]] = {
    "hour": _hour,
    "dayofweek": _weekday,
    "weekend": lambda time: _weekday(time) >= 5,
    "dayofmonth": day_of_month,
    "monthend": lambda time: day_of_month(time) == days_in_month(time),
    "month": _month,
    "quarter": lambda time: _month(time) // 3,
}


def check_calendar(names: Sequence[str]) -> tuple[str, ...]:
    """Names of features, each once, of those that there are.

    Args:
        names: `hour`, `dayofweek`, `weekend`, `dayofmonth`, `monthend`, `month`, `quarter`, `workingdays` (Monday to
            Friday, of the days of a step), `country=AU` or `country=AU-VIC` (public holidays; needs `holidays`).

    Raises:
        UsageError: for any other, a country that `holidays` does not know, or where that package is missing.
    """
    known = (*FEATURES, "workingdays")
    for name in names:
        feature, _, place = name.partition("=")
        if feature == _COUNTRY and place:
            _holidays(place, [2024])
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"there is no calendar feature {name!r}",
                f"{hint}Known: {', '.join(known)}, country=AU, country=AU-VIC.",
            )
    return tuple(dict.fromkeys(names))


def calendar_column(name: str, time: Stamps, frequency: Frequency) -> Float[np.ndarray, "*shape"]:
    """One feature of every stamp; places in `LEVELS` for categories.

    Holidays and working days of steps longer than a day are counted over the days of the step: from the stamp on, or up
    to it where months are stamped by their end, and weeks by Friday, Saturday or Sunday.

    Args:
        name: as `check_calendar` takes it.
        time: stamps of any shape.
        frequency: the step between them.

    Raises:
        DataError: if the stamps are no dates.
    """
    if time.dtype.kind != "M":
        raise DataError(
            f"calendar feature {name!r} needs dates, and the rows are numbered steps",
            "Name the column of dates (--time), or leave --calendar out.",
        )
    feature, _, place = name.partition("=")
    if feature in FEATURES:
        return np.asarray(FEATURES[feature](time), dtype=float)
    first, last = _span(time, frequency)
    if feature == "workingdays":
        return np.asarray(np.busday_count(first, last), dtype=float)
    years = range(int(str(first.min())[:4]), int(str(last.max())[:4]) + 1)
    days = np.array(sorted(_holidays(place, years)), dtype="datetime64[D]")
    return (np.searchsorted(days, last) - np.searchsorted(days, first)).astype(float)


def _span(time: Stamps, frequency: Frequency) -> tuple[Any, Any]:
    """First day of every step, and the day after its last."""
    days = _days(time)
    if frequency.unit == "month":
        months = time.astype("datetime64[M]")
        if frequency.month_end:
            return (months - (frequency.count - 1)).astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
        return days, (months + frequency.count).astype("datetime64[D]") + (day_of_month(time) - 1)
    count = max(1, frequency.count // _DAY) if frequency.unit == "us" else 1
    if count == 7 and (_weekday(time) >= 4).all():
        return days - 6, days + 1
    return days, days + count


def _holidays(place: str, years: Any) -> list[Any]:
    """Dates of the public holidays of a country, or of a part of it (`AU-VIC`)."""
    try:
        import holidays
    except ImportError:
        raise UsageError(
            f"holidays of {place} need the package holidays", "Install it: pip install 'forecheck[calendar]'."
        ) from None
    country, _, part = place.partition("-")
    try:
        return list(holidays.country_holidays(country.upper(), subdiv=part.upper() or None, years=years))
    except NotImplementedError as error:
        raise UsageError(
            f"there are no holidays of {place!r}", f"Write a country as country=AU or country=AU-VIC: {error}"
        ) from None
