"""Times of many notations; what can be read in two ways is refused."""

import numpy as np
import pyarrow as pa
import pytest

from forecheck.data.reading.dates import UnreadableTimeError, parse_times


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-01-31", "2024-02-01 05:30"], ["2024-01-31", "2024-02-01T05:30"]),
        (["2024-01-31T00:00:00.25"], ["2024-01-31T00:00:00.250"]),
        (["2024-01-31T00:00Z", "2024-01-31T01:00+02:00"], ["2024-01-31T00:00", "2024-01-30T23:00"]),
        (["2024-01-31+01:00", "2024-02-01+01:00"], ["2024-01-31", "2024-02-01"]),
        (["2024-01-31-05:00", "2024-02-01-0500"], ["2024-01-31", "2024-02-01"]),
        (["2024-01-31Z"], ["2024-01-31"]),
        (["2024/1/31 5:07"], ["2024-01-31T05:07"]),
        (["2024-01", "2024-02"], ["2024-01-01", "2024-02-01"]),
        (["2024Q1", "2024Q4"], ["2024-01-01", "2024-10-01"]),
        (["Jan-1-1995", "Sep-1-1995"], ["1995-01-01", "1995-09-01"]),
        (["3 March 2024 11:00 PM", "4 March 2024 12:00 AM"], ["2024-03-03T23:00", "2024-03-04"]),
        (["Mar 2024"], ["2024-03-01"]),
        (["31.12.2023", "01.01.2024"], ["2023-12-31", "2024-01-01"]),
        (["12/31/2023", "1/1/2024"], ["2023-12-31", "2024-01-01"]),
        (["05/05/2024"], ["2024-05-05"]),
        (["20240131"], ["2024-01-31"]),
        ([19580329, 19580405], ["1958-03-29", "1958-04-05"]),
        (pa.array([0], pa.timestamp("ms", "Asia/Tokyo")), ["1970-01-01"]),
        (pa.array([1], pa.date32()), ["1970-01-02"]),
    ],
)
def test_dates(cells, expected):
    column = cells if isinstance(cells, pa.Array) else pa.array(cells)
    times = parse_times(column)
    assert times.dtype == np.dtype("datetime64[us]")
    np.testing.assert_array_equal(times, np.array(expected, dtype="datetime64[us]"))


@pytest.mark.parametrize("cells", [[3, 4], [3.0, 4.0], ["3", "4"], ["+3", "04"]])
def test_whole_numbers_are_steps(cells):
    assert parse_times(pa.array(cells)).tolist() == [3, 4]


def test_the_order_of_day_and_month_that_makes_the_series_regular():
    months = [f"01/{month:02d}/{year}" for year in (2023, 2024) for month in range(1, 13)]
    assert parse_times(pa.array(months))[1] == np.datetime64("2023-02-01")


@pytest.mark.parametrize(
    ("cells", "row", "why"),
    [
        (["01/02/2024", "01/03/2024"], 0, "two ways"),
        (["2024-01-01", "soon"], 1, '"soon"'),
        (["2024-01-01", "2024-13-01"], 1, '"2024-13-01"'),
        (["2024/1/1", "2024/2/30"], 1, '"2024/2/30"'),
        (["Foo 2024"], 0, '"Foo 2024"'),
        (["1/1/2024 13:00 PM"], 0, "13:00 PM"),
        (["2024-01-01", ""], 1, "missing"),
        (["2024-01-01", None], 1, "missing"),
        (["2024-01-01", "2024-01-01T00:00Z"], 1, "time zone"),
        (["0001-01-01T00:00+05:00"], 0, "cannot be read"),
        (["--5"], 0, "cannot be read"),
        (["9" * 19], 0, "cannot be read"),
        ([1.5], 0, "1.5"),
        ([1.0, float("nan")], 1, "neither"),
        ([True], 0, "type bool"),
        (pa.array([1], pa.timestamp("ns")), 0, "finer than a microsecond"),
    ],
)
def test_what_is_no_time_is_refused_by_row(cells, row, why):
    column = cells if isinstance(cells, pa.Array) else pa.array(cells)
    with pytest.raises(UnreadableTimeError, match=why) as caught:
        parse_times(column)
    assert caught.value.row == row
