"""Time on an axis: round ticks of a calendar, or of steps, and stamps as people write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from forecheck.reports.svg import ticks

Times = np.ndarray[Any, np.dtype[Any]]
"""Stamps, `datetime64[us]`, or whole numbers of steps; they increase."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = (
    *(("s", count) for count in (1, 5, 15, 30)),
    *(("m", count) for count in (1, 5, 15, 30)),
    *(("h", count) for count in (1, 3, 6, 12)),
    *(("D", count) for count in (1, 2, 7, 14)),
    *(("M", count) for count in (1, 3, 6)),
    *(("Y", count) for count in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
"""Distances of ticks, the finest first."""
_MONDAY = 3  # days from a Monday to the first of January 1970


def time_ticks(time: Times, most: int) -> list[tuple[int, str]]:
    """Places in `time` where a round stretch of the calendar begins, with a label each; `most` at most.

    A label says what has changed: the year at its first month, the day at midnight.

    Args:
        time: of every place.
        most: ticks.
    """
    if not len(time):
        return []
    if time.dtype.kind != "M":
        return _of_steps(time, most)
    finest: list[tuple[int, str]] = []
    for unit, count in _UNITS:
        places = _begins(time, unit, count)
        if len(places) <= most:
            finest = [(int(place), label) for place, label in zip(places, _labels(time[places], unit), strict=True)]
            break
    return finest or [(0, stamps(time[:1])[0])]


def _of_steps(time: Times, most: int) -> list[tuple[int, str]]:
    wanted = ticks(float(time[0]), float(time[-1]), most)
    places = np.searchsorted(time, wanted)
    return [
        (int(place), str(int(value)))
        for place, value in zip(places, wanted, strict=True)
        if value == round(value) and place < len(time) and time[place] == value
    ]


def _begins(time: Times, unit: str, count: int) -> Times:
    """Places of the first stamp of every `count` units; of the first stamp only if the stretch begins with it."""
    whole = time.astype(f"datetime64[{unit}]")
    number = whole.astype(np.int64) + (1970 if unit == "Y" else _MONDAY if unit == "D" and count % 7 == 0 else 0)
    part = number // count
    first = (number[0] % count == 0) & (whole[0] == time[0])
    return np.flatnonzero(np.concatenate([[first], np.diff(part) > 0]))


def _labels(time: Times, unit: str) -> Iterator[str]:
    last: tuple[int, int, int] | None = None
    for stamp in time:
        moment = np.datetime_as_string(stamp, unit="s")
        year, month, day = int(moment[:-15]), int(moment[-14:-12]), int(moment[-11:-9])
        clock = moment[-8:].removesuffix(":00") if moment[-5:] != "00:00" else moment[-8:-3]
        if unit == "Y":
            yield str(year)
        elif unit == "M":
            yield _MONTHS[month - 1] if last and last[0] == year else f"{_MONTHS[month - 1]} {year}"
        elif unit == "D" or last is None or last != (year, month, day):
            named = f"{day} {_MONTHS[month - 1]}"
            yield named if last and last[0] == year else f"{named} {year}"
        else:
            yield clock
        last = year, month, day


def stamps(time: Times) -> list[str]:
    """Every stamp as short as all of them can be: `2024`, `2024-03`, `2024-03-05`, `2024-03-05 06:00`, or a step."""
    if time.dtype.kind != "M":
        return [str(int(step)) for step in time]
    unit = next((u for u in ("D", "m", "s", "ms") if (time == time.astype(f"datetime64[{u}]")).all()), "us")
    if unit == "D" and len(time) > 1 and len(set((time - time.astype("datetime64[M]")).tolist())) == 1:
        # On one day of every month; in one month of every year the year is enough.
        months = time.astype("datetime64[M]")
        if (np.diff(months).astype(int) >= 1).all():
            unit = "Y" if (months == months.astype("datetime64[Y]")).all() else "M"
    return [text.replace("T", " ") for text in np.datetime_as_string(time, unit=unit).tolist()]  # type: ignore[call-overload]
