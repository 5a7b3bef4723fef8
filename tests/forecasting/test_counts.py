"""Forecasts of counts: whole numbers in order, and only of counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forecheck as fc
from forecheck.errors import DataError
from forecheck.forecasting.counts import whole_numbers


def visits(rows=40, seed=0):
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=rows)
    both = [pd.DataFrame({"unique_id": n, "ds": days, "y": rng.poisson(m, rows)}) for n, m in (("a", 0.7), ("b", 30))]
    return pd.concat(both, ignore_index=True)


@pytest.fixture(scope="module")
def made():
    how = {"horizon": 5, "model": "combination", "level": [50, 95], "workers": 0}
    return [fc.forecast(visits(), **how, integer=integer).to_pandas() for integer in (False, True)]


def test_they_are_whole_in_order_not_negative_and_the_nearest(made):
    plain, whole = made
    numbers = whole.drop(columns=["unique_id", "ds"])
    assert (numbers.dtypes == np.int64).all()
    ordered = ["combination-lo-95", "combination-lo-50", "combination", "combination-hi-50", "combination-hi-95"]
    assert (numbers[ordered].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert (numbers >= 0).all(axis=None)
    assert (np.abs(numbers - plain[numbers.columns]) <= 0.5).all(axis=None)
    assert plain[["unique_id", "ds"]].equals(whole[["unique_id", "ds"]])


def test_what_holds_fractions_is_refused_by_name_and_place():
    frame = visits().astype({"y": float})
    frame.loc[3, "y"] = 2.5
    with pytest.raises(DataError, match=r'frame holds 2.5 in column "y" at 2024-01-04T00:00, which is no whole number'):
        fc.forecast(frame, horizon=2, integer=True, workers=0)


def test_fills_between_counts_are_no_fractions_of_the_data():
    frame = visits().astype({"y": float})
    frame.loc[3, "y"] = np.nan
    panel = fc.load(frame, fill="linear")
    made = fc.forecast(panel, horizon=2, model="combination", integer=True, workers=0)
    assert made.to_pandas()["combination"].dtype == np.int64


def test_a_saved_fit_of_windows_is_rounded_too(tmp_path):
    fc.fit(visits(80), horizon=2, model="nlinear", lookback=5, output=tmp_path / "fit", workers=0, store=tmp_path / "s")
    plain, whole = (
        fc.forecast(visits(80), model_dir=tmp_path / "fit", level=50, integer=integer).to_pandas()
        for integer in (False, True)
    )
    for name in ("nlinear", "nlinear-lo-50", "nlinear-hi-50"):
        np.testing.assert_array_equal(whole[name], np.rint(plain[name]))


@given(st.lists(st.floats(-1e15, 1e15), min_size=2, max_size=20))
def test_rounding_keeps_the_order(values):
    rounded = whole_numbers(np.sort(np.array(values)))
    assert (np.diff(rounded) >= 0).all()


def test_numbers_beyond_what_is_exact_stay_as_they_are():
    huge = np.array([1e300, -3.5])
    np.testing.assert_array_equal(whole_numbers(huge), huge)
