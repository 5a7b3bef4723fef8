"""Feed-forward parts disturbed inside and by feature."""

import pytest
import torch
from edited_models import Failed, Foreign, InlineBlock, example, subject, traces_left, untrained

from forecheck.attention.feed_forward import NoiseHidden, SmoothFeatures
from forecheck.attention.parts import find_parts
from forecheck.attention.sites import attach
from forecheck.errors import UsageError

EDIT = pytest.mark.parametrize("edit", [NoiseHidden(), SmoothFeatures(1.0)], ids=lambda edit: edit.label)


def forecast(model, edit):
    with torch.no_grad(), edit.on(model, example()) as edited:
        return edited(example())


def first_output(module, edit):
    """What the first feed-forward part reads and gives with an edit in place, the residual stream apart."""
    seen = {}
    with torch.no_grad(), edit.on(module, example()) as attached:
        part = find_parts(attached, example(), "feed-forward", None)[0]
        read = part.module.register_forward_pre_hook(lambda _, args: seen.update(x=args[0].clone()))
        handles = [read, *part.on_output(lambda y: seen.update(y=y.clone()))]
        attached(example())
        for handle in handles:
            handle.remove()
    return part.module, seen["x"], seen["y"]


@EDIT
def test_edits_show_and_leave_nothing(edit):
    module = untrained().module
    before = forecast(module, SmoothFeatures(0.0))
    assert (forecast(module, edit) - before).abs().max() > 1e-3 * before.abs().max()
    with pytest.raises(Failed), edit.on(module, example()):
        raise Failed
    assert not traces_left(module)
    torch.testing.assert_close(forecast(module, SmoothFeatures(0.0)), before, rtol=0, atol=0)


@pytest.mark.parametrize("edit", [NoiseHidden(0.0), SmoothFeatures(0.0)], ids=lambda edit: edit.label)
def test_no_strength_is_the_raw_model(edit):
    module = untrained().module
    with torch.no_grad(), attach(module, example()) as attached:
        raw = attached(example())
    torch.testing.assert_close(forecast(module, edit), raw, rtol=0, atol=1e-6)


def test_hidden_units_get_noise_of_their_own_spread():
    """What comes out has the spread over draws of noise that is put in by hand."""
    module = untrained().module
    part, x, _ = first_output(module, NoiseHidden(0.7))
    drawn = torch.stack([first_output(module, NoiseHidden(0.7, seed=seed))[2] for seed in range(40)])
    with torch.no_grad():
        hidden = part.inner(x)
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(400, *hidden.shape, generator=generator)
        by_hand = part.outer(
            torch.nn.functional.gelu(hidden + 0.7 * hidden.std(dim=-1, keepdim=True, correction=0) * noise)
        )
    assert (drawn.std(dim=0).mean() / by_hand.std(dim=0).mean()).item() == pytest.approx(1, abs=0.03)


def test_all_features_of_a_token_become_their_mean():
    module = untrained().module
    _, _, raw = first_output(module, SmoothFeatures(0.0))
    _, _, half = first_output(module, SmoothFeatures(0.5))
    _, _, one = first_output(module, SmoothFeatures(1.0))
    torch.testing.assert_close(one, raw.mean(dim=-1, keepdim=True).expand_as(raw), rtol=0, atol=1e-6)
    torch.testing.assert_close(half, (raw + one) / 2, rtol=0, atol=1e-6)


def test_layers_and_seeds():
    module = untrained().module
    one, both = forecast(module, NoiseHidden(layers=(0,))), forecast(module, NoiseHidden())
    assert not torch.equal(one, both)
    assert torch.equal(both, forecast(module, NoiseHidden()))
    assert not torch.equal(both, forecast(module, NoiseHidden(seed=1)))


def test_hidden_units_of_others_are_not_known():
    with pytest.raises(UsageError, match="no feed-forward part of forecheck's own"):
        forecast(subject(Foreign(InlineBlock)), NoiseHidden())
    with pytest.raises(UsageError, match="attention layers 0 to"):
        forecast(untrained().module, NoiseHidden(layers=(9,)))
