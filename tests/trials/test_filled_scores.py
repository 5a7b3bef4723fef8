"""Losses are those of observed targets."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from forecheck.data.reading.frames import from_frame
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasting.backtest import run_backtest
from forecheck.forecasting.fit import run_fit
from forecheck.forecasting.forecast import make_forecast
from forecheck.nn.observed import squared_error
from forecheck.statistics.metrics import loss_by_time, observed_mean
from forecheck.training.loop import mean_squared_error, train
from forecheck.training.recipe import Recipe
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.rolling import score_rolled
from forecheck.trials.run import blind
from forecheck.trials.score import score
from forecheck.trials.store import Store
from panels import gappy, hourly, staggered

GAPPY = gappy(hourly(300), 0.3)


@pytest.mark.parametrize("fill", ["linear", "last", "seasonal"])
def test_filling_makes_noise_no_easier_to_forecast(fill, tmp_path):
    """Nobody forecasts noise better than by its mean; lines between observations that count as truth seem to."""
    rng = np.random.default_rng(1)
    values, holes = rng.standard_normal(2000), rng.random(2000) < 0.3
    holes[[0, -1]] = False
    days = np.datetime64("2000-01-01", "us") + np.arange(2000).astype("timedelta64[D]")
    panel = from_frame(pl.DataFrame({"date": days, "a": np.where(holes, np.nan, values)}), fill=fill)
    report = run_backtest(panel, ["mean", "linear", "nlinear", "anchored"], Protocol(1, 48), Means(Store(tmp_path)))
    std = values[:1400][~holes[:1400]].std()
    best = np.square(values[1600:][~holes[1600:]] / std).mean()
    assert min(row["mse"] for row in report["table"]) > max(0.95, 0.97 * best)


def errors_of(forecaster, windows):
    x, y = windows.gather(slice(None))
    return (forecaster.predict(x) - y).double().numpy()


def test_scores_are_means_over_observed_steps():
    windows = prepare(GAPPY, 24, 6).test
    forecaster = registry.create("last", Task(24, 6, 2))
    found, errors = score(forecaster, windows), errors_of(forecaster, windows)
    for window, channel in np.ndindex(*found.mse.shape):
        seen = errors[window, :, channel][~np.isnan(errors[window, :, channel])]
        assert found.mse[window, channel] == pytest.approx(np.square(seen).mean() if len(seen) else np.nan, nan_ok=True)
        assert found.mae[window, channel] == pytest.approx(np.abs(seen).mean() if len(seen) else np.nan, nan_ok=True)
    np.testing.assert_allclose(found.horizon_mse, np.nanmean(np.square(errors), axis=(0, 2)))


def test_a_channel_without_an_observed_step_has_no_loss_in_that_window():
    panel = hourly(300)
    holes = np.zeros(panel.values.shape, dtype=bool)
    holes[250:270, 1] = True
    windows = prepare(replace(panel, filled=holes), 24, 6).test
    found = score(registry.create("last", Task(24, 6, 2)), windows)
    empty = (windows.origins >= 250) & (windows.origins + 6 <= 270)
    np.testing.assert_array_equal(np.isnan(found.mse[:, 1]), empty)
    assert not np.isnan(found.mse[:, 0]).any()
    by_time = loss_by_time(found.mse, panel.time[windows.origins])
    np.testing.assert_allclose(by_time[empty], found.mse[empty, 0])


def test_a_forecast_of_nan_is_no_missing_target():
    class Broken:
        def predict(self, x):
            return torch.full((len(x), 6, 2), float("nan"))

    with pytest.raises(FloatingPointError, match="not finite in window 0"):
        score(Broken(), prepare(GAPPY, 24, 6).test)


def test_a_time_at_which_nothing_was_observed_is_not_zero():
    losses = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, 5.0]])
    np.testing.assert_array_equal(loss_by_time(losses, np.array([2, 1, 2])), [np.nan, 2.5])
    np.testing.assert_array_equal(observed_mean(losses, axis=0), [2.0, 5.0])
    assert observed_mean(losses) == 3.0


def test_rolled_scores_are_those_of_whole_ones_where_nothing_is_refitted():
    experiment = prepare(GAPPY, 24, 6)
    forecaster = registry.create("nlinear", Task(24, 6, 2))
    details = forecaster.fit(*blind(experiment)).details
    found, refits = score_rolled(forecaster, details, experiment, 7)
    assert refits > 3
    assert np.isfinite(found.horizon_mse).all()
    assert observed_mean(found.mse) == pytest.approx(
        float(observed_mean(score(forecaster, experiment.test).mse)), rel=0.2
    )
    seen = ~np.isnan(errors_of(forecaster, experiment.test))
    weights = seen.sum(axis=(0, 2)) / seen.sum()
    steps = seen.sum(axis=1)
    assert (found.horizon_mse * weights).sum() == pytest.approx(np.nansum(found.mse * steps) / steps.sum())


def test_hidden_test_rows_are_infinite_where_nan_is_a_gap():
    experiment = prepare(GAPPY, 24, 6)
    hidden, _ = blind(experiment)
    assert np.isinf(hidden.targets[240:]).all()
    np.testing.assert_array_equal(hidden.targets[:240], experiment.train.targets[:240])
    with pytest.raises(FloatingPointError):
        train(nn.Sequential(nn.Flatten(), nn.Linear(48, 12), nn.Unflatten(1, (6, 2))), replace(
            hidden, origins=np.arange(100, 290)
        ), hidden, Recipe(epochs=1, batch=32, lr=1e-3))  # fmt: skip


def test_the_loss_and_its_gradient_are_those_of_observed_targets():
    rng = torch.Generator().manual_seed(0)
    forecast = torch.randn(4, 3, 2, generator=rng, requires_grad=True)
    target = torch.randn(4, 3, 2, generator=rng)
    target[0, 1] = float("nan")
    target[2] = float("nan")
    seen = ~target.isnan()
    loss = squared_error(forecast, target)
    expected = (forecast[seen] - target[seen]).square().mean()
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, forecast)
    torch.testing.assert_close(gradient[seen], torch.autograd.grad(expected, forecast)[0][seen])
    assert not gradient[~seen].any()
    nothing = squared_error(forecast, torch.full_like(target, float("nan")))
    assert nothing == 0
    assert not torch.autograd.grad(nothing, forecast)[0].any()


class Affine(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(24, 6)

    def forward(self, x):
        return self.map(x.mT).mT


def test_micro_batches_weigh_observed_targets():
    """However a batch is cut, one step of plain descent is that of the batch's mean loss."""
    windows = prepare(GAPPY, 24, 6).train
    weights = []
    for micro in (512, 50):
        model = Affine()
        recipe = Recipe(epochs=1, batch=512, micro_batch=micro, lr=0.1, optimizer="sgd", momentum=0.0)
        train(model, windows, windows, recipe, seed=1)
        weights.append(model.map.weight.detach())
    torch.testing.assert_close(*weights)


def test_validation_is_over_observed_targets():
    windows = prepare(GAPPY, 24, 6).validation
    model = Affine()
    x, y = windows.gather(slice(None))
    with torch.no_grad():
        assert mean_squared_error(model, windows, 7) == pytest.approx(
            float((model(x) - y).square().nanmean()), rel=1e-5
        )


def test_intervals_are_order_statistics_of_observed_errors(tmp_path):
    fitted = run_fit(GAPPY, Protocol(4, 24), Means(Store(tmp_path)), model="last", levels=(80,))
    errors = np.abs(errors_of(registry.create("last", Task(24, 4, 2)), prepare(GAPPY, 24, 4).test))
    for step, channel in np.ndindex(4, 2):
        seen = np.sort(errors[:, step, channel][~np.isnan(errors[:, step, channel])])
        assert fitted.width(80)[step, channel] == pytest.approx(seen[int(np.ceil((len(seen) + 1) * 0.8)) - 1])


def test_forecasts_start_from_what_was_known(tmp_path):
    """The last rows were missing: what they were filled with is not what the forecast starts from."""
    panel = hourly(300)
    holes = np.zeros(panel.values.shape, dtype=bool)
    holes[297:] = True
    values = np.where(holes, 1e3, panel.values)
    panel = replace(panel, values=values, filled=holes, fill="last")
    fitted = run_fit(panel, Protocol(4, 24), Means(Store(tmp_path)), model="last")
    forecast = make_forecast(fitted, panel).columns["last"].reshape(2, 4)
    np.testing.assert_allclose(forecast, np.tile(values[296][:, None], 4), rtol=1e-5)


def test_a_series_too_young_to_train_on_is_forecast_in_its_own_units(tmp_path):
    panel = staggered((300, 40), (0, 260))
    values = panel.values.copy()
    values[300:] = 500 + 20 * values[300:]
    panel = replace(panel, values=values)
    fitted = run_fit(panel, Protocol(3, 20), Means(Store(tmp_path)), model="mean")
    assert fitted.scaler.mean[1, 0] == pytest.approx(values[300:].mean())
    forecast = make_forecast(fitted, panel).columns["mean"]
    np.testing.assert_allclose(forecast[3:], values[-20:].mean(), rtol=1e-5)


def test_panels_with_fills_come_back(tmp_path):
    store = Store(tmp_path)
    store.put_panel(GAPPY)
    again = store.get_panel(GAPPY.fingerprint)
    assert again.fingerprint == GAPPY.fingerprint
    np.testing.assert_array_equal(again.filled, GAPPY.filled)
    assert again.fill == "last"
