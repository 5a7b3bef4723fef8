"""What files of other people are read as: the right table, or a refusal whose advice leads to it."""

# ruff: noqa: PD011  (Panel.values is no pandas attribute)

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import forecheck as fc
from forecheck.data import memory
from forecheck.errors import DataError, UsageError

ROWS = 120
Y = np.round(100 + 10 * np.sin(np.arange(ROWS) / 7 * 2 * np.pi) + np.random.default_rng(0).normal(size=ROWS), 2)
DAYS = pd.date_range("2021-01-01", periods=ROWS)
HOURS = pd.date_range("2021-01-01", periods=ROWS, freq="h")
WEEKS = pd.date_range("2019-01-07", periods=ROWS, freq="W-MON")
MONTHS = pd.date_range("2000-01-01", periods=ROWS, freq="MS")
ISO = WEEKS.isocalendar()
YEAR_WEEK = (100 * ISO.year + ISO.week).to_numpy().astype(int)


@pytest.fixture
def write(tmp_path):
    def file(content, name="sales.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


def lines(first, cells, header="date,y", between=","):
    return "\n".join([header, *(f"{a}{between}{b}" for a, b in zip(first, cells, strict=True))]) + "\n"


# Times


TIMES = {
    # https://github.com/ciemss/pyciemss/issues/290, https://github.com/AutoViML/Auto_TS/issues/46
    "dates at any place": ({"y": Y, "week": DAYS.astype(str)}, DAYS),
    "day first": ({"y": Y, "Order Date": DAYS.strftime("%d/%m/%Y")}, DAYS),
    # https://github.com/pandas-dev/pandas/pull/15919
    "seconds of Unix": ({"unix": HOURS.astype("int64") // 10**6, "y": Y}, HOURS),
    "milliseconds": ({"y": Y, "created": HOURS.astype("int64") // 10**3}, HOURS),
    "nanoseconds": ({"y": Y, "created": HOURS.astype("int64") * 1000}, HOURS),
    "fractions of seconds": ({"timestamp": HOURS.astype("int64") / 10**6 + 0.5, "y": Y}, HOURS + pd.Timedelta("500ms")),
    # https://github.com/teamalgoritma/community/issues/463
    "year and week": ({"date": YEAR_WEEK, "y": Y}, WEEKS),
    "year and week elsewhere": ({"y": Y, "wk": YEAR_WEEK}, WEEKS),
    "weeks as text": ({"wk": [f"{n // 100}-W{n % 100:02d}" for n in YEAR_WEEK], "y": Y}, WEEKS),
    "year and month": ({"period": MONTHS.strftime("%Y%m").astype(int), "y": Y}, MONTHS),
    "year point month": ({"period": MONTHS.strftime("%Y.%m").astype(float), "y": Y}, MONTHS),
    "two digits of a year in digits": ({"d": DAYS.strftime("%y%m%d").astype(int), "y": Y}, DAYS),
    "day to year in digits": ({"date": DAYS.strftime("%d%m%Y").astype(int), "y": Y}, DAYS),
    "month to year in digits": ({"date": DAYS.strftime("%m%d%Y").astype(int), "y": Y}, DAYS),
    "year to hour": ({"date": HOURS.strftime("%Y%m%d%H").astype(int), "y": Y}, HOURS),
    "2005M01": ({"obs": MONTHS.strftime("%YM%m"), "y": Y}, MONTHS),
    "Q1 1980": (
        {"q": [f"Q{i % 4 + 1} {1980 + i // 4}" for i in range(ROWS)], "y": Y},
        pd.date_range("1980-01-01", periods=ROWS, freq="QS"),
    ),
    "days of a spreadsheet": ({"Date": 44197 + np.arange(ROWS), "y": Y}, DAYS),
    "hours of a spreadsheet": ({"Date": np.round(44197 + np.arange(ROWS) / 24, 6), "y": Y}, HOURS),
    "two digits of a year": ({"Date": DAYS.strftime("%m/%d/%y"), "y": Y}, DAYS),
    "31-Jan-19": ({"Date": DAYS.strftime("%d-%b-%y"), "y": Y}, DAYS),
    "Jan-05": ({"Month": MONTHS.strftime("%b-%y"), "y": Y}, MONTHS),
    "Sept": ({"date": MONTHS.strftime("%b %Y").str.replace("Sep", "Sept"), "y": Y}, MONTHS),
    # BigQuery and exchanges write it so
    "UTC": ({"ds": HOURS.strftime("%Y-%m-%d %H:%M:%S UTC"), "y": Y}, HOURS),
    # a date and a clock: https://archive.ics.uci.edu/dataset/235
    "date and clock": ({"Date": HOURS.strftime("%d/%m/%Y"), "Time": HOURS.strftime("%H:%M:%S"), "y": Y}, HOURS),
    "date and hour": ({"date": HOURS.strftime("%Y-%m-%d"), "hour": HOURS.hour, "y": Y}, HOURS),
    "parts": ({"year": HOURS.year, "month": HOURS.month, "day": HOURS.day, "hour": HOURS.hour, "y": Y}, HOURS),
    "names of months": ({"Year": MONTHS.year, "Month": MONTHS.strftime("%B"), "y": Y}, MONTHS),
    "12 AM": ({"at": HOURS.strftime("%m/%d/%Y %I %p"), "y": Y}, HOURS),
    "a clock that repeats": ({"date": HOURS, "time": HOURS.strftime("%H:%M"), "y": Y}, HOURS),
    "year and week apart": ({"year": ISO.year.to_numpy(), "week": ISO.week.to_numpy(), "y": Y}, WEEKS),
}


@pytest.mark.parametrize("case", TIMES)
def test_times_are_found_and_read(write, case):
    columns, expected = TIMES[case]
    for panel in (fc.load(write(pd.DataFrame(columns).to_csv(index=False))), fc.load(pd.DataFrame(columns))):
        assert panel.channels == ("y",)
        np.testing.assert_array_equal(panel.time, expected.to_numpy().astype("datetime64[us]"))
        np.testing.assert_array_equal(panel.values[:, 0], Y)
        assert panel.frequency.period > 1


def test_24_00_ends_the_day(write):
    clock = [f"{day:%m/%d/%Y} {hour:02d}:00" for day in DAYS[:5] for hour in range(1, 25)]
    panel = fc.load(write(lines(clock, Y, "Hour_End,load")))
    assert (str(panel.frequency), panel.time[23]) == ("hour", np.datetime64("2021-01-02"))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (slice(None, None, -1), "not sorted"),
        (np.r_[0:60, 59, 60:119], "same time twice"),
        (np.r_[0:50, 90:120], "lacks"),
    ],
)
@pytest.mark.parametrize("column", ["week", "ym", "unix_time", "x", "ymd"])
def test_times_of_any_name_are_checked(write, order, words, column):
    unix = HOURS.astype("int64") // 10**6
    times = {"week": DAYS.astype(str), "ym": MONTHS.strftime("%Y%m"), "unix_time": unix, "x": unix}
    times["ymd"] = DAYS.strftime("%Y%m%d").astype(int)
    frame = pd.DataFrame({"y": Y, column: times[column]}).iloc[order]
    with pytest.raises(DataError, match=f'{words}.*column "{column}"'):
        fc.load(write(frame.to_csv(index=False)))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("every", ["D", "W", "MS", "B", "h"])
def test_days_are_those_of_the_zone(zone, every):
    """https://github.com/unit8co/darts/issues/980"""
    index = pd.date_range("2022-01-03", periods=150, freq=every, tz=zone)
    values = np.arange(150) % 7 + 0.5
    panel = fc.load(pd.DataFrame({"y": values}, index=index))
    if every == "h":
        assert panel.time[0] == index[0].tz_convert(None).to_datetime64()
    else:
        assert panel.frequency == fc.load(pd.DataFrame({"y": values}, index=index.tz_localize(None))).frequency
        np.testing.assert_array_equal(panel.time, index.tz_localize(None).to_numpy().astype("datetime64[us]"))


@pytest.mark.parametrize("every", ["BME", "BMS", "BQE"])
def test_business_months(every):
    """https://github.com/facebook/prophet/issues/1578 and its kin."""
    stamps = pd.date_range("1990-01-31", periods=140, freq=every)
    panel = fc.load(pd.DataFrame({"ds": stamps[:128], "y": np.arange(128) % 7}))
    np.testing.assert_array_equal(panel.frequency.future(panel.time[-1], 12), stamps[128:].to_numpy().astype("M8[us]"))


@pytest.mark.parametrize(
    ("every", "period"), [("5min", 288), ("2h", 12), ("6h", 4), ("2MS", 6), ("7min", 1), ("2D", 1)]
)
def test_seasons_of_steps_that_divide_a_day_or_a_year(every, period):
    index = pd.date_range("2021-01-01", periods=60, freq=every)
    assert fc.load(pd.DataFrame({"y": np.arange(60) % 7}, index=index)).frequency.period == period


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([f"Jan-{day:02d}" for day in range(1, 32)], "day or a year"),
        ([201852, 201853, *range(201901, 201930)], "2018 has no week 53"),
        ([f"{i // 24:02d}/01/21" for i in range(24, 60)], "ways"),
        ([f"{year}-{(year + 1) % 100:02d}" for year in range(2001, 2012)], "two years that follow"),
        ([f"{year}/{year % 100 + 1:02d}" for year in range(2001, 2012)], "two years that follow"),
        (range(200101, 200132), "a week or a date of two-digit year"),
        ([day * 10**6 + 12021 for day in range(1, 13)], "two ways"),
        ([*range(20210101, 20210130), 20210230], "is none: 20210230"),
        ([100 * year + month for year in (2018, 2019, 2020) for month in range(13)], "is none: 201800"),
    ],
)
def test_doubtful_times_are_refused(cells, words):
    with pytest.raises(DataError, match=words):
        fc.load(pd.DataFrame({"date": cells, "y": np.arange(len(cells)) % 7}))


@pytest.mark.parametrize("name", ["ts", "openTime", "event_time", "time", "created_at"])
@pytest.mark.parametrize("scale", [1, 1000])
def test_unix_time_off_the_minute_is_told_by_its_name(name, scale):
    """Such columns were channels, and their rows steps."""
    seconds = 1_600_000_003 + 30 * np.arange(ROWS)
    panel = fc.load(pd.DataFrame({"y": Y, name: scale * seconds}))
    assert (panel.channels, panel.time[1]) == (("y",), np.datetime64("2020-09-13T12:27:13"))
    seconds[7] += 3
    with pytest.raises(DataError, match=f'irregular times in column "{name}"'):
        fc.load(pd.DataFrame({"y": Y, name: scale * seconds}))
    runs = pd.DataFrame({"date": DAYS, "runtime": scale * seconds[::-1], "y": Y})
    assert fc.load(runs).channels == ("runtime", "y")


@pytest.mark.parametrize(
    ("numbers", "first", "step"),
    [
        (range(200101, 200113), "2001-01-01", "month"),
        (range(210101, 210113), "2021-01-01", "day"),
        ([200102, 200103, *range(200106, 200111), 200113, 200114], "2020-01-02", "weekday"),
        (1_735_010_100 + 60 * np.arange(33), "2024-12-24T03:15", "minute"),  # also years, months and days in digits
    ],
)
def test_digits_that_may_be_two_things_are_what_is_regular(numbers, first, step):
    panel = fc.load(pd.DataFrame({"date": numbers, "y": np.arange(len(numbers)) % 5}))
    assert (panel.time[0], str(panel.frequency)) == (np.datetime64(first), step)


# What is no channel


@pytest.mark.parametrize("name", ["", "index", "id", "anything"])
@pytest.mark.parametrize("place", [0, 2])
def test_counters_are_no_channels(write, name, place):
    """https://github.com/erdewit/ib_insync/pull/350"""
    if not name and place:
        return
    frame = pd.DataFrame({"date": DAYS, "y": Y})
    frame.insert(place, name, np.arange(ROWS))
    panel = fc.load(write(frame.to_csv(index=False)))
    assert panel.channels == ("y",)
    assert f'set aside: "{name}"' in panel.described
    assert fc.load(write(frame.to_csv(index=False)), target=[name, "y"]).channels == (name, "y")


def test_a_counter_or_years_are_the_time_where_there_are_no_dates(write):
    frame = pd.DataFrame({"y": Y, "Year": 1900 + np.arange(ROWS)})
    assert fc.load(frame).time.tolist() == list(range(1900, 1900 + ROWS))
    decimal = pd.DataFrame({"t": np.round(1749 + np.arange(ROWS) / 12, 3), "y": Y})
    assert fc.load(decimal).channels == ("y",)
    two = pd.DataFrame({"a": np.arange(ROWS), "b": 2 * np.arange(ROWS), "y": Y})
    with pytest.raises(DataError, match='several columns that count its rows: "a", "b"'):
        fc.load(two)
    assert fc.load(two, time="b").channels == ("y",)
    for wrong in (np.random.default_rng(0).permutation(ROWS), np.r_[0:50, 60 : ROWS + 10]):
        with pytest.raises(DataError, match=r'(not sorted|lacks 10 steps).*column "t"'):
            fc.load(pd.DataFrame({"y": Y, "t": wrong}))
    with pytest.raises(DataError, match="no columns of values") as caught:
        fc.load(pd.DataFrame({"date": DAYS, "a": np.arange(ROWS)}))
    assert 'target="a"' in caught.value.remedy
    with pytest.raises(DataError, match="not sorted"):
        fc.load(frame.iloc[::-1])


def with_rows(numbers, missing=(), doubled=()):
    rows = sorted([row for row in range(len(numbers)) if row not in missing] + list(doubled))
    return np.asarray(numbers)[rows]


@pytest.mark.parametrize(
    "numbers",
    [
        with_rows(range(60), missing=(30, 31)),
        with_rows(range(60), doubled=(30,)),
        with_rows(np.arange(60) / 10, missing=(30,)),
        with_rows(np.round(1990 + np.arange(90) / 12, 3), missing=(30, 50)),
        np.random.default_rng(0).permutation(60) / 2,
        np.r_[30:60, 0:30] / 2,
        with_rows(range(500), missing=range(30, 400)),
    ],
)
def test_counters_with_rows_missing_doubled_or_moved_are_refused(numbers):
    """They were channels, and the rows consecutive steps."""
    frame = pd.DataFrame({"shift": numbers, "y": np.arange(len(numbers)) % 7 + 0.5})
    with pytest.raises(DataError, match=r"lacks|same time twice|not sorted|counts its rows but for row") as caught:
        fc.load(frame)
    assert 'drop=["shift"]' in caught.value.remedy
    assert fc.load(frame, drop=["shift"]).channels == ("y",)
    assert fc.load(frame, target=["shift", "y"]).channels == ("shift", "y")


@pytest.mark.parametrize("rows", [5, 12, 29])
def test_short_counters_are_known_by_their_names(rows):
    frame = pd.DataFrame({"t": 3 + np.arange(rows), "y": Y[:rows]})
    assert fc.load(frame).time.tolist() == list(range(3, rows + 3))
    with pytest.raises(DataError, match="not sorted"):
        fc.load(frame.sample(frac=1, random_state=0))


def test_a_missing_hour_is_named_not_the_end_of_a_day():
    hours = with_rows(np.arange(ROWS + 1) % 24, missing=(50,))
    with pytest.raises(DataError, match="but for row 50, where 3 follows 1"):
        fc.load(pd.DataFrame({"hour": hours, "y": Y}))


def test_hours_without_dates_are_values_and_years_of_two_digits_are_refused():
    assert fc.load(pd.DataFrame({"hour": (5 + np.arange(ROWS)) % 24, "y": Y})).channels == ("hour", "y")
    months = pd.DataFrame({"Year": 90 + np.arange(ROWS) // 12 % 10, "Month": 1 + np.arange(ROWS) % 12, "y": Y})
    with pytest.raises(DataError, match=r'"Year" and others.*less than four digits'):
        fc.load(months)


def test_parts_of_the_calendar_that_repeat_the_time_are_no_channels():
    frame = pd.DataFrame({"date": HOURS, "hour": HOURS.hour, "month": HOURS.month, "y": Y})
    panel = fc.load(frame)
    assert panel.channels == ("y",)
    assert "which repeat what the time says" in panel.described
    assert fc.load(frame.assign(hour=(HOURS.hour + 1) % 24)).channels == ("hour", "y")


WINTER = pd.date_range("2021-12-20", periods=ROWS)


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        ("weekday", WINTER.day_of_week),
        ("dow", WINTER.day_of_week + 1),
        ("DAYOFWEEK()", (WINTER.day_of_week + 1) % 7 + 1),
        ("js day", (WINTER.day_of_week + 1) % 7),
        ("dayofyear", WINTER.day_of_year),
        ("KW", WINTER.isocalendar().week.to_numpy()),
        ("m", WINTER.month),
        ("days_in_month", WINTER.days_in_month),
        ("workday", (WINTER.day_of_week < 5).astype(int)),
    ],
)
def test_features_of_the_calendar_are_no_channels_whatever_they_are_called(name, feature):
    feature = np.asarray(feature)
    frame = pd.DataFrame({"date": WINTER, name: feature, "y": Y})
    panel = fc.load(frame)
    assert panel.channels == ("y",)
    assert f'set aside: "{name}", which repeats what the time says' in panel.described
    assert fc.load(frame, target=[name, "y"]).channels == (name, "y")
    other = feature.copy()
    other[40] += 1
    assert fc.load(frame.assign(**{name: other})).channels == (name, "y")
    assert fc.load(frame.drop(columns="y")).channels == (name,)


def test_yes_and_no_that_are_weekends_are_no_channels():
    frame = pd.DataFrame({"date": WINTER, "is_weekend": WINTER.day_of_week >= 5, "y": Y})
    assert fc.load(frame).channels == ("y",)
    with pytest.raises(DataError, match="true and false"):
        fc.load(frame.assign(is_weekend=WINTER.day >= 15))


@pytest.mark.parametrize("index", ["", "Unnamed: 0", "__index_level_0__"])
@pytest.mark.parametrize("labels", [np.r_[0:60, 0:60], 7 * np.arange(ROWS) + np.arange(ROWS) % 5])
def test_labels_that_pandas_leaves_behind_are_no_channel(write, index, labels):
    """Of frames that were joined, or of which rows were taken out."""
    frame = pd.DataFrame({index: labels, "date": DAYS, "y": Y})
    assert fc.load(write(frame.to_csv(index=False))).channels == ("y",)


@pytest.mark.parametrize("sort", ["shop", "step"])
def test_series_below_each_other_are_no_channels(write, sort):
    """The advice leads to them."""
    long = pd.DataFrame({"shop": np.repeat([4, 2, 9], 40), "step": np.tile(np.arange(40), 3), "y": Y})
    path = write(long.sort_values(sort, kind="stable").to_csv(index=False))
    with pytest.raises(DataError, match='"step" counts anew for each number in "shop"') as caught:
        fc.load(path)
    assert "--series shop --time step" in caught.value.remedy
    panel = fc.load(path, series="shop", time="step")
    np.testing.assert_array_equal(panel.values[panel.series_rows(panel.series.index("9")), 0], Y[80:])
    assert fc.load(path, target=["shop", "y"], time=None).channels == ("shop", "y")
    hours = long.rename(columns={"shop": "day", "step": "hour"})
    assert fc.load(hours).channels == ("day", "hour", "y")


@pytest.mark.parametrize("year", [["Year"], [], ["Annual", "Year"]])
def test_a_row_a_year_is_refused_and_can_be_stacked(write, year, tmp_path, monkeypatch):
    """The months were twelve channels."""
    names = [f"{month:%b}" for month in MONTHS[:12]]
    wide = pd.DataFrame(Y.reshape(10, 12), columns=names).assign(**dict.fromkeys(year, range(2000, 2010)))
    path = write(wide[[*year, *names]].to_csv(index=False))
    with pytest.raises(DataError, match="a row a year") as caught:
        fc.load(path)
    assert fc.load(path, target=names).channels == tuple(names)
    monkeypatch.chdir(tmp_path)
    exec(caught.value.remedy.split("pandas: ")[1].split(". If")[0], {"pd": pd})
    panel = fc.load(tmp_path / "turned.csv")
    np.testing.assert_array_equal(panel.values[:, 0], Y)
    assert str(panel.frequency) == ("month" if year else "step")


@pytest.mark.parametrize("other", ["a ", " a", "e\u0301"])
def test_names_of_series_that_look_the_same_are_refused(write, other):
    """A blank at the end made two series of every second row."""
    name = "\u00e9" if "e" in other else "a"
    long = pd.DataFrame({"unique_id": [name, other] * 60, "ds": DAYS, "y": Y})
    with pytest.raises(DataError, match="look the same"):
        fc.load(write(long.to_csv(index=False)))
    case = long.assign(unique_id=["a", "A"] * 60)
    assert 'series "a" and "A" are two' in fc.load(case).described


@pytest.mark.parametrize("names", [DAYS[:40].strftime("%Y-%m-%d"), [str(1980 + i) for i in range(40)]])
def test_a_row_a_series_is_refused_and_can_be_turned(write, names, tmp_path):
    wide = pd.DataFrame([Y[:40], Y[40:80]], columns=names, index=["a", "b"])
    path = write(wide.to_csv(index_label="country"))
    with pytest.raises(DataError, match="a row a series") as caught:
        fc.load(path)
    assert 'pd.read_csv("sales.csv").set_index("country").T.to_csv("turned.csv")' in caught.value.remedy
    pd.read_csv(path).set_index("country").T.to_csv(tmp_path / "turned.csv")
    panel = fc.load(tmp_path / "turned.csv")
    assert (panel.channels, len(panel.values)) == (("a", "b"), 40)


# Rows


def test_blank_lines_of_one_column_are_missing_values(write):
    """https://github.com/pandas-dev/pandas/issues/12443"""
    cells = [str(y) for y in Y]
    cells[50] = cells[70] = ""
    path = write("\n".join(["value", *cells]) + "\n")
    with pytest.raises(DataError, match='2 missing values in column "value", the first at row 52'):
        fc.load(path)
    assert len(fc.load(path, fill="linear").values) == ROWS


@pytest.mark.parametrize("header", ["0", "101,205"])
def test_a_header_of_numbers_is_asked_about(write, header):
    """https://github.com/pandas-dev/pandas/issues/10646"""
    width = header.count(",") + 1
    path = write("\n".join([header, *(",".join([str(round(y))] * width) for y in Y)]))
    with pytest.raises(DataError, match="may be names of columns as well as data") as caught:
        fc.load(path)
    assert "--header or --no-header" in caught.value.remedy
    assert len(fc.load(path, header=True).values) == ROWS
    assert fc.load(path, header=True).channels == tuple(header.split(","))
    assert len(fc.load(path, header=False).values) == ROWS + 1


@pytest.mark.parametrize(
    "before",
    [
        *("# logger 7\n# units: kW\n", "Weekly report\n\n", "sep=,\n", "SEP=,\n", "\n", "Report\nof the year\n"),
        # what ends no line here ends one for str.splitlines
        *("\ufeff# a\n", "\ufeff\ufeff", "# a\u2028\n", "# a\x0b# b\n", "\x0c\n", "# a\x85\n# b\n"),
    ],
)
def test_lines_before_the_header(write, before):
    """https://github.com/duckdb/duckdb/issues/12746, https://github.com/pandas-dev/pandas/issues/47303"""
    text = before + lines(DAYS.astype(str), Y, "date,load")
    panel = fc.load(write(text))
    assert (panel.channels, len(panel.values)) == (("load",), ROWS)
    with pytest.raises(DataError, match=f"row {text.count(chr(10), 0, text.index('2021-01-03')) + 1}"):
        fc.load(write(text.replace("2021-01-03", "soon")))


def test_skip_and_delimiters(write):
    text = "a,b,c\n1,2\n" + lines(DAYS.astype(str), Y, "date:load", ":")
    assert len(fc.load(write(text), skip=2, delimiter=":").values) == ROWS
    spaces = write(lines(DAYS.astype(str), Y, "date load", "  "))
    with pytest.raises(DataError, match="seems to be parted by spaces") as caught:
        fc.load(spaces)
    assert "--delimiter space" in caught.value.remedy
    np.testing.assert_array_equal(fc.load(spaces, delimiter="space").values[:, 0], Y)


def test_empty_columns_and_rows_of_spreadsheets(write):
    text = lines(DAYS.astype(str), [f"{y},," for y in Y], "date,y,,") + ",,,\n,,,\n"
    panel = fc.load(write(text))
    assert panel.values.shape == (ROWS, 1)
    assert "2 columns without name" in panel.described
    assert "2 rows without cells" in panel.described


def test_data_without_a_header_but_with_text_are_asked_about(write):
    text = "\n".join(f"s1,{day:%Y-%m-%d},{y}" for day, y in zip(DAYS, Y, strict=True))
    with pytest.raises(DataError, match="seem to be data"):
        fc.load(write(text))
    assert len(fc.load(write(text), header=False, series="0", time="1").values) == ROWS


@pytest.mark.parametrize(
    ("first", "written"),
    [
        ("", "{}%,{}%"),
        ("", "${},${}"),
        ("", "\u2212{},{}"),
        ("", '"1,{:06.2f}","1,{:06.2f}"'),
        ("2021-01-01,", "{}%,{}%"),
    ],
)
def test_values_with_a_sign_are_no_header(write, first, written):
    """Nor is the first row lost where all of it could be names."""
    days = DAYS.astype(str) if first else [""] * ROWS
    rows = [
        f"{day}{',' if day else ''}{written.format(y, y + i % 3)}"
        for i, (day, y) in enumerate(zip(days, Y, strict=True))
    ]
    panel = fc.load(write("\n".join(rows)))
    assert (panel.channels, len(panel.values)) == (("0", "1"), ROWS)
    assert np.abs(panel.values[0, 0]) % 1000 == pytest.approx(Y[0])


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        ("NA", "{}"),
        ("-", "{}"),
        ('""', "{}"),
        ("inf,-inf", "{},1"),
        ("-,103", "{},7"),
        ("s1,1,10", "s1,2,{}"),
        ("s1,1,10", "s2,2,{}"),
        ("1. Mai 2021,10", "2. Mai 2021,{}"),
        ("07:00,10", "08:00,{}"),
        ("1,ok,10", "2,ok,{}"),
        ("2021-01-01,2021-01-02,5", "2021-01-02,2021-01-03,{}"),
        ("1 000", "{}"),
    ],
)
def test_a_first_row_that_may_be_data_is_asked_about(write, first, rest):
    """Each of these was the header in silence, and its row lost."""
    path = write("\n".join([first, *(rest.format(y) for y in Y)]))
    with pytest.raises(DataError, match=r"may be names|seem to be data") as caught:
        fc.load(path)
    assert "--header or --no-header" in caught.value.remedy


@pytest.mark.parametrize("first", ["-1,05", "2021-01-01,100,05", "+3,05,7,10"])
def test_a_decimal_comma_that_cuts_a_number_in_two_is_asked_about(write, first):
    """Each number was two columns."""
    digits = sum(len(cell) == 2 and cell.isdigit() for cell in first.split(","))
    rows = [first.rsplit(",", 1)[0] + f",{37 * i % 100:02d}" for i in range(ROWS)]
    path = write("\n".join([first, *rows]))
    with pytest.raises(DataError, match="may be one number with a decimal comma, or two columns") as caught:
        fc.load(path)
    assert "--delimiter ," in caught.value.remedy
    assert len(fc.load(path, delimiter=",", drop=["date"] if "2021" in first else []).values) == ROWS + 1
    assert digits


@pytest.mark.parametrize("header", ["5%,95%", "country,2019", "a1,b1", ",1", "-,a"])
def test_names_of_any_kind_are_names(write, header):
    path = write("\n".join([header, *(f"{i + 7 * (i % 2)},{y}" for i, y in enumerate(Y))]))
    assert len(fc.load(path, drop=[header.split(",")[0]]).values) == ROWS


# Numbers


def grouped(y, thousands, decimal):
    return f"{100 * y:,.2f}".replace(",", "T").replace(".", decimal).replace("T", thousands)


@pytest.mark.parametrize(("thousands", "decimal"), [(".", ","), (",", "."), (" ", ","), ("'", "."), ("\u202f", ",")])
def test_numbers_of_other_countries(write, thousands, decimal):
    """https://github.com/ngrunwald/meta-csv/issues/5, https://github.com/jseutter/ofxparse/pull/77"""
    panel = fc.load(write(lines(DAYS.strftime("%d.%m.%Y"), [grouped(y, thousands, decimal) for y in Y], "a;b", ";")))
    np.testing.assert_allclose(panel.values[:, 0], 100 * Y)


@pytest.mark.parametrize("thousands", [".", ","])
@pytest.mark.parametrize("between", [";", "\t"])
def test_thousands_that_may_be_decimals_are_asked_about(write, thousands, between):
    """https://github.com/pola-rs/polars/issues/18797"""
    cells = [f"{round(10 * y):,}".replace(",", thousands) for y in Y]  # 987, 1.010
    path = write(lines(DAYS.strftime("%d.%m.%Y"), cells, f"a{between}b", between))
    with pytest.raises(DataError, match="which may be") as caught:
        fc.load(path)
    assert "--thousands" in caught.value.remedy
    np.testing.assert_array_equal(fc.load(path, thousands=thousands).values[:, 0], np.round(10 * Y))
    assert fc.load(path, decimal=thousands).values.min() < 10


def test_other_columns_settle_the_doubt(write):
    cells = [f"{round(10 * y):,}".replace(",", ".") + f";{y}".replace(".", ",") for y in Y]
    panel = fc.load(write(lines(DAYS.astype(str), cells, "date;a;b", ";")))
    np.testing.assert_array_equal(panel.values, np.c_[np.round(10 * Y), Y])
    three = fc.load(write(lines(DAYS.astype(str), [f"{y / 10:.3f}" for y in Y])))
    np.testing.assert_allclose(three.values[:, 0], np.round(Y / 10, 3))


@pytest.mark.parametrize("cell", ["-", "#DIV/0!", "?", "$5", "5%", "5 kW"])
def test_cells_that_are_almost_numbers_are_refused_with_advice(write, cell):
    cells = [cell if i == 7 else y for i, y in enumerate(Y)]
    with pytest.raises(DataError, match=r"is not a number.* at row 9") as caught:
        fc.load(write(lines(DAYS.astype(str), cells)))
    assert "leave the cell empty" in caught.value.remedy or "number alone" in caught.value.remedy


def test_whole_numbers_that_lose_digits_are_refused_in_text_too(write):
    cells = ["n/a" if i == 3 else 9007199254740993 + 2 * i for i in range(ROWS)]
    with pytest.raises(DataError, match=r"9007199254740993 .*lose digits"):
        fc.load(write(lines(DAYS.astype(str), cells)), fill="linear")
    with pytest.raises(DataError, match="lose digits"):
        fc.load(write(lines(DAYS.astype(str), [10**20 + 7 * i for i in range(ROWS)])))
    with pytest.raises(DataError, match="lose digits"):
        fc.load(pd.DataFrame({"y": [10**20 + i for i in range(ROWS)]}))


@pytest.mark.parametrize("value", [1e20, 9.96921e36, 2147483647, -1e15, -(2**63)])
def test_values_that_drown_all_others_are_named(value):
    """https://github.com/CESR-lab/ucla-roms/issues/58, https://github.com/awslabs/gluonts/pull/3312"""
    cells = Y.astype(int) if isinstance(value, int) else Y.copy()
    cells[100] = value
    with pytest.raises(DataError, match=f"holds {value:g}.*at row 100".replace("+", r"\+")):
        fc.load(pd.DataFrame({"y": cells}))


def test_codes_for_missing_are_told_and_growth_is_no_code():
    cells = Y.copy()
    cells[[3, 9]] = -999
    assert '-999 in "y" looks like a code for missing (2 rows)' in fc.load(pd.DataFrame({"y": cells})).described
    fc.load(pd.DataFrame({"y": 10.0 ** (np.arange(ROWS) / 5)}))
    fc.load(pd.DataFrame({"y": np.where(np.arange(ROWS) == 5, 1000.0, np.arange(ROWS) % 2)}))


@pytest.mark.parametrize("factor", [1e150, 1e-200])
def test_values_whose_squares_leave_the_range_are_refused(factor):
    with pytest.raises(DataError, match="to be squared"):
        fc.load(pd.DataFrame({"y": Y * factor}))


# Series


def test_constant_series_are_read_and_set_aside_where_they_cannot_be_scaled(write):
    """https://github.com/Nixtla/statsforecast/pull/821"""
    long = pd.concat([pd.DataFrame({"unique_id": f"s{k}", "ds": DAYS, "y": Y if k == 2 else k}) for k in range(4)])
    panel = fc.load(long)
    assert len(panel.series) == 4
    found = fc.forecast(panel, horizon=2, workers=0).to_pandas()
    assert found.loc[found.unique_id == "s3", "combination"].tolist() == [3.0, 3.0]
    linear = fc.forecast(panel, horizon=2, model="last", lookback=7, workers=0)
    assert set(linear.columns["unique_id"]) == {"s2"}
    assert "3 of 4 series never change or have too few rows" in linear.info["notes"][0]


def test_constant_columns_are_named_together(write):
    wide = pd.DataFrame({"ds": DAYS, "a": 1.0, "b": 2.0, "y": Y})
    with pytest.raises(DataError, match=r'channel "a" and 1 other') as caught:
        fc.forecast(wide, horizon=2, model="last", lookback=7, workers=0)
    assert "--drop a --drop b" in caught.value.remedy
    found = fc.forecast(wide, horizon=2, workers=0).to_pandas()
    assert found.loc[found.unique_id == "b", "combination"].tolist() == [2.0, 2.0]


def test_an_index_called_like_a_column():
    """https://github.com/sktime/sktime/issues/1469"""
    frame = pd.DataFrame({"y": Y}, index=DAYS)
    for twice in (frame.rename_axis("ds").assign(ds=DAYS), frame.assign(date=DAYS.astype(str))):
        assert fc.load(twice).channels == ("y",)
    with pytest.raises(DataError, match='column "ds", beside a column of that name'):
        fc.load(frame.rename_axis("ds").assign(ds=DAYS[::-1]))


def test_series_and_columns_of_periods():
    assert fc.load(pd.Series(Y, index=DAYS, name="v")).channels == ("v",)
    assert fc.load(pd.Series(Y)).channels == ("y",)
    periods = pd.DataFrame({"p": pd.period_range("2000-01", periods=ROWS, freq="M"), "y": Y})
    assert str(fc.load(periods).frequency) == "month"


# Files


def test_files_of_other_kinds_are_named_for_what_they_are(write):
    for text, kind in [
        ('[{"date": "2021-01-01", "v": 1}]', "JSON"),
        ('{"date": "2021-01-01", "v": 1}\n', "JSON"),
        ("# x\n@relation t\n@data\nT1:1,2\n", r"\.tsf"),
        ("<!DOCTYPE html>", "web page"),
    ]:
        with pytest.raises(DataError, match=kind):
            fc.load(write(text))


def test_a_folder_of_parquet_files_becomes_one_as_advised(tmp_path):
    frame = pd.DataFrame({"unique_id": ["a"] * ROWS + ["b"] * ROWS, "ds": [*DAYS, *DAYS], "y": [*Y, *Y]})
    pq.write_to_dataset(pa.Table.from_pandas(frame), tmp_path / "part", partition_cols=["unique_id"])
    with pytest.raises(DataError, match="folder of Parquet files") as caught:
        fc.load(tmp_path / "part")
    assert "pq.read_table" in caught.value.remedy
    pq.write_table(pq.read_table(tmp_path / "part"), tmp_path / "whole.parquet")
    assert fc.load(tmp_path / "whole.parquet").series == ("a", "b")


def test_a_header_of_any_length_and_accents_of_any_form(write):
    names = [f"sensor_with_a_long_name_{i:06d}" for i in range(2500)]
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2500)), columns=names)
    frame.insert(0, "date", DAYS[:40])
    assert fc.load(write(frame.to_csv(index=False))).channels == tuple(names)
    path = write(lines(DAYS.astype(str), Y, "date,La\u0308nge"))
    assert fc.load(path, target="L\u00e4nge").channels == ("L\u00e4nge",)


def test_bombs_are_refused_before_memory_goes(write, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 10**8)
    packed = gzip.compress(b"1.5\n" * (1 << 24)) + gzip.compress(b"1.5\n")  # the size it states is that of the last
    with pytest.raises(DataError, match="too large for this machine"):
        fc.load(write(packed, "bomb.csv.gz"))
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**5, dtype=np.int32)), pa.array(["x" * 10**6]))
    pq.write_table(pa.table({"y": np.arange(1e5), "s": text}), tmp_path / "bomb.parquet")
    with pytest.raises(DataError, match="texts of 1,000,000 bytes"):
        fc.load(tmp_path / "bomb.parquet")


@pytest.mark.parametrize("metadata", [b"{", b"[]", b"null", b'{"index_columns": 5}', b"\xff", b"[" * 10**5])
def test_metadata_that_are_none_of_pandas_change_nothing(tmp_path, metadata):
    table = pa.table({"y": Y, "d": pa.array(DAYS)}).replace_schema_metadata({b"pandas": metadata})
    pq.write_table(table, tmp_path / "x.parquet")
    assert fc.load(tmp_path / "x.parquet").channels == ("y",)


@pytest.mark.parametrize("end", ['"', ""])
def test_cells_without_an_end_are_refused(write, end):
    text = lines(DAYS.astype(str), [f"{y},a" for y in Y], "date,y,z") + '2021-05-01,1.5,"' + "x" * 200_000 + end + "\n"
    with pytest.raises(DataError, match=r"131,072 characters|is not a number"):
        fc.load(write(text))


@pytest.mark.parametrize(
    "options",
    [{"decimal": ";"}, {"thousands": "x"}, {"delimiter": "ab"}, {"skip": -1}, {"decimal": ",", "thousands": ","}],
)
def test_notations_that_are_none_are_a_wrong_use(write, options):
    with pytest.raises(UsageError):
        fc.load(write(lines(DAYS.astype(str), Y)), **options)
    with pytest.raises(UsageError, match="named set"):
        fc.load("nile", header=True)
    with pytest.raises(UsageError, match="data frame"):
        fc.load(pd.DataFrame({"y": Y}), skip=3)


def test_what_was_read_is_told_in_one_line(write):
    panel = fc.load(write(pd.DataFrame({"id": range(ROWS), "when": DAYS, "y": Y}).to_csv(index=False)))
    assert panel.described == (
        'read 120 rows as 1 channel of one series, time column "when", every day, season of 7 steps; '
        'time column "when" found by its dates; set aside: "id", which counts the rows'
    )
    assert panel.reading.time == "when"
    assert json.dumps(panel.reading.notes)
