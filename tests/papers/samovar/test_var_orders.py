"""The published set of vector autoregressions: draw by draw with numpy's global generator, and its reference errors."""

import numpy as np
import pytest

from forecheck.papers.in_context.theory.autoregressive import spectral_radius
from forecheck.papers.samovar import var_orders as v


@pytest.fixture(scope="module")
def validation():
    return v.var_orders("validation")


@pytest.fixture
def _global_state():
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


def step_by_step(sample, order, bound):
    """As released: the global generator, one step at a time."""
    np.random.seed(sample)  # noqa: NPY002
    np.random.rand()  # noqa: NPY002
    path = np.zeros((65, 2))
    for t in range(order):
        path[t] = np.random.randn(2)  # noqa: NPY002
    matrices = [np.random.uniform(-bound, bound, (2, 2)).astype(np.float32) for _ in range(order)]  # noqa: NPY002
    for t in range(order, 65):
        path[t] = sum(matrix @ path[t - 1 - k] for k, matrix in enumerate(matrices))
        path[t] += np.random.normal(0, 0.05, 2)  # noqa: NPY002
    return np.clip(path, -15, 15)


@pytest.mark.usefixtures("_global_state")
@pytest.mark.parametrize(("part", "bound"), [("train", 0.5), ("validation", 0.25)])
def test_samples_are_those_of_the_released_code(part, bound):
    made = v.var_orders(part, 1000)
    for sample in (0, 1, 2, 3, 824, 999):
        np.testing.assert_allclose(made.values[sample], step_by_step(sample, made.order[sample], bound), atol=1e-12)


@pytest.mark.usefixtures("_global_state")
def test_orders_are_those_of_the_released_code(validation):
    np.random.seed(2025)  # noqa: NPY002
    train = np.random.randint(1, 3, 20_000)  # noqa: NPY002
    np.testing.assert_array_equal(validation.order, np.random.randint(3, 5, 2000))  # noqa: NPY002
    np.testing.assert_array_equal(v.var_orders("train", 500).order, train[:500])


def test_reference_errors_are_the_known_ones(validation):
    target = validation.values[:, -1]
    stable = spectral_radius(validation.coefficients) < 1
    assert (~stable).sum() == 1
    assert np.square(validation.oracle() - target).mean() == pytest.approx(0.00242, abs=5e-6)
    assert np.square(target).mean() == pytest.approx(0.0211, abs=5e-5)
    assert np.square(target[stable]).mean() == pytest.approx(0.00290, abs=5e-6)
    assert np.square(target - validation.values[:, -2]).mean() == pytest.approx(0.0754, abs=5e-5)


def test_lags_beyond_the_order_are_zero_and_noise_is_what_the_oracle_misses(validation):
    assert (validation.coefficients[validation.order == 3, 3] == 0).all()
    assert (validation.coefficients[validation.order == 4, 3] != 0).all()
    error = np.square(validation.oracle() - validation.values[:, -1]).ravel()
    assert abs(error.mean() - v.NOISE**2) < 4 * error.std() / len(error) ** 0.5
