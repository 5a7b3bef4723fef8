"""Ticks of a calendar and of steps, and stamps as short as they can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.reports.dates import stamps, time_ticks


def every(first, count, step, unit):
    start = np.datetime64(first, "us")
    if unit in ("M", "Y"):
        return (np.datetime64(first, unit) + step * np.arange(count)).astype("datetime64[us]")
    return start + (step * np.arange(count)).astype(f"timedelta64[{unit}]")


@pytest.mark.parametrize(
    ("time", "most", "wanted"),
    [
        (every("2001-01", 48, 1, "M"), 5, [(0, "2001"), (12, "2002"), (24, "2003"), (36, "2004")]),
        (every("2001-03", 12, 1, "M"), 5, [(1, "Apr 2001"), (4, "Jul"), (7, "Oct"), (10, "Jan 2002")]),
        (every("1990", 31, 1, "Y"), 5, [(0, "1990"), (10, "2000"), (20, "2010"), (30, "2020")]),
        (every("2024-01-30", 6, 1, "D"), 3, [(0, "30 Jan 2024"), (2, "1 Feb"), (4, "3 Feb")]),
        (every("2024-01-01", 48, 1, "h"), 4, [(0, "1 Jan 2024"), (12, "12:00"), (24, "2 Jan"), (36, "12:00")]),
        (every("2024-01-01 23:50", 4, 5, "m"), 4, [(0, "1 Jan 2024"), (1, "23:55"), (2, "2 Jan"), (3, "00:05")]),
        (np.arange(100, 160), 4, [(0, "100"), (20, "120"), (40, "140")]),
        (np.arange(3), 5, [(0, "0"), (1, "1"), (2, "2")]),
        (every("2024-05-05", 1, 1, "D"), 5, [(0, "5 May 2024")]),
    ],
)
def test_ticks_stand_where_round_stretches_begin(time, most, wanted):
    assert time_ticks(time, most) == wanted


def test_month_ends_are_ticked_at_the_first_of_a_year():
    ends = (np.datetime64("2019-11") + 1 + np.arange(30)).astype("datetime64[D]") - np.timedelta64(1, "D")
    assert time_ticks(ends.astype("datetime64[us]"), 4) == [(2, "2020"), (14, "2021"), (26, "2022")]


@given(
    st.integers(-(10**9), 4 * 10**9),
    st.sampled_from([1, 7, 60, 1800, 3600, 86_400, 604_800]),
    st.integers(1, 3000),
    st.integers(2, 12),
)
def test_there_are_never_too_many_ticks_and_they_rise(first, seconds, count, most):
    time = np.datetime64(0, "s") + np.timedelta64(first, "s") + seconds * np.arange(count).astype("timedelta64[s]")
    found = time_ticks(time.astype("datetime64[us]"), most)
    places = [place for place, _ in found]
    assert 1 <= len(found) <= most
    assert places == sorted(set(places))
    assert all(0 <= place < count and label for place, label in found)


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        (every("2001-01", 3, 1, "M"), ["2001-01", "2001-02", "2001-03"]),
        (every("2001", 2, 1, "Y"), ["2001", "2002"]),
        (every("2024-01-30", 2, 1, "D"), ["2024-01-30", "2024-01-31"]),
        (every("2024-01-30", 2, 1, "h"), ["2024-01-30 00:00", "2024-01-30 01:00"]),
        (every("2024-01-30", 2, 1, "s"), ["2024-01-30 00:00:00", "2024-01-30 00:00:01"]),
        (np.arange(2), ["0", "1"]),
    ],
)
def test_stamps_are_as_short_as_all_can_be(time, wanted):
    assert stamps(time) == wanted
