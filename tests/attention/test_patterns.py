"""What every replacement makes of a pattern, on one attention layer."""

import pytest
import torch
from einops import rearrange
from hypothesis import given
from hypothesis import strategies as st

from forecheck.attention.patterns import (
    Fixed,
    FrozenMean,
    Identity,
    Mean,
    OnHeads,
    PassThrough,
    Shuffled,
    Zero,
    masked_mean,
)
from forecheck.nn.attention import Attention

CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()
HOLES = CAUSAL.clone()
HOLES[2] = False  # a token that sees nothing
MASKS = pytest.mark.parametrize("mask", [None, CAUSAL, HOLES], ids=["all", "causal", "holes"])


def attention(seed=0):
    torch.manual_seed(seed)
    return Attention(6, 3).double().eval()


def inputs(batch=4, tokens=5, seed=1):
    return torch.randn(batch, tokens, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def edited(module, edit, x, mask=None):
    module.edit = edit
    try:
        return module(x, mask)[0]
    finally:
        module.edit = None


def with_pattern(module, pattern, x):
    """The layer with a pattern (head, query, key) or (batch, head, query, key) put in by hand."""
    v = rearrange(module.project(x).chunk(3, dim=-1)[2], "b t (h w) -> b h t w", h=3)
    return module.out(rearrange(pattern.to(v.dtype) @ v, "b h t w -> b t (h w)"))


def raw_pattern(module, x, mask=None):
    seen = []
    module.observe = seen.append
    module(x, mask)
    module.observe = None
    return seen[0]


@MASKS
def test_passing_the_raw_pattern_through_changes_nothing(mask):
    module = attention()
    torch.testing.assert_close(
        edited(module, PassThrough(), inputs(), mask), module(inputs(), mask)[0], rtol=1e-14, atol=1e-14
    )


@pytest.mark.parametrize(
    "edit",
    [Identity(), Mean(), Fixed(3, 1, 1), FrozenMean(torch.ones(3, 1, 1)), Shuffled(0), OnHeads(Mean(), (1,))],
    ids=lambda edit: type(edit).__name__,
)
def test_at_one_token_every_row_stochastic_pattern_is_the_raw_one(edit):
    module, x = attention(), inputs(tokens=1)
    torch.testing.assert_close(edited(module, edit, x), module(x)[0])


@MASKS
def test_zero_leaves_the_bias_of_the_output_projection(mask):
    module = attention()
    out = edited(module, Zero(), inputs(), mask)
    torch.testing.assert_close(out, module.out.bias.expand_as(out), rtol=0, atol=0)


def test_identity_maps_every_token_by_itself():
    module, x = attention(), inputs()
    out = edited(module, Identity(), x)
    torch.testing.assert_close(out, with_pattern(module, torch.eye(5), x))
    torch.testing.assert_close(out[:, 2], module.out(module.project(x[:, 2]).chunk(3, dim=-1)[2]))


def test_identity_gives_nothing_to_a_token_hidden_from_itself():
    module, x = attention(), inputs()
    out = edited(module, Identity(), x, HOLES)
    torch.testing.assert_close(out[:, 2], module.out.bias.expand(4, -1))


def test_identity_is_undefined_for_cross_attention():
    with pytest.raises(ValueError, match="5 queries look at 4 keys"):
        Identity()(None, torch.ones(5, 4, dtype=torch.bool), torch.zeros(1, 3, 4, 2))


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5))
def test_mean_is_over_the_allowed_keys(rows):
    allowed = torch.tensor(rows)
    pattern = masked_mean(allowed, torch.zeros(1, dtype=torch.float64))
    for row, seen in zip(pattern, rows, strict=True):
        expected = [1 / sum(seen) if key else 0.0 for key in seen]
        assert row.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("make", [Mean, lambda: Fixed(3, 5, 5).double()], ids=["mean", "fixed"])
@MASKS
def test_mean_and_the_start_of_fixed_average_what_may_be_seen(make, mask):
    module, x = attention(), inputs()
    allowed = torch.ones(5, 5, dtype=torch.bool) if mask is None else mask
    expected = with_pattern(module, allowed / allowed.sum(-1, keepdim=True).clamp(min=1), x)
    torch.testing.assert_close(edited(module, make(), x, mask), expected)


def test_fixed_is_a_parameter_that_learns_on_allowed_keys_only():
    module, x = attention(), inputs()
    module.edit = Fixed(3, 5, 5).double()
    assert "edit.theta" in dict(module.named_parameters())
    (gradient,) = torch.autograd.grad(module(x, CAUSAL)[0].square().sum(), module.edit.theta)
    assert (gradient[:, CAUSAL] != 0).all()
    assert (gradient[:, ~CAUSAL] == 0).all()


def test_frozen_mean_is_a_buffer_and_hides_what_the_mask_hides():
    pattern = torch.rand(3, 5, 5)
    edit = FrozenMean(pattern)
    assert not list(edit.parameters())
    torch.testing.assert_close(
        edited(attention(), edit, inputs(), CAUSAL), with_pattern(attention(), pattern * CAUSAL, inputs())
    )


@given(st.integers(2, 12), st.integers(0, 2**31), st.booleans())
def test_shuffled_keeps_the_patterns_and_nobody_its_own(batch, seed, training):
    weights = torch.arange(batch, dtype=torch.float64)[:, None, None, None].expand(-1, 2, 3, 3)
    edit = Shuffled(seed).train(training)
    for _ in range(3):
        moved = edit(weights, torch.ones(3, 3, dtype=torch.bool), weights)[:, 0, 0, 0]
        assert sorted(moved.tolist()) == list(range(batch))
        assert (moved != weights[:, 0, 0, 0]).all()


def test_shuffled_moves_all_heads_of_a_member_together():
    module, x = attention(), inputs()
    raw = raw_pattern(module, x)
    moved = Shuffled(0).eval()(raw, torch.ones(5, 5, dtype=torch.bool), x.new_zeros(4, 3, 5, 2))
    source = [next(i for i in range(4) if torch.equal(raw[i], member)) for member in moved]
    assert sorted(source) == [0, 1, 2, 3]
    torch.testing.assert_close(edited(module, Shuffled(0).eval(), x), with_pattern(module, raw[source], x))


def test_a_single_window_keeps_its_own_pattern():
    module, x = attention(), inputs(batch=1)
    torch.testing.assert_close(edited(module, Shuffled(0), x), module(x)[0])


def test_rings_repeat_in_evaluation_and_follow_the_stream_in_training():
    weights = torch.arange(50.0)[:, None, None, None]
    allowed = torch.ones(1, 1, dtype=torch.bool)
    edit = Shuffled(0).eval()
    assert torch.equal(edit(weights, allowed, weights), edit(weights, allowed, weights))
    edit.train()
    edit.reseed(1, 2)
    first, second = edit(weights, allowed, weights), edit(weights, allowed, weights)
    assert not torch.equal(first, second)
    edit.reseed(1, 2)
    assert torch.equal(edit(weights, allowed, weights), first)
    other = Shuffled(1)
    other.reseed(1, 2)
    assert not torch.equal(other(weights, allowed, weights), first)


@pytest.mark.parametrize("inner", [Zero(), Identity(), Mean(), Shuffled(0).eval()], ids=lambda e: type(e).__name__)
def test_edited_heads_only(inner):
    module, x = attention(), inputs()
    raw = raw_pattern(module, x)
    whole = inner(raw, torch.ones(5, 5, dtype=torch.bool), x.new_zeros(4, 3, 5, 2)).expand_as(raw)
    expected = raw.clone()
    expected[:, [0, 2]] = whole[:, [0, 2]]
    torch.testing.assert_close(edited(module, OnHeads(inner, (0, 2)), x), with_pattern(module, expected, x))


@MASKS
def test_scores_are_passed_on_only_when_someone_adds_them(mask):
    module, x = attention(), inputs()
    plain = module(x, mask)[1]
    module.edit = Identity()
    assert module(x, mask)[1] is None
    module.edit.keep_scores = True
    torch.testing.assert_close(module(x, mask)[1].full(), plain.full())
