import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from forecheck.combination.stack import comparable, stacked
from forecheck.combination.weights import project, simplex_weights


@pytest.mark.parametrize("pull", [0.0, 0.3, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_the_least_on_the_simplex(seed, pull):
    errors = np.random.default_rng(seed).standard_normal((40, 4)) + np.arange(4) * 0.4
    products = errors.T @ errors / 40
    strength = pull * products.diagonal().min()

    def loss(w):
        return w @ products @ w + strength * np.square(w - 0.25).sum()

    ours = simplex_weights(products, pull)
    best = minimize(
        loss, np.full(4, 0.25), bounds=[(0, 1)] * 4, constraints={"type": "eq", "fun": lambda w: w.sum() - 1}
    )
    assert ours.sum() == pytest.approx(1)
    assert (ours >= 0).all()
    assert loss(ours) <= best.fun * (1 + 1e-4)
    stack = np.stack([products, products * 1e6])
    assert_allclose(simplex_weights(stack, pull), [ours, ours], atol=1e-3)  # no unit, and many at once


def test_projection_is_the_nearest_point():
    assert_allclose(project(np.array([0.5, 0.5])), [0.5, 0.5])
    assert_allclose(project(np.array([2.0, 0.0, -1.0])), [1, 0, 0])
    assert_allclose(project(np.array([[0.6, 0.6], [0.0, 3.0]])), [[0.5, 0.5], [0, 1]])


def test_a_series_of_its_own_kind_gets_its_own_weights():
    """Member 0 is exact for the first three series, member 1 for the last one."""
    rng = np.random.default_rng(0)
    errors = rng.standard_normal((12, 2, 4, 5))
    errors[:, 0, :3] *= 0.1
    errors[:, 1, 3] *= 0.1
    weights, blind = stacked(errors)
    assert (weights[:3, 0] > 0.8).all()
    assert weights[3, 1] > 0.25 > 2 * weights[:3, 1].max()
    assert blind.shape == (12, 4, 5)


def test_errors_of_an_origin_are_weighted_without_it():
    errors = np.random.default_rng(1).standard_normal((8, 3, 5, 4))
    _, before = stacked(errors)
    errors[:2] *= 0.5  # the first block: its own weights come from the others
    _, after = stacked(errors)
    assert_allclose(after[:2], before[:2] * 0.5, rtol=0.2, atol=0.05)


def test_one_origin_leaves_equal_weights_for_itself():
    errors = np.random.default_rng(1).standard_normal((1, 2, 3, 4))
    assert_allclose(stacked(errors)[1], errors.mean(axis=1))


def test_series_count_alike_whatever_their_unit():
    errors = np.random.default_rng(2).standard_normal((6, 3, 4, 5))
    scaled = errors * np.array([1, 1e6, 1e-6, 3.0])[:, None]
    assert_allclose(comparable(scaled), comparable(errors))
    errors[0, :, 0] = np.nan
    assert np.isfinite(stacked(errors)[0]).all()
