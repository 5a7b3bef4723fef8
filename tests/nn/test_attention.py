"""The attention module: projections, masks, residual scores, and a pattern to look at or to edit."""

import pytest
import torch
from einops import rearrange

from forecheck.nn.attention import Attention, PatternEdit
from forecheck.nn.kernels.base import Kernel, KernelOutput, Scores
from forecheck.nn.kernels.softmax import Softmax

CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()


def qkv(batch=2, heads=3, tokens=5, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, batch, heads, tokens, width, generator=generator, dtype=torch.float64).unbind(0)


def module(dropout=0.0, seed=0):
    torch.manual_seed(seed)
    return Attention(6, 3, dropout=dropout).double()


def by_hand(attention, x, mask=None, bias=None):
    """The same attention from torch's own functional."""
    q, k, v = (rearrange(t, "b t (h w) -> b h t w", h=3) for t in attention.project(x).chunk(3, dim=-1))
    extra = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype) if bias is None else bias
    if mask is not None:
        extra = extra.masked_fill(~mask, float("-inf"))
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=extra)
    return attention.out(rearrange(mixed, "b h t w -> b t (h w)"))


@pytest.mark.parametrize("mask", [None, CAUSAL], ids=["all", "causal"])
@pytest.mark.parametrize("biased", [False, True], ids=["no bias", "bias"])
def test_module_is_scaled_dot_product_attention(mask, biased):
    attention = module()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    bias = Scores(*qkv(seed=3)[:2]) if biased else None
    ours, _ = attention(x, mask, bias)
    theirs = by_hand(attention, x, mask, None if bias is None else bias.full())
    torch.testing.assert_close(ours, theirs)
    parameters = list(attention.parameters())
    for mine, reference in zip(
        torch.autograd.grad(ours.square().sum(), parameters),
        torch.autograd.grad(theirs.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference)


def test_scores_passed_on_carry_gradients():
    attention = module()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    first, scores = attention(x)
    second, _ = attention(first, bias=scores)
    (through,) = torch.autograd.grad(second.square().sum(), attention.project.weight)
    q, k, _ = (rearrange(t, "b t (h w) -> b h t w", h=3) for t in attention.project(x).chunk(3, dim=-1))
    plain = by_hand(attention, by_hand(attention, x), bias=q @ k.transpose(-2, -1) / 2**0.5)
    (reference,) = torch.autograd.grad(plain.square().sum(), attention.project.weight)
    torch.testing.assert_close(through, reference)


def test_observed_is_the_raw_pattern_without_gradient():
    attention = module()
    seen = []
    attention.observe = seen.append
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    plain, _ = attention(x)
    assert not seen[0].requires_grad
    torch.testing.assert_close(seen[0].sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))
    v = rearrange(attention.project(x).chunk(3, dim=-1)[2], "b t (h w) -> b h t w", h=3)
    torch.testing.assert_close(attention.out(rearrange(seen[0] @ v, "b h t w -> b t (h w)")), plain)


def test_dropout_on_the_pattern_drops_while_training_only():
    attention = module(dropout=0.5)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    attention.eval()
    torch.testing.assert_close(attention(x)[0], by_hand(attention, x))
    attention.train()
    assert not torch.allclose(attention(x)[0], by_hand(attention, x))
    attention.dropout.reseed(7)
    again = attention(x)[0]
    attention.dropout.reseed(7)
    torch.testing.assert_close(attention(x)[0], again, rtol=0, atol=0)


def test_uneven_heads_are_named():
    with pytest.raises(ValueError, match="width 5 is not a multiple of 2 heads"):
        Attention(5, 2)


class Sums(Kernel):
    """Never forms a pattern."""

    def forward(self, q, k, v, mask=None, *, need_weights=True):
        return KernelOutput(v.sum(dim=2, keepdim=True).expand_as(v), None)


class Swapped(Softmax):
    """Keys look at queries."""

    def forward(self, q, k, v, mask=None, *, need_weights=True):
        return super().forward(k, q, v, mask, need_weights=need_weights)


def test_a_kernel_without_pattern_serves_the_module():
    made, x = Attention(6, 3, kernel=Sums()), torch.randn(2, 5, 6)
    seen = []
    made.observe = seen.append
    out, _ = made(x)
    assert not seen
    torch.testing.assert_close(out, out[:, :1].expand_as(out))


def test_a_pattern_edit_must_say_what_it_does():
    with pytest.raises(RuntimeError, match="must say what the pattern becomes"):
        PatternEdit()(None, CAUSAL, torch.zeros(1, 1, 5, 2))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_with_a_memory_it_is_torchs_cross_attention(dropout):
    ours, theirs = module(dropout), torch.nn.MultiheadAttention(6, 3, batch_first=True).double()
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.project.weight,
            "in_proj_bias": ours.project.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    ours.eval()  # dropout on the pattern is for training only
    x, memory = torch.randn(2, 4, 6, dtype=torch.float64), torch.randn(2, 7, 6, dtype=torch.float64)
    seen = []
    ours.observe = seen.append
    mixed, _ = ours(x, memory=memory)
    expected, pattern = theirs(x, memory, memory, average_attn_weights=False)
    torch.testing.assert_close(mixed, expected)
    torch.testing.assert_close(seen, [pattern.detach()])


def test_a_pattern_over_a_memory_can_be_edited():
    class Last(PatternEdit):
        def forward(self, weights, allowed, like):
            assert weights.shape[-2:] == allowed.shape == (4, 7)
            return torch.nn.functional.one_hot(torch.full((4,), 6), 7).to(like.dtype)[None, None]

    attention = module()
    x, memory = torch.randn(2, 4, 6, dtype=torch.float64), torch.randn(2, 7, 6, dtype=torch.float64)
    attention.edit = Last()
    value = attention.project(memory[:, 6:])[..., 12:]
    torch.testing.assert_close(attention(x, memory=memory)[0], attention.out(value).expand(-1, 4, -1))


def test_a_kernel_may_be_handed_in():
    torch.manual_seed(0)
    attention, plain = Attention(6, 3, kernel=Swapped()), Attention(6, 3)
    x = torch.randn(2, 5, 6)
    order = [*range(6, 12), *range(6), *range(12, 18)]
    with torch.no_grad():
        plain.load_state_dict(attention.state_dict())
        plain.project.weight.copy_(attention.project.weight[order])
        plain.project.bias.copy_(attention.project.bias[order])
    torch.testing.assert_close(attention(x)[0], plain(x)[0])


@pytest.mark.parametrize("kernel", ["softmax", "differential"])
def test_the_width_inside_may_be_another_and_biases_may_be_left_out(kernel):
    made = Attention(7, 2, kernel=kernel, inner=8, bias=False)
    assert {name: tuple(p.shape) for name, p in made.named_parameters() if "kernel" not in name} == {
        "project.weight": (24, 7),
        "out.weight": (7, 8),
    }
    x = torch.randn(2, 5, 7)
    assert made(x)[0].shape == x.shape
    torch.testing.assert_close(made(0 * x)[0], 0 * x)
