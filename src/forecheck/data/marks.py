"""Time marks: features of the calendar that models are given beside their windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from forecheck.errors import UsageError

Stamps = np.ndarray[Any, np.dtype[Any]]

# By Time-Series-Library's letter of a frequency, its features in their order.
SCALED = {
    "s": ("second", "minute", "hour", "weekday", "day", "yearday"),
    "t": ("minute", "hour", "weekday", "day", "yearday"),
    "h": ("hour", "weekday", "day", "yearday"),
    "d": ("weekday", "day", "yearday"),
    "w": ("day", "week"),
    "m": ("month",),
}
_LARGEST = {"second": 59, "minute": 59, "hour": 23, "weekday": 6, "day": 30, "yearday": 365, "week": 52, "month": 11}
_FROM_ONE = {"day", "yearday", "week", "month"}
_SHORTEST = {"m": 28 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "t": 60}  # seconds a step


def calendar_parts(times: Stamps) -> dict[str, Int[np.ndarray, "*shape"]]:
    """Second, minute, hour, weekday (0 is Monday), day, yearday, ISO week and month (from 1) of stamps.

    Raises:
        UsageError: if they are numbers of rows, which have no calendar.
    """
    if times.dtype.kind != "M":
        raise UsageError(
            "time marks are made of dates, and these data have none: their times are numbers of rows",
            "Name the time column (--time), or pass wrap= with marks of your own.",
        )
    day, month, year = (times.astype(f"datetime64[{unit}]") for unit in "DMY")
    second = (times - day).astype("timedelta64[s]").astype(np.int64)
    weekday = (day.astype(np.int64) + 3) % 7  # 1970 began on a Thursday
    thursday = day + (3 - weekday)  # whose year is that of the ISO week
    return {
        "second": second % 60,
        "minute": second // 60 % 60,
        "hour": second // 3600,
        "weekday": weekday,
        "day": (day - month.astype("datetime64[D]")).astype(np.int64) + 1,
        "yearday": (day - year.astype("datetime64[D]")).astype(np.int64) + 1,
        "week": (thursday - thursday.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) // 7 + 1,
        "month": (month - year.astype("datetime64[M]")).astype(np.int64) + 1,
    }


def frequency_letter(times: Stamps) -> str:
    """The letter of the step between stamps: s, t (minutes), h, d, w or m.

    Args:
        times: of windows (batch, step), evenly spaced.
    """
    calendar_parts(times[:1, :1])  # refuses numbers of rows
    steps = np.diff(times[0]).astype("timedelta64[us]").astype(np.int64) / 1e6
    step = float(np.median(steps)) if len(steps) else 0.0
    return next((letter for letter, least in _SHORTEST.items() if step >= least), "s")


def scaled_marks(times: Stamps, frequency: str) -> Float[np.ndarray, "*shape mark"]:
    r"""Features of the calendar between -0.5 and 0.5, as embed="timeF" of Time-Series-Library takes them.

    .. math:: m = \frac{v - v_{\min}}{v_{\max} - v_{\min}} - 0.5

    Args:
        times: stamps.
        frequency: a key of `SCALED`: the finer it is, the more features.

    Raises:
        UsageError: if there is no such frequency, or the stamps are no dates.

    Source: gluonts.time_feature, whose ranges these are (seconds 0..59, hours 0..23, days of the year 1..366, ...).
    """
    if frequency not in SCALED:
        raise UsageError(f"time marks have no frequency {frequency!r}", f"Known: {', '.join(SCALED)}.")
    parts = calendar_parts(times)
    scaled = [(parts[name] - (name in _FROM_ONE)) / _LARGEST[name] - 0.5 for name in SCALED[frequency]]
    return np.stack(scaled, axis=-1)


def whole_marks(times: Stamps, *, minutes: bool) -> Int[np.ndarray, "*shape mark"]:
    """Month, day, weekday, hour and, on demand, quarter of an hour, as embed="fixed" of Time-Series-Library takes them.

    Args:
        times: stamps.
        minutes: whether the last is wanted.

    Raises:
        UsageError: if the stamps are no dates.
    """
    parts = calendar_parts(times)
    parts["quarter"] = parts["minute"] // 15
    names = ("month", "day", "weekday", "hour", *(("quarter",) if minutes else ()))
    return np.stack([parts[name] for name in names], axis=-1)
