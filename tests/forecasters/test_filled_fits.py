"""Fits learn nothing from filled targets; closed forms are least squares over the observed ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.folds import expanding_folds
from forecheck.forecasters.gram import gram
from forecheck.forecasters.linear_members import fit_members
from forecheck.forecasters.stacking import error_moments, mean_moments
from panels import TINY, gappy, hourly, staggered

LOOKBACK, HORIZON = 32, 8
SMALL = {"patch": 8, "width": 8, "heads": 2, "hidden": 16, "layers": 1, "epochs": 1, "batch": 64}


def fitted(name, panel, **options):
    experiment = prepare(panel, LOOKBACK, HORIZON)
    forecaster = registry.create(name, Task(LOOKBACK, HORIZON, panel.values.shape[1], 24), options)
    report = forecaster.fit(experiment.train, experiment.validation)
    return forecaster, report


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("linear", {}),
        ("nlinear", {"per_channel": True}),
        ("anchored", {"lookbacks": (8, 32)}),
        ("anchored-net", {"lookbacks": (32,), "span": 32, **SMALL}),
        ("dlinear-sgd", {"epochs": 1}),
        ("patchtst", TINY | {"epochs": 1, "micro_batch": 24}),
        ("vq-patchtst", TINY | {"epochs": 1, "lr": 1e-3, "vq_updates": 20}),
        ("samovar", {"epochs": 1, "layers": 1}),
        ("vq-tokens", {**SMALL, "patch": 4, "vq_updates": 20}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_content_of_filled_targets_changes_nothing(name, options):
    """Inputs never hold it either, so the whole fit is the same to the bit."""
    panel = gappy(hourly(300), 0.1)
    rubbish = np.where(panel.filled, 1e3 * np.random.default_rng(1).standard_normal(panel.values.shape), panel.values)
    one, _ = fitted(name, panel, **options)
    other, _ = fitted(name, replace(panel, values=rubbish), **options)
    for key, tensor in one.tensors().items():
        assert torch.isfinite(tensor.float()).all(), key
        assert torch.equal(tensor, other.tensors()[key]), key


SUMS = ("inputs", "cross", "input_sum", "target_sum", "target_square")


def assert_sums(found, x, y):
    expected = (x.T @ x, x.T @ y, x.sum(axis=0), y.sum(axis=0), np.square(y).sum(axis=0))
    assert found.count == len(x)
    for name, value in zip(SUMS, expected, strict=True):
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-4, atol=1e-4, err_msg=name)


def materialised(windows):
    return [part.double().transpose(1, 2).flatten(0, 1).numpy() for part in windows.gather(slice(None))]


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("share", [0.05, 0.4])
@pytest.mark.parametrize("panel", [hourly(150), staggered((80, 60), (0, 10))], ids=["one series", "staggered"])
def test_the_gram_of_a_step_is_that_of_the_windows_that_show_it(panel, share, stride):
    panel = gappy(panel, share)
    holes = panel.filled.copy()
    holes[20:27] = True  # longer than a target: windows that are none
    windows = prepare(replace(panel, filled=holes), 10, 4).train.strided(stride)
    x, y = materialised(windows)
    halves = [gram(replace(windows, origins=part)) for part in np.split(windows.origins, [len(windows) // 3])]
    for found in (gram(windows), halves[0] + halves[1]):
        for h, step in enumerate(found.steps()):
            seen = ~np.isnan(y[:, h])
            assert_sums(step, x[seen], y[seen, h : h + 1])


def test_gaps_that_are_none_change_nothing():
    windows = prepare(hourly(150), 10, 4).train
    masked, whole = gram(replace(windows, targets=windows.values)), gram(windows)
    for one, other in zip(masked.steps(), whole.steps(), strict=True):
        for name in SUMS:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_a_closed_form_is_least_squares_over_observed_targets(ridge):
    panel = gappy(hourly(700), 0.3)
    forecaster, report = fitted("nlinear", panel, ridge=ridge)
    experiment = prepare(panel, LOOKBACK, HORIZON)
    x, y = materialised(experiment.train)
    test, truth = materialised(experiment.validation)
    found = forecaster.predict(torch.from_numpy(test)[..., None])[..., 0].numpy()
    expected = np.empty_like(truth)
    for h in range(HORIZON):
        seen = ~np.isnan(y[:, h])
        change, steps = y[seen, h] - x[seen, -1], (x - x[:, -1:])[seen]
        centred = steps - steps.mean(axis=0)
        square = centred.T @ centred
        penalty = ridge * np.trace(square) / LOOKBACK * np.eye(LOOKBACK)
        weight = np.linalg.pinv(square + penalty, rcond=1e-9, hermitian=True) @ centred.T @ (change - change.mean())
        expected[:, h] = test[:, -1] + change.mean() + (test - test[:, -1:] - steps.mean(axis=0)) @ weight
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert report.details["validation_mse"][0] == pytest.approx(np.nanmean(np.square(expected - truth)), rel=1e-3)


def test_members_of_anchored_are_fitted_on_observed_targets():
    windows = prepare(gappy(hourly(700), 0.3), 8, HORIZON).train
    x, y = materialised(windows)
    (last, _), _ = fit_members([gram(windows)], (8,), 0.5)
    short = x - x[:, -1:]
    for h in range(HORIZON):
        seen = ~np.isnan(y[:, h])
        square = short[seen].T @ short[seen]
        penalty = 0.5 * np.trace(square) / 8 * np.eye(8)
        weight = np.linalg.solve(square + penalty, short[seen].T @ (y[seen, h] - x[seen, -1]))
        expected = weight + np.eye(8)[-1] * (1 - weight.sum())
        np.testing.assert_allclose(last[:, h], expected, rtol=1e-3, atol=1e-4)


def test_a_step_that_was_never_observed_is_forecast_as_no_change():
    experiment = prepare(hourly(300), LOOKBACK, HORIZON)
    targets = experiment.train.values.copy()
    targets[np.arange(300) % HORIZON != 0] = np.nan
    daily = [
        replace(part, targets=targets, origins=part.origins[part.origins % HORIZON == 0])
        for part in (experiment.train, experiment.validation)
    ]
    forecaster = registry.create("nlinear", Task(LOOKBACK, HORIZON, 2), {"ridge": 0.1})
    forecaster.fit(*daily)
    x, _ = experiment.test.gather(slice(0, 5))
    forecast = forecaster.predict(x)
    torch.testing.assert_close(forecast[:, 1:], x[:, -1:].expand(-1, HORIZON - 1, -1))
    assert (forecast[:, 0] - x[:, -1]).abs().max() > 1e-3


def test_gaps_in_one_stretch_of_a_rising_series_do_not_tilt_the_fit():
    """The level is not missing at random there: moments of available cases would not be those of all."""
    rng = np.random.default_rng(0)
    rows = np.arange(1200)[:, None]
    panel = hourly(1200, channels=1)
    panel = replace(panel, values=0.05 * rows + np.sin(rows / 4) + 0.1 * rng.standard_normal((1200, 1)))
    holes = np.zeros((1200, 1), dtype=bool)
    holes[60:360] = rng.random((300, 1)) < 0.4
    whole, _ = fitted("nlinear", panel, ridge=1e-4)
    gaps, _ = fitted("nlinear", replace(panel, filled=holes), ridge=1e-4)
    test = prepare(panel, LOOKBACK, HORIZON).test
    x, y = test.gather(slice(None))
    losses = [float((one.predict(x) - y).square().mean()) for one in (whole, gaps)]
    assert losses[1] < 1.05 * losses[0]


@given(st.integers(0, 99))
def test_moments_are_over_observed_steps(seed):
    rng = np.random.default_rng(seed)
    errors = rng.standard_normal((3, 5, 2, 4))  # (member, window, channel, step)
    errors[:, rng.random((5, 2, 4)) < 0.4] = np.nan
    errors[:, 2, 1] = np.nan
    found = error_moments(torch.from_numpy(errors), gaps=True).numpy()
    products = errors[:, None] * errors[None]  # (member, member, window, channel, step)
    for window in range(5):
        for channel in range(2):
            seen = ~np.isnan(errors[0, window, channel])
            if seen.any():
                expected = products[:, :, window, channel, seen].mean(axis=-1)
                np.testing.assert_allclose(found[window, channel], expected)
            else:
                assert np.isnan(found[window, channel]).all()
    there = [window for window in range(5) if not np.isnan(found[window, 1]).any()]
    np.testing.assert_allclose(mean_moments(found)[1], found[there, 1].mean(axis=0) if there else 0.0)


def test_an_error_that_is_not_finite_is_no_gap():
    errors = torch.full((2, 1, 1, 3), float("nan"), dtype=torch.float64)
    with pytest.raises(FloatingPointError, match="not finite"):
        error_moments(errors, gaps=False)


def test_folds_of_several_series_are_cut_at_the_same_times():
    panel = staggered((300, 200), (0, 60))
    experiment = prepare(panel, 10, 4)
    folds = expanding_folds(experiment.train, experiment.validation, (0.5, 0.75), 40, 7)
    assert len(folds) == 3
    for fold in folds:
        assert fold.fit.times.max() + 4 <= fold.held.times.min()
        order = np.unique(fold.held.times)
        np.testing.assert_array_equal(order[fold.times], fold.held.times)
        assert set(panel.series_of(fold.held.origins)) == {0, 1}
