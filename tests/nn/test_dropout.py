"""Dropout from bytes: its rate, scale, gradient and streams."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.nn.dropout import Dropout


@given(st.floats(0.01, 0.99), st.integers(0, 2**63 - 1))
def test_rate_scale_and_mean(p, seed):
    dropout = Dropout(p)
    assert abs(dropout.p - p) <= 1 / 256
    dropout.reseed(seed)
    y = dropout(torch.ones(2**16))
    kept = y != 0
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 1 / (1 - dropout.p)))
    # Six standard errors of a share over 2^16 units.
    bound = 6 * (dropout.p * (1 - dropout.p) / 2**16) ** 0.5
    assert abs(float(kept.float().mean()) - (1 - dropout.p)) < bound
    assert abs(float(y.mean()) - 1) < bound / (1 - dropout.p)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 99))
def test_reseeding_repeats_the_mask_of_any_shape(shape, step):
    dropout = Dropout(0.5)
    x = torch.ones(shape)
    dropout.reseed(3, step)
    first, second = dropout(x), dropout(x)
    assert first.shape == x.shape
    dropout.reseed(3, step)
    torch.testing.assert_close(dropout(x), first, rtol=0, atol=0)
    torch.testing.assert_close(dropout(x), second, rtol=0, atol=0)


def test_streams_differ_by_seed_and_step():
    dropout = Dropout(0.5)
    masks = []
    for entropy in ((0, 0), (0, 1), (1, 0)):
        dropout.reseed(*entropy)
        masks.append(dropout(torch.ones(999)))
    assert not any(torch.equal(masks[i], masks[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_gradient_passes_through_kept_units_only():
    dropout = Dropout(0.3)
    dropout.reseed(0)
    x = torch.randn(40, 30, requires_grad=True)
    y = dropout(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(y, x * gradient)
    assert set(gradient.unique().tolist()) == {0.0, gradient.max().item()}


def test_evaluation_and_rate_zero_are_the_identity():
    x = torch.randn(5, 4)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


def test_rates_near_one_stay_below_one():
    dropout = Dropout(0.9999)
    assert dropout.p == 255 / 256
    assert dropout(torch.ones(2**14)).isfinite().all()


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_rates_out_of_range_are_refused(p):
    with pytest.raises(ValueError, match="dropout must lie in"):
        Dropout(p)


def test_a_tensor_that_is_no_block_of_memory():
    dropout = Dropout(0.5)
    x = torch.randn(6, 5).T
    dropout.reseed(0)
    y = dropout(x)
    dropout.reseed(0)
    torch.testing.assert_close(dropout(x.contiguous()), y)
