"""Softmax attention with its gradient by hand, against autograd through plain products."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.nn.softmax import SoftmaxAttention, softmax


def arguments(batch=2, heads=2, queries=3, keys=4, width=2, values=2, bias=True, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(queries, width), (keys, width), (keys, values)] + [(queries, keys)] * bias
    made = [torch.randn(batch, heads, *shape, generator=generator, dtype=dtype) for shape in shapes]
    return [tensor.requires_grad_() for tensor in made] + [None] * (not bias)


def plain(q, k, v, bias):
    scores = q @ k.transpose(-2, -1)
    if bias is not None:
        scores = scores + bias
    weights = torch.softmax(scores, dim=-1)
    return weights @ v, weights, scores


def gradients(attend, tensors, used, seed=1):
    """Gradients of a random linear function of the used ones of out, weights and scores."""
    outputs = attend(*tensors)
    generator = torch.Generator().manual_seed(seed)
    directions = [torch.randn(output.shape, generator=generator, dtype=output.dtype) for output in outputs]
    loss = sum((o * d).sum() for o, d, use in zip(outputs, directions, used, strict=True) if use)
    return torch.autograd.grad(loss, [t for t in tensors if t is not None], allow_unused=True)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_forward_is_softmax_of_products(bias):
    tensors = arguments(bias=bias)
    for ours, theirs in zip(SoftmaxAttention.apply(*tensors), plain(*tensors), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("used", [used for used in product([True, False], repeat=3) if any(used)], ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_backward_is_autograds_whatever_outputs_the_loss_uses(bias, used):
    tensors = arguments(bias=bias)
    ours, theirs = gradients(SoftmaxAttention.apply, tensors, used), gradients(plain, tensors, used)
    for mine, reference in zip(ours, theirs, strict=True):
        if reference is None:  # where autograd sees no way, a gradient of zeros is as good as none
            assert mine is None or not mine.any()
        else:
            torch.testing.assert_close(mine, reference)


@given(st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(1, 5)] * 4), st.booleans(), st.integers(0, 2**32 - 1))
def test_gradcheck_over_shapes(shape, bias, seed):
    tensors = arguments(*shape, bias=bias, seed=seed)
    assert torch.autograd.gradcheck(SoftmaxAttention.apply, tensors)


def test_gradients_do_not_change_what_was_given():
    q, k, v, bias = arguments()
    out, weights, scores = SoftmaxAttention.apply(q, k, v, bias)
    given = [torch.ones_like(t) for t in (out, weights, scores)]
    torch.autograd.grad((out, weights, scores), (q, k, v, bias), grad_outputs=given)
    assert all((tensor == 1).all() for tensor in given)


def test_only_values_need_a_gradient():
    q, k, v, _ = arguments(bias=False)
    out, _, _ = SoftmaxAttention.apply(q.detach(), k.detach(), v, None)
    (ours,) = torch.autograd.grad(out.sum(), v)
    (theirs,) = torch.autograd.grad(plain(q, k, v, None)[0].sum(), v)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e30])
def test_softmax_is_torchs_at_any_scale(scale):
    scores = torch.randn(3, 5, 42, generator=torch.Generator().manual_seed(0)) * scale
    torch.testing.assert_close(softmax(scores), torch.softmax(scores, dim=-1))


@pytest.mark.parametrize("level", [-1e4, 0.0, 1e4])
def test_attention_is_finite_wherever_the_scores_lie(level):
    q, k, v, bias = arguments(dtype=torch.float32)
    bias = (bias + level + torch.tensor([0.0, 200.0, -200.0])[:, None]).detach().requires_grad_()
    ours, theirs = SoftmaxAttention.apply(q, k, v, bias), plain(q, k, v, bias)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference)
    for mine, reference in zip(
        gradients(SoftmaxAttention.apply, (q, k, v, bias), (True, True, True)),
        gradients(plain, (q, k, v, bias), (True, True, True)),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)
