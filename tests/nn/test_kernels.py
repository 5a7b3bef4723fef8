"""The contract that every kernel signs, and each against its definition."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.nn.attention import Attention, PatternEdit
from forecheck.nn.kernels.base import Scores
from forecheck.nn.kernels.differential import Differential, SimpleDifferential
from forecheck.nn.kernels.named import KERNELS, make_kernel

ALL = pytest.mark.parametrize("name", KERNELS)
SOFT = pytest.mark.parametrize("name", ["softmax", "log-sum-exp"])
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()
MASKS = pytest.mark.parametrize("mask", [None, CAUSAL], ids=["all", "causal"])


def made(name, depth=1):
    """A kernel of two heads of width 4, its parameters off their start."""
    torch.manual_seed(0)
    kernel = make_kernel(name, 8, 2, depth).double()
    with torch.no_grad():
        for parameter in kernel.parameters():
            parameter.add_(torch.randn_like(parameter).mul_(0.5))
    return kernel


def qkv(kernel, batch=3, tokens=5, keys=None, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    keys = tokens if keys is None else keys
    shapes = [(tokens, 2 * kernel.parts, 4 // kernel.parts), (keys, 2 * kernel.parts, 4 // kernel.parts), (keys, 2, 4)]
    return [
        scale * torch.randn(batch, heads, count, width, generator=generator, dtype=torch.float64)
        for count, heads, width in shapes
    ]


def softmax(scores, mask):
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    powers = powers if mask is None else powers * mask
    return powers / powers.sum(-1, keepdim=True).clamp(min=1e-300)


def lam_of(kernel):
    if isinstance(kernel, SimpleDifferential):
        return 1 / (1 + math.exp(-kernel.logit.item()))
    first = math.exp((kernel.query1 * kernel.key1).sum().item())
    return first - math.exp((kernel.query2 * kernel.key2).sum().item()) + kernel.start


def pattern(name, kernel, q, k, mask):
    """The definition, by einsum."""
    scores = torch.einsum("bhqw,bhkw->bhqk", q, k)
    if name == "linear":
        share = torch.ones(5, 5) if mask is None else mask
        return scores * share / share.sum(-1, keepdim=True)
    if name in ("softmax", "log-sum-exp"):
        return softmax(scores, mask)
    first, second = scores[:, [0, 2]], scores[:, [1, 3]]
    return softmax(first, mask) - lam_of(kernel) * softmax(second, mask)


@ALL
@MASKS
def test_it_is_its_definition(name, mask):
    kernel = made(name)
    q, k, v = qkv(kernel)
    out, weights = kernel(q, k, v, mask)
    torch.testing.assert_close(weights, pattern(name, kernel, q, k, mask))
    torch.testing.assert_close(out, torch.einsum("bhqk,bhkw->bhqw", weights, v))
    torch.testing.assert_close(kernel(q, k, v, mask, need_weights=False).out, out)
    if mask is not None:
        assert (weights.masked_select(~mask) == 0).all()


@ALL
def test_rows_sum_to_one_where_the_kernel_says_so(name):
    kernel = made(name)
    sums = kernel(*qkv(kernel)).weights.sum(-1)
    assert torch.allclose(sums, torch.ones_like(sums)) == kernel.stochastic
    if "differential" in name:
        torch.testing.assert_close(sums, torch.full_like(sums, 1 - lam_of(kernel)))


@ALL
@MASKS
def test_gradients_are_those_of_finite_differences(name, mask):
    kernel = made(name)
    inputs = [x.requires_grad_() for x in qkv(kernel, batch=1, tokens=5)]
    assert torch.autograd.gradcheck(lambda *x: kernel.finish(kernel(*x, mask).out), inputs)
    loss = kernel.finish(kernel(*inputs, mask).out).square().sum()
    for gradient in torch.autograd.grad(loss, list(kernel.parameters())) if list(kernel.parameters()) else ():
        assert gradient.abs().max() > 0


@ALL
def test_permuting_tokens_permutes_the_result(name):
    kernel, order = made(name), torch.tensor([3, 0, 4, 1, 2])
    q, k, v = qkv(kernel)
    whole, moved = kernel(q, k, v), kernel(*(x[:, :, order] for x in (q, k, v)))
    torch.testing.assert_close(moved.out, whole.out[:, :, order])
    torch.testing.assert_close(moved.weights, whole.weights[:, :, order][:, :, :, order])


@ALL
def test_a_batch_is_its_parts(name):
    kernel = made(name)
    tensors = qkv(kernel)
    parts = [kernel.finish(kernel(*(x[i : i + 1] for x in tensors)).out) for i in range(3)]
    torch.testing.assert_close(torch.cat(parts), kernel.finish(kernel(*tensors).out))


@ALL
def test_a_full_mask_is_no_mask(name):
    kernel = made(name)
    q, k, v = qkv(kernel, keys=6)
    full, plain = kernel(q, k, v, torch.ones(5, 6, dtype=torch.bool)), kernel(q, k, v)
    torch.testing.assert_close(full.out, plain.out)
    torch.testing.assert_close(full.weights, plain.weights)


@ALL
def test_a_row_without_any_key_gives_zero_and_finite_gradients(name):
    kernel, mask = made(name), CAUSAL.clone()
    mask[2] = False
    inputs = [x.requires_grad_() for x in qkv(kernel)]
    out, weights = kernel(*inputs, mask)
    assert (out[:, :, 2] == 0).all()
    assert (weights[:, :, 2] == 0).all()
    gradients = torch.autograd.grad(out.square().sum(), inputs)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert (gradients[0][:, :, 2] == 0).all()


@SOFT
@given(rows=st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=5, max_size=5))
def test_softmax_sees_exactly_what_the_mask_allows(name, rows):
    kernel, mask = made(name), torch.tensor(rows)
    q, k, v = qkv(kernel)
    torch.testing.assert_close(kernel(q, k, v, mask).weights, softmax(q @ k.mT, mask))


@given(st.sampled_from([1e-3, 1.0, 30.0, 1e4, 1e18]), st.booleans(), st.integers(0, 2**32 - 1))
def test_log_sum_exp_is_softmax_at_any_scale(scale, masked, seed):
    """The control: float32, scores up to 1e18."""
    kernel, other = make_kernel("log-sum-exp", 8, 2), make_kernel("softmax", 8, 2)
    q, k, v = (x.float() for x in qkv(kernel, seed=seed))
    mask = CAUSAL if masked else None
    ours, theirs = kernel(q * scale, k, v, mask), other(q * scale, k, v, mask)
    assert ours.out.isfinite().all()
    torch.testing.assert_close(ours.weights, theirs.weights, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(ours.out, theirs.out, rtol=1e-3, atol=1e-4)


def test_log_sum_exp_has_softmaxs_gradients_at_large_scores():
    kernel, other = make_kernel("log-sum-exp", 8, 2), make_kernel("softmax", 8, 2)
    inputs = [x.requires_grad_() for x in qkv(kernel, scale=30)]
    left, right = (torch.autograd.grad(each(*inputs).out.square().sum(), inputs) for each in (kernel, other))
    torch.testing.assert_close(left, right)


def test_equal_halves_with_lam_one_cancel():
    kernel = make_kernel("differential-simplified", 8, 2).double()
    q, k, v = qkv(kernel)
    q[:, 1::2], k[:, 1::2] = q[:, ::2], k[:, ::2]
    torch.testing.assert_close(kernel(q, k, v).out, softmax(q[:, ::2] @ k[:, ::2].mT, None) @ v / 2)
    with torch.no_grad():
        kernel.logit.fill_(100.0)
    torch.testing.assert_close(kernel(q, k, v).out, torch.zeros_like(v))


def test_the_full_form_is_the_papers():
    for depth, start in ((0, 0.2), (3, 0.8 - 0.6 * math.exp(-0.9))):
        kernel = Differential(8, 2, depth)
        assert kernel.start == pytest.approx(start)
        assert kernel.query1.shape == (2,)
        assert kernel.norm.weight.shape == (4,)
    kernel = made("differential", depth=3)
    out = torch.randn(2, 2, 5, 4, dtype=torch.float64)
    normed = out / (out.square().mean(-1, keepdim=True) + 1e-5).sqrt() * kernel.norm.weight
    torch.testing.assert_close(kernel.finish(out), (1 - kernel.start) * normed)
    drawn = torch.cat([Differential(4000, 2, 0).query1.detach() for _ in range(2)])
    assert float(drawn.std()) == pytest.approx(0.1, rel=0.1)


def test_what_is_unknown_or_uneven_is_named():
    with pytest.raises(ValueError, match="no attention kernel is called 'sharp'; known: softmax, linear, diff"):
        make_kernel("sharp", 8, 2)
    with pytest.raises(ValueError, match="the differential kernel cuts each head in 2: its width 3 must be a multiple"):
        make_kernel("differential", 6, 2)


class Same(PatternEdit):
    """The raw pattern, and a note of it."""

    def forward(self, weights, allowed, like):
        self.seen = weights.detach()
        return weights


@ALL
@pytest.mark.parametrize("residual", [False, True])
def test_in_the_module_edits_see_and_replace_the_pattern_that_is_used(name, residual):
    """What comes after mixing is done to what an edit has mixed, too."""
    torch.manual_seed(0)
    attention = Attention(8, 2, kernel=name, depth=1).double()
    x, seen = torch.randn(3, 5, 8, dtype=torch.float64), []
    bias = attention(x.flip(0))[1] if residual else None
    attention.observe = seen.append
    plain, scores = attention(x, CAUSAL, bias)
    assert isinstance(scores, Scores)
    attention.edit = Same()
    torch.testing.assert_close(attention(x, CAUSAL, bias)[0], plain)
    torch.testing.assert_close(attention.edit.seen, seen[0])
    v = attention.project(x)[..., 16:].unflatten(-1, (2, 4)).transpose(1, 2)
    mixed = attention.kernel.finish(torch.einsum("bhqk,bhkw->bhqw", seen[0], v))
    torch.testing.assert_close(attention.out(mixed.transpose(1, 2).flatten(2)), plain)


@ALL
def test_dropout_on_the_pattern_keeps_what_comes_after(name):
    torch.manual_seed(0)
    attention = Attention(8, 2, kernel=name, dropout=0.5).double()
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    masks, seen = [], []
    attention.dropout.register_forward_hook(lambda _module, _args, output: masks.append(output))
    attention.observe = seen.append
    out, _ = attention(x)
    v = attention.project(x)[..., 16:].unflatten(-1, (2, 4)).transpose(1, 2)
    assert not torch.equal(masks[0], seen[0])
    mixed = attention.kernel.finish(masks[0] @ v)
    torch.testing.assert_close(attention.out(mixed.transpose(1, 2).flatten(2)), out)


@ALL
def test_scores_of_the_layer_below_are_added_part_by_part(name):
    torch.manual_seed(0)
    attention = Attention(8, 2, kernel=name).double()
    x, other = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    _, below = attention(other)
    _, alone = attention(x)
    mixed, both = attention(x, bias=below)
    torch.testing.assert_close(both.full(), alone.full() + below.full())
    v = attention.project(x)[..., 16:].unflatten(-1, (2, 4)).transpose(1, 2)
    weights = pattern(name, attention.kernel, both.full(), torch.eye(5).expand(3, both.k.shape[1], 5, 5).double(), None)
    expected = attention.kernel.finish(weights @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(mixed, attention.out(expected))
