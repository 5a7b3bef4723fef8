"""Linear attention as public code writes it: every edit is the same edit by hand, and the pattern is the true one."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from families import HEADS, Family, T, heads, joined
from test_families import windows
from torch.nn import functional

from forecheck.attention.identity import identity_test
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach

F = 8  # features a head


@dataclass(frozen=True)
class Way:
    """A function of queries, keys and values (batch, head, token, feature), and what is true of it.

    `maps` are of queries and keys, `divided` says whether rows sum to one in the end, `after` is what is done to what
    was mixed, `values` to the values before.
    """

    mix: Any
    maps: Any = None
    divided: bool = True
    causal: bool = False
    after: float = 1.0
    values: Any = field(default=lambda v: v)


def elu(q, k):
    return functional.elu(q) + 1, functional.elu(k) + 1


def relu(q, k):
    return functional.relu(q) + 1e-3, functional.relu(k) + 1e-3


def softmaxes(q, k):
    return q.softmax(-1), k.softmax(-2)


def fast_transformers(q, k, v):
    """github.com/idiap/fast-transformers, linear_attention.py: the normaliser in one product with the rest."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    state = torch.einsum("nshd,nshm->nhmd", k, v)
    z = 1 / (torch.einsum("nlhd,nhd->nlh", q, k.sum(dim=1)) + 1e-6)
    return torch.einsum("nlhd,nhmd,nlh->nlhm", q, state, z).contiguous().transpose(1, 2)


def matmul(q, k, v):
    return q @ (k.mT @ v) / (q @ k.sum(-2, keepdim=True).mT)


def performer(q, k, v):
    """github.com/lucidrains/performer-pytorch."""
    inverse = 1.0 / torch.einsum("...nd,...d->...n", q, k.sum(dim=-2))
    context = torch.einsum("...nd,...ne->...de", k, v)
    return torch.einsum("...de,...nd,...n->...ne", context, q, inverse)


def efficient(q, k, v):
    """Shen et al. 2021: softmax over features and over tokens, and no normaliser."""
    return torch.einsum("bhnd,bhde->bhne", q, torch.einsum("bhnd,bhne->bhde", k, v))


def einsums(q, k, v):
    z = torch.einsum("bhld,bhd->bhl", q, k.sum(2))
    mixed = torch.einsum("bhld,bhdm->bhlm", q, torch.einsum("bhld,bhlm->bhdm", k, v))
    return mixed / z.unsqueeze(-1).clamp(min=1e-6)


def inverse_by_einsum(q, k, v):
    z = 1 / (torch.einsum("bhld,bhd->bhl", q, k.sum(2)) + 1e-6)
    return torch.einsum("bhlm,bhl->bhlm", q @ (k.mT @ v), z)


def folded(q, k, v):
    q = q / (q * k.sum(-2, keepdim=True)).sum(-1, keepdim=True)
    return q @ (k.mT @ v)


def bmm(q, k, v):
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    mixed = torch.bmm(q, torch.bmm(k.transpose(1, 2), v)) / torch.bmm(q, k.sum(1)[..., None])
    return mixed.unflatten(0, (-1, HEADS))


def scaled_state(q, k, v):
    return (q * F**-0.5) @ ((k.mT @ v) / T) / ((q * F**-0.5) @ k.mean(-2)[..., None])


def state_on_the_left(q, k, v):
    """And features before tokens, as on images."""
    return ((v.mT @ k) @ q.mT).mT / (q * k.sum(-2, keepdim=True)).sum(-1, keepdim=True)


def column_of_ones(q, k, v):
    """The normaliser is a value (EfficientViT, SANA)."""
    mixed = ((functional.pad(v, (0, 1), value=1).mT @ k) @ q.mT).mT
    return mixed[..., :-1] / (mixed[..., -1:] + 1e-15)


def outer_products(q, k, v):
    return q @ (k[..., None] * v[..., None, :]).sum(2) / (q @ k.sum(2)[..., None])


def no_normaliser(q, k, v):
    return q @ (k.mT @ v)


def galerkin(q, k, v):
    """Cao 2021: norms on keys and values, and a mean."""
    return q @ (functional.layer_norm(k, (F,)).mT @ functional.layer_norm(v, (F,))) / T


def cumulated(q, k, v):
    """The official code of SAMoVAR and its relatives: every token's product, summed up."""
    return torch.einsum("bhld,bhldm->bhlm", q, torch.einsum("bhld,bhlm->bhldm", k, v).cumsum(2))


def cumulated_in_one(q, k, v):
    state = 0 + torch.einsum("...nd,...ne->...nde", k, v).cumsum(dim=-3)
    inverse = 1 / torch.einsum("...nd,...nd->...n", q, k.cumsum(dim=-2) + 1e-6)
    return torch.einsum("...nde,...nd,...n->...ne", state, q, inverse)


def cumulated_by_matmul(q, k, v):
    state = torch.cumsum(k.unsqueeze(-1) * v.unsqueeze(-2), dim=2)
    return torch.matmul(q.unsqueeze(-2), state).squeeze(-2) / (q * k.cumsum(2)).sum(-1, keepdim=True)


def cumulated_columns_and_rows(q, k, v):
    state = torch.cumsum(torch.matmul(k.unsqueeze(-1), v.unsqueeze(-2)), dim=2)
    return (q[..., None] * state).sum(-2) / 4


def masked(q, k, v):
    return (q @ k.mT).tril() @ v


def masked_and_divided(q, k, v):
    weights = (q @ k.mT).tril()
    return (weights @ v) / weights.sum(-1, keepdim=True)


def sigmoids(q, k):
    return q.sigmoid(), k.sigmoid()


WAYS = {
    "fast-transformers": Way(fast_transformers, elu),
    "matmul": Way(matmul, elu),
    "performer": Way(performer, relu),
    "efficient": Way(efficient, softmaxes),
    "einsums": Way(einsums, elu),
    "inverse by einsum": Way(inverse_by_einsum, elu),
    "folded": Way(folded, elu),
    "bmm": Way(bmm, elu),
    "scaled state": Way(scaled_state, elu),
    "state on the left": Way(state_on_the_left, elu),
    "outer products": Way(outer_products, relu),
    "no normaliser": Way(no_normaliser, divided=False),
    "softplus, none": Way(no_normaliser, lambda q, k: (functional.softplus(q), k), divided=False),
    "galerkin": Way(
        galerkin,
        lambda q, k: (q, functional.layer_norm(k, (F,))),
        divided=False,
        after=1 / T,
        values=lambda v: functional.layer_norm(v, (F,)),
    ),
    "cumulated": Way(cumulated, sigmoids, divided=False, causal=True),
    "cumulated in one": Way(cumulated_in_one, elu, causal=True),
    "cumulated by matmul": Way(cumulated_by_matmul, elu, causal=True),
    "columns and rows": Way(cumulated_columns_and_rows, divided=False, causal=True, after=1 / 4),
    "masked": Way(masked, divided=False, causal=True),
    "masked and divided": Way(masked_and_divided, relu, causal=True),
    "not masked, divided": Way(lambda q, k, v: (q @ k.mT) @ v / (q @ k.mT).sum(-1, keepdim=True), elu),
}


class Linear(Family):
    """One way, and the pattern by hand that it stands for."""

    def __init__(self, way):
        super().__init__()
        self.way, self.seen = way, None

    def pattern(self, q, k):
        weights = q @ k.mT
        weights = weights.tril() if self.way.causal else weights
        return weights / weights.sum(-1, keepdim=True) if self.way.divided else weights

    def mix(self, z):
        q, k, v = map(heads, self.parts(z))
        mapped = self.way.maps(q, k) if self.way.maps else (q, k)
        if self.way.mix is galerkin:
            mapped = (q, k)
        if not self.by_hand:
            return joined(self.way.mix(*mapped, v))
        v = self.way.values(v)
        if self.by_hand == "pattern":
            self.seen = self.pattern(*(self.way.maps(q, k) if self.way.maps else (q, k)))
            mixed = self.seen @ v
        elif self.by_hand == "mean" and self.way.causal:
            mixed = v.cumsum(-2) / torch.arange(1, T + 1)[:, None]
        else:
            mixed = self.replaced(v)
        return joined(mixed * self.way.after)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@torch.no_grad()
def test_every_way_is_edited_as_by_hand(way):
    model, x = Linear(way), windows()
    raw = model(x)
    with attach(model, x) as attached:
        (site,) = attached.sites
        assert (site.heads, site.queries, site.keys, site.stochastic) == (HEADS, T, T, way.divided)
        observed = []
        site.observe(observed.append)
        torch.testing.assert_close(attached(x), raw, rtol=1e-5, atol=1e-6)
        found = identity_test(Subject.of(model), attached, x)
    model.by_hand = "pattern"
    torch.testing.assert_close(model(x), raw, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(observed[0], model.seen, rtol=1e-4, atol=1e-5)
    assert found.passed, found
    assert (found.unreached, found.not_tokens) == ("", ())
    for mode in ("mean", "zero", "identity"):
        model.by_hand = mode
        expected = model(x)
        model.by_hand = None
        with Replace(mode).on(model, x) as edited:
            torch.testing.assert_close(edited(x), expected, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(edited(x[:2]), expected[:2], rtol=1e-5, atol=1e-6)
        assert (model(x) - expected).abs().max() > 1e-3
    torch.testing.assert_close(model(x), raw, rtol=0, atol=0)


@torch.no_grad()
def test_a_normaliser_as_a_value_is_reached_too():
    """There rows of the pattern have sums of their own; by an edit the column of ones keeps mixing to one."""
    model, x = Linear(Way(column_of_ones, relu)), windows()
    model.by_hand = "mean"
    expected = model(x)
    model.by_hand = None
    with Replace("mean").on(model, x) as edited:
        torch.testing.assert_close(edited(x), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_one_head_is_edited_as_by_hand():
    model, x = Linear(WAYS["matmul"]), windows()

    def by_hand(z):
        q, k, v = map(heads, model.parts(z))
        mixed = matmul(*elu(q, k), v)
        mixed[:, 1] = v[:, 1].mean(-2, keepdim=True)
        return joined(mixed)

    with Replace("mean", heads=(1,)).on(model, x) as edited:
        y = edited(x)
    model.mix = by_hand
    torch.testing.assert_close(y, model(x), rtol=1e-5, atol=1e-6)


def gated_state(q, k, v):
    return q @ ((k.mT @ v) * torch.sigmoid(k.mean(-2))[..., None]) / T


def state_of_a_loop(q, k, v):
    state, out = 0, []
    for t in range(T):
        state = 0.9 * state + k[:, :, t, :, None] * v[:, :, t, None]
        out.append((q[:, :, t, None] @ state).squeeze(-2))
    return torch.stack(out, 2)


def cross_covariance(q, k, v):
    """XCiT: features look at features."""
    return (torch.softmax(q.mT @ k, -1) @ v.mT).mT


@pytest.mark.parametrize("mix", [gated_state, state_of_a_loop])
@torch.no_grad()
def test_what_is_made_of_a_state_otherwise_is_reached_by_its_values(mix):
    with attach(Linear(Way(mix)), windows()) as attached:
        assert attached.adapter == "value mixing"
        assert [(site.heads, site.queries, site.keys) for site in attached.sites] == [(2, T, T)]


@torch.no_grad()
def test_features_that_look_at_features_are_left_and_named():
    with attach(Linear(Way(cross_covariance)), windows()) as attached:
        assert attached.sites == []
        assert "written in a way that is not known" in attached.why_not


@torch.no_grad()
def test_gradients_and_patterns_pass_through():
    """What needs the raw pattern gets rows that sum to one, and shuffles move them between windows."""
    model, x = Linear(WAYS["einsums"]), windows()
    with Replace("shuffled").on(model, x) as edited:
        assert (edited(x) - model(x)).abs().max() > 1e-4
    with Replace("frozen-mean").on(model, x, [x]) as edited:
        frozen = edited(x)
    with attach(model, x) as attached:
        patterns = []
        attached.sites[0].observe(patterns.append)
        attached(x)
    batch = patterns[0].unflatten(0, (len(x), -1)).flatten(0, 1)
    torch.testing.assert_close(batch.sum(-1), torch.ones_like(batch[..., 0]))
    assert torch.isfinite(frozen).all()
