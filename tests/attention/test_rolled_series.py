"""Auto-correlation of our Autoformer is reached by audits; what looks across has no identity."""

import pytest
import torch

from forecheck.attention.identity import identity_test
from forecheck.attention.outputs import Remove
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.autoformer import AutoCorrelation
from forecheck.forecasters.base import Task
from forecheck.nn.seeding import initialise

L, H = 24, 12


def network(name="autoformer", label=12, **options):
    """With as many steps to decode as there are in the window, if the label part has 12 steps."""
    task = Task(L, H, 2, 4)
    small = {"width": 8, "hidden": 8, "layers": 1, "label": label} | options
    module = registry.create(name, task, small).module
    initialise(module, 0)
    return module.eval()


def windows():
    return torch.randn(3, L, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("label", [4, 12, 20])
@pytest.mark.parametrize("mode", ["zero", "mean"])
@torch.no_grad()
def test_an_edit_is_the_same_edit_by_hand(monkeypatch, label, mode):
    """Memories are cut, as long as the tokens, or filled up."""
    module, x = network(label=label), windows()
    raw = module(x)

    def by_hand(self, tokens, memory=None):
        v = self.value(tokens if memory is None else memory[:, : tokens.shape[1]])
        mixed = v.mean(1, keepdim=True).expand(-1, tokens.shape[1], -1)
        return self.out(mixed if mode == "mean" else torch.zeros_like(mixed))

    with Replace(mode).on(module, x) as edited:
        found = edited(x)
    assert torch.equal(module(x), raw)
    monkeypatch.setattr(AutoCorrelation, "forward", by_hand)
    torch.testing.assert_close(found, module(x), rtol=1e-5, atol=1e-6)
    assert (found - raw).abs().max() > 1e-3


@pytest.mark.parametrize("label", [4, 12, 20])
def test_the_identity_test_passes_and_nothing_is_left(label):
    module, x = network(label=label), windows()
    with attach(module, x) as attached:
        assert attached.adapter == "native"
        assert [site.stochastic for site in attached.sites] == [True, True, label < 20]
        found = identity_test(Subject.of(module), attached, x)
    assert found.passed
    assert found.unreached == ""


@torch.no_grad()
def test_the_identity_keeps_each_step_of_the_window_its_own(monkeypatch):
    module, x = network(), windows()
    with Replace("identity", layers=(0,)).on(module, x) as edited:
        found = edited(x)
    first = module.encoder[0].mixer
    monkeypatch.setattr(first, "forward", lambda tokens: first.out(first.value(tokens)))
    torch.testing.assert_close(found, module(x), rtol=1e-5, atol=1e-6)


# With a lookback of 96, a label part of 48 and a horizon of 48 a decoder has as many steps as it looks at.
@pytest.mark.parametrize("name", ["autoformer", "transformer"])
def test_from_a_decoder_to_its_memory_the_identity_is_undefined_whatever_the_sizes(name):
    module, x = network(name), windows()
    assert [(site.queries, site.keys) for site in _sites(module, x)] == [(L, L)] * 3
    with pytest.raises(UsageError, match=r"cross.* identity is undefined"), Replace("identity").on(module, x):
        pass
    with pytest.raises(UsageError, match=r"cross.* identity is undefined"):
        Replace("identity").install(module, x)
    with attach(module, x) as attached:
        wrong = identity_test(Subject.of(module), attached, x).not_tokens
    assert [path.startswith("decoder.0.cross") for path in wrong] == [True]


@pytest.mark.parametrize("name", ["autoformer", "transformer", "informer"])
def test_sublayers_are_taken_out_of_encoder_and_decoder(name):
    module, x = network(name, label=8), windows()
    before = sum(p.numel() for p in module.parameters())
    Remove().install(module, x)
    assert module(x).shape == (3, H, 2)
    assert sum(p.numel() for p in module.parameters()) < before
    assert _sites(module, x) == []


def _sites(module, x):
    with attach(module, x) as attached:
        return attached.sites if attached.adapter == "native" else []
