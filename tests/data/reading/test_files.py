"""Files as people have them: read right, or refused with file, column, row, time and remedy."""

import gzip
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forecheck.data import memory
from forecheck.data.frequency import Frequency
from forecheck.data.reading.files import read
from forecheck.errors import DataError, UsageError

ROWS = [f"2023-05-02 {hour:02d}:00,{hour}.5,{hour * hour}" for hour in range(24)]
GOOD = "\n".join(["date,a,b", *ROWS]) + "\n"


def changed(row, line):
    """The good file with line `row` (the header is 1) replaced; None removes it."""
    lines = GOOD.splitlines()
    lines[row - 1 : row] = [] if line is None else [line]
    return "\n".join(lines) + "\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="sales.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (GOOD, "sales.csv"),
        (GOOD, "sales"),
        (GOOD.replace("\n", "\r\n"), "windows.csv"),
        (GOOD.removesuffix("\n"), "no_last_newline.csv"),
        ("\ufeff" + GOOD, "excel.csv"),
        (GOOD.replace(",", ";"), "semicolon.csv"),
        (GOOD.replace(",", "\t"), "tab.tsv"),
        (GOOD.replace(",", "|"), "bar.txt"),
        (GOOD.replace(",", ", "), "spaces.csv"),
        (GOOD.replace("date,a,b", '"date","a","b"'), "quoted.csv"),
        ("\n" + GOOD.replace("\n2023-05-02 03", "\n\n2023-05-02 03"), "blank_lines.csv"),
        (gzip.compress(GOOD.encode()), "sales.csv.gz"),
        (gzip.compress(GOOD.encode()), "packed_without_saying_so.csv"),
        (GOOD.replace("2023-05-02 ", "2023/5/2 "), "slashes.csv"),
        (GOOD.replace("2023-05-02 ", "5/2/2023 ").replace("date", "when"), "american_if_regular.csv"),
        (GOOD.replace("2023-05-02 ", "02.05.2023 "), "german.csv"),
    ],
)
def test_layouts(write, content, name):
    if name in ("american_if_regular.csv", "german.csv"):  # one day, read either way: nobody can know
        with pytest.raises(DataError, match="may be read in two ways"):
            read(write(content, name))
        return
    panel = read(write(content, name))
    assert panel.channels == ("a", "b")
    assert panel.frequency == Frequency("us", 3_600_000_000)
    assert panel.time[4] == np.datetime64("2023-05-02T04:00")
    np.testing.assert_array_equal(panel.values, [[hour + 0.5, hour * hour] for hour in range(24)])


def test_without_header_and_dates(write):
    panel = read(write(gzip.compress(b"0.5,1\n0.25,2\n0.75,-3e0\n"), "rates.txt.gz"))
    assert panel.channels == ("0", "1")
    assert panel.values.tolist() == [[0.5, 1], [0.25, 2], [0.75, -3]]
    assert panel.frequency == Frequency("step")


def test_without_header_but_with_dates(write):
    panel = read(write("\n".join(ROWS)))
    assert panel.channels == ("0", "1")
    assert len(panel.values) == 24


def test_an_index_column_without_name_is_the_time(write):
    panel = read(write(",a\n0,1.5\n1,2.5\n2,7\n"))
    assert (panel.channels, panel.time.tolist()) == (("a",), [0, 1, 2])


def test_names_that_lost_their_characters_stay(write):
    assert read(write("date,W/m\ufffd\n2020-01-01,1\n2020-01-02,2\n")).channels == ("W/m\ufffd",)


def test_dates_written_as_numbers(write):
    panel = read(write("date,co2\n19580329,316.1\n19580405,317.3\n19580412,317.6\n"))
    assert str(panel.frequency) == "week"
    assert panel.time[0] == np.datetime64("1958-03-29")


def test_parquet_with_a_date_index_of_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2024-01-01", periods=4, freq="D")
    pandas.DataFrame({"a": [1.0, 2, 3, 5]}, index=index).to_parquet(tmp_path / "x.parquet")
    panel = read(tmp_path / "x.parquet")
    assert (panel.channels, str(panel.frequency)) == (("a",), "day")


def test_long_csv(write):
    path = write("unique_id,ds,y\nB,2024-01-01,1\nA,2024-01-01,2\nB,2024-01-02,3\nA,2024-01-02,5\n")
    panel = read(path)
    assert (panel.series, panel.values[:, 0].tolist()) == (("B", "A"), [1, 3, 2, 5])
    assert read(path, drop=["A"]).series == ("B",)


def test_names_of_series_stay_text(write):
    path = write("store,ds,y\n007,1,1\n7,1,2\n007,2,3\n7,2,5\n")
    assert read(path, series="store").series == ("007", "7")
    with pytest.raises(DataError, match=r'name of the series is missing in column "store" at row 3'):
        read(write("store,ds,y\na,1,1\n,1,2\n"), series="store")


def test_missing_values_read_as_the_style_guide_says(write):
    """The exact message; --fill is off by default."""
    text = changed(6, "2023-05-02 04:00,,16").replace("05:00,5.5", "05:00,NA")
    with pytest.raises(DataError) as caught:
        read(write(text))
    assert caught.value.message == (
        'sales.csv has 2 missing values in column "a", the first at row 6 (2023-05-02 04:00).'
    )
    assert caught.value.remedy == "Fill them with --fill linear | last | seasonal, or drop the column with --drop a."
    panel = read(write(text), fill="linear")
    assert panel.values[4:6, 0].tolist() == [4.5, 5.5]
    assert panel.fills == {"a": 2}


BAD_TEXT = {
    "text in a cell": (changed(6, "2023-05-02 04:00,4.5,n.d."), ['"n.d."', 'column "b"', "row 6", "--drop b"]),
    "text that float() takes": (changed(6, "2023-05-02 04:00,1_000,1"), ['"1_000"', 'column "a"', "row 6"]),
    "decimal comma": (changed(6, '2023-05-02 04:00,"4,5",16'), ['"4,5"', "row 6", "decimals with a point"]),
    "unit in a cell": (changed(6, "2023-05-02 04:00,4.5 kW,16"), ['"4.5 kW"', "row 6"]),
    "infinite": (changed(6, "2023-05-02 04:00,inf,16"), ["1 infinite", 'column "a"', "row 6 (2023-05-02 04:00)"]),
    "minus infinite": (changed(6, "2023-05-02 04:00,-inf,16"), ["1 infinite", "row 6"]),
    "unsorted": (
        changed(6, "2023-05-02 02:30,4.5,16"),
        ["not sorted by time", "2023-05-02 02:30 at row 6 comes after 2023-05-02 03:00", "Sort"],
    ),
    "duplicate": (
        changed(6, "2023-05-02 03:00,4.5,16"),
        ["same time twice", "2023-05-02 03:00 at row 5 and row 6", "--series", "--drop date"],
    ),
    "irregular": (
        changed(6, "2023-05-02 04:10,4.5,16"),
        ["irregular times", "usual step is hour", "2023-05-02 04:10 at row 6 follows 2023-05-02 03:00", "--drop date"],
    ),
    "hole": (
        changed(6, None),
        ["lacks 1 step of its regular grid of one hour", "first is 2023-05-02 04:00, before row 6", "--fill"],
    ),
    "unreadable date": (
        changed(6, "yesterday,4.5,16"),
        ['column "date" at row 6 cannot be read as a date: "yesterday"', "2024-12-31 23:00", "--time", "--drop date"],
    ),
    "impossible date": (changed(6, "2023-02-30 04:00,4.5,16"), ["row 6", '"2023-02-30 04:00"']),
    "missing date": (changed(6, ",4.5,16"), ['time in column "date" at row 6', "missing"]),
    "two-digit years": ("date,a\n01/02/21,1\n01/03/21,2\n", ['"01/02/21"', "row 2"]),
    "too few cells": (changed(6, "2023-05-02 04:00,4.5"), ["2 cells at row 6, but 3 at row 1"]),
    "too many cells": (changed(6, "2023-05-02 04:00,4,5,16"), ["4 cells at row 6, but 3 at row 1", "in quotes"]),
    "empty": ("", ["is empty"]),
    "blank": (" \n\n", ["is empty"]),
    "header only": ("date,a,b\n", ["holds no rows"]),
    "single row": ("date,a,b\n2020-01-01,1,2\n", ["has a single row"]),
    "single row without header": ("1.5,2\n", ["has a single row"]),
    "duplicate names": ("date,a,a\n1,2,3\n", ['two columns called "a"', "2 and 3"]),
    "nameless column": ("date,a,\n1,2,5\n2,3,\n", ["column 3 has no name"]),
    "numbers as names": ("0,1,2\n5,6,7\n8,9,7\n", ["row 1 (0, 1, 2, ...) may be numbers of columns"]),
    "Latin-1": ("date,a,W/m²\n1,2,3\n".encode("latin1"), ["not UTF-8", "row 1", "0xb2", "iconv"]),
    "Latin-1 in a cell": (changed(6, "2023-05-02 04:00,4,5°").encode("latin1"), ["not UTF-8", "row 6", "0xb0"]),
    "UTF-16": (GOOD.encode("utf-16"), ["UTF-16", "UTF-8"]),
    "random bytes": (np.random.default_rng(0).bytes(5000), ["not a text file"]),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(100), ["a PNG image"]),
    "Excel": (b"PK\x03\x04" + bytes(100), ["a ZIP archive (Excel"]),
    "times of day only": ("time,a\n12:30,1\n12:40,2\n", ['column "time"', "row 2", "neither a date nor"]),
}


@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_text_is_refused_with_place_and_remedy(write, case):
    content, words = BAD_TEXT[case]
    with pytest.raises(DataError) as caught:
        read(write(content))
    for word in ("sales.csv", *words):
        assert word in caught.value.args[0]
    assert caught.value.remedy


@pytest.mark.parametrize("case", ["text in a cell", "hole", "unreadable date"])
def test_rows_are_lines_of_the_file(write, case):
    """Blank lines and cells that span lines move the line numbers; the message follows."""
    content = BAD_TEXT[case][0].replace("date,a,b\n", '\n"date","a","b"\n\n')
    with pytest.raises(DataError, match=r"row 8\b"):
        read(write(content))


def test_a_quote_that_is_never_closed_is_named(write):
    with pytest.raises(DataError, match="a quote in the row that begins in line 1 is never closed"):
        read(write('nan5,"2\n2.5,3;\n3.5,5\n4,9e3\n'))


def test_a_quoted_cell_may_span_lines(write):
    text = 'unique_id,y\n"a\nb",1\n"a\nb",x\n'
    with pytest.raises(DataError, match=r'"x".* at row 4'):
        read(write(text))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cut.csv.gz", gzip.compress(GOOD.encode())[:-12], "damaged or incomplete gzip"),
        ("flipped.csv.gz", gzip.compress(GOOD.encode())[:-6] + b"\0\0\0\0\0\0", "damaged or incomplete gzip"),
        ("plain.csv.gz", GOOD.encode(), "not a gzip file though its name says so"),
        ("fake.parquet", GOOD.encode(), "not a Parquet file though its name says so"),
        ("junk.parquet", b"PAR1" + bytes(200) + b"PAR1", "damaged Parquet file"),
        ("empty.parquet", b"", "is empty"),
    ],
)
def test_damaged_files_are_refused(write, name, content, words):
    with pytest.raises(DataError, match=words) as caught:
        read(write(content, name))
    assert name in caught.value.message
    assert caught.value.remedy


def test_no_pickle_is_ever_opened(write, monkeypatch):
    import pickle

    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    with pytest.raises(DataError, match="not a text file"):
        read(write(pickle.dumps({"a": [1, 2, 3]}), "model.pkl"))


def test_missing_file_folder_and_forbidden_file(write, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.csv"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)
    path = write(GOOD)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        read(path)


def test_unknown_names_and_fill(write):
    path = write(GOOD)
    for options in ({"time": "c"}, {"target": ["a", "c"]}, {"series": "c"}, {"drop": ["c"]}):
        with pytest.raises(DataError, match=r'sales\.csv has no column "c"') as caught:
            read(path, **options)
        assert '"date", "a", "b"' in caught.value.remedy
    with pytest.raises(UsageError, match="linear, last or seasonal"):
        read(path, fill="mean")


def test_files_larger_than_memory_are_refused_before_reading(write, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2000)
    packed = write(gzip.compress(GOOD.encode()), "sales.csv.gz")
    pq.write_table(pa.table({"a": np.arange(1000.0)}), tmp_path / "a.parquet")
    for path in (write(GOOD), packed, tmp_path / "a.parquet"):
        with pytest.raises(DataError, match=r"is too large for this machine: .* 2 kB are free") as caught:
            read(path)
        assert path.name in caught.value.message
        assert "Cut the file" in caught.value.remedy
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    assert len(read(packed).values) == 24


def test_available_memory_is_plausible():
    assert 10**6 < memory.available_memory() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + 1
