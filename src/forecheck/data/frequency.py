"""The step between two rows of a series: found from time stamps, and continued into the future."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

_SECOND = 1_000_000  # microseconds
_DAY = 86400 * _SECOND
_NAMES = {
    1: "second",
    60: "minute",
    3600: "hour",
    86400: "day",
    604800: "week",
}
_WEEK_SEASONS = {1: 7, 7: 52, 14: 26}  # steps a season, by days a step


@dataclass(frozen=True)
class Frequency:
    """A regular step.

    Attributes:
        unit: `step` (no calendar), `us` (a fixed span), `month` (calendar months), `weekday` (Monday to Friday).
        count: steps, microseconds, months or weekdays.
        month_end: months end on their last day.
        day: the day of the month that short months cut (29 or 30); 0 where none is cut.
        season: steps of the season where the step alone does not tell it (a file without dates); 0 asks the step.
        business: months have their first, or with `month_end` their last, day from Monday to Friday.
    """

    unit: Literal["step", "us", "month", "weekday"]
    count: int = 1
    month_end: bool = False
    day: int = 0
    season: int = 0
    business: bool = field(default=False, repr=False)  # the fingerprint of a panel holds its stamps, not this

    @property
    def period(self) -> int:
        """Steps of the natural season (24 for hours, 12 for months), 1 if there is none."""
        if self.season:
            return self.season
        if self.unit == "us":
            return _season(self.count)
        if self.unit == "month":
            return 12 // self.count if 12 % self.count == 0 else 1
        return 5 if self.unit == "weekday" and self.count == 1 else 1

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
        return self._moved(stamp, self.count * ahead)

    def _moved(self, stamp: Any, months: Any) -> np.ndarray[Any, np.dtype[Any]]:
        """A stamp moved by numbers of months."""
        if self.business:
            return _move_business_months(np.full(len(months), stamp), months, month_end=self.month_end)
        return _move_months(np.full(len(months), stamp), months, month_end=self.month_end, day=self.day)

    def positions(self, time: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """Steps from the first stamp to every stamp of one series, or None if a stamp is off this grid.

        0, 1, 2, ... for a series without holes.
        """
        if (time.dtype.kind == "M") == (self.unit == "step"):
            return None
        if self.unit in ("step", "us"):
            ahead, rest = np.divmod((time - time[0]).astype(np.int64), self.count)
            return None if rest.any() else ahead
        days = time.astype("datetime64[D]")
        if self.unit == "weekday":
            if not np.is_busday(days).all():
                return None
            ahead, rest = np.divmod(np.busday_count(days[0], days).astype(np.int64), self.count)
            on_grid = not rest.any() and (time - days == time[0] - days[0]).all()
            return ahead if on_grid else None
        months = time.astype("datetime64[M]")
        ahead, rest = np.divmod((months - months[0]).astype(np.int64), self.count)
        expected = self._moved(time[0], ahead * self.count)
        return ahead if not rest.any() and (expected == time).all() else None

    def distance(self, start: Any, time: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Steps from `start` to every stamp, also of series on other grids of the same step; those give fractions.

        Fractions tell stamps of one step apart and keep their order; of calendar steps they are no exact times.
        """
        if self.unit in ("step", "us"):
            whole, rest = np.divmod((time - start).astype(np.int64), self.count)
            return whole + rest / self.count
        first = np.datetime64(start, "us")
        days, day = time.astype("datetime64[D]"), first.astype("datetime64[D]")
        clock = ((time - days).astype(np.int64) - int((first - day).astype(np.int64))) / _DAY
        if self.unit == "weekday":
            return np.asarray((np.busday_count(day, days) + clock) / self.count)
        months = (time.astype("datetime64[M]") - first.astype("datetime64[M]")).astype(np.int64)
        if not self.month_end and not self.day and not self.business:  # else every series keeps to the same day
            clock = clock + day_of_month(time) - int(day_of_month(np.array([first]))[0])
        return np.asarray((months + clock / 32) / self.count)

    def __str__(self) -> str:
        if self.unit == "us":
            for seconds in sorted(_NAMES, reverse=True):
                if self.count % (seconds * _SECOND) == 0:
                    return _plural(self.count // (seconds * _SECOND), _NAMES[seconds])
            return f"{self.count} us"
        return _plural(self.count, self.unit)


def _season(count: int) -> int:
    """Steps a day where a step of at least a minute divides it, else a week for days and a year for weeks."""
    if count < _DAY:
        return _DAY // count if _DAY % count == 0 and count >= 60 * _SECOND else 1
    return _WEEK_SEASONS.get(count // _DAY, 1) if count % _DAY == 0 else 1


def _plural(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count} {unit}s"


def _move_months(stamps: Any, months: Any, *, month_end: bool, day: int = 0) -> np.ndarray[Any, np.dtype[Any]]:
    """Stamps moved by calendar months, keeping the day of the month and the time of day.

    A day that the target month does not have becomes that month's last (31 January + 1 month = 28 February).
    `day` names the day to return to where the stamps themselves may have been cut (28 February + 1 month = 30 March).
    """
    stamps = np.asarray(stamps, dtype="datetime64[us]")
    clock = stamps - stamps.astype("datetime64[D]")
    wanted = np.full(stamps.shape, day) if day else day_of_month(stamps)
    target = stamps.astype("datetime64[M]") + np.asarray(months).astype("timedelta64[M]")
    length = days_in_month(target)
    reached = (length if month_end else np.minimum(wanted, length)) - 1
    return (
        np.asarray(target.astype("datetime64[D]") + reached.astype("timedelta64[D]")).astype("datetime64[us]") + clock
    )


def _move_business_months(stamps: Any, months: Any, *, month_end: bool) -> np.ndarray[Any, np.dtype[Any]]:
    """First or last weekdays of the months that are so many after those of the stamps, at their time of day."""
    stamps = np.asarray(stamps, dtype="datetime64[us]")
    target = stamps.astype("datetime64[M]") + np.asarray(months).astype("timedelta64[M]")
    edge = (target + 1).astype("datetime64[D]") - 1 if month_end else target.astype("datetime64[D]")
    days = np.busday_offset(edge, 0, roll="backward" if month_end else "forward")
    return np.asarray(days.astype("datetime64[us]") + (stamps - stamps.astype("datetime64[D]")))


def day_of_month(stamps: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """1 to 31."""
    month_start = stamps.astype("datetime64[M]").astype("datetime64[D]")
    return (stamps.astype("datetime64[D]") - month_start).astype(np.int64) + 1


def days_in_month(stamps: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """28 to 31."""
    months = stamps.astype("datetime64[M]")
    return ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)


def infer_frequency(time: np.ndarray[Any, np.dtype[Any]]) -> Frequency | None:
    """The one frequency that every step of `time` obeys, or None if the steps differ.

    `time` must increase strictly. Calendar months are tried before fixed spans: 1 July, 1 August, 1 September are
    months although each step has 31 days. A series inside one week of weekdays counts as daily.
    """
    if len(time) < 2:
        return Frequency("step")
    for candidate in (_months(time), _spans(time), _weekdays(time), *_business_months(time)):
        if candidate is not None and _has_no_holes(candidate.positions(time)):
            return candidate
    return None


def infer_grid(time: np.ndarray[Any, np.dtype[Any]]) -> Frequency | None:
    """The frequency of the regular grid on which all stamps of `time` lie, holes allowed; None if there is none.

    The step is the one that occurs most often. Used where `infer_frequency` finds nothing, to say what is missing.
    """
    for candidate in (_months(time), *_business_months(time), _weekdays(time), _spans(time)):
        if candidate is not None and candidate.positions(time) is not None:
            return candidate
    return None


def _has_no_holes(positions: np.ndarray[Any, np.dtype[np.int64]] | None) -> bool:
    return positions is not None and bool((np.diff(positions) == 1).all())


def _most_frequent(steps: np.ndarray[Any, np.dtype[Any]]) -> int:
    step, count = np.unique(steps.astype(np.int64), return_counts=True)
    return int(step[np.argmax(count)])


def _spans(time: np.ndarray[Any, np.dtype[Any]]) -> Frequency:
    return Frequency("us" if time.dtype.kind == "M" else "step", _most_frequent(np.diff(time)))


def _weekdays(time: np.ndarray[Any, np.dtype[Any]]) -> Frequency | None:
    if time.dtype.kind != "M" or _most_frequent(np.diff(time)) != 86400 * _SECOND:
        return None
    return Frequency("weekday")


def _months(time: np.ndarray[Any, np.dtype[Any]]) -> Frequency | None:
    if time.dtype.kind != "M":
        return None
    steps = np.diff(time.astype("datetime64[M]")).astype(np.int64)
    if steps.min() < 1:
        return None
    count = _most_frequent(steps)
    days = day_of_month(time)
    if (days == days_in_month(time)).all():
        return Frequency("month", count, month_end=True)
    # The day of the month may have been cut by a short month, so the latest day leads.
    latest = int(days.max())
    return Frequency("month", count, day=latest if latest > 28 else 0)


def _business_months(time: np.ndarray[Any, np.dtype[Any]]) -> list[Frequency]:
    months = _months(time)
    if months is None:
        return []
    return [Frequency("month", months.count, month_end=end, business=True) for end in (True, False)]


def stamp(time: Any) -> str:
    """A time to the minute, or a step."""
    return str(np.datetime_as_string(time, unit="m")) if isinstance(time, np.datetime64) else str(time)
