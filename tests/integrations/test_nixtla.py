"""Frames of Nixtla's libraries in and out: their losses, evaluated on our frames, give our numbers."""

import numpy as np
import pytest

import forecheck as fc
from panels import hourly, ragged

losses = pytest.importorskip("utilsforecast.losses")
evaluation = pytest.importorskip("utilsforecast.evaluation")

HOW = {"horizon": 4, "lookback": 24, "workers": 0}


def test_their_mse_and_mae_of_a_cross_validation_are_those_of_the_backtest():
    panel, models = hourly(300), ["last", "nlinear"]
    rows = {row["model"]: row for row in fc.backtest(panel, models, **HOW).data["table"]}
    frame = fc.cross_validation(panel, models, **HOW).to_pandas()
    found = evaluation.evaluate(frame, metrics=[losses.mse, losses.mae], models=models)
    mean = found.groupby("metric")[models].mean()
    for model in models:
        assert mean.loc["mse", model] == pytest.approx(rows[model]["mse_real"], rel=1e-4)
        assert mean.loc["mae", model] == pytest.approx(rows[model]["mae_real"], rel=1e-4)


def test_their_mase_of_the_rolling_origins_is_ours():
    pandas = pytest.importorskip("pandas")
    panel = hourly(300)
    forecast = fc.forecast(panel, horizon=5, model="combination", workers=0)
    frame = forecast.cross_validation().to_pandas()
    names = np.repeat(panel.channels, len(panel.values))
    train = pandas.DataFrame({"unique_id": names, "ds": np.tile(panel.time, 2), "y": panel.values.T.reshape(-1)})
    parts = [
        losses.mase(rows.drop(columns="cutoff"), ["combination"], 24, train[train["ds"] <= cutoff])[
            "combination"
        ].mean()
        for cutoff, rows in frame.groupby("cutoff")
    ]
    assert np.mean(parts) == pytest.approx(forecast.info["rolling_mase"]["combination"], rel=1e-4)


def test_their_coverage_reads_our_intervals():
    panel = hourly(600)
    frame = fc.cross_validation(panel, ["nlinear"], level=[80], **HOW).to_pandas()
    theirs = losses.coverage(frame, ["nlinear"], 80)["nlinear"].mean()
    assert theirs == pytest.approx(frame["y"].between(frame["nlinear-lo-80"], frame["nlinear-hi-80"]).mean())


def test_a_long_frame_goes_in_and_comes_out_with_its_names_and_types():
    pandas = pytest.importorskip("pandas")
    panel = ragged((60, 80))
    given = pandas.DataFrame({"unique_id": np.repeat([3, 5], panel.lengths), "ds": panel.time, "y": panel.values[:, 0]})
    frame = fc.forecast(given, horizon=3, model="combination", level=[80], workers=0).to_pandas()
    assert list(frame.columns) == ["unique_id", "ds", "combination", "combination-lo-80", "combination-hi-80"]
    assert list(frame["unique_id"]) == [3] * 3 + [5] * 3
    assert frame["ds"].dtype.kind == "M"
