"""The step between two rows of a series: found from time stamps, and continued into the future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

_SECOND = 1_000_000  # microseconds
_NAMES = {
    1: "second",
    60: "minute",
    3600: "hour",
    86400: "day",
    604800: "week",
}
# Steps a season, by the length of a step in seconds: the usual period of the field's benchmarks.
_PERIODS = {60: 1440, 600: 144, 900: 96, 1800: 48, 3600: 24, 86400: 7, 604800: 52}


@dataclass(frozen=True)
class Frequency:
    """A regular step.

    Attributes:
        unit: `step` (no calendar), `us` (a fixed span), `month` (calendar months), `weekday` (Monday to Friday).
        count: steps, microseconds, months or weekdays.
        month_end: months end on their last day.
    """

    unit: Literal["step", "us", "month", "weekday"]
    count: int = 1
    month_end: bool = False

    @property
    def period(self) -> int:
        """Steps of the natural season (24 for hours, 12 for months), 1 if there is none."""
        if self.unit == "us":
            return _PERIODS.get(self.count // _SECOND, 1)
        if self.unit == "month":
            return {1: 12, 3: 4}.get(self.count, 1)
        return 5 if self.unit == "weekday" else 1

    def future(self, last: Any, steps: int) -> np.ndarray[Any, np.dtype[Any]]:
        """The `steps` stamps after `last`."""
        ahead = np.arange(1, steps + 1)
        if self.unit == "step":
            return np.asarray(last + self.count * ahead, dtype=np.int64)
        stamp = np.datetime64(last, "us")
        if self.unit == "us":
            return np.asarray(stamp + (self.count * ahead).astype("timedelta64[us]"))
        if self.unit == "weekday":
            day = stamp.astype("datetime64[D]")
            return np.asarray(np.busday_offset(day, ahead * self.count)).astype("datetime64[us]") + (stamp - day)
        return add_months(np.full(steps, stamp), self.count * ahead, month_end=self.month_end)

    def __str__(self) -> str:
        if self.unit == "us":
            for seconds in sorted(_NAMES, reverse=True):
                if self.count % (seconds * _SECOND) == 0:
                    return _plural(self.count // (seconds * _SECOND), _NAMES[seconds])
            return f"{self.count} us"
        return _plural(self.count, self.unit)


def _plural(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count} {unit}s"


def add_months(stamps: Any, months: Any, *, month_end: bool) -> np.ndarray[Any, np.dtype[Any]]:
    """Stamps moved by calendar months, keeping the day of the month and the time of day.

    A day that the target month does not have becomes that month's last (31 January + 1 month = 28 February).
    """
    stamps = np.asarray(stamps, dtype="datetime64[us]")
    month = stamps.astype("datetime64[M]")
    day = (stamps.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    clock = stamps - stamps.astype("datetime64[D]")
    target = month + np.asarray(months).astype("timedelta64[M]")
    days_in_month = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(np.int64)
    day = days_in_month - 1 if month_end else np.minimum(day, days_in_month - 1)
    return np.asarray(target.astype("datetime64[D]") + day.astype("timedelta64[D]")).astype("datetime64[us]") + clock


def infer_frequency(time: np.ndarray[Any, np.dtype[Any]]) -> Frequency | None:
    """The one frequency that every step of `time` obeys, or None if the steps differ.

    `time` must increase strictly. Fixed spans are tried first, then calendar months, then weekdays.
    """
    if len(time) < 2:
        return Frequency("step")
    if time.dtype.kind != "M":
        steps = np.unique(np.diff(time))
        return Frequency("step", int(steps[0])) if len(steps) == 1 else None
    time = time.astype("datetime64[us]")
    spans = np.diff(time).astype(np.int64)
    if (spans == spans[0]).all():
        return Frequency("us", int(spans[0]))
    months = np.diff(time.astype("datetime64[M]")).astype(np.int64)
    if months[0] > 0 and (months == months[0]).all():
        ahead = months[0] * np.arange(len(time))
        # The day of the month may be cut by a short month, so the stamp with the latest day leads.
        month_start = time.astype("datetime64[M]").astype("datetime64[D]")
        lead = int(np.argmax((time.astype("datetime64[D]") - month_start).astype(np.int64)))
        for month_end in (False, True):
            expected = add_months(np.full(len(time), time[lead]), ahead - ahead[lead], month_end=month_end)
            if (expected == time).all():
                return Frequency("month", int(months[0]), month_end)
    days = time.astype("datetime64[D]")
    weekdays = np.is_busday(days).all() and (time - days == time[0] - days[0]).all()
    if weekdays and (np.busday_count(days[:-1], days[1:]) == 1).all():
        return Frequency("weekday")
    return None
