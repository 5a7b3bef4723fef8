"""Effects of past columns: those of the ridge regression on both pasts, used where they are there and never else."""

from dataclasses import replace

import numpy as np
import pytest
from combination_series import walks
from hypothesis import given, settings
from hypothesis import strategies as st

from forecheck.combination.combine import combine
from forecheck.combination.features import columns_of, past_columns
from forecheck.combination.lagged import (
    RIDGES,
    Sizes,
    corrections,
    fit_lagged,
    lags_tried,
    moments_of,
    standardised,
)
from forecheck.combination.past import with_past
from forecheck.combination.ragged import from_panel, in_units, ragged
from forecheck.data.covariates import Covariates
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel

HORIZON = 4
DAY = 86_400_000_000


def panel_of(series, columns, names=None):
    """Series of (time,) and past columns of (time, past) each."""
    lengths = [len(each) for each in series]
    first = np.datetime64("2024-01-01", "us")
    time = np.concatenate([first + (DAY * np.arange(n)).astype("timedelta64[us]") for n in lengths])
    lagged = np.concatenate(columns)
    names = names or tuple(f"x{i}" for i in range(lagged.shape[1]))
    none = np.empty((len(lagged), 0)), np.empty((len(series), 0, 0))
    covariates = Covariates((), *none, past=names, lagged=lagged)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    labels = tuple(f"s{i}" for i in range(len(series)))
    values = np.concatenate(series)[:, None]
    return Panel(values, offsets, time, labels, ("y",), Frequency("us", DAY), covariates=covariates)


def led(count=3, length=80, effect=5.0, lead=2, seed=0):
    """Walks with an effect of what a column was some steps before; and what follows."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, length + HORIZON))
    y = 50 + 0.3 * np.cumsum(rng.standard_normal((count, length + HORIZON)), axis=1)
    y[:, lead:] += effect * x[:, :-lead]
    return panel_of(list(y[:, :length]), list(x[:, :length, None])), y[:, length:]


def made_of(panel, seasons=()):
    batch = from_panel(panel)
    plain = combine(batch, HORIZON, seasons)
    raw = past_columns(panel, panel.covariates, HORIZON, batch.values.shape[1])
    return with_past(plain, batch, raw, len(panel.channels), seasons), plain


def test_forecasts_are_those_of_the_ridge_regression_on_both_pasts():
    """Rows of the penalties appended to the windows, and least squares of numpy."""
    rng = np.random.default_rng(0)
    sizes, ridge = Sizes(lookback=3, lags=2, columns=1, horizon=2), 0.1
    y, x = rng.standard_normal(60).cumsum(), rng.standard_normal(60)
    batch, z = ragged([y]), x[None, :, None]
    gram, count = moments_of(batch, z, 1, np.ones(1), sizes, 0, 60)
    fit = fit_lagged(gram, sizes, 2, ridge)
    last = np.arange(2, 58)
    assert count == len(last)
    own = np.stack([np.ones(len(last)), *(y[last - k] - y[last] for k in (2, 1, 0))], axis=1)
    past = np.stack([x[last], x[last - 1] - x[last]], axis=1)
    target = np.stack([y[last + k] - y[last] for k in (1, 2)], axis=1)
    window = np.stack([y[last + k] - y[last] for k in range(-2, 3)], axis=1)
    root = np.sqrt(1 / np.maximum(1, np.sqrt((window**2).mean(axis=1)) / 3))[:, None]
    own, past, target = own * root, past * root, target * root
    for number, strength in enumerate(RIDGES):
        penalties = [ridge * (own**2).sum() / 4] * 4 + [strength * (past**2).sum() / 2] * 2
        rows = np.concatenate([np.hstack([own, past]), np.diag(np.sqrt(penalties))])
        both = np.linalg.lstsq(rows, np.concatenate([target, np.zeros((6, 2))]), rcond=None)[0]
        now = np.array([1, y[57] - y[59], y[58] - y[59], 0])
        found = now @ fit.own + corrections(batch, z, 1, fit, number)[0]
        np.testing.assert_allclose(found, np.append(now, [x[59], x[58] - x[59]]) @ both, rtol=1e-8, atol=1e-9)
        residual = target - np.hstack([own, past]) @ both
        assert fit.loss(gram, sizes, number) == pytest.approx((residual**2).sum())


@pytest.mark.parametrize("lead", [1, 2])
def test_an_effect_that_is_there_is_used_and_its_worth_is_told(lead):
    panel, truth = led(lead=lead)
    made, plain = made_of(panel)
    worth = made.past_worth
    assert worth.used
    assert worth.interval[0] > 0
    assert worth.gain == pytest.approx(1 - worth.with_them / worth.without)
    assert np.abs(made.point - truth)[:, :lead].mean() < 0.5 * np.abs(plain.point - truth)[:, :lead].mean()
    assert made.interval(80)[1].mean() - made.interval(80)[0].mean() < np.subtract(*plain.interval(80)[::-1]).mean()


@pytest.mark.parametrize("seed", range(2))
def test_noise_is_not_used_and_leaves_the_forecast_as_it_is(seed):
    made, plain = made_of(led(effect=0.0, seed=seed)[0])
    assert not made.past_worth.used
    assert (made.point == plain.point).all()
    assert made.errors is plain.errors


def test_errors_at_an_origin_are_those_of_what_was_before_it():
    """Columns after an origin change no error there, as long as lags and ridge stay the same."""
    panel, _ = led()
    made, _ = made_of(panel)
    end, count = made.origins[0].end, len(panel.series)
    lagged = panel.covariates.lagged.reshape(count, -1).copy()
    lagged[:, -end:] = lagged[:, -end:][:, ::-1]  # the range and the mean stay what they are
    other, _ = made_of(replace(panel, covariates=replace(panel.covariates, lagged=lagged.reshape(-1, 1))))
    batch = from_panel(panel)
    errors = []
    for each in (panel.covariates.lagged, lagged.reshape(-1, 1)):
        beside = replace(panel.covariates, lagged=each)
        raw = past_columns(panel, beside, HORIZON, batch.values.shape[1])
        z, past = standardised(raw, columns_of(raw)[0]), in_units(batch.before(end), made.unit)
        sizes = Sizes(4, 4, 1, HORIZON)
        gram, _ = moments_of(in_units(batch, made.unit), z, 1, np.ones(count), sizes, 0, past.values.shape[1])
        errors.append(corrections(past, z, 1, fit_lagged(gram, sizes, 4, 1e-3), 2))
    np.testing.assert_allclose(errors[0], errors[1], rtol=1e-9, atol=1e-12)
    assert not np.allclose(other.point, made.point)


@settings(max_examples=2, deadline=None)
@given(st.floats(1e-3, 1e6), st.floats(1e-2, 1e3), st.floats(-1e3, 1e3))
def test_the_forecast_follows_the_scale_of_the_series_and_not_that_of_the_columns(factor, stretch, shift):
    panel, _ = led(count=2, length=60)
    lagged = panel.covariates.lagged * stretch + shift
    other = replace(panel, values=panel.values * factor, covariates=replace(panel.covariates, lagged=lagged))
    a, b = made_of(panel)[0], made_of(other)[0]
    assert a.past_worth.used
    assert b.past_worth.used
    np.testing.assert_allclose(b.point / factor, a.point, rtol=1e-4)


def test_what_is_doubtful_is_named():
    panel, _ = led()
    x, y = panel.covariates.lagged, panel.values
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(x.shape)
    ahead = np.concatenate([np.roll(each, -3) for each in y.reshape(3, -1)])[:, None]
    lagged = np.hstack([x, np.ones_like(x), noise, 2 * noise + 1, 9 * y / 5 + 32, ahead])
    names = ("x", "one", "a", "b", "copy", "ahead")
    made, _ = made_of(replace(panel, covariates=replace(panel.covariates, past=names, lagged=lagged)))
    assert made.past_worth.constant == ("one",)
    assert made.past_worth.collinear == ("a", "b")
    assert set(made.past_worth.leaking) >= {"copy"}
    assert made.past_worth.leaking["copy"] == 0


def test_a_last_value_beyond_all_that_was_is_held_at_the_edge():
    panel, _ = led()
    lagged = panel.covariates.lagged.copy()
    lagged[-1] = 1e9
    wild, _ = made_of(replace(panel, covariates=replace(panel.covariates, lagged=lagged)))
    low, high = panel.values.min(), panel.values.max()
    assert wild.point.min() > low - (high - low)
    assert wild.point.max() < high + (high - low)


@pytest.mark.parametrize("length", [5, 14])
def test_short_ragged_and_constant_series_are_forecast(length):
    rng = np.random.default_rng(0)
    series = [*[each[:length] for each in walks(2, 60)], np.full(length + 3, 7.0)]
    made, _ = made_of(panel_of(series, [rng.standard_normal((len(each), 2)) for each in series]))
    assert np.isfinite(made.point).all()
    assert (made.point[2] == 7).all()
    assert made.past_worth.why


def test_lags_stay_within_what_can_be_fitted():
    assert lags_tried(32, (), 1) == [1, 4, 8]
    assert lags_tried(13, (12,), 2) == [1, 4, 13]
    assert lags_tried(25, (24, 168), 60) == [1, 2]
    assert lags_tried(4, (), 500) == [1]
