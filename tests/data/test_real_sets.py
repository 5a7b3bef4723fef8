"""The real sets, where FORECHECK_DATA holds them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from forecheck.data.load import load
from forecheck.data.splits import parse_split

needs_data = pytest.mark.skipif("FORECHECK_DATA" not in os.environ, reason="FORECHECK_DATA names no folder")
ETT = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


@needs_data
@pytest.mark.parametrize(
    ("name", "rows", "channels", "borders", "period"),
    [
        ("ETTh1", 17420, 7, (8640, 11520, 14400), 24),
        ("ETTh2", 17420, 7, (8640, 11520, 14400), 24),
        ("weather", 52696, 21, (36887, 42157, 52696), 144),
        ("exchange_rate", 7588, 8, (5311, 6071, 7588), 1),
    ],
)
def test_rows_borders_and_season(name, rows, channels, borders, period):
    panel = load(name)
    assert panel.values.shape == (rows, channels)
    cut = parse_split(panel.split, panel)
    assert (cut.train_end[0], cut.validation_end[0], cut.test_end[0]) == borders
    assert panel.frequency.period == period
    assert panel.name == name


@needs_data
def test_channels_and_first_rows():
    etth1 = load("etth1")
    assert etth1.channels == ETT
    assert etth1.time[0] == np.datetime64("2016-07-01")
    assert str(etth1.frequency) == "hour"
    np.testing.assert_allclose(etth1.values[0, [0, 6]], [5.827, 30.531], atol=1e-3)
    weather = load("weather")
    assert (weather.channels[0], weather.channels[-1]) == ("p (mbar)", "OT")
    assert (weather.values == -9999).sum(axis=0)[[11, 18, 20]].tolist() == [1, 30, 50]
    assert load("exchange_rate").values[0].tolist()[:2] == [0.7855, 1.611]


def test_a_panel_needs_neither_torch_nor_pandas():
    code = "import sys, forecheck.data.panel; sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
