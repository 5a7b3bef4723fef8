"""Filling is off by default, counted when on, and refused where there is nothing to fill from."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.reading.frames import from_frame
from forecheck.errors import DataError

NAN = float("nan")
DAYS = np.datetime64("2024-01-01", "us") + np.arange(28).astype("timedelta64[D]")


def daily(values):
    return pl.DataFrame({"date": DAYS[: len(values)], "a": values}, strict=False)


@pytest.mark.parametrize(
    ("fill", "values", "expected"),
    [
        ("linear", [1, NAN, NAN, 4, 5, NAN, 7], [1, 2, 3, 4, 5, 6, 7]),
        ("last", [1, NAN, NAN, 4, 5, NAN, NAN], [1, 1, 1, 4, 5, 5, 5]),
        ("seasonal", [1, 2, 3, 4, 5, 6, 7, NAN, 9], [1, 2, 3, 4, 5, 6, 7, 1, 9]),
        ("seasonal", [NAN, 2, 3, 4, 5, 6, 7, 8, 9], [8, 2, 3, 4, 5, 6, 7, 8, 9]),  # leading: the next season
        # A gap longer than a season repeats the season before it.
        ("seasonal", [1, 2, 3, 4, 5, 6, 7, *[NAN] * 9, 17], [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2, 17]),
    ],
)
def test_fill_and_count(fill, values, expected):
    panel = from_frame(daily(values), fill=fill)
    assert panel.values[:, 0].tolist() == expected
    assert panel.fills == {"a": int(np.isnan(values).sum())}


@pytest.mark.parametrize(
    ("fill", "values", "words"),
    [
        ("last", [NAN, NAN, 3, 4], ["begins with 2 missing values", "row 0 (2024-01-01)", "seasonal"]),
        ("linear", [NAN, 2, 3, 4], ["begins with 1 missing value,"]),
        ("linear", [1, 2, NAN, NAN], ["ends with 2 missing values", "row 2 (2024-01-03)"]),
        ("seasonal", [1, NAN, 3, 4], ["the same phase has no value in any season", "row 1"]),
        ("last", [NAN] * 4, ["no values at all", 'drop=["a"]']),
    ],
)
def test_what_cannot_be_filled_is_refused(fill, values, words):
    with pytest.raises(DataError) as caught:
        from_frame(daily(values), fill=fill)
    for word in (f"cannot be filled by {fill}", *words):
        assert word in str(caught.value)


def test_seasonal_needs_a_season():
    with pytest.raises(DataError, match="a step of one step has no season"):
        from_frame(pl.DataFrame({"a": [1.0, NAN, 3.0]}), fill="seasonal")


def test_missing_rows_of_a_regular_grid_are_completed():
    whole = np.arange(20.0)
    frame = pl.DataFrame(
        {
            "date": np.delete(DAYS[:20], [3, 4, 9]),
            "a": np.delete(whole, [3, 4, 9]),
            "b": 1 / (1 + np.delete(whole, [3, 4, 9])),
        }
    )
    panel = from_frame(frame, fill="linear")
    np.testing.assert_array_equal(panel.time, DAYS[:20])
    np.testing.assert_allclose(panel.values[:, 0], whole)
    assert panel.fills == {"a": 3, "b": 3}


def test_far_more_missing_rows_than_rows_are_refused():
    stamps = np.concatenate([np.array(["1970-01-01"], dtype="datetime64[us]"), DAYS[:10]])
    with pytest.raises(DataError, match=r"lacks 19,722 steps .* more than the 11 that are there, too many to fill"):
        from_frame(pl.DataFrame({"date": stamps, "a": np.arange(11.0)}), fill="last")


def test_series_are_filled_apart():
    frame = pl.DataFrame({"unique_id": list("aaabbb"), "ds": [0, 1, 2, 0, 1, 2], "y": [1.0, 2, NAN, NAN, 5, 6]})
    with pytest.raises(DataError, match=r'series "a" at row 2 .*ends with 1 missing value'):
        from_frame(frame, fill="linear")
    with pytest.raises(DataError, match=r'series "b" at row 3 .*begins with 1 missing value') as caught:
        from_frame(frame, fill="last")
    assert 'drop=["b"]' in caught.value.remedy


def test_several_columns_are_counted_in_one_message():
    frame = pl.DataFrame({"a": [1.0, 2, 3], "b": [NAN, NAN, 1.0], "c": [1.0, NAN, NAN], "d": [1.0, 2, NAN]})
    with pytest.raises(DataError, match=r'2 missing values in column "b", .*row 0 \(and 3 more in 2 other columns\)'):
        from_frame(frame)
    with pytest.raises(DataError, match='no values at all in column "e"'):
        from_frame(frame.select("a", pl.lit(NAN).alias("e")))


@given(st.lists(st.floats(-1e6, 1e6), min_size=9, max_size=28, unique=True), st.data())
def test_filling_leaves_what_was_there(values, data):
    holes = data.draw(st.sets(st.integers(1, len(values) - 2), min_size=1, max_size=len(values) - 8))
    holed = [NAN if row in holes else value for row, value in enumerate(values)]
    for fill in ("linear", "last"):
        panel = from_frame(daily(holed), fill=fill)
        there = sorted(set(range(len(values))) - holes)
        assert panel.values[there, 0].tolist() == [values[row] for row in there]
        assert panel.fills == {"a": len(holes)}
        assert min(values) <= panel.values.min() <= panel.values.max() <= max(values)
