"""anchored: its members against plain least squares, its folds, and what it makes of waves and of random walks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters.anchored import Anchored, AnchoredConfig
from forecheck.forecasters.base import Task, predict_all
from forecheck.forecasters.folds import expanding_folds
from forecheck.forecasters.gram import gram
from forecheck.forecasters.linear import NLinear
from forecheck.forecasters.linear_members import (
    NORMALISATIONS,
    fit_free,
    fit_member,
    fit_members,
    grams_of,
    linear_members,
    member_names,
    naive_members,
)
from panels import HOUR, hourly, ragged

LOOKBACKS = (8, 24, 48)


def walk(rows=1500, channels=3, seed=0):
    values = np.cumsum(np.random.default_rng(seed).standard_normal((rows, channels)), axis=0)
    time = np.datetime64("2024-01-01", "us") + HOUR * np.arange(rows).astype("timedelta64[us]")
    names = tuple(f"c{i}" for i in range(channels))
    return Panel(values, np.array([0, rows]), time, ("0",), names, Frequency("us", HOUR), "walk")


def fitted(panel, lookback=48, horizon=12, period=24, **options):
    experiment = prepare(panel, lookback, horizon)
    task = Task(lookback, horizon, experiment.train.channels, period)
    forecaster = Anchored(task, AnchoredConfig(**{"lookbacks": LOOKBACKS, **options}))
    return forecaster, forecaster.fit(experiment.train, experiment.validation), experiment


def mse(forecast, target):
    return float((forecast - target).double().square().mean())


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("lookback", [1, 5, 20])
def test_a_member_is_ridge_regression_on_materialised_suffixes(normalisation, lookback):
    train = prepare(hourly(300), 20, 6).train
    x, y = (part.double().transpose(1, 2).flatten(0, 1).numpy() for part in train.gather(slice(None)))
    x = x[:, -lookback:]
    level = {"last value": x[:, -1:], "window mean": x.mean(axis=1, keepdims=True)}[normalisation]
    z, target = x - level, y - level
    products = z.T @ z
    strength = 0.7 * np.trace(products) / lookback or 1.0
    weight = np.linalg.solve(products + max(strength, 1e-9) * np.eye(lookback), z.T @ target)
    found = fit_member(gram(replace(train, lookback=lookback)), normalisation, 0.7)
    np.testing.assert_allclose(x @ found, z @ weight + level, atol=2e-5)  # the windows are float32


def test_the_map_that_is_nearly_free_has_the_intercept_of_least_squares():
    train = prepare(hourly(300), 20, 6).train
    x, y = (part.transpose(1, 2).flatten(0, 1).double().numpy() for part in train.gather(slice(None)))
    change, steps = y - x[:, -1:], x - x[:, -1:]
    centred = steps - steps.mean(axis=0)
    strength = 1e-2 * np.trace(centred.T @ centred) / 20
    weight = np.linalg.solve(centred.T @ centred + strength * np.eye(20), centred.T @ (change - change.mean(axis=0)))
    expected = x[:, -1:] + change.mean(axis=0) + (steps - steps.mean(axis=0)) @ weight
    found = fit_free(gram(train), 1e-2)
    np.testing.assert_allclose(x @ found[:-1] + found[-1], expected, atol=1e-4)


def test_series_that_drift_are_forecast_with_their_drift():
    panel = hourly(900)
    drifting = replace(panel, values=panel.values + 0.5 * np.arange(900)[:, None])
    forecaster, report, experiment = fitted(drifting, horizon=24, period=1)
    nlinear = NLinear(forecaster.task)
    nlinear.fit(experiment.train, experiment.validation)
    x, y = experiment.test.gather(slice(None))
    assert report.details["freed"] > 0.8
    assert mse(forecaster.predict(x), y) < 1.02 * mse(nlinear.predict(x), y)


@pytest.mark.parametrize("rows", [None, 0])
def test_fits_of_earlier_versions_forecast_as_they_did(rows):
    """Before there was an intercept, and before there was that map."""
    forecaster, _, experiment = fitted(hourly())
    x = experiment.test.gather(slice(0, 4))[0]
    saved = forecaster.tensors()
    earlier = saved | {"map_free": saved["map_free"][:, :-1]}
    if rows == 0:
        earlier = saved | {"weights": saved["weights"][:, :-1]}
        del earlier["map_free"]
    again = Anchored(forecaster.task, forecaster.config)
    again.restore(earlier)
    changed = Anchored(forecaster.task, forecaster.config)
    free = torch.cat([saved["map_free"][:, :-1], torch.zeros_like(saved["map_free"][:, :1])], dim=1)
    weights = saved["weights"].clone()
    if rows == 0:
        weights[:, -1] = 0
    changed.restore(saved | {"map_free": free, "weights": weights})
    torch.testing.assert_close(again.predict(x), changed.predict(x))


def test_members_without_spread_are_finite():
    windows = prepare(hourly(300), 20, 6).train
    flat = type(windows)(np.zeros_like(windows.values), 20, 6, windows.origins)
    for group in fit_members(grams_of(flat, (5, 20)), (5, 20), 1.0):
        assert torch.isfinite(group).all()


def test_naive_members():
    x = torch.arange(10.0, dtype=torch.float64)[None, None]  # (1, 1, 10)
    last, season, mean = naive_members(x, horizon=5, period=4, seasons=7)[:, 0, 0]
    assert last.tolist() == [9] * 5
    assert season.tolist() == [6, 7, 8, 9, 6]
    assert mean.tolist() == [4, 5, 6, 7, 4]  # of the two whole seasons in the window
    assert len(naive_members(x, horizon=5, period=11, seasons=7)) == 1
    assert len(naive_members(x, horizon=5, period=1, seasons=7)) == 1


def test_names_are_in_the_order_of_forecasts():
    train = prepare(hourly(300), 48, 6).train
    x = train.gather(slice(0, 2))[0].transpose(1, 2).double()
    maps = fit_members(grams_of(train, LOOKBACKS), LOOKBACKS, 1.0)
    names = member_names(LOOKBACKS, seasonal=True)
    both = torch.cat([naive_members(x, 6, 24, 7), linear_members(x, maps)])
    assert len(names) == len(both)
    at = names.index("24, window mean")
    torch.testing.assert_close(both[at], x[..., -24:] @ maps[1][NORMALISATIONS.index("window mean")])


@pytest.mark.parametrize("panel", [hourly(800), ragged((400, 300, 500))], ids=["one series", "ragged"])
def test_folds_never_look_ahead(panel):
    experiment = prepare(panel, 24, 10)
    train, validation = experiment.train, experiment.validation
    folds = expanding_folds(train, validation, (0.5, 0.75), most=20, period=4)
    assert len(folds) == 3
    assert folds[-1].fit is train
    series = np.searchsorted(panel.offsets, train.origins, side="right")
    for fold in folds[:-1]:
        for number in np.unique(series):
            inside = slice(panel.offsets[number - 1], panel.offsets[number])
            fit = fold.fit.origins[(fold.fit.origins >= inside.start) & (fold.fit.origins < inside.stop)]
            held = fold.held.origins[(fold.held.origins >= inside.start) & (fold.held.origins < inside.stop)]
            assert fit.max() + train.horizon <= held.min()
        assert set(fold.fit.origins) | set(fold.held.origins) <= set(train.origins)
    assert set(folds[-1].held.origins) <= set(validation.origins)
    assert np.gcd(folds[0].held.step, 4) == 1
    assert all(len(fold.times) == len(fold.held) for fold in folds)


def test_folds_with_a_step_and_with_too_little_data():
    stepped = prepare(hourly(800), 24, 10, step=5)
    for fold in expanding_folds(stepped.train, stepped.validation, (0.5, 0.75), most=20, period=24)[:-1]:
        assert fold.fit.origins.max() + 10 <= fold.held.origins.min()
    short = prepare(hourly(105), 40, 10)
    folds = expanding_folds(short.train, short.validation, (0.5, 0.75), most=20, period=24)
    assert len(folds) == 1


def test_waves_are_forecast_far_better_than_by_the_last_value():
    forecaster, report, experiment = fitted(hourly(1500))
    x, y = experiment.test.gather(slice(None))
    assert report.details["share"] == 1
    assert mse(forecaster.predict(x), y) < 0.3 * mse(x[:, -1:], y)


@pytest.mark.parametrize("seed", range(3))
def test_random_walks_are_forecast_by_about_the_last_value(seed):
    forecaster, _, experiment = fitted(walk(seed=seed), horizon=24, period=1)
    x, y = experiment.test.gather(slice(None))
    assert mse(forecaster.predict(x), y) < 1.03 * mse(x[:, -1:], y)


def test_the_forecast_is_the_weighted_mean_that_the_report_tells():
    forecaster, report, experiment = fitted(hourly(), per_channel=False)
    x = experiment.test.gather(slice(0, 4))[0]
    details = report.details
    assert list(details["members"]) == forecaster.members
    assert sum(details["members"].values()) == pytest.approx(1)
    maps = fit_members(grams_of(experiment.train, LOOKBACKS), LOOKBACKS, 0.1)
    steps = x.transpose(1, 2).double()
    members = torch.cat([naive_members(steps, 12, 24, 7), linear_members(steps, maps)])
    stacked = torch.einsum("kbch,k->bhc", members, torch.tensor(list(details["members"].values())).double())
    share = details["share"]
    torch.testing.assert_close(forecaster.predict(x), (share * stacked + (1 - share) * x[:, -1:].double()).float())


def test_errors_that_are_reported_are_those_of_the_held_windows():
    _, report, experiment = fitted(hourly())
    folds = expanding_folds(experiment.train, experiment.validation, (0.5, 0.75), 160, 24)
    held = [fold.held.gather(slice(None)) for fold in folds]
    x, y = (torch.cat(parts) for parts in zip(*held, strict=True))
    assert report.details["member_mse"]["last value"] == pytest.approx(mse(x[:, -1:], y), rel=1e-5)
    assert report.details["folds"] == len(folds) == 3


def test_lookbacks_beyond_the_window_are_left_out():
    assert Anchored(Task(30, 5, 1)).lookbacks == [30]
    assert Anchored(Task(400, 5, 1)).lookbacks == [96, 192, 336]
    assert Anchored(Task(48, 5, 1), AnchoredConfig(lookbacks=(48, 8))).lookbacks == [8, 48]


def test_series_of_different_lengths():
    forecaster, _, experiment = fitted(ragged((400, 300, 500)), period=7)
    assert torch.isfinite(predict_all(forecaster, experiment.test)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lookbacks": ()}, "lookbacks"),
        ({"lookbacks": (8, 8)}, "lookbacks"),
        ({"ridge": 0.0}, "ridge"),
        ({"shrinkage": float("inf")}, "shrinkage"),
        ({"seasons": 0}, "seasons"),
        ({"level": 0.5}, "level"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        AnchoredConfig(**options)


def test_nothing_is_forecast_before_fitting():
    with pytest.raises(UsageError, match="not fitted"):
        Anchored(Task(48, 5, 1)).predict(torch.zeros(1, 48, 1))


@pytest.mark.parametrize("panel", [hourly(400), ragged((400, 300, 500))], ids=["one series", "ragged"])
@pytest.mark.parametrize("step", [1, 5])
def test_shorter_windows_are_all_that_lie_inside_the_longer_ones(panel, step):
    train = prepare(panel, 40, 6, step=step).train
    short = train.shortened(10)
    ours = {row for origin in train.origins for row in range(origin - 30, origin + 1) if (origin - row) % step == 0}
    assert set(short.origins) == ours
    assert short.lookback == 10
    start = panel.offsets[panel.series_of(short.origins)]
    assert (short.origins - 10 >= start).all()


def test_windows_that_are_added_in_two_parts_count_once():
    train = prepare(hourly(400), 40, 6).train
    first, second = (replace(train, origins=part) for part in np.array_split(train.origins, 2))
    whole = list(grams_of(train, (8, 40)))
    parts = zip(grams_of(first, (8, 40)), grams_of(second, (8, 40), first), strict=True)
    for one, (a, b) in zip(whole, parts, strict=True):
        assert (a + b).count == one.count
        np.testing.assert_allclose((a + b).inputs, one.inputs, atol=1e-8)
        np.testing.assert_allclose((a + b).cross, one.cross, atol=1e-8)


@pytest.mark.parametrize("per_channel", [True, False])
def test_one_map_a_channel_is_what_its_members_forecast(per_channel, monkeypatch):
    forecaster, _, experiment = fitted(walk(), period=24, per_channel=per_channel)
    x = experiment.test.gather(slice(0, 4))[0]
    whole = forecaster.predict(x)
    monkeypatch.setattr("forecheck.forecasters.anchored._HELD", 0)
    torch.testing.assert_close(forecaster.predict(x), whole, atol=1e-5, rtol=1e-5)


def test_a_fine_wave_is_forecast_as_well_as_without_a_ridge():
    """A ridge of a tenth of the mean eigenvalue would smooth what the small eigenvalues hold."""
    rng, steps = np.random.default_rng(0), np.arange(1200)
    values = (np.cumsum(rng.standard_normal(1200)) + np.sin(2 * np.pi * steps / 5))[:, None]
    panel = replace(walk(1200, 1), values=values)
    forecaster, _, experiment = fitted(panel, lookback=24, horizon=5, period=1, lookbacks=(24,))
    plain = NLinear(Task(24, 5, 1), NLinear.Config())
    plain.fit(experiment.train, experiment.validation)
    x, y = experiment.test.gather(slice(None))
    assert mse(forecaster.predict(x), y) < 1.03 * mse(plain.predict(x), y)
