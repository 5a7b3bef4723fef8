"""`nn.MultiheadAttention` with all its arguments, against attention by hand."""

import math

import pytest
import torch
from torch import nn
from torch_models import HEADS, WIDTH, C, Encoder, Forecaster, L, example, seeded

from forecheck.attention.adapters.calls import ADAPTER
from forecheck.attention.patterns import Identity, Mean, OnHeads, PassThrough, Zero
from forecheck.attention.sites import Subject

B, KEYS = 3, 5
CAUSAL = nn.Transformer.generate_square_subsequent_mask(L)
PADDING = torch.arange(L) >= torch.tensor([6, 4, 3]).view(B, 1)
GENERATOR = torch.Generator().manual_seed(0)
BIAS = torch.randn(B * HEADS, L, L, generator=GENERATOR)


class Call(nn.Module):
    """One call of the module on embedded inputs."""

    def __init__(self, build=None, call=None, memory=None):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(C, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, **({"batch_first": True} | (build or {})))
        seeded(self.attention)
        self.call, self.memory = call or {}, memory

    def inputs(self, x):
        z = self.embed(x)
        return (z, z, z) if self.memory is None else (z, *self.memory)

    def forward(self, x):
        inputs = self.inputs(x)
        if not self.attention.batch_first:
            inputs = [each.transpose(0, 1) for each in inputs]
        out = self.attention(*inputs, **self.call)[0]
        out = out if self.attention.batch_first else out.transpose(0, 1)
        return out[..., :C] + out[..., C : 2 * C]


def by_hand(model, x):
    """Raw pattern, values (batch, head, ...), and the way from mixed values to the output."""
    m = model.attention
    if m._qkv_same_embed_dim:
        projections = m.in_proj_weight.chunk(3)
    else:
        projections = (m.q_proj_weight, m.k_proj_weight, m.v_proj_weight)
    biases = m.in_proj_bias.chunk(3) if m.in_proj_bias is not None else (0, 0, 0)
    inputs = model.inputs(x)
    q, k, v = (each @ w.T + b for each, w, b in zip(inputs, projections, biases, strict=True))
    if m.bias_k is not None:
        k, v = (torch.cat([each, bias.expand(B, 1, -1)], 1) for each, bias in ((k, m.bias_k), (v, m.bias_v)))
    if m.add_zero_attn:
        k, v = (torch.cat([each, torch.zeros(B, 1, WIDTH)], 1) for each in (k, v))
    q, k, v = (each.view(B, -1, HEADS, WIDTH // HEADS).transpose(1, 2) for each in (q, k, v))
    scores = q @ k.mT / math.sqrt(WIDTH // HEADS)
    added = torch.zeros_like(scores)
    mask = model.call.get("attn_mask")
    if mask is not None:
        mask = torch.zeros(mask.shape).masked_fill(mask, -torch.inf) if mask.dtype == torch.bool else mask
        added[..., :L] += mask if mask.dim() == 2 else mask.view(B, HEADS, L, L)
    if "key_padding_mask" in model.call:
        added[..., :L].masked_fill_(PADDING[:, None, None, :], -torch.inf)
    weights = (scores + added).softmax(-1)

    def out(pattern):
        mixed = (pattern @ v).transpose(1, 2).reshape(B, -1, WIDTH)
        y = m.out_proj(mixed)
        return y[..., :C] + y[..., C : 2 * C]

    return weights, (added > -torch.inf).float(), out


MEMORY = tuple(torch.randn(B, KEYS, width, generator=GENERATOR) for width in (WIDTH, WIDTH))
NARROW = tuple(torch.randn(B, KEYS, width, generator=GENERATOR) for width in (3, 5))
CASES = {
    "plain": {},
    "batch second": {"build": {"batch_first": False}},
    "no bias": {"build": {"bias": False}},
    "causal": {"call": {"attn_mask": CAUSAL}},
    "causal, told": {"call": {"attn_mask": CAUSAL, "is_causal": True}},
    "bool mask": {"call": {"attn_mask": CAUSAL < 0}},
    "a bias a head": {"call": {"attn_mask": BIAS}},
    "padding": {"call": {"key_padding_mask": PADDING}},
    "padding and causal": {"call": {"key_padding_mask": PADDING, "attn_mask": CAUSAL < 0}},
    "cross": {"memory": MEMORY},
    "other widths": {"build": {"kdim": 3, "vdim": 5}, "memory": NARROW},
    "learned keys": {"build": {"add_bias_kv": True}},
    "a key of zeros": {"build": {"add_zero_attn": True}},
}
RETURNS = {
    "weights": {},
    "weights a head": {"average_attn_weights": False},
    "no weights": {"need_weights": False},
}


@pytest.mark.parametrize("returns", RETURNS)
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_edits_and_patterns_are_what_they_are_by_hand(case, returns):
    options = CASES[case]
    model = Call(options.get("build"), options.get("call", {}) | RETURNS[returns], options.get("memory")).eval()
    x, seen = example(B), []
    weights, allowed, out = by_hand(model, x)
    mean = allowed / allowed.sum(-1, keepdim=True)
    one = weights.clone()
    one[:, 1] = mean[:, 1]
    expected = {PassThrough(): weights, Zero(): 0 * weights, Mean(): mean, OnHeads(Mean(), (1,)): one}
    if weights.shape[-1] == L:
        expected[Identity()] = torch.eye(L) * allowed
    with ADAPTER.attach(Subject.of(model), x) as attached:
        (site,) = attached.sites
        assert attached.adapter == "torch.nn.MultiheadAttention"
        assert (site.path, site.module, site.projected) == ("attention", model.attention, True)
        assert (site.heads, site.queries, site.keys) == weights.shape[1:]
        torch.testing.assert_close(attached(x), out(weights), rtol=1e-4, atol=1e-5)
        for edit, pattern in expected.items():
            site.edit(edit)
            torch.testing.assert_close(attached(x), out(pattern), rtol=1e-4, atol=1e-5)
        site.edit(None)
        site.observe(seen.append)
        attached(x)
    torch.testing.assert_close(seen, [weights], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_the_fused_path_of_evaluation_is_reached():
    """Without the adapter the encoder's layers run as one fused function, in which nothing can be edited."""
    model = seeded(Forecaster(Encoder())).eval()
    fused = torch.ops.aten._transformer_encoder_layer_fwd.default
    from torch.utils._python_dispatch import TorchDispatchMode

    class Called(TorchDispatchMode):
        names = ()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.names = (*self.names, func)
            return func(*args, **(kwargs or {}))

    with Called() as called:
        plain = model(example())
    assert fused in called.names
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        assert len(attached.sites) == 2
        torch.testing.assert_close(attached(example()), plain, rtol=1e-4, atol=1e-5)
        attached.sites[0].edit(Zero())
        assert (attached(example()) - plain).abs().max() > 1e-3


@torch.no_grad()
def test_decoders_have_cross_attention():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(C, WIDTH)
            self.transformer = nn.Transformer(WIDTH, HEADS, 1, 1, 12, batch_first=True)

        def forward(self, x):
            z = self.embed(x)
            mask = nn.Transformer.generate_square_subsequent_mask(2)
            return self.transformer(z, z[:, -2:], tgt_mask=mask)[..., :C]

    model = seeded(Decoder()).eval()
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        assert [(site.path, site.queries, site.keys) for site in attached.sites] == [
            ("transformer.encoder.layers.0.self_attn", L, L),
            ("transformer.decoder.layers.0.self_attn", 2, 2),
            ("transformer.decoder.layers.0.multihead_attn", 2, L),
        ]


@torch.no_grad()
def test_inputs_without_a_batch_axis():
    """One window at a time, as some models loop over their batch."""

    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.attention = nn.Linear(C, WIDTH), nn.MultiheadAttention(WIDTH, HEADS)

        def forward(self, x):
            z = self.embed(x)
            return torch.stack([self.attention(each, each, each)[0] for each in z])[..., :C]

    model = seeded(Single()).eval()
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        (site,) = attached.sites
        assert (site.heads, site.queries, site.keys) == (HEADS, L, L)
        plain = attached(example())
        site.edit(Mean())
        found = attached(example())
    assert (found - found[:, :1]).abs().max() < 1e-5  # all tokens of a window are its mean
    assert (found - plain).abs().max() > 1e-3
