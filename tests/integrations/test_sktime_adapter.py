"""The forecaster of sktime, where sktime is installed: its own checks, and the numbers of `fc.forecast`."""

import warnings

import numpy as np
import pytest

import forecheck as fc

pytest.importorskip("sktime")

from forecheck.integrations.sktime import ForecheckForecaster


def test_it_passes_the_checks_of_sktime():
    from sktime.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(ForecheckForecaster, raise_exceptions=False, verbose=False)
    assert len(results) > 100
    assert {name: result for name, result in results.items() if result != "PASSED"} == {}


def test_its_numbers_are_those_of_a_forecast():
    import pandas as pd

    y = pd.Series(np.sin(np.arange(60.0)), index=pd.period_range("2015-01", periods=60, freq="M"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ForecheckForecaster("combination").fit(y, fh=[1, 3]).predict()
    frame = pd.DataFrame({"date": y.index.to_timestamp(), "y": y.to_numpy()})
    direct = fc.forecast(frame, horizon=3, model="combination", workers=0).columns["combination"]
    np.testing.assert_allclose(found, direct[[0, 2]])
    assert list(found.index.astype(str)) == ["2020-01", "2020-03"]
