"""A frequency that is inferred from stamps continues them, and what is no frequency is not taken for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.frequency import Frequency, infer_frequency, infer_grid

_DAY = 86_400_000_000
starts = st.integers(-3_000_000_000, 4_000_000_000).map(
    lambda s: np.datetime64("1970-01-01", "us") + np.timedelta64(s, "s")
)
lengths = st.integers(3, 60)


def continued(frequency, start, length):
    return np.concatenate([[start], frequency.future(start, length - 1)])


def assert_inverse(time):
    """Every prefix of at least two stamps has a frequency, and the whole one's future is the rest."""
    frequency = infer_frequency(time)
    assert frequency is not None
    np.testing.assert_array_equal(frequency.positions(time), np.arange(len(time)))
    for cut in range(1, len(time)):
        np.testing.assert_array_equal(frequency.future(time[cut - 1], len(time) - cut), time[cut:])


@given(starts, st.integers(1, 27 * _DAY), lengths)
def test_fixed_spans(start, span, length):
    time = continued(Frequency("us", span), start, length)
    assert infer_frequency(time) == Frequency("us", span)
    assert_inverse(time)


@given(st.integers(-100, 100), st.integers(1, 1000), lengths)
def test_whole_steps(start, step, length):
    time = start + step * np.arange(length)
    assert infer_frequency(time) == Frequency("step", step)
    assert_inverse(time)


@given(st.integers(-500, 700), st.integers(1, 31), st.integers(0, 86399), st.sampled_from([1, 2, 3, 6, 12]), lengths)
def test_months_on_any_day(month, day, second, count, length):
    months = np.datetime64("1970-01", "M") + month + count * np.arange(length)
    days = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(int)
    time = months.astype("datetime64[D]") + (np.minimum(day, days) - 1).astype("timedelta64[D]")
    time = time.astype("datetime64[us]") + np.timedelta64(second, "s")
    assert_inverse(time)
    assert infer_frequency(time).unit == "month"


@given(st.integers(0, 20000), st.integers(6, 60))
def test_weekdays(day, length):
    start = np.busday_offset(np.datetime64("1970-01-01", "D") + day, 0, roll="forward")
    time = np.busday_offset(start, np.arange(length)).astype("datetime64[us]")
    assert infer_frequency(time) == Frequency("weekday")
    assert_inverse(time)


def test_month_ends_stay_month_ends():
    time = np.array(["2023-06-30", "2023-09-30"], dtype="datetime64[us]")
    assert infer_frequency(time) == Frequency("month", 3, month_end=True)
    assert infer_frequency(time).future(time[-1], 1)[0] == np.datetime64("2023-12-31")


def test_three_months_of_31_days_are_months():
    time = np.array(["2023-12-01", "2024-01-01"], dtype="datetime64[us]")
    assert infer_frequency(time).future(time[-1], 1)[0] == np.datetime64("2024-02-01")


def test_a_day_cut_by_february_returns():
    time = np.array(["2023-01-30", "2023-02-28"], dtype="datetime64[us]")
    assert infer_frequency(time).future(time[-1], 1)[0] == np.datetime64("2023-03-30")


@given(starts, st.sets(st.integers(1, 50), min_size=1, max_size=10))
def test_holes_are_no_frequency_but_lie_on_a_grid(start, removed):
    whole = continued(Frequency("us", 3_600_000_000), start, 100)
    time = np.delete(whole, sorted(removed))
    assert infer_frequency(time) is None
    grid = infer_grid(time)
    assert grid == Frequency("us", 3_600_000_000)
    assert grid.positions(time)[-1] + 1 - len(time) == len(removed)


def test_a_market_holiday_is_a_hole_among_weekdays():
    time = np.busday_offset("2024-01-01", np.delete(np.arange(30), 10)).astype("datetime64[us]")
    assert infer_frequency(time) is None
    assert infer_grid(time) == Frequency("weekday")


@given(st.lists(st.integers(1, 10**6).filter(lambda step: step % 7), min_size=2, max_size=20))
def test_uneven_steps_have_no_frequency(steps):
    time = np.datetime64("2020-01-01", "us") + np.cumsum([7, *steps, 7 * 10**6]).astype("timedelta64[us]")
    assert infer_frequency(time) is None


@pytest.mark.parametrize(
    ("frequency", "period", "text"),
    [
        (Frequency("us", 3_600_000_000), 24, "hour"),
        (Frequency("us", 600_000_000), 144, "10 minutes"),
        (Frequency("us", 900_000_000), 96, "15 minutes"),
        (Frequency("us", _DAY), 7, "day"),
        (Frequency("us", 7 * _DAY), 52, "week"),
        (Frequency("us", 1_500), 1, "1500 us"),
        (Frequency("month"), 12, "month"),
        (Frequency("month", 3), 4, "3 months"),
        (Frequency("weekday"), 5, "weekday"),
        (Frequency("step"), 1, "step"),
        (Frequency("step", season=24), 24, "step"),
    ],
)
def test_period_and_name(frequency, period, text):
    assert (frequency.period, str(frequency)) == (period, text)
