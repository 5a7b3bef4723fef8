"""Degrees of disturbance of patterns, and their position and content parts."""

import pytest
import torch
from edited_models import (
    Failed,
    Foreign,
    InlineBlock,
    calibration,
    example,
    patterns,
    patterns_of,
    subject,
    traces_left,
    untrained,
)

from forecheck.attention.patterns import Noisy
from forecheck.attention.perturb import FreezeToMean, Noise, Smooth
from forecheck.attention.replace import Replace

EDITS = [Noise(0.7), Smooth(0.5), FreezeToMean("position"), FreezeToMean("content")]
MODELS = {"native": lambda: untrained().module, "foreign": lambda: subject(Foreign(InlineBlock))}
MODEL = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def forecast(model, edit):
    with torch.no_grad(), edit.on(model, example(), calibration()) as edited:
        return edited(example())


def raw(model):
    return forecast(model, Smooth(0.0))


@MODEL
def test_edits_show_and_are_off_afterwards(make):
    model = make()
    module = getattr(model, "module", model)
    before = module(example()).detach()
    state = torch.get_rng_state()
    for edit in EDITS:
        assert (forecast(model, edit) - before).abs().max() > 1e-4 * before.abs().max(), edit
        with pytest.raises(Failed), edit.on(model, example(), calibration()):
            raise Failed
        torch.testing.assert_close(module(example()), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert not traces_left(module)


@MODEL
@pytest.mark.parametrize("edit", [Noise(0.0), Smooth(0.0)])
def test_no_strength_is_the_raw_model(make, edit):
    model = make()
    before = getattr(model, "module", model)(example())
    torch.testing.assert_close(forecast(model, edit), before.detach())


@MODEL
def test_the_ends_are_replacements(make):
    model = make()
    torch.testing.assert_close(forecast(model, Smooth(1.0)), forecast(model, Replace("mean")))
    torch.testing.assert_close(forecast(model, FreezeToMean("position")), forecast(model, Replace("frozen-mean")))


def test_smoothing_is_a_straight_line_in_the_pattern():
    module = untrained(layers=1).module
    half = untrained(layers=1).module
    before = patterns(module, example())[0]
    with Smooth(0.25).on(half, example()):
        moved = half.blocks[0].attention.edit(before, torch.ones(5, 5, dtype=torch.bool), before)
    torch.testing.assert_close(moved, 0.75 * before + 0.25 / 5)


def test_content_alone_is_the_mean_where_patterns_are_all_the_same():
    """Windows that are all alike have no content part."""
    module = untrained(layers=1).module
    same = example()[:1].repeat(4, 1, 1)
    same = same[..., :1].repeat(1, 1, 2)
    with torch.no_grad(), FreezeToMean("content").on(module, same, [same]) as edited:
        content = edited(same)
    with torch.no_grad(), Replace("mean").on(module, same) as edited:
        torch.testing.assert_close(content, edited(same), rtol=1e-4, atol=1e-5)


def test_both_parts_make_the_whole():
    module = untrained(layers=1).module
    before = patterns(module, example())[0]
    allowed = torch.ones(5, 5, dtype=torch.bool)
    made = {}
    for keep in ("position", "content"):
        with FreezeToMean(keep).on(module, example(), calibration()):
            made[keep] = module.blocks[0].attention.edit(before, allowed, before)
    torch.testing.assert_close(made["position"] + made["content"] - 1 / 5, before, rtol=1e-5, atol=1e-6)


def test_noise_on_scores_has_the_strength_it_says():
    """Log odds against the first key move by c std(s) times the difference of two standard normals."""
    scores = torch.randn(200, 1, 1, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = scores.softmax(-1)
    noisy = Noisy(0.8, 0)(weights, torch.ones(1, 30, dtype=torch.bool), weights.mT)
    moved = (noisy.log() - weights.log()) / scores.std(dim=-1, keepdim=True, correction=0)
    centred = moved - moved.mean(dim=-1, keepdim=True)
    assert centred.square().sum().div(200 * 29).sqrt().item() == pytest.approx(0.8, rel=0.03)


def test_equal_seeds_meet_equal_noise_at_every_strength():
    """Then the log odds move along one line."""
    weights = torch.rand(6, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).softmax(-1)
    allowed = torch.ones(5, 5, dtype=torch.bool)

    def moved(strength, seed):
        change = Noisy(strength, seed)(weights, allowed, weights).log() - weights.log()
        return change - change[..., :1]

    torch.testing.assert_close(moved(1.0, 3), 2 * moved(0.5, 3))
    assert not torch.allclose(moved(1.0, 4), moved(1.0, 3))


def test_every_layer_has_noise_of_its_own_and_hidden_keys_stay_hidden():
    model = subject(Foreign(InlineBlock, causal=True))
    with Noise(1.0).on(model, example()) as edited:
        seeds = {site.module.pattern._seed for site in edited.sites}
        seen = patterns_of(edited, example())
        assert len(seeds) == len(edited.sites)
        made = edited.sites[0].module.pattern(seen[0], torch.ones(16, 16, dtype=torch.bool).tril(), seen[0])
    assert (made.triu(1) == 0).all()
    torch.testing.assert_close(made.sum(-1), torch.ones_like(made.sum(-1)))
