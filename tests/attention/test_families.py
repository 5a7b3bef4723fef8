"""Edits against the same by hand over twelve families; what is no attention of a known way is said to be there."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from families import (
    FAMILIES,
    HEADS,
    C,
    Family,
    Fused,
    HeadsInALoop,
    HeadsOnTheBatch,
    L,
    Softmax,
    T,
    W,
    heads,
    joined,
)
from site_proxy import SiteProxy
from torch import nn
from torch.nn import functional

from forecheck.attention.adapters.calls import ADAPTER
from forecheck.attention.identity import identity_test
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.errors import UsageError


def windows(count=4, channels=C):
    """Waves, each channel of its own, with noise."""
    t = torch.arange(float(L))[None, :, None]
    waves = torch.sin(t / 3 + torch.arange(float(channels)) + torch.arange(float(count))[:, None, None])
    return waves + 0.3 * torch.randn(count, L, channels, generator=torch.Generator().manual_seed(0))


def identity_of(model, x=None, adapter=None):
    x = windows() if x is None else x
    subject = Subject(model, model, adapter)
    with attach(subject, x) as attached:
        return identity_test(subject, attached, x)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@torch.no_grad()
def test_an_edit_is_the_same_edit_by_hand(family):
    model, x = family(), windows()
    for mode in ("mean", "zero", "identity"):
        if mode == "identity" and model.cross:
            with pytest.raises(UsageError, match="do not respond to the same part"), Replace(mode).on(model, x):
                pass
            continue
        model.by_hand = mode
        expected = model(x)
        model.by_hand = None
        with Replace(mode).on(model, x) as edited:
            torch.testing.assert_close(edited(x), expected, rtol=1e-5, atol=1e-6)
        assert (model(x) - expected).abs().max() > 1e-3
    found = identity_of(model)
    assert found.passed, found
    assert found.unreached == ""
    assert bool(found.not_tokens) == model.cross


# TFT calls one attention once a head, and showed channels as heads: github.com/sktime/pytorch-forecasting
@pytest.mark.parametrize(("channels", "count"), [(2, 4), (1, 2), (3, 3)])
def test_heads_are_never_taken_from_sizes_of_batches(channels, count):
    with attach(HeadsInALoop(), windows(count, channels)) as attached:
        assert [site.heads for site in attached.sites] == [1] * HEADS
        assert len({site.path for site in attached.sites}) == HEADS


def test_heads_that_share_the_batch_in_an_unknown_order_refuse_edits_of_heads():
    with attach(HeadsOnTheBatch(), windows()) as attached:
        assert "unknown heads" in attached.describe()
    for edit in (Replace("mean", heads=(0,)), Replace("frozen-mean"), Replace("shuffled")):
        with pytest.raises(UsageError, match="is not known"), edit.on(HeadsOnTheBatch(), windows(), [windows()]):
            pass


class NormedValues(Family):
    """Bahdanau's scores, and values that are normalised: no linear map gives what is mixed."""

    def build(self):
        self.score = nn.Linear(W, 1)

    def mix(self, z):
        q, k, v = self.parts(z)
        weights = torch.softmax(self.score(torch.tanh(q[:, :, None] + k[:, None])).squeeze(-1), -1)
        return weights @ functional.layer_norm(v, (W,))


class AutoCorrelation(Family):
    """Linear in queries, keys and values alike: which of them are values is not known."""

    def mix(self, z):
        q, k, v = (torch.fft.rfft(each, dim=1) for each in self.parts(z))
        return torch.fft.irfft(q * k.conj() * v, n=T, dim=1) / T


UNREACHED = (NormedValues, AutoCorrelation)


@pytest.mark.parametrize("family", UNREACHED, ids=lambda family: family.__name__)
def test_attention_of_an_unknown_way_is_said_to_be_there(family):
    with attach(family(), windows()) as attached:
        assert attached.sites == []
        assert "written in a way that is not known" in attached.why_not


@pytest.mark.parametrize("family", UNREACHED, ids=lambda family: family.__name__)
def test_beside_attention_that_is_reached_it_is_named(family):
    class Beside(family):
        def build(self):
            super().build()
            self.reached = Softmax()

        def mix(self, z):
            return self.reached.mix(z) + super().mix(z)

    found = identity_of(Beside())
    assert found.passed
    assert found.unreached


class Mixer(Family):
    """Fixed weights mix tokens, and gates features: no attention."""

    def build(self):
        self.tokens, self.conv = nn.Linear(T, T), nn.Conv1d(W, W, 3, padding=1)

    def mix(self, z):
        gated = self.q(z) * functional.gelu(self.k(z))
        return self.tokens(gated.mT).mT + self.conv(z.mT).mT * z.mean(1, keepdim=True).sigmoid()


def test_fixed_weights_and_gates_are_no_attention():
    with attach(Mixer(), windows()) as attached:
        assert attached.sites == []
        assert attached.why_not.endswith("nothing in it was seen to mix by weights that depend on the window")


class Planted:
    """An adapter that finds what the general one does, and reports it wrongly."""

    name = "planted"

    def __init__(self, spoil):
        self.spoil = spoil

    def wrap(self, model, horizon):
        return None

    @contextmanager
    def attach(self, subject, example):
        with ADAPTER.attach(replace(subject, adapter=ADAPTER), example) as found:
            yield replace(found, adapter=self.name, sites=self.spoil(found.sites))


class Turned(SiteProxy):
    """A site whose rows come in another order than its columns."""

    def observe(self, callback):
        self.site.observe(None if callback is None else lambda weights: callback(weights.flip(-2)))


def channels_as_heads(sites):
    (site,) = sites
    site.heads = C
    return sites


class OneHead(Family):
    def mix(self, z):
        q, k, v = self.parts(z)
        return functional.scaled_dot_product_attention(q, k, v)


class TwoFused(Fused):
    def build(self):
        self.second = Fused()

    def mix(self, z):
        return super().mix(z) + self.second.mix(z)


def test_the_identity_test_catches_wrong_adapters_of_every_kind():
    good = Planted(lambda sites: sites)
    assert identity_of(OneHead(), adapter=good).passed
    assert identity_of(OneHead(), adapter=Planted(lambda sites: [Turned(each) for each in sites])).not_tokens
    wrong = identity_of(OneHead(), adapter=Planted(channels_as_heads))
    assert not wrong.passed
    assert "windows or channels" in wrong.fault
    assert identity_of(TwoFused(), adapter=good).unreached == ""
    assert identity_of(TwoFused(), adapter=Planted(lambda sites: sites[:1])).unreached


class LocalWindows(Family):
    """Stretches of time look among themselves (lucidrains' local-attention); they stand where heads are looked for."""

    def mix(self, z):
        q, k, v = (each.unflatten(1, (3, -1)) for each in self.qkv(z).chunk(3, -1))
        return (torch.softmax(q @ k.mT, -1) @ v).flatten(1, 2)

    def build(self):
        self.qkv = nn.Linear(W, 3 * W)


class LocalHeads(LocalWindows):
    """Heads are a part of the batch, so that each has its stretches side by side: no two neighbours are heads."""

    def mix(self, z):
        q, k, v = (heads(each).flatten(0, 1).unflatten(1, (3, -1)) for each in self.qkv(z).chunk(3, -1))
        return joined((torch.softmax(q @ k.mT, -1) @ v).flatten(1, 2).unflatten(0, (len(z), -1)))


@torch.no_grad()
def test_stretches_of_time_are_no_heads():
    with attach(LocalWindows(), windows()) as attached:
        assert [site.heads for site in attached.sites] == [1]
    with attach(LocalHeads(), windows()) as attached:
        assert [(site.heads, site.heads_known) for site in attached.sites] == [(1, False)]
