"""Attention written in no known way is reached by its values: edits are those by hand, patterns the true ones."""

from functools import partial

import pytest
import torch
from edited_models import patterns_of, traces_left
from families import C, Family, Fused, H, L, T, W, heads, joined
from test_families import identity_of, windows
from torch import nn

from forecheck.attention import completed
from forecheck.attention.outputs import Remove
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.errors import UsageError


class ByValues(Family):
    """What is mixed comes from `mixed(q, k, v)`; by hand, from `replaced(v)`."""

    def mix(self, z):
        q, k, v = self.parts(z)
        return self.replaced(v) if self.by_hand else self.mixed(q, k, v)


class TopQueries(ByValues):
    """ProbSparse: the top queries look, the others get the plain mean."""

    top = 3

    def chosen(self, q):
        return q.square().sum(-1).topk(self.top)[1][..., None]

    def mixed(self, q, k, v):
        rows = self.chosen(q).expand(-1, -1, W)
        weights = torch.softmax(q.gather(1, rows) @ k.mT, -1)
        return v.mean(1, keepdim=True).expand_as(v).scatter(1, rows, weights @ v)


class AllOnTop(TopQueries):
    top = T


class Recurrent(ByValues):
    """Linear attention that forgets, token by token."""

    def mixed(self, q, k, v):
        state, out = 0, []
        for t in range(T):
            state = 0.9 * state + k[:, t, :, None] * v[:, t, None]
            out.append((q[:, t, None] @ state).squeeze(1))
        return torch.stack(out, 1) / W

    def replaced(self, v, queries=T):
        """The mean of what came before, as no token sees later ones."""
        if self.by_hand != "mean":
            return super().replaced(v)
        return v.cumsum(1) / torch.arange(1.0, T + 1)[:, None]


class Additive(ByValues):
    """Bahdanau's scores."""

    def build(self):
        self.score = nn.Linear(W, 1)

    def mixed(self, q, k, v):
        return torch.softmax(self.score(torch.tanh(q[:, :, None] + k[:, None])).squeeze(-1), -1) @ v


class ByHandSum(ByValues):
    """The product with values written as a sum."""

    def mixed(self, q, k, v):
        return (torch.softmax((q[:, :, None] * k[:, None]).sum(-1), -1)[..., None] * v[:, None]).sum(2)


class NotNormalised(ByValues):
    """Softmax plus one: every row has a sum of its own."""

    def mixed(self, q, k, v):
        e = (q @ k.mT / 4).exp()
        return e / (1 + e.sum(-1, keepdim=True)) @ v


class GatedRows(ByValues):
    """A pattern that is changed after its softmax."""

    def mixed(self, q, k, v):
        return (torch.softmax(q @ k.mT, -1) * torch.sigmoid(q.mean(-1, keepdim=True))) @ v


class Rolled(ByValues):
    """Auto-correlation: whole series are rolled by the lags of greatest correlation, as Autoformer's code does."""

    def mixed(self, q, k, v):
        spectrum = torch.fft.rfft(q, dim=1) * torch.fft.rfft(k, dim=1).conj()
        shares, lags = torch.fft.irfft(spectrum, n=T, dim=1).mean(-1).topk(2)
        twice, steps = v.repeat(1, 2, 1), torch.arange(T)[None]
        parts = [twice.gather(1, (lags[:, i, None] + steps)[..., None].expand(-1, -1, W)) for i in range(2)]
        return sum(w[:, None, None] * part for w, part in zip(shares.softmax(-1).T, parts, strict=True))


class Hashed(ByValues):
    """LSH: tokens are sorted into buckets by random projections, and look among themselves there."""

    def parts(self, z):
        q = self.q(z)
        return q, q, self.v(z)

    def mixed(self, q, k, v):
        order = (q @ torch.randn(W, 2)).argmax(-1).argsort(stable=True)
        rows = order[..., None].expand(-1, -1, W)
        a, b, c = (each.gather(1, rows).unflatten(1, (2, -1)) for each in (q, k, v))
        mixed = (torch.softmax(a @ b.mT, -1) @ c).flatten(1, 2)
        return torch.zeros_like(v).scatter(1, rows, mixed)

    def forward(self, x):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return super().forward(x)


class LaidOutByHeads(TopQueries):
    """Informer's code hands heads on before tokens, to a projection that takes them for features."""

    def mix(self, z):
        q, k, v = map(heads, self.parts(z))
        if self.by_hand:
            return self.replaced(v).reshape(len(z), T, W)
        rows = self.chosen(q).expand(-1, -1, -1, W // 2)
        weights = torch.softmax(q.gather(2, rows) @ k.mT, -1)
        return v.mean(2, keepdim=True).expand_as(v).scatter(2, rows, weights @ v).reshape(len(z), T, W)


class OneProjection(TopQueries):
    """Queries, keys and values of two heads from one map."""

    def build(self):
        self.qkv = nn.Linear(W, 3 * W)

    def mix(self, z):
        q, k, v = map(heads, self.qkv(z).chunk(3, -1))
        if self.by_hand:
            return joined(self.replaced(v))
        e = (q @ k.mT / 4).exp()
        return joined(e / (1 + e.sum(-1, keepdim=True)) @ v)


FAMILIES = (
    *(TopQueries, AllOnTop, Recurrent, Additive, ByHandSum, NotNormalised, GatedRows, Rolled, Hashed),
    *(LaidOutByHeads, OneProjection),
)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@torch.no_grad()
def test_an_edit_is_the_same_edit_by_hand(family):
    model, x = family(), windows()
    raw = model(x)
    for mode in ("mean", "zero", "identity"):
        model.by_hand = mode
        expected = model(x)
        model.by_hand = None
        with Replace(mode).on(model, x) as edited:
            torch.testing.assert_close(edited(x), expected, rtol=1e-5, atol=1e-6)
            assert torch.equal(model(x), raw)  # what is not called through the edit is not edited
        assert (raw - expected).abs().max() > 1e-3
    found = identity_of(model)
    assert found.passed, found
    assert (found.unreached, found.not_tokens) == ("", ())
    assert traces_left(model) == []


@torch.no_grad()
def test_its_pattern_is_the_true_one():
    model, x = TopQueries(), windows()
    q, k, _ = model.parts(model.embed(x.mT.reshape(-1, T, L // T)) + model.code)
    expected = torch.full((len(q), T, T), 1 / T)
    expected = expected.scatter(
        1, model.chosen(q).expand(-1, -1, T), torch.softmax(q @ k.mT, -1).gather(1, model.chosen(q).expand(-1, -1, T))
    )
    with attach(model, x) as attached:
        assert attached.describe() == f"1 attention sites through the value mixing adapter (1 heads x {T} tokens)"
        (found,) = patterns_of(attached, x)
    torch.testing.assert_close(found[:, 0], expected)
    with Replace("frozen-mean").on(model, x, [x]) as edited:
        frozen = edited(x)
    model.mixed = lambda q, k, v: expected.mean(0) @ v
    torch.testing.assert_close(frozen, model(x))


@torch.no_grad()
def test_it_is_added_to_what_an_adapter_reaches_in_the_order_of_the_pass():
    class Layers(Family):
        def build(self):
            self.layers = nn.ModuleList([Hashed(), Fused(), TopQueries()])

        def mix(self, z):
            for layer in self.layers:
                with torch.random.fork_rng():
                    torch.manual_seed(0)
                    z = z + layer.out(layer.mix(z))
            return z

        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if name == "by_hand" and hasattr(self, "layers"):
                for layer in self.layers:
                    layer.by_hand = value

    model, x = Layers(), windows()
    with attach(model, x) as attached:
        assert [site.path for site in attached.sites] == ["layers.0", "call 0", "layers.2"]
        assert attached.adapter == "scaled_dot_product_attention + value mixing"
    assert identity_of(model).unreached == ""
    model.by_hand = "mean"
    expected = model(x)
    model.by_hand = None
    with Replace("mean").on(model, x) as edited:
        torch.testing.assert_close(edited(x), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_sublayers_can_be_removed():
    model, x = TopQueries(), windows()
    with Remove().on(model, x) as edited:
        found = edited(x)
    model.out.weight.zero_()
    model.out.bias.zero_()
    torch.testing.assert_close(found, model(x))


def test_across_is_no_identity():
    class Across(TopQueries):
        """As many queries as keys, of other tokens: the window turned round."""

        def parts(self, z):
            return self.q(z.flip(1)), self.k(z), self.v(z)

    with pytest.raises(UsageError, match="identity is undefined"), Replace("identity").on(Across(), windows()):
        pass


class Gates(ByValues):
    """Values are weighed by the window, token by token: nothing is mixed."""

    def mixed(self, q, k, v):
        return v * torch.sigmoid((q * k).sum(-1, keepdim=True))


class FixedMap(ByValues):
    """Tokens are mixed by fixed weights, and features by the window."""

    def build(self):
        self.tokens = nn.Linear(T, T)

    def mixed(self, q, k, v):
        return self.tokens(v.mT).mT * q.mean(1, keepdim=True).sigmoid()


@pytest.mark.parametrize("family", [Gates, FixedMap], ids=lambda family: family.__name__)
def test_gates_and_fixed_maps_are_not_taken_for_it(family):
    with attach(family(), windows()) as attached:
        assert attached.sites == []


def test_windows_of_one_channel_and_a_single_window_will_do():
    model = TopQueries()
    with attach(model, windows(1, 1)) as attached:
        assert len(attached.sites) == 1
        assert attached(windows(2, 1)).shape == (2, H, 1)
    assert C > 1


@torch.no_grad()
def test_a_model_is_searched_once_while_it_is_as_it_was(monkeypatch):
    searched, search = [], completed._search
    monkeypatch.setattr(completed, "_search", lambda *given: searched.append(given) or search(*given))
    model, x = Additive(), windows()

    def looked_at():
        with attach(model, x) as attached:
            sites = [(each.path, each.layer, each.heads, each.queries, each.keys) for each in attached.sites]
            described = attached.describe()
        with Replace("mean").on(model, x) as edited:
            return sites, described, edited(x)

    first, again = looked_at(), looked_at()
    assert len(searched) == 1
    assert first[:2] == again[:2]
    assert torch.equal(first[2], again[2])
    model.v.weight.mul_(2)
    changed = looked_at()
    assert len(searched) == 2
    assert changed[:2] == first[:2]
    assert not torch.equal(changed[2], first[2])
    with attach(model, torch.cat([x, x], 1)[:, -L:].repeat(1, 1, 2)[..., :C]):
        assert len(searched) == 2


@torch.no_grad()
def test_a_switch_or_another_way_to_call_it_is_a_model_to_be_searched_again(monkeypatch):
    searched, search = [], completed._search
    monkeypatch.setattr(completed, "_search", lambda *given: searched.append(given) or search(*given))
    model, x = Additive(), windows()

    def call(batch, *, scale):
        return scale * model(batch)

    def looked_at(forward):
        with attach(Subject(forward, model), x):
            return len(searched)

    assert [looked_at(partial(call, scale=1.0)), looked_at(partial(call, scale=1.0))] == [1, 1]
    assert looked_at(partial(call, scale=2.0)) == 2
    model.causal = True
    assert [looked_at(partial(call, scale=2.0)), looked_at(partial(call, scale=2.0))] == [3, 3]
