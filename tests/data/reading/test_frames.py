"""Frames of three libraries make the same panel, wide and long."""

# ruff: noqa: PD011  (Panel.values is no pandas attribute)

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.reading.files import read
from forecheck.data.reading.frames import from_frame
from forecheck.errors import DataError, UsageError

HOURS = np.datetime64("2024-02-28", "us") + np.arange(60).astype("timedelta64[h]")
X = np.random.default_rng(0).normal(size=(60, 2))
LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


values_of_a_panel = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 20), st.integers(1, 4)),
    elements=st.floats(-1e99, 1e99).filter(lambda value: value == 0 or abs(value) > 1e-99),  # squares stay finite
    unique=True,  # no channel is constant
)


@given(values_of_a_panel)
def test_wide_round_trip_through_csv_frames_and_parquet(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("round")
    time = HOURS[: len(values)]
    names = [f"c{column}" for column in range(values.shape[1])]
    wide = pd.DataFrame(values, columns=names)
    wide.insert(0, "date", time)
    wide.to_csv(folder / "wide.csv", index=False, float_format="%.17g")
    wide.to_parquet(folder / "wide.parquet")
    panels = [
        read(folder / "wide.csv"),
        read(folder / "wide.parquet"),
        from_frame(wide),
        from_frame(wide.set_index("date")),
        from_frame(pl.read_csv(folder / "wide.csv")),
        from_frame(pl.from_pandas(wide).lazy()),
        from_frame(pq.read_table(folder / "wide.parquet")),
    ]
    for panel in panels:
        np.testing.assert_array_equal(panel.values, values)
        np.testing.assert_array_equal(panel.time, time)
        assert panel.channels == tuple(names)
        assert panel.frequency == Frequency("us", 3_600_000_000)
        assert panel.fills == {}


def test_wide_without_dates_counts_steps(library):
    panel = from_frame(library({"a": X[:, 0], "b": X[:, 1]}))
    assert (panel.frequency, panel.time.tolist()) == (Frequency("step"), list(range(60)))
    np.testing.assert_array_equal(panel.values, X)


@pytest.mark.parametrize("name", ["Date", "DS", "timestamp", "Time", "datetime"])
def test_the_time_column_is_found_by_name_in_any_place(library, name):
    panel = from_frame(library({"a": X[:, 0], name: HOURS}))
    assert panel.channels == ("a",)
    np.testing.assert_array_equal(panel.time, HOURS)


def test_the_first_column_is_the_time_if_it_holds_dates(library):
    texts = [str(hour).replace("T", " ") for hour in HOURS]
    for stamps in (texts, HOURS):
        panel = from_frame(library({"when": stamps, "a": X[:, 0]}))
        np.testing.assert_array_equal(panel.time, HOURS)


def test_the_user_names_time_and_target(library):
    frame = library({"a": X[:, 0], "b": X[:, 1], "hour_of_record": np.arange(60) * 2})
    panel = from_frame(frame, time="hour_of_record", target=["b", "a"])
    assert panel.channels == ("b", "a")
    assert panel.frequency == Frequency("step", 2)
    np.testing.assert_array_equal(panel.values, X[:, ::-1])
    assert from_frame(frame, time="hour_of_record", target="b").channels == ("b",)
    assert from_frame(frame, time="hour_of_record", drop=["a"]).channels == ("b",)


def test_time_zones_become_utc():
    index = pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin")  # across the change of the clock
    panel = from_frame(pd.DataFrame({"a": X[:, 0]}, index=index))
    assert panel.time[0] == np.datetime64("2024-03-29T23:00")
    assert str(panel.frequency) == "hour"
    texts = from_frame(pl.DataFrame({"date": [stamp.isoformat() for stamp in index], "a": X[:, 0]}))
    np.testing.assert_array_equal(texts.time, panel.time)


@pytest.mark.parametrize(("key", "time", "target"), [("unique_id", "ds", "y"), ("item_id", "timestamp", "target")])
def test_long_frames_of_known_names(library, key, time, target):
    """Ragged, interleaved, series in order of first appearance."""
    rows = [("b", 0), ("a", 5), ("b", 1), ("a", 6), ("b", 2), ("a", 7), ("a", 8)]
    frame = library(
        {
            time: HOURS[[hour for _, hour in rows]],
            key: [name for name, _ in rows],
            target: [float(hour) for _, hour in rows],
            "price": [1.0] * len(rows),
        }
    )
    panel = from_frame(frame)
    assert (panel.series, panel.channels) == (("b", "a"), (target,))
    assert panel.offsets.tolist() == [0, 3, 7]
    assert panel.values[:, 0].tolist() == [0, 1, 2, 5, 6, 7, 8]
    np.testing.assert_array_equal(panel.time, HOURS[[0, 1, 2, 5, 6, 7, 8]])


def test_long_frames_of_names_given(library):
    frame = library({"shop": [2, 2, 2, 1, 1], "day": [1, 2, 3, 1, 2], "in": [1, 2, 3, 4, 5], "out": [5, 4, 3, 2, 1]})
    panel = from_frame(frame, series="shop", time="day", target=["out", "in"])
    assert (panel.series, panel.channels) == (("2", "1"), ("out", "in"))
    assert panel.values.tolist() == [[5, 1], [4, 2], [3, 3], [2, 4], [1, 5]]
    assert from_frame(frame, series="shop", time="day", drop=["2"]).series == ("1",)
    assert from_frame(frame, series="shop", drop=["day"]).time.tolist() == [0, 1, 2, 0, 1]


def test_pandas_indices_count_as_columns():
    long = pd.DataFrame({"item_id": list("aabb"), "timestamp": [1, 2, 1, 2], "target": [1.0, 2, 3, 5]})
    panel = from_frame(long.set_index(["item_id", "timestamp"]))
    assert (panel.series, panel.values[:, 0].tolist()) == (("a", "b"), [1, 2, 3, 5])
    monthly = pd.DataFrame({"a": [1.0, 2, 4]}, index=pd.period_range("2024-01", periods=3, freq="M"))
    assert str(from_frame(monthly).frequency) == "month"
    filtered = pd.DataFrame({"a": [1.0, 2, 4, 8]})[lambda frame: frame.a > 1]
    assert from_frame(filtered).channels == ("a",)


LABELS = [f"2024-01-{day:02d}" for day in range(1, 31)]


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        [dt.date.fromisoformat(label) for label in LABELS],
        [int(label.replace("-", "")) for label in LABELS],
        [1_700_000_000 + 86_400 * day for day in range(30)],
        pd.Categorical(LABELS),
    ],
)
def test_times_in_an_index_without_a_name_are_the_time(labels):
    """They were left out, and rows of any order read as steps."""
    frame = pd.DataFrame({"a": np.arange(30) % 7}, index=labels)
    assert str(from_frame(frame).frequency) == "day"
    with pytest.raises(DataError, match='not sorted by time in column "date"'):
        from_frame(frame[::-1])
    with pytest.raises(DataError, match="lacks 1 step"):
        from_frame(frame.drop(index=frame.index[7]))
    with pytest.raises(DataError, match=r'"date" at row 0 is missing'):
        from_frame(pd.DataFrame({"a": np.arange(30) % 7}, index=pd.Index([None, *LABELS[1:]], dtype=object)))


@pytest.mark.parametrize("order", [np.random.default_rng(0).permutation(60), np.arange(60)[::-1], np.r_[1:60, 0]])
def test_rows_without_times_whose_labels_are_out_of_order_are_refused(order):
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    moved = frame.iloc[order]
    for given_frame in (moved, moved["a"]):
        with pytest.raises(DataError, match="no times, and the labels of its rows are out of order") as caught:
            from_frame(given_frame)
        assert "frame.sort_index()" in caught.value.remedy
    np.testing.assert_array_equal(from_frame(moved.sort_index()).values, X)
    np.testing.assert_array_equal(from_frame(moved.reset_index(drop=True)).values, X[order])
    np.testing.assert_array_equal(from_frame(frame[frame.a > 0]).values, X[X[:, 0] > 0])
    dated = frame.assign(date=HOURS).sample(frac=1, random_state=0).sort_values("date")
    np.testing.assert_array_equal(from_frame(dated.set_axis(order)).values, X)


def test_spans_of_time_in_an_index_are_steps_if_regular():
    frame = pd.DataFrame({"a": np.arange(9) % 4}, index=pd.timedelta_range("0h", periods=9, freq="h"))
    assert from_frame(frame).frequency == Frequency("step")
    with pytest.raises(DataError, match=r'column "date" .*duration'):
        from_frame(frame.drop(index=frame.index[3]))


def test_cells_of_any_arrow_type_are_read():
    """A counter in a dictionary was a channel."""
    step = pa.array(range(60)).dictionary_encode()
    table = pa.table({"step": step, "y": pa.array([str(x) for x in X[:, 0]]).cast(pa.string_view())})
    for whole in (table, table.to_batches()[0]):
        panel = from_frame(whole)
        assert (panel.channels, panel.time[-1]) == (("y",), 59)
        np.testing.assert_array_equal(panel.values[:, 0], X[:, 0])


def test_short_series_follow_the_frequency_of_the_long_ones():
    """Two stamps 31 days apart are a month here, though alone they could be 31 days."""
    stamps = ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-07-31", "2024-08-31", "2024-09-30"]
    frame = pd.DataFrame({"unique_id": list("aaaabbc"), "ds": pd.to_datetime(stamps), "y": [1.0, 2, 3, 4, 1, 2, 3]})
    assert from_frame(frame).frequency == Frequency("month", 1, month_end=True)


def test_mixed_frequencies_are_refused():
    frame = pl.DataFrame({"unique_id": list("aaabbb"), "ds": [0, 1, 2, 0, 2, 3], "y": range(6)})
    with pytest.raises(DataError, match=r'lacks 1 step .* of series "b", the first is time 1, before row 4'):
        from_frame(frame)
    frame = pl.DataFrame({"unique_id": list("aaaabbb"), "ds": [0, 2, 4, 6, 0, 2, 3], "y": range(7)})
    with pytest.raises(
        DataError, match=r'irregular times in column "ds" of series "b".* time 3 at row 6 follows time 2'
    ):
        from_frame(frame)


def test_objects_of_python_are_read():
    frame = pd.DataFrame(
        {
            "date": [dt.date(2024, 1, day) for day in (1, 2, 3)],
            "a": pd.array([1, 2, 3], dtype="Int64"),
            "b": np.array([1, 2.5, "3"], dtype=object),
            "c": pd.Categorical(["1", "2", "1"]),
        }
    )
    assert from_frame(frame).values.tolist() == [[1, 1, 1], [2, 2.5, 2], [3, 3, 1]]


@pytest.mark.parametrize(
    ("frame", "options", "words"),
    [
        ({"a": [1, 2], "b": [1, None]}, {}, ['1 missing value in column "b"', "row 1", 'fill="linear"', 'drop=["b"]']),
        ({"a": [1, 2], "b": ["1", "x"]}, {}, ['holds "x"', 'column "b" at row 1', 'drop=["b"]']),
        ({"a": ["x", "1"], "b": [1, 2]}, {}, ['column "a" at row 0', 'series="a"', 'time="a"']),
        ({"a": [1, 2], "b": [True, False]}, {}, ["true and false", '"b"']),
        ({"a": [1, 2], "b": [[1], [2]]}, {}, ["list<", '"b"']),
        ({"a": [1, 2**60 + 1]}, {}, [str(2**60 + 1), "row 1", "lose digits"]),
        ({"a": [Decimal(1), Decimal(2**60 + 1)]}, {}, [str(2**60 + 1), "row 1", "lose digits"]),
        ({"a": [1.0, float("inf")]}, {}, ['1 infinite value in column "a"', "row 1"]),
        ({"a": [1, 2]}, {"target": "A"}, ['no column "A"', 'Did you mean "a"?']),
        ({"a": [1, 2]}, {"time": "when"}, ['no column "when"']),
        ({"a": [1, 2]}, {"series": "who"}, ['no column "who"']),
        ({"alpha": [1, 2]}, {"drop": ["alpah"]}, ['no column "alpah"', 'Did you mean "alpha"?']),
        ({"a": [1, 2]}, {"drop": ["a"]}, ["no columns of values"]),
        ({"a": [1, 2], "b": [1, 2]}, {"time": "a", "target": "a"}, ['column "a" cannot be a target', "Choose among b"]),
        (
            {"date": [1, 2], "time": [1, 2], "b": [1, 2]},
            {},
            ['several columns that may be the time: "date" and "time"'],
        ),
        ({"date": [1.5, 2], "b": [1, 2]}, {}, ["neither a date nor a whole number: 1.5", "row 0"]),
        ({"date": ["2024-01-01", None], "b": [1, 2]}, {}, ["is missing", "row 1"]),
        ({"date": ["2024-01-01", "2024-01-02T00:00Z"], "b": [1, 2]}, {}, ["time zone", "row 1"]),
        ({"unique_id": ["a", None], "y": [1, 2]}, {}, ["name of the series is missing", "row 1"]),
        ({"unique_id": ["a", "b"], "y": [1, 2]}, {}, ["single row a series"]),
        ({"a": [1]}, {}, ["single row"]),
        ({"a": []}, {}, ["no rows"]),
    ],
)
def test_bad_frames_are_refused_with_place_and_remedy(frame, options, words):
    with pytest.raises(DataError) as caught:
        from_frame(pa.table(frame), name="sales", **options)
    for word in ("sales", *words):
        assert word in str(caught.value)


def test_true_among_numbers_is_no_one():
    frame = pd.DataFrame({"a": pd.Series([1.5, True, 3.5], dtype=object)})
    with pytest.raises(DataError, match=r'"True", which is not a number.* row 1'):
        from_frame(frame)


def test_what_is_no_frame_or_fill_is_a_wrong_use():
    with pytest.raises(UsageError, match="a list, not a data frame"):
        from_frame([1, 2, 3])
    with pytest.raises(UsageError, match=r"unknown way to fill .*'zero'"):
        from_frame(pl.DataFrame({"a": [1, 2]}), fill="zero")
    twice = pd.DataFrame(X, columns=["a", "a"])
    with pytest.raises(DataError, match='two columns called "a"'):
        from_frame(twice)


def test_a_parquet_file_with_a_name_twice_is_refused(tmp_path):
    named = pa.table([pa.array(["x", "y"]), pa.array([1.0, 2.0])], names=["a", "a"])
    pq.write_table(named, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match=r'twice\.parquet has two columns called "a"'):
        read(tmp_path / "twice.parquet")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([{"a": 1}] * 60), r"a struct<a: int64> in every row, so it names no series"),
        (pa.array([10**17 + each for each in range(60)], pa.timestamp("ms")), r"times beyond the year 9999"),
    ],
)
def test_columns_that_name_no_series_are_refused(column, words):
    table = pa.table({"date": HOURS, "y": X[:, 0], "key": column})
    with pytest.raises(DataError, match=words) as error:
        from_frame(table, series="key", time="date")
    assert 'series="NAME"' in str(error.value)


def test_panel_from_frame_and_fingerprint():
    frame = pl.DataFrame({"date": HOURS, "a": X[:, 0]})
    panel = Panel.from_frame(frame, name="x")
    assert panel.name == "x"
    assert "1 series x 1 channels, 60 rows, every hour" in repr(panel)
    assert panel.fingerprint == from_frame(frame).fingerprint
    assert panel.fingerprint != from_frame(frame.with_columns(a=pl.col("a") + 1)).fingerprint
