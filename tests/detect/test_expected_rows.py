"""What is expected of rows, and scores of errors, against loops by their definition."""

import numpy as np
import pytest
import torch

from detect_panels import PERIOD, panel_of, seasonal
from forecheck.anomaly.detection.expected import ForecastSource, MovingSource, expected_of, step_forecasts
from forecheck.anomaly.detection.rows import rows_of
from forecheck.anomaly.detection.scoring import Scoring, fit_scoring
from forecheck.anomaly.detection.spread import spread
from forecheck.data.scaling import Scaler
from forecheck.forecasters.base import Task
from forecheck.forecasters.naive import Last, Seasonal


def rows_for(values):
    panel = panel_of(values)
    channels = len(panel.channels)
    return rows_of(panel, Scaler(np.zeros((1, channels)), np.ones((1, channels))), panel.series, PERIOD, panel.time[0])


def test_a_row_is_forecast_from_every_origin_before_it():
    values = seasonal(200, channels=2)
    model = Seasonal(Task(15, 3, 2, PERIOD))
    found = step_forecasts(model, values, 40, 150)
    for row in (40, 77, 149):
        for ahead in (1, 2, 3):
            origin = row - ahead + 1
            window = torch.from_numpy(values[None, origin - 15 : origin].astype(np.float32))
            np.testing.assert_array_equal(found[row - 40, ahead - 1], model.predict(window)[0, ahead - 1].numpy())


def test_steps_are_put_together_by_their_weights_and_early_rows_have_none():
    values = seasonal(120)
    model = Last(Task(5, 2, 1))
    source = ForecastSource(model, np.array([[0.75], [0.25]]))
    found = expected_of(source, rows_for(values), np.array([0]), np.array([100]))
    assert np.isnan(found.value[:6]).all()
    assert np.isnan(found.value[100:]).all()
    expected = 0.75 * values[5:99] + 0.25 * values[4:98]
    np.testing.assert_allclose(found.value[6:100], expected, rtol=1e-6)


def test_a_moving_z_score_is_that_of_the_rows_before():
    values = seasonal(60)
    rows = rows_for(values)
    found = expected_of(MovingSource(10), rows, np.array([0]), np.array([60])).errors(rows)
    np.testing.assert_allclose(found[30], (values[30] - values[20:30].mean()) / values[20:30].std())


def test_phases_of_the_season_have_a_spread_of_their_own():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2400, 1))
    rows = rows_for(values)
    noisy = rows.phase == 3
    errors = np.where(noisy[:, None], 9 * values, values)
    scoring = fit_scoring(rows, errors, 1, PERIOD, "robust")
    assert scoring.scale[0, 3, 0] == pytest.approx(9, rel=0.25)
    assert scoring.scale[0, 4, 0] == pytest.approx(1, rel=0.25)


def test_the_joint_score_sees_a_broken_correlation_that_no_channel_shows():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(1000, 1))
    errors = shared + 0.1 * rng.normal(size=(1000, 2))
    rows = rows_for(errors)
    scoring = fit_scoring(rows, errors, 1, 1 * PERIOD, "standardised")
    errors[500] = [1.0, -1.0]
    scores = scoring.scores(rows, errors)
    assert (scores[500, :2] < 2).all()
    assert scores[500, 2] == np.nanmax(scores[:, 2])


def test_the_joint_score_is_the_mahalanobis_distance_over_the_channels_that_are_there():
    errors = np.array([[1.0, 2.0, -1.0], [1.0, np.nan, 2.0], [np.nan] * 3])
    correlation = np.array([[1, 0.5, 0.2], [0.5, 1, 0.1], [0.2, 0.1, 1]])
    scoring = Scoring(np.zeros((1, PERIOD, 3)), np.ones((1, PERIOD, 3)), correlation)
    found = scoring.scores(rows_for(np.ones((3, 3)) + seasonal(3, channels=3)), errors)[:, 3]
    some = np.ix_([0, 2], [0, 2])
    expected = [
        np.sqrt(errors[0] @ np.linalg.inv(correlation) @ errors[0] / 3),
        np.sqrt(errors[1, [0, 2]] @ np.linalg.inv(correlation[some]) @ errors[1, [0, 2]] / 2),
        np.nan,
    ]
    np.testing.assert_allclose(found, expected)


def test_medians_do_not_move_with_outliers_and_a_series_that_mostly_stays_has_a_scale():
    errors = np.random.default_rng(0).normal(size=2000)
    errors[:100] = 50
    centre, scale = spread(errors, "robust")
    assert abs(centre) < 0.1
    assert scale < 1.5
    assert spread(np.array([0.0] * 90 + [1.0] * 10), "robust")[1] > 0.02
    assert spread(np.zeros(10), "robust")[1] > 0
