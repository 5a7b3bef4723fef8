"""Moving averages against numpy; the parts of a decomposition sum to what was split."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.forecasters.linear import moving_average as matrix
from forecheck.nn.decomposition import SeriesDecomposition, moving_average


def series(length, features=2, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((3, length, features)))


@given(st.integers(1, 30), st.integers(1, 40))
def test_moving_average_is_numpys(length, kernel):
    x = series(length)
    padded = np.pad(x.numpy(), ((0, 0), (kernel // 2, (kernel - 1) // 2), (0, 0)), mode="edge")
    expected = np.apply_along_axis(lambda row: np.convolve(row, np.full(kernel, 1 / kernel), "valid"), 1, padded)
    np.testing.assert_allclose(moving_average(x, kernel), expected, rtol=0, atol=1e-12)


@given(st.integers(1, 30), st.integers(0, 15))
def test_it_is_the_matrix_of_the_closed_form(length, half):
    x, kernel = series(length), 2 * half + 1
    expected = torch.einsum("btf,ts->bsf", x, torch.from_numpy(matrix(length, kernel)))
    torch.testing.assert_close(moving_average(x, kernel), expected)


@given(st.integers(1, 30), st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_parts_sum_to_the_series(length, kernels):
    x = series(length)
    remainder, trend = SeriesDecomposition(kernels).double()(x)
    torch.testing.assert_close(remainder + trend, x)
    flat = torch.full_like(x, 2.5)
    torch.testing.assert_close(SeriesDecomposition(kernels).double()(flat)[1], flat)


def test_several_averages_are_mixed_by_the_value_itself():
    made, x = SeriesDecomposition([3, 7]).double(), series(20)
    share = torch.softmax(made.gate(x[..., None]), dim=-1)
    expected = share[..., 0] * moving_average(x, 3) + share[..., 1] * moving_average(x, 7)
    torch.testing.assert_close(made(x)[1], expected)
    assert share.std() > 0.01  # the two shares are not constants


@pytest.mark.parametrize("kernels", [[], [0], [3, -1]])
def test_impossible_averages_are_refused(kernels):
    with pytest.raises(ValueError, match="at least one step"):
        SeriesDecomposition(kernels)
