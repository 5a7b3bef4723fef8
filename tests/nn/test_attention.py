"""The attention module and the contract that every kernel signs."""

import pytest
import torch
from einops import rearrange
from hypothesis import given
from hypothesis import strategies as st

from forecheck.nn.attention import KERNELS, Attention, PatternEdit, Scores, kernel

ALL = pytest.mark.parametrize("name", list(KERNELS))
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()


def qkv(batch=2, heads=3, tokens=5, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, batch, heads, tokens, width, generator=generator, dtype=torch.float64).unbind(0)


@ALL
@pytest.mark.parametrize("mask", [None, CAUSAL], ids=["all", "causal"])
def test_rows_sum_to_one_and_mix_the_values(name, mask):
    q, k, v = qkv()
    out, weights, scores = KERNELS[name](q, k, v, mask, None)
    assert out.shape == v.shape
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 5, dtype=torch.float64))
    torch.testing.assert_close(out, weights @ v)
    assert scores.full().shape == weights.shape
    if mask is not None:
        assert (weights.masked_select(~mask) == 0).all()


@ALL
def test_permuting_tokens_permutes_the_result(name):
    q, k, v = qkv()
    order = torch.tensor([3, 0, 4, 1, 2])
    whole = KERNELS[name](q, k, v, None, None)
    moved = KERNELS[name](q[:, :, order], k[:, :, order], v[:, :, order], None, None)
    torch.testing.assert_close(moved.out, whole.out[:, :, order])
    torch.testing.assert_close(moved.weights, whole.weights[:, :, order][:, :, :, order])


@ALL
def test_members_of_the_batch_do_not_meet(name):
    q, k, v = qkv(batch=4)
    parts = [KERNELS[name](*(t[i : i + 1] for t in (q, k, v)), None, None).out for i in range(4)]
    torch.testing.assert_close(torch.cat(parts), KERNELS[name](q, k, v, None, None).out)


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=5, max_size=5), st.booleans())
def test_softmax_sees_exactly_what_the_mask_allows(rows, biased):
    q, k, v = qkv()
    mask = torch.tensor(rows)
    bias = Scores(*qkv(seed=3)[:2]) if biased else None
    out, weights, scores = KERNELS["softmax"](q, k, v, mask, bias)
    expected = q @ k.transpose(-2, -1) / 2 + (0 if bias is None else bias.full())
    torch.testing.assert_close(scores.full(), expected)
    exponentials = expected.exp() * mask
    torch.testing.assert_close(weights, exponentials / exponentials.sum(-1, keepdim=True).clamp(min=1e-300))
    torch.testing.assert_close(out, weights @ v)


def test_a_row_without_any_key_gives_zero_and_finite_gradients():
    q, k, v = (t.requires_grad_() for t in qkv())
    mask = CAUSAL.clone()
    mask[2] = False
    out, weights, _ = KERNELS["softmax"](q, k, v, mask, None)
    assert (out[:, :, 2] == 0).all()
    assert (weights[:, :, 2] == 0).all()
    for gradient in torch.autograd.grad(out.square().sum(), (q, k, v)):
        assert gradient.isfinite().all()
    assert (torch.autograd.grad(KERNELS["softmax"](q, k, v, mask, None).out.sum(), q)[0][:, :, 2] == 0).all()


def test_a_full_mask_is_no_mask():
    q, k, v = qkv()
    for masked, plain in zip(
        KERNELS["softmax"](q, k, v, torch.ones(5, 5, dtype=torch.bool), None)[:2],
        KERNELS["softmax"](q, k, v, None, None)[:2],
        strict=True,
    ):
        torch.testing.assert_close(masked, plain)


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


def test_unknown_kernel_and_uneven_heads_are_named():
    with pytest.raises(ValueError, match="no attention kernel is called 'linear'; known: softmax"):
        Attention(4, 2, kernel="linear")
    with pytest.raises(ValueError, match="width 5 is not a multiple of 2 heads"):
        Attention(5, 2)


def test_a_kernel_without_pattern_serves_the_module(monkeypatch):
    monkeypatch.setattr("forecheck.nn.attention.KERNELS", dict(KERNELS))

    def sums(q, k, v, mask=None, bias=None, *, need_weights=True):
        from forecheck.nn.attention import KernelOutput

        return KernelOutput(v.sum(dim=2, keepdim=True).expand_as(v), None, None)

    kernel("sum")(sums)
    from forecheck.nn import attention

    monkeypatch.setitem(KERNELS, "sum", sums)
    made = attention.Attention(6, 3, kernel="sum")
    x = torch.randn(2, 5, 6)
    out, scores = made(x)
    assert scores is None
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
    def swapped(q, k, v, mask=None, bias=None, *, need_weights=True):
        return KERNELS["softmax"](k, q, v, mask, bias, need_weights=need_weights)

    torch.manual_seed(0)
    attention = Attention(6, 3, kernel=swapped).double()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    mixed = attention(x)[0]
    weight = attention.project.weight
    with torch.no_grad():
        attention.project.weight.copy_(torch.cat([weight[6:12], weight[:6], weight[12:]]))
        bias = attention.project.bias
        attention.project.bias.copy_(torch.cat([bias[6:12], bias[:6], bias[12:]]))
    attention.kernel = "softmax"
    torch.testing.assert_close(attention(x)[0], mixed)
