"""Time marks against pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.marks import SCALED, calendar_parts, frequency_letter, scaled_marks, whole_marks
from forecheck.errors import UsageError

# The ranges of gluonts.time_feature, which Time-Series-Library took over.
PANDAS = {
    "second": lambda t: t.second / 59,
    "minute": lambda t: t.minute / 59,
    "hour": lambda t: t.hour / 23,
    "weekday": lambda t: t.day_of_week / 6,
    "day": lambda t: (t.day - 1) / 30,
    "yearday": lambda t: (t.day_of_year - 1) / 365,
    "week": lambda t: (t.isocalendar().week.to_numpy().astype(float) - 1) / 52,
    "month": lambda t: (t.month - 1) / 11,
}


@given(st.lists(st.integers(-(10**15), 4 * 10**15), min_size=1, max_size=20), st.sampled_from(sorted(SCALED)))
def test_scaled_marks_are_those_of_pandas(microseconds, frequency):
    times = np.array(microseconds).astype("datetime64[us]")
    stamps = pd.DatetimeIndex(times)
    expected = np.stack([np.asarray(PANDAS[name](stamps), float) - 0.5 for name in SCALED[frequency]], axis=-1)
    np.testing.assert_allclose(scaled_marks(times, frequency), expected, atol=1e-12)
    whole = whole_marks(times, minutes=True)
    by_hand = [stamps.month, stamps.day, stamps.day_of_week, stamps.hour, stamps.minute // 15]
    np.testing.assert_array_equal(whole, np.stack([np.asarray(each) for each in by_hand], axis=-1))
    np.testing.assert_array_equal(whole_marks(times, minutes=False), whole[:, :4])


def test_the_order_is_that_of_the_library():
    """An hourly mark is hour, weekday, day, day of the year: 2016-07-01 13:00 was a Friday."""
    found = scaled_marks(np.array(["2016-07-01T13:00"], "datetime64[us]"), "h")
    np.testing.assert_allclose(found[0], [13 / 23 - 0.5, 4 / 6 - 0.5, -0.5, 182 / 365 - 0.5])


@pytest.mark.parametrize(
    ("step", "letter"),
    [
        *(("1s", "s"), ("30s", "s"), ("1min", "t"), ("15min", "t"), ("h", "h"), ("6h", "h"), ("D", "d"), ("B", "d")),
        *(("W", "w"), ("MS", "m"), ("QE", "m"), ("YS", "m")),
    ],
)
def test_the_letter_of_a_step(step, letter):
    times = pd.date_range("2020-01-03", periods=12, freq=step).to_numpy().astype("datetime64[us]")
    assert frequency_letter(times[None]) == letter


def test_rows_have_no_calendar():
    for make in (calendar_parts, frequency_letter, lambda t: scaled_marks(t, "h")):
        with pytest.raises(UsageError, match="these data have none"):
            make(np.arange(12).reshape(2, 6))
    with pytest.raises(UsageError, match="no frequency 'x'"):
        scaled_marks(np.array(["2020-01-01"], "datetime64[us]"), "x")
