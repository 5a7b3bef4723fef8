"""`scaled_dot_product_attention` with all its arguments, against attention by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from forecheck.attention.adapters.calls import ADAPTER
from forecheck.attention.patterns import Fixed, FrozenMean, Identity, Mean, OnHeads, PassThrough, Shuffled, Zero
from forecheck.attention.sites import Subject

B, HEADS, T, S, D = 3, 4, 5, 5, 6


class Call(nn.Module):
    """One call on projected inputs; `keys` from another sequence."""

    def __init__(self, lead=(HEADS,), groups=1, queries=T, keys=S, **options):
        super().__init__()
        self.options, self.lead = options, lead
        draw = torch.Generator().manual_seed(0)
        self.q = torch.randn(B, *lead, queries, D, generator=draw)
        shared = (*lead[:-1], lead[-1] // groups) if lead else ()
        self.k, self.v = (torch.randn(B, *shared, keys, D, generator=draw) for _ in range(2))

    def forward(self, x):
        mixed = functional.scaled_dot_product_attention(self.scaled(x), self.k, self.v, **self.options)
        return mixed.reshape(B, -1, D)

    def scaled(self, x):
        """Queries of every head, of features that are split into heads."""
        if not self.lead:
            return self.q * x[..., 0].view(B, 1, 1)
        joined = self.q.transpose(-3, -2).flatten(-2) * x[..., 0].view(B, *(1,) * (self.q.dim() - 2))
        return joined.unflatten(-1, (self.lead[-1], D)).transpose(-3, -2)


def by_hand(call, x, allowed=None, bias=None):
    """Raw pattern and values, (batch, head, ...), heads of keys repeated."""
    q, k, v = call.scaled(x), call.k, call.v
    if call.options.get("enable_gqa"):
        k, v = (each.repeat_interleave(q.shape[-3] // k.shape[-3], -3) for each in (k, v))
    q, k, v = (each.reshape(-1, each.shape[-3] if each.dim() > 3 else 1, *each.shape[-2:]) for each in (q, k, v))
    scale = call.options.get("scale", 1 / math.sqrt(D))
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * scale
    if bias is not None:
        scores = scores + bias
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    weights = torch.exp(scores - scores.amax(-1, keepdim=True).clamp(min=-1e30))
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-30), v


CAUSAL = torch.ones(T, S, dtype=torch.bool).tril()
SOME = torch.rand(T, S, generator=torch.Generator().manual_seed(3)) < 0.6
PADDED = torch.arange(S) < torch.tensor([5, 3, 2]).view(B, 1, 1, 1)
BIAS = torch.randn(HEADS, T, S, generator=torch.Generator().manual_seed(4))
CASES = {
    "plain": (Call(), {}),
    "scale": (Call(scale=0.9), {}),
    "causal": (Call(is_causal=True), {"allowed": CAUSAL}),
    "bool mask": (Call(attn_mask=SOME), {"allowed": SOME}),
    "padding": (Call(attn_mask=PADDED), {"allowed": PADDED.expand(B, HEADS, T, S)}),
    "float mask": (Call(attn_mask=torch.zeros(T, S).masked_fill(~SOME, -torch.inf)), {"allowed": SOME}),
    "lowest number": (
        Call(attn_mask=torch.zeros(B, 1, T, S).masked_fill(~CAUSAL, torch.finfo(torch.float32).min)),
        {"allowed": CAUSAL.expand(B, HEADS, T, S)},
    ),
    "bias": (Call(attn_mask=BIAS[None]), {"bias": BIAS}),
    "grouped queries": (Call(groups=2, enable_gqa=True), {}),
    "cross": (Call(queries=3, keys=7), {}),
    "one head": (Call(lead=()), {}),
    "five axes": (Call(lead=(2, HEADS)), {}),
}


def attached_to(call):
    return ADAPTER.attach(Subject.of(call), torch.ones(B, 1, D))


def edited(call, edit, x):
    with attached_to(call) as attached:
        (site,) = attached.sites
        site.edit(edit)
        return attached(x)


@pytest.mark.parametrize("name", CASES)
def test_edits_are_what_they_are_by_hand(name):
    call, masks = CASES[name]
    x = torch.linspace(0.5, 2, B).view(B, 1, 1).expand(B, 1, D)
    weights, v = by_hand(call, x, **masks)
    heads, queries, keys = weights.shape[1:]
    allowed = masks.get("allowed", torch.ones(queries, keys, dtype=torch.bool)).expand(weights.shape).float()
    mean = allowed / allowed.sum(-1, keepdim=True).clamp(min=1)
    theta = torch.rand(heads, queries, keys)
    fixed = Fixed(heads, queries, keys)
    fixed.theta.data = theta
    first = mean.clone()
    first[:, 1:] = weights[:, 1:]
    expected = {
        PassThrough(): weights,
        Zero(): torch.zeros_like(weights),
        Mean(): mean,
        FrozenMean(theta): theta * allowed,
        fixed: theta * mean * keys,
        OnHeads(Mean(), (0,)): first,
        OnHeads(PassThrough(), (0,)): weights,
    }
    if queries == keys:
        expected[Identity()] = torch.eye(keys) * allowed
    for edit, pattern in expected.items():
        found = edited(call, edit, x)
        torch.testing.assert_close(found, (pattern @ v).reshape(found.shape), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_raw_pattern_is_that_by_hand(name):
    call, masks = CASES[name]
    x = torch.ones(B, 1, D)
    weights, _ = by_hand(call, x, **masks)
    seen = []
    with attached_to(call) as attached:
        (site,) = attached.sites
        assert (site.heads, site.queries, site.keys) == weights.shape[1:]
        site.observe(seen.append)
        torch.testing.assert_close(attached(x), call(x), rtol=0, atol=0)  # observed only: the model's own way
    torch.testing.assert_close(seen[0], weights, rtol=1e-4, atol=1e-6)


def test_shuffled_takes_the_pattern_of_another_window():
    call, x = Call(), torch.ones(B, 1, D)
    weights, v = by_hand(call, x)
    found = edited(call, Shuffled(0), x).view(B, HEADS, T, D)
    others = torch.stack([weights.roll(shift, 0) @ v for shift in range(1, B)], dim=1)
    nearest = (others - found[:, None]).abs().amax(dim=(2, 3, 4)).amin(dim=1)
    assert nearest.max() < 1e-5


def test_without_an_edit_the_call_goes_through_untouched():
    call, x = Call(), torch.ones(B, 1, D)
    with attached_to(call) as attached:
        assert torch.equal(attached(x), call(x))


def test_a_fully_masked_row_gives_zero():
    mask = torch.ones(T, S, dtype=torch.bool)
    mask[2] = False
    call, x = Call(attn_mask=mask), torch.ones(B, 1, D)
    for edit in (Mean(), PassThrough(), Identity()):
        assert edited(call, edit, x).view(B, HEADS, T, D)[:, :, 2].abs().max() == 0


def test_dropout_that_is_on_stays_on():
    """Some models drop weights in evaluation too; the edited pattern is dropped then."""
    call, x = Call(dropout_p=0.5), torch.ones(B, 1, D)
    torch.manual_seed(0)
    found = edited(call, Identity(), x).view(B, HEADS, T, D)
    values = call.v.abs().sum(-1)
    kept = found.abs().sum(-1) / values
    assert set(kept.round(decimals=3).unique().tolist()) == {0.0, 2.0}


def test_weights_are_formed_only_for_edits_that_need_them(monkeypatch):
    def fail(*_):
        raise AssertionError("the pattern was formed")

    call, x = Call(), torch.ones(B, 1, D)
    with attached_to(call) as attached:
        (site,) = attached.sites
        monkeypatch.setattr("forecheck.attention.calls.sdpa._pattern", fail)
        for edit in (Zero(), Mean(), Identity(), OnHeads(Mean(), (1,))):
            site.edit(edit)
            attached(x)
        site.edit(PassThrough())
        with pytest.raises(AssertionError, match="the pattern was formed"):
            attached(x)
