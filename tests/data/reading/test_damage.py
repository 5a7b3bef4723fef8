"""Damaged files end in a DataError or in finite values, never in another exception."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecheck.data.reading.files import read
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
