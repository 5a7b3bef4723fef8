"""Softmax attention with its gradient by hand, against autograd through plain products."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.nn.kernels.base import Scores
from forecheck.nn.softmax import SoftmaxAttention

USED = [used for used in product([True, False], repeat=2) if any(used)]


def arguments(batch=2, heads=2, queries=3, keys=4, width=2, values=2, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(queries, width), (keys, width), (keys, values)]
    made = [torch.randn(batch, heads, *shape, generator=generator, dtype=dtype) for shape in shapes]
    return [tensor.requires_grad_() for tensor in made]


def plain(q, k, v):
    weights = torch.softmax(q @ k.transpose(-2, -1), dim=-1)
    return weights @ v, weights


def gradients(attend, tensors, used=(True, True), seed=1):
    """Gradients of a random linear function of the used ones of out and weights."""
    outputs = attend(*tensors)
    generator = torch.Generator().manual_seed(seed)
    directions = [torch.randn(output.shape, generator=generator, dtype=output.dtype) for output in outputs]
    loss = sum((o * d).sum() for o, d, use in zip(outputs, directions, used, strict=True) if use)
    return torch.autograd.grad(loss, tensors, allow_unused=True)


def test_forward_is_softmax_of_products():
    torch.testing.assert_close(SoftmaxAttention.apply(*arguments()), plain(*arguments()))


@pytest.mark.parametrize("used", USED, ids=str)
def test_backward_is_autograds_whatever_outputs_the_loss_uses(used):
    tensors = arguments()
    ours, theirs = gradients(SoftmaxAttention.apply, tensors, used), gradients(plain, tensors, used)
    for mine, reference in zip(ours, theirs, strict=True):
        if reference is None:  # where autograd sees no way, a gradient of zeros is as good as none
            assert mine is None or not mine.any()
        else:
            torch.testing.assert_close(mine, reference)


@given(st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(1, 5)] * 4), st.integers(0, 2**32 - 1))
def test_gradcheck_over_shapes(shape, seed):
    assert torch.autograd.gradcheck(SoftmaxAttention.apply, arguments(*shape, seed=seed))


@pytest.mark.parametrize("shift", [0.0, 90.0, -90.0])
def test_gradcheck_where_rows_must_be_shifted(shift):
    q, k, v = arguments()
    with torch.no_grad():  # one feature more adds the same number to all scores
        q, k = (torch.cat([x, torch.full_like(x[..., :1], f)], dim=-1) for x, f in ((q, shift), (k, 1.0)))
    tensors = [x.detach().requires_grad_() for x in (q, k, v)]
    torch.testing.assert_close(SoftmaxAttention.apply(*tensors), plain(*tensors))
    assert torch.autograd.gradcheck(SoftmaxAttention.apply, tensors)


@pytest.mark.parametrize("need_weights", [True, False])
def test_gradients_do_not_change_what_was_given(need_weights):
    tensors = arguments()
    outputs = [o for o in SoftmaxAttention.apply(*tensors, need_weights) if o is not None]
    given = [torch.ones_like(o) for o in outputs]
    before = [t.detach().clone() for t in (*tensors, *outputs)]
    torch.autograd.grad(outputs, tensors, grad_outputs=given)
    assert all((tensor == 1).all() for tensor in given)
    torch.testing.assert_close([t.detach() for t in (*tensors, *outputs)], before, rtol=0, atol=0)


def test_only_values_need_a_gradient():
    q, k, v = arguments()
    (ours,) = torch.autograd.grad(SoftmaxAttention.apply(q.detach(), k.detach(), v)[0].sum(), v)
    (theirs,) = torch.autograd.grad(plain(q, k, v)[0].sum(), v)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0, 1e3, 1e18])
def test_the_pattern_is_torchs_softmax_at_any_scale(scale):
    q, k, v = arguments(4, 3, 42, 42, 4, 4, dtype=torch.float32)
    torch.testing.assert_close(SoftmaxAttention.apply(q * scale, k, v), plain(q * scale, k, v), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", [-1e4, -60.0, 0.0, 60.0, 1e4])
def test_attention_and_gradients_are_right_wherever_the_scores_lie(level):
    q, k, v = arguments(width=3, dtype=torch.float32)
    with torch.no_grad():
        q[..., 0] = level + torch.tensor([0.0, 30.0, -30.0])  # some rows may overflow, some vanish
        k[..., 0] = 1.0
    torch.testing.assert_close(SoftmaxAttention.apply(q, k, v), plain(q, k, v), rtol=5e-3, atol=1e-4)
    ours, theirs = gradients(SoftmaxAttention.apply, (q, k, v)), gradients(plain, (q, k, v))
    torch.testing.assert_close(ours[2], theirs[2], rtol=5e-3, atol=1e-4)
    assert all(gradient.isfinite().all() for gradient in ours)


def test_what_is_not_finite_stays_not_finite():
    q, k, v = arguments()
    with torch.no_grad():
        q[0, 0, 0, 0] = float("nan")
    assert SoftmaxAttention.apply(q, k, v)[0][0, 0, 0].isnan().all()


@pytest.mark.parametrize("used", [(True, False), (True, True)], ids=["out", "out and weights"])
def test_without_the_pattern_all_else_is_the_same(used):
    tensors = arguments()
    out, none = SoftmaxAttention.apply(*tensors, False)
    whole = SoftmaxAttention.apply(*tensors)
    assert none is None
    torch.testing.assert_close(out, whole[0])
    ours = torch.autograd.grad(out.square().sum(), tensors)
    torch.testing.assert_close(ours, torch.autograd.grad(whole[0].square().sum(), tensors))


def test_work_in_pieces_is_the_whole_work(monkeypatch):
    tensors = arguments(5, 3, 4, 6)
    whole, gradient = SoftmaxAttention.apply(*tensors), gradients(SoftmaxAttention.apply, tensors)
    monkeypatch.setattr("forecheck.nn.chunks._BYTES", 200)  # two members a piece
    torch.testing.assert_close(SoftmaxAttention.apply(*tensors), whole)
    torch.testing.assert_close(gradients(SoftmaxAttention.apply, tensors), gradient)


def test_factors_side_by_side_add_scores():
    below, above = (Scores(*arguments(seed=seed)[:2]) for seed in (0, 1))
    torch.testing.assert_close(above.plus(below).full(), above.full() + below.full())
    assert above.plus(None) is above
