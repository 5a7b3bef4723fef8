"""Sublayers disturbed by what they give."""

import math

import pytest
import torch
from edited_models import (
    TASK,
    ConvolutionBlock,
    Failed,
    Foreign,
    InlineBlock,
    TorchModel,
    by_hand,
    calibration,
    config,
    example,
    fitted,
    subject,
    traces_left,
    untrained,
    windows_of,
)
from torch import nn

from forecheck.attention.outputs import Ablate, NoAttention, Perturb, Remove
from forecheck.attention.parts import Part, find_parts
from forecheck.attention.replace import Replace
from forecheck.attention.sites import attach
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import predict_all
from forecheck.forecasters.patchtst import PatchTST
from forecheck.nn.seeding import initialise

EDITS = [Perturb("attention"), Perturb("feed-forward"), Ablate("attention"), Ablate("feed-forward"), Remove()]
MODELS = {
    "native": lambda: untrained().module,
    "convolutions": lambda: subject(Foreign(ConvolutionBlock)),
    "inline": lambda: subject(Foreign(InlineBlock)),
}
MODEL = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
PART = pytest.mark.parametrize("part", ["attention", "feed-forward"])


def forecast(model, edit, x=None):
    with torch.no_grad(), edit.on(model, example(), calibration()) as edited:
        return edited(example() if x is None else x)


def outputs(attached, part, x):
    """What every part gives in one pass, by layer."""
    seen = {}
    handles = [
        handle
        for each in find_parts(attached, example(), part, None)
        for handle in each.on_output(lambda y, layer=each.layer: seen.update({layer: y.detach().clone()}))
    ]
    with torch.no_grad():
        attached(x)
    for handle in handles:
        handle.remove()
    return seen


@MODEL
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.label)
def test_edits_show_and_leave_nothing(make, edit):
    model = make()
    module = getattr(model, "module", model)
    module.train()
    module.eval()
    next(module.modules()).training = True  # a mode of its own
    modes = [each.training for each in module.modules()]
    before = forecast(model, Perturb(strength=0.0))
    state = torch.get_rng_state()
    assert (forecast(model, edit) - before).abs().max() > 1e-3 * before.abs().max()
    with pytest.raises(Failed), edit.on(model, example(), calibration()):
        raise Failed
    assert not traces_left(module)
    assert [each.training for each in module.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(forecast(model, Perturb(strength=0.0)), before, rtol=0, atol=0)


@MODEL
def test_nothing_is_left_where_the_calibration_fails(make):
    model = make()
    module = getattr(model, "module", model)

    def broken():
        yield example()
        raise Failed

    with pytest.raises(Failed), Ablate("feed-forward").on(model, example(), broken()):
        pass
    assert not traces_left(module)
    with pytest.raises(UsageError, match="needs calibration windows"), Ablate().on(model, example()):
        pass
    assert not traces_left(module)


@MODEL
@PART
def test_no_strength_is_the_raw_model_bit_by_bit(make, part):
    model = make()
    with torch.no_grad():
        before = getattr(model, "module", model)(example())
    torch.testing.assert_close(forecast(model, Perturb(part, 0.0)), before, rtol=0, atol=0)


def test_the_forecaster_sees_the_edit():
    forecaster = untrained()
    with Perturb("feed-forward").on(forecaster.module, example()):
        during = forecaster.predict(example())
    torch.testing.assert_close(during, forecast(forecaster.module, Perturb("feed-forward")), rtol=0, atol=0)


@PART
@pytest.mark.parametrize("strength", [0.1, 1.5])
def test_strength_is_the_ratio_of_root_mean_squares_of_every_token(part, strength):
    """Over many draws; tokens of any size alike."""
    y = torch.randn(4, 5, 8, dtype=torch.float64) * torch.logspace(-3, 3, 5, dtype=torch.float64)[:, None]
    change = Perturb(part, strength).change(Part("here", 0, nn.Identity(), 1), {})
    moved = torch.stack([change(y) - y for _ in range(2000)])
    ratio = moved.square().mean(dim=(0, 1, 3)).sqrt() / y.square().mean(dim=(0, 2)).sqrt()
    torch.testing.assert_close(ratio, torch.full_like(ratio, strength), rtol=0.02, atol=0)
    torch.testing.assert_close(
        moved.mean(dim=0), torch.zeros_like(y), rtol=0, atol=0.2 * strength * y.abs().max().item()
    )


@MODEL
def test_attention_and_feed_forward_parts_are_changed_alike(make):
    model = make()
    x = windows_of(60).gather(slice(0, 60))[0]
    for part in ("attention", "feed-forward"):
        with torch.no_grad(), Perturb(part, 0.3).on(model, example()) as edited:
            edited(x)
            assert edited.relative_change == pytest.approx(0.3, rel=0.1)
            assert sorted(edited.meters) == [site.layer for site in edited.sites]


def test_equal_seeds_meet_equal_noise_at_every_strength():
    y = torch.randn(4, 5, 8, dtype=torch.float64)
    part = Part("here", 0, nn.Identity(), 1)

    def moved(strength, seed, layer=0):
        return Perturb("attention", strength, seed=seed).change(Part("here", layer, part.module, 1), {})(y) - y

    torch.testing.assert_close(moved(1.0, 3), 4 * moved(0.25, 3))
    for other in (moved(1.0, 4), moved(1.0, 3, layer=1)):
        assert not torch.allclose(other, moved(1.0, 3))


@MODEL
@PART
def test_ablated_parts_give_the_mean_of_the_calibration_batch(make, part):
    model = make()
    x = calibration()[0]
    with attach(model, example()) as attached:
        raw = outputs(attached, part, x)
        with Ablate(part).applied(attached, example(), [x]):
            ablated = outputs(attached, part, x[:3])
    for layer, y in raw.items():
        expected = y.mean(dim=0).expand_as(ablated[layer])
        torch.testing.assert_close(ablated[layer], expected, rtol=1e-5, atol=1e-6)


def test_a_mean_over_batches_weighs_every_window_alike():
    model = untrained().module
    windows = windows_of()
    whole = [windows.gather(slice(0, 20))[0]]
    parts = [windows.gather(slice(start, stop))[0] for start, stop in ((0, 1), (1, 14), (14, 20))]
    results = []
    for batches in (whole, parts):
        with torch.no_grad(), Ablate("feed-forward").on(model, example(), batches) as edited:
            results.append(edited(example()))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


@PART
@pytest.mark.parametrize("batch_first", [True, False])
def test_means_keep_tokens_apart_whichever_axis_they_are_on(part, batch_first):
    model = TorchModel(batch_first=batch_first)
    with by_hand(model, nn.MultiheadAttention) as attached:
        raw = outputs(attached, part, calibration()[0])
        with Ablate(part).applied(attached, example(), calibration()[:1]):
            ablated = outputs(attached, part, calibration()[0])
    for layer, y in raw.items():
        mean = y.mean(dim=0 if batch_first else 1, keepdim=True)
        torch.testing.assert_close(ablated[layer], mean.expand_as(y), rtol=1e-5, atol=1e-6)


@MODEL
def test_the_change_is_that_of_the_edited_layers_in_the_forecasts_made(make):
    with torch.no_grad(), Ablate("attention", layers=(1,)).on(make(), example(), calibration()) as edited:
        assert math.isnan(edited.relative_change)
        edited(example())
        assert list(edited.meters) == [1]
        first = edited.relative_change
        edited(example())
        assert edited.relative_change == pytest.approx(first)
    y, mean = outputs_of(make(), example()), outputs_of(make(), torch.cat(calibration())).mean(dim=0)
    assert first == pytest.approx(((mean - y).norm() / y.norm()).item(), rel=1e-4)


def outputs_of(model, x):
    """What the attention sublayer of layer 1 gives."""
    with attach(model, example()) as attached:
        return outputs(attached, "attention", x)[1]


@MODEL
def test_removed_attention_adds_nothing(make):
    model = make()
    with attach(model, example()) as attached, Remove().applied(attached, example(), ()) as edited:
        assert all((y == 0).all() for y in outputs(attached, "attention", example()).values())
        assert edited.relative_change == 1.0


def test_removing_is_zeroing_where_the_output_projection_has_no_bias():
    module = untrained().module
    assert not torch.allclose(forecast(module, Remove()), forecast(module, Replace("zero")))
    with torch.no_grad():
        for block in module.blocks:
            block.attention.out.bias.zero_()
    torch.testing.assert_close(forecast(module, Remove()), forecast(module, Replace("zero")))


def test_chosen_layers_only():
    module = untrained(residual_scores=False).module
    with attach(module, example()) as attached, Remove(layers=(1,)).applied(attached, example(), ()):
        given = outputs(attached, "attention", example())
    assert [bool((y == 0).all()) for y in given.values()] == [False, True, False]
    with pytest.raises(UsageError, match="layers 0 to 2, not 5"), Remove(layers=(5,)).on(module, example()):
        pass


def test_a_disturbed_forecast_has_a_gradient():
    module = untrained().module
    with Perturb("feed-forward").on(module, example()) as edited:
        edited(example()).square().sum().backward()
    assert (module.embed.embed.weight.grad != 0).any()


def test_only_removing_can_be_retrained():
    for edit in EDITS[:4]:
        with pytest.raises(UsageError, match="post-hoc edit only"):
            PatchTST(TASK, config(), edit)


def test_a_removed_arm_has_no_parameters_of_attention():
    raw, arm = PatchTST(TASK, config()), PatchTST(TASK, config(), Remove())
    gone = {name for name, _ in raw.module.named_parameters()} - {name for name, _ in arm.module.named_parameters()}
    assert gone == {
        f"blocks.{i}.attention.{name}"
        for i in range(3)
        for name in ("project.weight", "project.bias", "out.weight", "out.bias")
    }
    part = PatchTST(TASK, config(), Remove(layers=(1,)))
    assert [isinstance(block.attention, NoAttention) for block in part.module.blocks] == [False, True, False]
    with pytest.raises(UsageError, match="layers 0 to 2, not 3"):
        PatchTST(TASK, config(), Remove(layers=(3,)))


def test_a_removed_arm_forecasts_as_the_raw_model_with_attention_removed():
    raw, arm = untrained(), untrained(Remove())
    for key, value in arm.module.state_dict().items():
        torch.testing.assert_close(raw.module.state_dict()[key], value, rtol=0, atol=0)
    torch.testing.assert_close(forecast(raw.module, Remove()), arm.predict(example()))


def test_scores_of_layers_that_stay_go_past_a_removed_one():
    arm = untrained(Remove(layers=(1,)))
    seen = []
    handle = arm.module.blocks[2].attention.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    arm.predict(example())
    handle.remove()
    assert seen[0] is not None
    assert seen[0].q.shape == (4, 2, 5, 4)


def test_a_removed_arm_is_the_same_after_saving_and_loading(tmp_path):
    forecaster = fitted(Remove())
    forecaster.save(tmp_path)
    loaded = registry.load(tmp_path)
    assert loaded.edit == Remove()
    assert not any("project" in name for name in loaded.tensors())
    windows = windows_of(seed=2)
    torch.testing.assert_close(predict_all(loaded, windows), predict_all(forecaster, windows), rtol=0, atol=0)


def test_what_stays_starts_from_the_same_weights():
    raw, arm = PatchTST(TASK, config()), PatchTST(TASK, config(), Remove())
    initialise(raw.module, 3)
    initialise(arm.module, 3)
    for key, value in arm.module.state_dict().items():
        torch.testing.assert_close(raw.module.state_dict()[key], value, rtol=0, atol=0, msg=key)


def test_attention_of_other_libraries_cannot_be_taken_out():
    with pytest.raises(UsageError, match="no attention of ours"):
        Remove().install(TorchModel(), example())
