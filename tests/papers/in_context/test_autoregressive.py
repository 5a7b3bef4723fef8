"""Autoregressive processes against statsmodels, scipy's Lyapunov solver and Monte Carlo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov
from statsmodels.tsa.arima_process import ArmaProcess
from statsmodels.tsa.vector_ar.var_model import VARProcess

from forecheck.errors import DataError
from forecheck.papers.in_context.theory.autoregressive import (
    EXCESS_KURTOSIS,
    Autoregression,
    companion,
    rejected_coefficients,
    scaled_coefficients,
    spectral_radius,
)

AR = [(0.8,), (0.6, -0.3), (0.5, 0.2, -0.4)]


def vector(count=1, order=2, channels=3, seed=0):
    factor = np.random.default_rng(seed).standard_normal((count, channels, channels))
    noise = factor @ factor.swapaxes(1, 2) + np.eye(channels)
    return Autoregression(scaled_coefficients(np.arange(count), order, channels, seed=seed), noise)


def mean_within(values, expected, errors=4):
    """The mean over the first axis is what is expected, up to its standard error."""
    error = values.std(axis=0, ddof=1) / len(values) ** 0.5
    assert (np.abs(values.mean(axis=0) - expected) < errors * error).all()


@given(order=st.integers(1, 5), channels=st.integers(1, 4), seed=st.integers(0, 99))
def test_scaled_processes_have_the_radius_that_was_drawn(order, channels, seed):
    drawn = scaled_coefficients(np.arange(5), order, channels, radius=(0.4, 0.9), seed=seed)
    assert (spectral_radius(drawn) > 0.4 - 1e-6).all()
    assert (spectral_radius(drawn) < 0.9 + 1e-6).all()
    np.testing.assert_array_equal(drawn[3:4], scaled_coefficients(np.array([3]), order, channels, (0.4, 0.9), seed))


def test_the_radius_is_that_of_the_roots_of_the_lag_polynomial():
    for phi in AR:
        roots = ArmaProcess(np.r_[1, -np.array(phi)], [1.0]).arroots
        assert spectral_radius(np.array(phi)[None, :, None, None])[0] == pytest.approx(1 / np.abs(roots).min())


@pytest.mark.parametrize(("order", "accepted"), [(1, 1.0), (2, 0.80), (3, 0.60), (5, 0.22), (7, 0.057)])
def test_rejected_processes_are_stable_and_their_share_is_the_known_one(order, accepted):
    rng = np.random.default_rng(order)
    free = spectral_radius(rng.uniform(-0.9, 0.9, (4000, order, 1, 1))) < 1
    assert free.mean() == pytest.approx(accepted, abs=0.005 + 4 * (accepted * (1 - accepted) / 4000) ** 0.5)
    drawn = rejected_coefficients(np.arange(50), order)
    assert (spectral_radius(drawn) < 1).all()
    assert np.abs(drawn).max() <= 0.9
    np.testing.assert_array_equal(drawn[7:9], rejected_coefficients(np.array([7, 8]), order))


def test_rejection_ends_with_an_error():
    with pytest.raises(DataError, match="no stable process of order 5 with 4 channels among 40 draws"):
        rejected_coefficients(np.arange(3), 5, channels=4, bound=3.0, tries=40)


def test_an_unstable_process_is_refused():
    with pytest.raises(DataError, match=r"process 1 \(1 of 2\) is not stable"):
        Autoregression.scalar(np.array([[0.5], [1.0]]))


@pytest.mark.parametrize("phi", AR)
def test_autocovariances_are_those_of_statsmodels(phi):
    mine = Autoregression.scalar(np.array([phi]), 0.3).autocovariances(8)[0, :, 0, 0]
    theirs = ArmaProcess(np.r_[1, -np.array(phi)], [1.0]).acovf(8) * 0.3
    np.testing.assert_allclose(mine, theirs, rtol=1e-10)


def test_covariances_of_several_channels_are_those_of_statsmodels_and_of_the_lyapunov_equation():
    process = vector(count=4)
    gammas, states, matrices = process.autocovariances(5), process.state_covariance(), companion(process.coefficients)
    for i in range(4):
        theirs = VARProcess(process.coefficients[i], None, process.noise[i])
        np.testing.assert_allclose(gammas[i], theirs.acf(4), rtol=1e-8, atol=1e-10)
        noise = np.zeros((6, 6))
        noise[:3, :3] = process.noise[i]
        np.testing.assert_allclose(states[i], solve_discrete_lyapunov(matrices[i], noise), rtol=1e-8, atol=1e-10)


def test_covariances_near_the_unit_circle():
    np.testing.assert_allclose(
        Autoregression.scalar(np.array([[0.9999]])).autocovariances(1)[0, 0, 0, 0], 1 / (1 - 0.9999**2), rtol=1e-9
    )


@pytest.mark.parametrize("law", ["normal", "laplace"])
def test_paths_are_stationary_with_the_covariances_of_the_process(law):
    process = vector(seed=2)
    paths = process.simulate(np.arange(8000), 3, seed=4, law=law, burn_in=0 if law == "normal" else 60)
    gammas = process.autocovariances(2)[0]
    for t in (0, 2):
        mean_within(paths[:, t, :, None] * paths[:, t, None], gammas[0])
    mean_within(paths[:, 1, :, None] * paths[:, 0, None], gammas[1])


@pytest.mark.parametrize("law", ["normal", "laplace"])
def test_innovations_have_their_variance_and_kurtosis(law):
    noise = Autoregression.scalar(np.zeros((1, 1)), 0.25).simulate(np.arange(20), 4000, law=law, burn_in=1).ravel()
    mean_within(noise**2, 0.25)
    mean_within(noise**4, 0.0625 * (3 + EXCESS_KURTOSIS[law]))


def test_the_bayes_error_is_that_of_the_best_forecast():
    process = vector(seed=3)
    paths = process.simulate(np.arange(8000), 8, seed=5)
    errors = np.square(process.forecast(paths[:, :4], 4) - paths[:, 4:])
    mean_within(errors, process.bayes_error(4)[0])
    theirs = VARProcess(process.coefficients[0], None, process.noise[0])
    np.testing.assert_allclose(process.bayes_error(4)[0], np.diagonal(theirs.mse(4), axis1=1, axis2=2))


def test_forecasts_are_powers_of_the_companion_matrix():
    process = Autoregression.scalar(np.array([[0.5, 0.2, -0.4]]))
    history = np.random.default_rng(0).standard_normal((6, 9, 1))
    state, step = history[:, :-4:-1, 0], companion(process.coefficients)[0]
    expected = np.stack([state @ np.linalg.matrix_power(step, h).T[:, 0] for h in range(1, 6)], axis=1)
    np.testing.assert_allclose(process.forecast(history, 5)[..., 0], expected, rtol=1e-10)


def test_a_series_is_the_same_alone_and_of_its_own_process():
    process = vector(count=6)
    together = process.simulate(np.arange(6), 20, seed=1)
    alone = Autoregression(process.coefficients[4:5], process.noise[4:5])
    np.testing.assert_allclose(together[4:5], alone.simulate(np.array([4]), 20, seed=1), rtol=1e-12)
    longer = alone.simulate(np.array([4, 5]), 30, seed=1)
    np.testing.assert_allclose(together[4], longer[0, :20], rtol=1e-12)
    assert np.abs(longer[0] - longer[1]).min() > 0
    assert np.abs(together - process.simulate(np.arange(6), 20, seed=2)).min() > 0


def test_bounds_of_the_radius_are_checked():
    with pytest.raises(ValueError, match="in order"):
        scaled_coefficients(np.arange(2), 1, radius=(0.5, 1.0))
