"""The vectorised members against loops over one series."""

import numpy as np
import pytest
from combination_series import batch, monthly, walks
from numpy.testing import assert_allclose
from statsmodels.tsa.seasonal import seasonal_decompose

from forecheck.combination.members import bounded, bounds_of
from forecheck.combination.naive import naive_members
from forecheck.combination.ragged import Ragged, naive_error
from forecheck.combination.seasonal import Season, decompose
from forecheck.combination.smoothing import DAMPED, SIMPLE, THETA, smooth, smoothing_members


def looped(y, alpha, beta, phi, trend):
    """Level, trend and squared errors of one series, step by step."""
    level, loss = y[0], 0.0
    for value in y[1:]:
        error = value - level - phi * trend
        loss += error**2
        level, trend = level + phi * trend + alpha * error, phi * trend + alpha * beta * error
    return level, trend, loss


@pytest.mark.parametrize("grid", [SIMPLE, DAMPED, THETA], ids=["simple", "damped", "theta"])
def test_smoothing_is_that_of_a_loop_over_one_series(grid):
    series = walks(4)
    panel = batch(series)
    trend = np.arange(len(grid))[:, None] * 0.01 + np.arange(4) / 10
    found = smooth(panel.values, panel.first, grid, trend)
    for point in range(0, len(grid), 7):
        for s, y in enumerate(series):
            expected = looped(y, *grid[point], trend[point, s])
            assert_allclose([part[point, s] for part in found], expected, rtol=1e-10)


def flat(count):
    return Season(np.zeros((count, 1)), np.zeros(count, dtype=bool))


def averaged(fits, ahead, steps):
    """Forecasts of fits (level, trend, squared error, damping) by their likelihood."""
    losses = np.array([fit[2] for fit in fits])
    share = (losses / losses.min()) ** (-steps / 2)
    each = [level + trend * np.cumsum(phi**ahead) for level, trend, _, phi in fits]
    return share @ np.array(each) / share.sum()


def test_each_kind_is_averaged_over_its_constants_by_their_likelihood():
    series = walks(5)
    found = smoothing_members(batch(series), flat(5), 4)
    ahead = np.arange(1, 5)
    for s, y in enumerate(series):
        early, slope = (y[4] - y[0]) / 4, np.polyfit(np.arange(len(y)), y, 1)[0]
        simple = [(*looped(y, *point, 0.0), 1.0) for point in SIMPLE]
        damped = [(*looped(y, *point, early), point[2]) for point in DAMPED]
        theta = [(*looped(y, *point, share * slope), 1.0) for point in SIMPLE for share in (0.5, 1.0)]
        for name, fits in {"simple": simple, "damped": damped, "theta": theta}.items():
            assert_allclose(found[name][s], averaged(fits, ahead, len(y) - 1), rtol=1e-8)


def test_theta_of_a_line_goes_on():
    line = batch([3 + 2 * np.arange(20.0)])
    assert_allclose(smoothing_members(line, flat(1), 3)["theta"], [[43, 45, 47]])


@pytest.mark.parametrize(("period", "positive"), [(12, True), (12, False), (7, True), (7, False)])
def test_seasonal_indices_are_those_of_classical_decomposition(period, positive):
    rng = np.random.default_rng(period)
    t = np.arange(period * 8 + 3)
    y = 10 * positive + 0.02 * t + 3 * np.sin(2 * np.pi * t / period) + 0.3 * rng.standard_normal(len(t))
    season = decompose(batch([y]), period)
    kind = "multiplicative" if positive else "additive"
    expected = seasonal_decompose(y, model=kind, period=period).seasonal
    assert bool(season.multiplicative[0]) is positive
    assert_allclose(season.put_back(season.without(y[None])[:, -period:] * 0 + positive)[0], expected[3 : 3 + period])
    assert_allclose(season.without(y[None])[0], y / expected if positive else y - expected)


def test_no_season_is_seen_in_noise_or_in_less_than_two():
    noise = np.random.default_rng(3).standard_normal((50, 60)) + 20
    found = decompose(batch(noise), 12).index
    assert (found == 1).all(axis=1).mean() > 0.85
    two = 20 + np.tile(np.arange(12.0), 2)
    assert (decompose(batch([two]), 12).index == 1).all()


def test_taking_a_season_out_and_putting_it_back_is_nothing():
    panel = batch(monthly(3))
    season = decompose(panel, 12)
    again = season.put_back(np.ones((3, 24)))
    assert_allclose(again[:, :12], again[:, 12:])
    assert_allclose(again[:, :12].mean(axis=1), 1)


def test_naive_members_by_hand():
    panel = batch([np.arange(1.0, 14), [5.0, 1, 2, 3, 9, 1, 2, 3]])
    found = naive_members(panel, 6, (4,))
    assert_allclose(found["last"][:, 0], [13, 3])
    assert_allclose(found["season 4"], [[10, 11, 12, 13, 10, 11], [9, 1, 2, 3, 9, 1]])
    assert_allclose(found["seasons 4"], [[6, 7, 8, 9, 6, 7], [7, 1, 2, 3, 7, 1]])
    assert_allclose(found["mean"][:, 0], [7, 3.25])
    assert_allclose(found["median"][:, 0], [7, 2.5])


def test_the_naive_error_counts_observed_pairs_only():
    values = np.array([[np.nan, 1, 2, 4, 4, 10]])
    truth = np.array([[False, True, True, False, True, True]])
    assert naive_error(Ragged(values, truth), 1) == pytest.approx((1 + 6) / 2)
    assert naive_error(Ragged(values, truth), 2) == pytest.approx(2)
    assert naive_error(batch([[1, 2, 1, 2, 1, 2]]), 2) == 1  # repeats itself: the unit is that of lag 1
    assert naive_error(batch([[3, 3, 3]]), 1) == 0


def test_forecasts_stay_near_the_range_of_the_series_and_above_zero():
    past = batch([[0.0, 4, 2], [-1.0, 3, 1], [10.0, 10, 10]])
    found = bounded(np.array([[-9.0, 99], [-9, 99], [9, 11]]), bounds_of(past, 2))
    assert_allclose(found, [[0, 8], [-5, 7], [10, 10]])
