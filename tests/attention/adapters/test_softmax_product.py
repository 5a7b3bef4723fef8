"""Attention written out, in many ways of writing, against the same by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_models import (
    HEADS,
    WIDTH,
    C,
    Forecaster,
    Heads,
    L,
    Matmul,
    ResidualScores,
    example,
    heads_of,
    pattern_of,
    seeded,
)

from forecheck.attention.adapters.calls import ADAPTER
from forecheck.attention.calls.contraction import Mixing, terms
from forecheck.attention.calls.site import allowed_keys
from forecheck.attention.patterns import Identity, Mean, OnHeads, PassThrough, Shuffled, Zero
from forecheck.attention.sites import Subject

CAUSAL = torch.ones(L, L, dtype=torch.bool).tril()
SCALE = 1 / math.sqrt(WIDTH // HEADS)


def plain(q, k, v, mask):
    return torch.softmax(torch.matmul(q, k.transpose(2, 3)) * SCALE + mask, dim=3) @ v


def benchmark_einsum(q, k, v, mask):
    q, k, v = (x.transpose(1, 2).contiguous() for x in (q, k, v))
    scores = torch.einsum("blhe,bshe->bhls", q, k)
    weights = functional.dropout(torch.softmax(SCALE * scores + mask, dim=-1), 0.1, training=False)
    return torch.einsum("bhls,bshd->blhd", weights, v).transpose(1, 2)


def implicit_einsum(q, k, v, mask):
    scores = torch.einsum("...ae,...be", q, k) * SCALE
    return torch.einsum("...qk, ...kd -> ...qd", (scores + mask).softmax(-1), v)


def queries_first(q, k, v, mask):
    """The pattern lies as (batch, query, head, key)."""
    scores = torch.einsum("bhqe,bhke->bqhk", q, k) * SCALE + mask.unsqueeze(-2)
    return torch.einsum("bqhk,bhkd->bhqd", scores.softmax(-1), v)


def flat_bmm(q, k, v, mask):
    """Batch and heads on one axis, with a look at the pattern with an axis for heads in between."""
    b = len(q)
    q, k, v = (x.reshape(b * HEADS, L, -1) for x in (q, k, v))
    scores = torch.bmm(q * SCALE, k.transpose(1, 2)).view(b, HEADS, L, L) + mask
    weights = functional.softmax(scores.view(b * HEADS, L, L), dim=-1)
    return torch.bmm(weights, v).view(b, HEADS, L, -1)


def in_place(q, k, v, mask):
    scores = q.mul(SCALE).matmul(k.mT)
    scores += mask
    weights = nn.Softmax(dim=-1)(scores.double()).type_as(q)
    weights = weights.nan_to_num()
    return weights.matmul(v)


def filled(q, k, v, mask):
    scores = (q @ k.mT).div(1 / SCALE).masked_fill(mask < -1, torch.finfo(q.dtype).min)
    return torch.where(mask < -1, 0.0, scores.softmax(dim=-1)) @ v


def written_into(q, k, v, mask):
    scores = q @ k.mT * SCALE
    scores[(mask < -1).expand_as(scores)] = -1e9
    return scores.softmax(-1) @ v


def turned(q, k, v, mask):
    """Values times the pattern the other way round."""
    weights = (q @ k.mT * SCALE + mask).softmax(-1)
    return (v.mT @ weights.transpose(2, 3)).mT


def baddbmm(q, k, v, mask):
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    scores = torch.baddbmm(mask.expand(len(q), L, L), q, k.mT, beta=1, alpha=SCALE)
    return torch.bmm(scores.softmax(-1), v).unflatten(0, (-1, HEADS))


WAYS = (
    plain,
    benchmark_einsum,
    implicit_einsum,
    queries_first,
    flat_bmm,
    in_place,
    filled,
    written_into,
    turned,
    baddbmm,
)


class Way(Heads):
    def __init__(self, way, mask):
        super().__init__()
        self.way, self.mask, self.num_heads = way, mask, HEADS

    def mix(self, q, k, v):
        return self.way(q, k, v, self.mask)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@torch.no_grad()
def test_edits_and_patterns_are_what_they_are_by_hand(way, causal):
    allowed = CAUSAL if causal else torch.ones(L, L, dtype=torch.bool)
    block = Way(way, torch.zeros(L, L).masked_fill(~allowed, -1e9 if way is not plain else -torch.inf))
    model = seeded(Forecaster(block)).eval()
    z, seen = model.embed(example()), []
    weights = pattern_of(block, z, allowed)
    mean = (allowed / allowed.sum(-1, keepdim=True)).expand_as(weights)
    one = weights.clone()
    one[:, 1] = mean[:, 1]
    expected = {
        PassThrough(): weights,
        Zero(): 0 * weights,
        Mean(): mean,
        Identity(): torch.eye(L).expand_as(weights),
        OnHeads(Mean(), (1,)): one,
    }

    def forecast(pattern):
        y = model.head((z + heads_of(block, z, pattern)).flatten(1))
        return y.view(len(z), -1, C)

    with ADAPTER.attach(Subject.of(model), example()) as attached:
        (site,) = attached.sites
        assert attached.adapter == "scores-softmax-product"
        assert (site.path, site.module) == ("blocks.0", block)
        assert (site.heads, site.queries, site.keys) == (HEADS, L, L)
        assert torch.equal(attached(example()), model(example()))
        for edit, pattern in expected.items():
            site.edit(edit)
            torch.testing.assert_close(attached(example()), forecast(pattern), rtol=1e-4, atol=1e-5)
        site.edit(None)
        site.observe(seen.append)
        attached(example())
    torch.testing.assert_close(seen, [weights], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_raw_scores_go_on_to_the_next_layer():
    """The second layer adds the first one's raw scores, whatever the first one's pattern became."""
    model = seeded(ResidualScores()).eval()
    one, two = model.layers
    z = model.embed(example())
    q, k, _ = one.qkv(z)
    scores = q @ k.mT / 2
    z = z + heads_of(one, z, torch.full((len(z), HEADS, L, L), 1 / L))
    q, k, _ = two.qkv(z)
    z = z + heads_of(two, z, (scores + q @ k.mT / 2).softmax(-1))
    expected = model.head(z.flatten(1)).view(len(z), -1, C)
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        attached.sites[0].edit(Mean())
        torch.testing.assert_close(attached(example()), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_cross_attention_and_shared_keys():
    """More keys than queries, one head of keys and values for all heads of queries."""

    class Cross(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.kv = nn.Linear(C, WIDTH), nn.Linear(C, WIDTH)

        def forward(self, x):
            q = self.q(x[:, :2]).view(len(x), 2, HEADS, -1).transpose(1, 2)
            k, v = self.kv(x).chunk(2, dim=-1)
            weights = torch.einsum("bhqd,bkd->bhqk", q, k).softmax(-1)
            return torch.einsum("bhqk,bkd->bqhd", weights, v).flatten(2)[..., :C]

    model = seeded(Cross()).eval()
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        (site,) = attached.sites
        assert (site.heads, site.queries, site.keys) == (HEADS, 2, L)
        site.edit(Mean())
        v = model.kv(example()).chunk(2, dim=-1)[1].mean(dim=1, keepdim=True)
        found = attached(example())
    torch.testing.assert_close(found, v.repeat(1, 2, HEADS)[..., :C], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_two_axes_before_the_heads_are_one_batch():
    """Variables as an axis of their own: (batch, variable, head, query, key)."""

    class Variables(nn.Module):
        def forward(self, x):
            z = x.mT.unflatten(2, (L // 2, 2)).unsqueeze(2).expand(-1, -1, 3, -1, -1)  # (b, c, head, token, 2)
            return ((z @ z.mT).softmax(-1) @ z).sum(2).flatten(2).mT

    with ADAPTER.attach(Subject.of(Variables()), example()) as attached:
        (site,) = attached.sites
        assert (site.heads, site.queries, site.keys) == (3, L // 2, L // 2)
        seen = []
        site.observe(seen.append)
        attached(example())
        assert seen[0].shape == (len(example()) * C, 3, L // 2, L // 2)
        site.edit(Shuffled(0))
        assert attached(example()).shape == example().shape


@torch.no_grad()
def test_a_pattern_that_is_used_twice_is_one_call():
    class Twice(Heads):
        def mix(self, q, k, v):
            weights = (q @ k.mT).softmax(-1)
            return weights @ v + weights @ v.flip(-1)

    model = seeded(Forecaster(Twice())).eval()
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        (site,) = attached.sites
        site.edit(Zero())
        block, z = model.blocks[0], model.embed(example())
        expected = model.head((z + heads_of(block, z, torch.zeros(len(z), HEADS, L, L))).flatten(1))
        torch.testing.assert_close(attached(example()), expected.view(len(z), -1, C))


@torch.no_grad()
def test_sharp_patterns_hide_nothing():
    """Keys whose weight is rounded to 0 are still allowed."""
    model = seeded(Forecaster(Matmul())).eval()
    model.blocks[0].q.weight.mul_(100)
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        (site,) = attached.sites
        seen = []
        site.observe(seen.append)
        attached(example())
        assert (seen[0] == 0).any()
        site.edit(Mean())
        block, z = model.blocks[0], model.embed(example())
        expected = model.head((z + heads_of(block, z, torch.full_like(seen[0], 1 / L))).flatten(1))
        torch.testing.assert_close(attached(example()), expected.view(len(z), -1, C), rtol=1e-4, atol=1e-5)


def test_what_a_mask_lets_through():
    scores = torch.tensor([[1.0, -torch.inf, 2.0], [-1e9, 3.0, -1e4], [-torch.inf] * 3, [-1e9] * 3])
    expected = [[True, False, True], [False, True, False], [False] * 3, [True] * 3]
    assert allowed_keys(scores).tolist() == expected
    assert allowed_keys(torch.randn(2, 3, 4, 5)).shape == (4, 5)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bij,bij->b", [(2, 3, 4), (2, 3, 4)]),
        ("ii,ij->j", [(3, 3), (3, 4)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ],
)
def test_other_products_are_not_read_as_attention(equation, shapes):
    product = terms("einsum", (equation, *(torch.ones(shape) for shape in shapes)), {})
    assert product is None or Mixing.of(product, 0, -1) is None
