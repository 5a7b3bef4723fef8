"""Replacing patterns in a whole model: post-hoc and retrained."""

import pytest
import torch
from edited_models import TASK, C, Failed, L, calibration, config, example, fitted, patterns, untrained, windows_of

from forecheck.attention.means import mean_patterns
from forecheck.attention.replace import POSTHOC_MODES, RETRAINED_MODES, Replace
from forecheck.attention.sites import attach
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import predict_all
from forecheck.forecasters.patchtst import PatchTST
from forecheck.nn.seeding import initialise


@pytest.mark.parametrize("mode", POSTHOC_MODES)
def test_posthoc_edits_change_the_forecast_and_are_off_afterwards(mode):
    forecaster = untrained()
    x = windows_of().gather(slice(0, 8))[0]
    before = forecaster.predict(x)
    with Replace(mode).on(forecaster.module, example(), calibration()) as edited:
        assert len(edited.sites) == 3
        assert torch.equal(edited(x), forecaster.predict(x))
        during = forecaster.predict(x)
        torch.testing.assert_close(forecaster.predict(x), during, rtol=0, atol=0)
    assert (during - before).abs().max() > 1e-4 * before.abs().max()
    torch.testing.assert_close(forecaster.predict(x), before, rtol=0, atol=0)
    assert "edit" not in " ".join(forecaster.module.state_dict())


def test_edits_are_off_after_an_exception():
    forecaster = untrained()
    before = forecaster.predict(example())
    with pytest.raises(Failed), Replace("zero").on(forecaster.module, example()):
        raise Failed
    torch.testing.assert_close(forecaster.predict(example()), before, rtol=0, atol=0)


def test_edits_are_off_after_a_refusal():
    forecaster = untrained()
    before = forecaster.predict(example())
    with (
        pytest.raises(UsageError, match=r"blocks.0.attention has heads 0 to 1, not 2"),
        Replace("zero", heads=(0, 2)).on(forecaster.module, example()),
    ):
        pass
    torch.testing.assert_close(forecaster.predict(example()), before, rtol=0, atol=0)


def test_a_posthoc_edit_gives_way_to_the_retrained_one_afterwards():
    forecaster = untrained(Replace("identity"))
    before = forecaster.predict(example())
    with Replace("zero").on(forecaster.module, example()):
        assert not torch.equal(forecaster.predict(example()), before)
    torch.testing.assert_close(forecaster.predict(example()), before, rtol=0, atol=0)


def test_zero_forecasts_from_the_tokens_themselves():
    """Under zero the values may be anything: nothing but the output projection's bias is left."""
    forecaster = untrained()
    with Replace("zero").on(forecaster.module, example()):
        before = forecaster.predict(example())
        with torch.no_grad():
            for block in forecaster.module.blocks:
                block.attention.project.weight.normal_()
                block.attention.out.weight.normal_()
        torch.testing.assert_close(forecaster.predict(example()), before, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["identity", "mean", "frozen-mean", "shuffled"])
def test_at_one_token_replacing_attention_changes_nothing(mode):
    """Two tokens are the least a padded PatchTST has, so the second is made blind to the forecast by its weights."""
    forecaster = untrained(patch=L, stride=L, layers=1)
    with torch.no_grad():  # both tokens alike: any row-stochastic pattern gives the same mix
        forecaster.module.positions.code.zero_()
        forecaster.module.embed.embed.weight.zero_()
    before = forecaster.predict(example())
    with Replace(mode).on(forecaster.module, example(), calibration()):
        torch.testing.assert_close(forecaster.predict(example()), before)


def test_chosen_layers_only():
    forecaster = untrained(residual_scores=False)
    x = example()
    before = patterns(forecaster.module, x)
    with Replace("identity", layers=(1,)).on(forecaster.module, x):
        edited = [block.attention.edit is not None for block in forecaster.module.blocks]
        during = patterns(forecaster.module, x)
    assert edited == [False, True, False]
    # Layers up to the edited one see what they saw; the next one sees changed tokens.
    torch.testing.assert_close(during[0], before[0], rtol=0, atol=0)
    torch.testing.assert_close(during[1], before[1], rtol=0, atol=0)
    assert not torch.allclose(during[2], before[2])


def test_the_last_layer_edited_leaves_all_patterns_as_they_were():
    forecaster = untrained()
    before = patterns(forecaster.module, example())
    with Replace("zero", layers=(2,)).on(forecaster.module, example()):
        for ours, raw in zip(patterns(forecaster.module, example()), before, strict=True):
            torch.testing.assert_close(ours, raw, rtol=0, atol=0)


def test_chosen_heads_only():
    """An edit on heads whose values are wiped out changes nothing; on the other heads it does."""
    forecaster = untrained(layers=1)
    attention = forecaster.module.blocks[0].attention
    with torch.no_grad():
        attention.out.weight[:, 4:] = 0  # nothing of head 1 reaches the tokens
    before = forecaster.predict(example())
    with Replace("mean", heads=(1,)).on(forecaster.module, example()):
        torch.testing.assert_close(forecaster.predict(example()), before)
    with Replace("mean", heads=(0,)).on(forecaster.module, example()):
        assert not torch.allclose(forecaster.predict(example()), before)


@pytest.mark.parametrize("mode", ["zero", "identity", "mean"])
def test_raw_scores_still_reach_layers_that_are_not_edited(mode):
    """With the next layer's own scores wiped out, its pattern is the softmax of the scores it was passed."""
    forecaster = untrained(layers=2)
    first, second = (block.attention for block in forecaster.module.blocks)
    with torch.no_grad():
        second.project.weight[:16].zero_()
        second.project.bias[:16].zero_()
    before = patterns(forecaster.module, example())
    with Replace(mode, layers=(0,)).on(forecaster.module, example()):
        during = patterns(forecaster.module, example())
        torch.testing.assert_close(during[1], before[0])
        assert first.edit is not None
    torch.testing.assert_close(before[1], before[0])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Replace("zero", layers=(3,)), "layers 0 to 2, not 3"),
        (Replace("zero", layers=(-1,)), "layers 0 to 2, not -1"),
        (Replace("zero", heads=(2,)), "heads 0 to 1, not 2"),
    ],
)
def test_layers_and_heads_that_are_not_there_are_named(edit, message):
    with pytest.raises(UsageError, match=message):
        PatchTST(TASK, config(), edit)
    with pytest.raises(UsageError, match=message), edit.on(untrained().module, example()):
        pass


def test_frozen_mean_is_the_average_of_all_patterns():
    forecaster = untrained()
    with attach(forecaster.module, example()) as attached:
        means = mean_patterns(attached, calibration())
    windows = windows_of()
    each = [patterns(forecaster.module, windows.gather(slice(i, i + 1))[0]) for i in range(len(windows))]
    for layer, mean in means.items():
        brute = sum(seen[layer].double().sum(dim=0) for seen in each) / (len(windows) * C)
        torch.testing.assert_close(mean, brute.float(), rtol=1e-5, atol=1e-7)
    with Replace("frozen-mean").on(forecaster.module, example(), calibration()):
        for block, mean in zip(forecaster.module.blocks, means.values(), strict=True):
            torch.testing.assert_close(block.attention.edit.pattern, mean)


def test_posthoc_fixed_and_retrained_frozen_mean_are_refused():
    forecaster = untrained()
    with pytest.raises(UsageError, match="retrained edit only"), Replace("fixed").on(forecaster.module, example()):
        pass
    with pytest.raises(UsageError, match="post-hoc edit only"):
        PatchTST(TASK, config(), Replace("frozen-mean"))
    with (
        pytest.raises(UsageError, match="needs calibration windows"),
        Replace("frozen-mean").on(forecaster.module, example()),
    ):
        pass


def test_labels_are_distinct():
    edits = [Replace("zero"), Replace("zero", layers=(0, 1)), Replace("zero", heads=(1,)), Replace("mean")]
    assert [edit.label for edit in edits] == ["zero", "zero layers 0,1", "zero heads 1", "mean"]


@pytest.mark.parametrize("mode", RETRAINED_MODES)
def test_a_retrained_arm_is_the_same_after_saving_and_loading(mode, tmp_path):
    forecaster = fitted(Replace(mode))
    forecaster.save(tmp_path)
    loaded = registry.load(tmp_path)
    assert loaded.edit == forecaster.edit
    windows = windows_of(seed=2)
    torch.testing.assert_close(predict_all(loaded, windows), predict_all(forecaster, windows), rtol=0, atol=0)


@pytest.mark.parametrize("mode", RETRAINED_MODES)
def test_fitting_an_arm_again_gives_the_same_bits(mode):
    forecaster = fitted(Replace(mode))
    first = {key: value.clone() for key, value in forecaster.tensors().items()}
    forecaster.fit(windows_of(), windows_of(seed=1))
    for key, value in forecaster.tensors().items():
        torch.testing.assert_close(value, first[key], rtol=0, atol=0, msg=key)


@pytest.mark.parametrize("mode", RETRAINED_MODES)
def test_an_interrupted_arm_goes_on_as_if_nothing_had_happened(mode, tmp_path):
    whole = fitted(Replace(mode))
    checkpoint = tmp_path / "checkpoint.safetensors"

    def stop(done, _):
        if done > 0.7:
            raise Failed

    stopped = PatchTST(TASK, config(), Replace(mode))
    with pytest.raises(Failed):
        stopped.fit(windows_of(), windows_of(seed=1), progress=stop, checkpoint=checkpoint)
    resumed = PatchTST(TASK, config(), Replace(mode))
    resumed.fit(windows_of(), windows_of(seed=1), checkpoint=checkpoint)
    for key, value in whole.tensors().items():
        torch.testing.assert_close(resumed.tensors()[key], value, rtol=0, atol=0, msg=key)


def test_fixed_learns_and_counts_as_parameters():
    forecaster = fitted(Replace("fixed"))
    thetas = [block.attention.edit.theta for block in forecaster.module.blocks]
    assert all(theta.shape == (2, 5, 5) for theta in thetas)
    assert all((theta - 1 / 5).abs().max() > 1e-3 for theta in thetas)
    raw = sum(p.numel() for p in PatchTST(TASK, config()).module.parameters())
    assert sum(p.numel() for p in forecaster.module.parameters()) == raw + 3 * 2 * 5 * 5


def test_other_modes_have_the_parameters_of_raw():
    raw = {name: p.shape for name, p in PatchTST(TASK, config()).module.named_parameters()}
    for mode in set(RETRAINED_MODES) - {"fixed"}:
        made = PatchTST(TASK, config(), Replace(mode)).module
        assert {name: p.shape for name, p in made.named_parameters()} == raw


@pytest.mark.parametrize(("mode", "dead"), [("identity", 2), ("mean", 2), ("fixed", 2), ("zero", 3)])
def test_projections_without_a_use_get_no_gradient_and_stay_as_drawn(mode, dead):
    forecaster = fitted(Replace(mode))
    drawn = PatchTST(TASK, config(), Replace(mode))
    initialise(drawn.module, 0)
    width = 8
    for block, start in zip(forecaster.module.blocks, drawn.module.blocks, strict=True):
        for ours, theirs in zip(
            block.attention.project.parameters(), start.attention.project.parameters(), strict=True
        ):
            torch.testing.assert_close(ours[: dead * width], theirs[: dead * width], rtol=0, atol=0)
            if dead < 3:
                assert not torch.equal(ours[dead * width :], theirs[dead * width :])


@pytest.mark.parametrize("mode", RETRAINED_MODES)
def test_arms_start_from_the_same_weights(mode):
    raw, arm = PatchTST(TASK, config()), PatchTST(TASK, config(), Replace(mode))
    initialise(raw.module, 3)
    initialise(arm.module, 3)
    for key, value in raw.module.state_dict().items():
        torch.testing.assert_close(arm.module.state_dict()[key], value, rtol=0, atol=0, msg=key)
