"""`forecheck stream`: what is written, what is said, and what is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def shops(tmp_path):
    days = np.datetime64("2024-01-01", "D") + np.arange(60)
    y = np.random.default_rng(0).normal(size=240)
    names = np.repeat(["a", "b", "c", "d"], 60)
    pq.write_table(pa.table({"unique_id": names, "ds": np.tile(days, 4), "y": y}), tmp_path / "shops.parquet")
    return tmp_path / "shops.parquet"


def test_forecasts_are_written_and_a_second_run_finds_them(forecheck, shops, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        done = forecheck("stream", shops, "--horizon", 3, "--lookback", 8, "--level", 80, "-o", out)
        assert done.code == 0
        assert done.out == ""
        assert "read 240 rows as 1 channel of 4 series" in done.err
        assert done.err.endswith(f"wrote 1 part to {out}\n")
    assert pq.read_table(out).column_names == ["unique_id", "ds", "nlinear", "nlinear-lo-80", "nlinear-hi-80"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "auto"), "auto cannot be streamed"),
        (("--set", "linear.ridge=1"), "no effect on nlinear"),
        (("--series", "shop"), 'no column "shop"'),
    ],
)
def test_what_cannot_be_streamed_is_said(forecheck, shops, tmp_path, options, said):
    done = forecheck("stream", shops, "--horizon", 3, "-o", tmp_path / "out", *options)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "out").exists()
