"""The estimator: parameters as scikit-learn expects them, and the forecasts of `fc.forecast`."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import forecheck as fc
from forecheck.errors import DataError, UsageError
from forecheck.integrations.estimator import Forecaster
from panels import hourly


@pytest.fixture(scope="module")
def wave():
    rng = np.random.default_rng(0)
    return 10 + np.sin(2 * np.pi * np.arange(80) / 12) + 0.1 * rng.standard_normal(80)


def long(values):
    return {"unique_id": ["a"] * len(values), "ds": pd.date_range("2020-01-01", periods=len(values)), "y": values}


def test_parameters_are_kept_as_they_are_given_and_nothing_is_looked_at():
    levels = [800, -1]
    made = Forecaster("no such model", horizon=-3, level=levels)
    assert made.get_params()["level"] is made.get_params(deep=False)["level"] is levels
    assert type(made)(**made.get_params()).level is levels
    assert made.set_params(horizon=3) is made
    assert made.horizon == 3
    with pytest.raises(UsageError, match=r"no parameter 'horizons'.*\n.*model, horizon, level"):
        made.set_params(horizons=3)


def test_it_is_written_as_it_is_made():
    assert repr(Forecaster()) == "Forecaster()"
    assert repr(Forecaster("last", horizon=3, level=[80])) == "Forecaster(model='last', horizon=3, level=[80])"


def test_scikit_learn_clones_it():
    base = pytest.importorskip("sklearn.base")
    made = Forecaster("last", horizon=3, options={"nlinear": {"ridge": 1}})
    copy = base.clone(made)
    assert copy is not made
    assert copy.get_params() == made.get_params()
    with pytest.raises(UsageError, match="not fitted"):
        copy.predict()


@pytest.mark.parametrize("model", ["combination", "nlinear"])
def test_numbers_come_back_as_numbers(wave, model):
    made = Forecaster(model, horizon=4, lookback=None if model == "combination" else 12, period=12)
    found = made.fit(wave).predict()
    direct = fc.forecast(
        pa.table({"y": wave}), horizon=4, model=model, lookback=made.lookback, period=12, workers=0
    ).columns[model]
    np.testing.assert_array_equal(found, direct)
    both = made.fit(np.stack([wave, 2 * wave], axis=1)).predict()
    assert both.shape == (4, 2)
    assert made.fit(list(wave)).predict().shape == (4,)
    assert made.forecast_.to_html().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("library", "kind"), [(pd.DataFrame, pd.DataFrame), (pl.DataFrame, pl.DataFrame), (pa.table, pa.Table)]
)
def test_a_frame_comes_back_as_a_frame_of_its_library(wave, library, kind):
    found = Forecaster("combination", horizon=2, level=80).fit_predict(library(long(wave)))
    assert isinstance(found, kind)
    names = found.column_names if isinstance(found, pa.Table) else list(found.columns)
    assert names == ["unique_id", "ds", "combination", "combination-lo-80", "combination-hi-80"]


def test_other_data_are_forecast_by_the_same_fit(wave):
    made = Forecaster("nlinear", horizon=2, lookback=12).fit(wave)
    np.testing.assert_allclose(made.predict(wave[:40] + 0), made.fit(wave).predict(wave[:40]))
    assert not np.allclose(made.predict(wave[:40]), made.predict())
    with pytest.raises(DataError, match="lookback 12"):
        made.predict(wave[:5])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.ones((2, 2, 2)), "shape"),
        ([], "shape"),
        (["a", "b"], "no array of numbers"),
        ([[1.0, 2.0], [3.0]], "no array of numbers"),
        (5.0, "data frame"),
        (np.array([1.0, np.nan, 3.0, 4.0, 5.0, 6.0]), "missing"),
        ([1.0, 2.0], "fewer than"),
    ],
)
def test_what_cannot_be_fitted_is_said(given, message):
    with pytest.raises((UsageError, DataError), match=message):
        Forecaster("combination", horizon=1).fit(given)
    with pytest.raises(UsageError, match="takes no X"):
        Forecaster().fit([1.0], [2.0])


def test_a_panel_and_a_series_can_be_fitted(wave):
    assert Forecaster("last", horizon=2, lookback=3).fit(hourly(60)).predict().num_rows == 4
    assert len(Forecaster("combination", horizon=2).fit(pd.Series(wave)).predict()) == 2
    assert len(Forecaster("combination", horizon=2).fit(pl.Series("sold", wave)).predict()) == 2
