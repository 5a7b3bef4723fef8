"""Damaged files end in a DataError or in finite values, never in another exception."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecheck.data.reading.files import read
from forecheck.data.reading.frames import from_frame
from forecheck.errors import DataError

WIDE = b"date,a,b\n" + b"".join(b"2024-01-%02d,%d.5,-%de1\n" % (day, day, day * day) for day in range(1, 13))
LONG = b"unique_id;ds;y\n" + b"".join(b'"%c";%d;%d\n' % (65 + row % 3, row // 3, row * row) for row in range(12))
BARE = b"1.5,2\n2.5,3\n3.5,5\n4,9e3\n"

edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(
            [b"", b"\n", b'"', b",", b";", b"\0", b"\xff", b"-", b"e", b".", b" ", b"nan", b"inf", b"\r", b"9"]
        ),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=4,
)


def assert_read_or_refused(path, **options):
    """A panel that keeps its promises, or an error that names the file."""
    try:
        panel = read(path, **options)
    except DataError as error:
        refusal = error
    else:
        assert np.isfinite(panel.values).all()
        for index in range(len(panel.series)):
            assert (np.diff(panel.time[panel.series_rows(index)]).astype(np.int64) > 0).all()
        return
    assert path.name in refusal.message


@settings(max_examples=200)
@given(st.sampled_from([WIDE, LONG, BARE]), edits, st.booleans(), st.sampled_from([None, "linear", "last", "seasonal"]))
def test_edited_text(tmp_path_factory, original, edits, packed, fill):
    data = original
    for where, inserted, removed in edits:
        at = int(where * len(data))
        data = data[:at] + inserted + data[at + removed :]
    path = tmp_path_factory.getbasetemp() / "edited.csv"
    path.write_bytes(gzip.compress(data) if packed else data)
    assert_read_or_refused(path, fill=fill)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    assert_read_or_refused(path)


@pytest.mark.parametrize("cut", range(1, len(gzip.compress(WIDE)) - 1, 7))
def test_every_cut_of_a_gzip_file_is_noticed(tmp_path, cut):
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(WIDE)[:cut])
    with pytest.raises(DataError, match=r"cut\.csv\.gz"):
        read(path)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_text_that_is_none(kind, tmp_path):
    """Bytes of another encoding, which Parquet and arrow keep under the name of text."""
    cells = [b"Zurich"] * 29 + [b"Z\xfcrich"]
    if pa.types.is_dictionary(kind):
        _, *held = pa.array([b"Zurich", b"Z\xfcrich"], pa.binary()).buffers()
        text = pa.DictionaryArray.from_arrays(
            pa.array([0] * 29 + [1], pa.int32()), pa.Array.from_buffers(pa.string(), 2, [None, *held])
        )
    else:
        binary = pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()
        text = pa.Array.from_buffers(kind, 30, pa.array(cells, binary).buffers())
    values = np.random.default_rng(0).normal(size=30)
    table = pa.table({"day": np.arange(30).astype("datetime64[D]").astype("datetime64[us]"), "town": text, "y": values})
    path = tmp_path / "towns.parquet"
    pq.write_table(table, path)
    with pytest.raises(DataError, match=r"towns\.parquet.*(not UTF-8|Invalid UTF8)"):
        read(path)
    with pytest.raises(DataError, match=r'column "town" is damaged, or text that is not UTF-8'):
        from_frame(table)
    assert from_frame(table, drop=["town"]).channels == ("y",)


def test_text_that_cannot_be_written():
    """pandas refuses half of a surrogate pair where it knows that a column is text, but not among objects."""
    town = pd.Series(["\ud800"] * 30, dtype=object)
    with pytest.raises(DataError, match="text that no encoding can write"):
        from_frame(pd.DataFrame({"town": town, "y": np.random.default_rng(0).normal(size=30)}))
