"""Models of Hugging Face transformers, from tiny configurations."""

import subprocess
import sys

import pytest
import torch
from adapted import AdapterSuite, C, H, L, check_wrap, drawn, edited, sites_of, subject_of, windows
from torch import nn

from forecheck.attention.adapters.transformers import ADAPTER
from forecheck.attention.identity import identity_test
from forecheck.attention.patterns import Mean
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.errors import UsageError

PATCHES = {"context_length": L, "patch_length": 6, "patch_stride": 6, "num_input_channels": C, "prediction_length": H}
PATCHTST = PATCHES | {"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "ffn_dim": 16, "init_std": 0.5}
SEQUENCES = {"prediction_length": H, "context_length": 12, "lags_sequence": [1, 2, 3], "num_time_features": 2}
SAMPLED = SEQUENCES | {
    "d_model": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "num_parallel_samples": 5,
    "init_std": 0.5,
}
TIMESFM = {"patch_length": 4, "context_length": 32, "horizon_length": 8, "num_hidden_layers": 2, "hidden_size": 16}
TIMESFM |= {"intermediate_size": 16, "head_dim": 8, "num_attention_heads": 2, "initializer_range": 0.5}

ENCODER, SELF, CROSS = "encoder.layers.0.self_attn", "decoder.layers.0.self_attn", "decoder.layers.0.encoder_attn"
SITES = {
    "patchtst": [(f"model.encoder.layers.{layer}.self_attn", 2, 4, 4) for layer in range(2)],
    "timeseries": [(f"model.{ENCODER}", 2, 12, 12), (f"model.{SELF}", 2, H, H), (f"model.{CROSS}", 2, H, 12)],
    # Four patches are padded in front to the eight that the model always sees.
    "timesfm": [(f"decoder.layers.{layer}.self_attn", 2, 8, 8) for layer in range(2)],
    "prob": [(f"model.{CROSS}", 2, H, 12)],
}


def patchtst(**options):
    from transformers import PatchTSTConfig, PatchTSTForPrediction

    return drawn(PatchTSTForPrediction(PatchTSTConfig(**PATCHTST | options)), "q_proj", by=3)


def timeseries(**options):
    from transformers import TimeSeriesTransformerConfig, TimeSeriesTransformerForPrediction

    config = TimeSeriesTransformerConfig(**SAMPLED | options)
    return drawn(TimeSeriesTransformerForPrediction(config), "q_proj", by=3)


def informer(**options):
    from transformers import InformerConfig, InformerForPrediction

    return drawn(InformerForPrediction(InformerConfig(**SAMPLED | options)), "q_proj", by=3)


def timesfm(**options):
    from transformers import TimesFmConfig, TimesFmModelForPrediction

    return drawn(TimesFmModelForPrediction(TimesFmConfig(**TIMESFM | options)), "q_proj", by=3)


MODELS = {
    "patchtst": (patchtst, SITES["patchtst"]),
    "patchtst-eager": (lambda: patchtst(attn_implementation="eager"), SITES["patchtst"]),
    "patchtst-distribution": (lambda: patchtst(loss="nll"), SITES["patchtst"]),
    "timeseries": (timeseries, SITES["timeseries"]),
    "timeseries-multivariate": (
        lambda: timeseries(input_size=C, num_static_categorical_features=1, cardinality=[3]),
        SITES["timeseries"],
    ),
    "informer": (informer, SITES["prob"]),
    "informer-full": (lambda: informer(attention_type="full"), SITES["timeseries"]),
    "timesfm": (timesfm, SITES["timesfm"]),
}


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


def registries():
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    return sorted(ALL_ATTENTION_FUNCTIONS), sorted(ALL_MASK_ATTENTION_FUNCTIONS)


class TestAdapter(AdapterSuite):
    adapter, models = ADAPTER, MODELS

    def state(self, model):
        return registries(), model.config.to_dict(), model.config._attn_implementation


def outputs_of(module, forward):
    """What a module gives in a forward pass."""
    seen = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0]))
    with torch.no_grad():
        forward(windows())
    handle.remove()
    return seen


def test_under_zero_the_bias_of_the_output_projection_is_left():
    model = patchtst()
    attention = model.model.encoder.layers[1].self_attn
    nn.init.normal_(attention.out_proj.bias)
    with Replace("zero", layers=(1,)).on(subject_of(ADAPTER, model), windows()) as edited:
        (output,) = outputs_of(attention, edited)
    torch.testing.assert_close(output, attention.out_proj.bias.expand_as(output), rtol=0, atol=0)


def test_under_mean_values_are_averaged():
    model = patchtst()
    attention = model.model.encoder.layers[0].self_attn
    inputs = []
    handle = attention.v_proj.register_forward_pre_hook(lambda _module, args: inputs.append(args[0]))
    with Replace("mean", layers=(0,)).on(subject_of(ADAPTER, model), windows()) as edited:
        inputs.clear()
        (output,) = outputs_of(attention, edited)
    handle.remove()
    expected = attention.out_proj(attention.v_proj(inputs[0].mean(dim=1, keepdim=True)))
    torch.testing.assert_close(output, expected.expand_as(output))


def test_what_is_observed_is_what_the_library_reports():
    model = patchtst(attn_implementation="eager")
    seen = []
    with ADAPTER.attach(subject_of(ADAPTER, model), windows()) as attached:
        for site in attached.sites:
            site.observe(seen.append)
        attached(windows())
    for ours, theirs in zip(seen, model(windows(), output_attentions=True).attentions, strict=True):
        torch.testing.assert_close(ours, theirs.flatten(0, -4) if theirs.dim() > 4 else theirs)


def decoder_input(model):
    """Scaled values as a decoder of the sampling models takes them."""
    return torch.randn(2, H, model.config.feature_size), torch.randn(2, 12, 8)


@pytest.mark.parametrize("edit", [None, Mean], ids=["raw", "mean"])
def test_steps_to_come_do_not_leak(edit):
    """The first decoder steps are the same, whatever comes after them; with an edit too."""
    model = timeseries()
    decoder = model.model.decoder
    x, states = decoder_input(model)
    other = x.clone()
    other[:, 2:] += 1

    def decode(x):
        return decoder(inputs_embeds=x, encoder_hidden_states=states).last_hidden_state

    with ADAPTER.attach(Subject(decode, decoder), x) as attached, torch.no_grad():
        for site in attached.sites:
            site.edit(edit() if edit else None)
        one, two = attached.forward(x), attached.forward(other)
    torch.testing.assert_close(one[:, :2], two[:, :2], rtol=0, atol=0)
    assert not torch.allclose(one[:, 2:], two[:, 2:])


def test_a_growing_decoder_is_edited_as_one_causal_pattern():
    """Under mean the last of k steps sees the average of k values, in every one of the passes."""
    model = timeseries(decoder_layers=1)
    attention = model.model.decoder.layers[0].self_attn
    inputs = []
    with Replace("mean", layers=(1,)).on(subject_of(ADAPTER, model), windows()) as edited:
        handle = attention.v_proj.register_forward_pre_hook(lambda _module, args: inputs.append(args[0]))
        found = outputs_of(attention, edited)
        handle.remove()
    # The first pass, whose result is dropped, is the library's.
    assert [output.shape[1] for output in found] == [1, 1, 2, 3, 4]
    for values, output in zip(inputs, found, strict=True):
        last = attention.out_proj(attention.v_proj(values.mean(dim=1)))
        torch.testing.assert_close(output[:, -1], last)


def test_timesfm_keeps_its_causal_mask():
    """With two sites on the mean, the forecast of the context's second patch does not see the third."""
    model = timesfm(context_length=16)
    x = windows()[:, :16, 0]
    later = x.clone()
    later[:, 8:] += 1

    def on_context(x):
        return model(past_values=[*x], freq=[0] * len(x), return_forecast_on_context=True).mean_predictions

    with ADAPTER.attach(Subject(on_context, model), x) as attached, torch.no_grad():
        for site in attached.sites:
            site.edit(Mean())
        one, two = attached.forward(x), attached.forward(later)
    torch.testing.assert_close(one[:, :8], two[:, :8], rtol=0, atol=0)
    assert not torch.allclose(one[:, 8:], two[:, 8:])


def test_layers_off_the_interface_get_their_usual_mask():
    """Informer's ProbSparse decoder adds its mask to the scores, which a mask of another kind would spoil."""
    model = drawn(informer(), "decoder.layers.0.self_attn", by=50)
    subject = subject_of(ADAPTER, model)
    with ADAPTER.attach(subject, windows()) as attached, torch.no_grad():
        torch.testing.assert_close(attached(windows()), subject(windows()), rtol=0, atol=0)
        assert "ProbSparse" in attached.why_not


def test_autoformer_is_reached_by_its_values():
    """In this version of the library lags of one window are used for heads of another, so heads are not known."""
    from transformers import AutoformerConfig, AutoformerForPrediction

    model = AutoformerForPrediction(AutoformerConfig(**SAMPLED)).eval()
    subject = subject_of(ADAPTER, model)
    check_wrap(subject)
    subject = Subject(subject.forward, subject.module)
    with attach(subject, windows()) as attached:
        assert attached.adapter == "value mixing"
        found = identity_test(subject, attached, windows())
    assert found.passed
    assert found.unreached == ""


def test_a_distribution_is_forecast_by_its_mean():
    model = patchtst(loss="nll", num_parallel_samples=2000)
    with torch.no_grad():
        samples = model.generate(windows()).sequences
        mean = subject_of(ADAPTER, model)(windows())
    error = samples.std(dim=1) / 2000**0.5
    assert ((samples.mean(dim=1) - mean).abs() < 6 * error).all()


def test_the_point_forecast_is_the_librarys():
    model = patchtst()
    with torch.no_grad():
        expected = model(past_values=windows()).prediction_outputs
        torch.testing.assert_close(subject_of(ADAPTER, model)(windows()), expected, rtol=0, atol=0)


def test_a_horizon_may_be_shorter_but_not_longer():
    model = patchtst()
    assert ADAPTER.wrap(model, 2)(windows()).shape == (4, 2, C)
    for each in (model, timeseries()):
        with pytest.raises(UsageError, match="forecasts 4 steps, not 5"):
            ADAPTER.wrap(each, 5)


@pytest.mark.parametrize("make", [patchtst, timeseries])
def test_a_window_may_be_longer_but_not_shorter(make):
    forward = ADAPTER.wrap(make(), H)
    longer = torch.cat([torch.full((4, 3, C), 9.0), windows()], dim=1)
    torch.testing.assert_close(forward(longer), forward(windows()), rtol=0, atol=0)
    with pytest.raises(UsageError, match="looks back"):
        forward(windows()[:, -11:])


def test_channels_must_be_those_of_the_model():
    with pytest.raises(UsageError, match="built for 3 channels, but the data have 2"):
        ADAPTER.wrap(patchtst(num_input_channels=3), H)(windows())


def test_another_librarys_model_is_left_alone():
    other = nn.Linear(2, 2)
    assert ADAPTER.wrap(other, H) is None
    with ADAPTER.attach(Subject.of(other), windows()) as attached:
        assert not attached.sites
        assert not attached.why_not


def test_libraries_are_not_imported_for_other_models():
    code = """
import sys, torch
from forecheck.attention.sites import adapters, attach
model = torch.nn.Linear(2, 2)
assert all(each.wrap(model, 4) is None for each in adapters())
with attach(model, torch.zeros(1, 4, 2)):
    pass
assert not {"transformers", "chronos", "neuralforecast"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_inside_a_users_module():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = patchtst()

        def forward(self, x):
            return self.inner(past_values=x).prediction_outputs + 1

    found = sites_of(ADAPTER, Subject.of(Mine()))
    assert found == [(f"inner.{path}", *sizes) for path, *sizes in SITES["patchtst"]]


def test_two_blocks_may_be_open():
    model = patchtst()
    subject = subject_of(ADAPTER, model)
    with ADAPTER.attach(subject, windows()) as outer:
        outer.sites[0].edit(Mean())
        once = outer(windows())
        with ADAPTER.attach(subject, windows()) as inner:
            inner.sites[0].edit(Mean())
            torch.testing.assert_close(inner(windows()), once, rtol=0, atol=0)
        torch.testing.assert_close(outer(windows()), once, rtol=0, atol=0)


def test_one_head():
    """An edit on a head whose values are wiped out changes nothing; on the other head it does."""
    model = patchtst()
    with torch.no_grad():
        model.model.encoder.layers[0].self_attn.out_proj.weight[:, 4:] = 0
    subject = subject_of(ADAPTER, model)
    raw = subject(windows())
    # One head of several is put together by other sums: equal up to float32's rounding of these large outputs.
    torch.testing.assert_close(edited(ADAPTER, subject, Replace("mean", (0,), (1,))), raw, rtol=1e-5, atol=1e-4)
    assert not torch.allclose(edited(ADAPTER, subject, Replace("mean", (0,), (0,))), raw)


# github.com/huggingface/transformers: PatchTSTEncoderLayer calls one module along time and along channels
def test_a_module_that_looks_along_two_axes_is_two_sites():
    model, x = patchtst(channel_attention=True), windows()
    attention = model.model.encoder.layers[0].self_attn
    with torch.no_grad(), ADAPTER.attach(subject_of(ADAPTER, model), x) as attached:
        assert [(site.queries, site.keys) for site in attached.sites][:2] == [(4, 4), (C, C)]
        assert len(attached.sites) == 4
        assert attached.sites[0].module is attached.sites[1].module is attention
        seen = {0: [], 1: []}
        for layer, patterns in seen.items():
            attached.sites[layer].observe(patterns.append)
        attached(x)
    assert [patterns[0].shape for patterns in seen.values()] == [(len(x) * C, 2, 4, 4), (len(x) * 4, 2, C, C)]


def test_each_axis_is_edited_by_itself_as_by_hand():
    model, x = patchtst(channel_attention=True), windows()
    subject = subject_of(ADAPTER, model)
    attention = model.model.encoder.layers[0].self_attn
    original = attention.forward

    def by_hand(hidden_states, **options):
        """Along channels, whose batch is that of patches, every value is the mean of all."""
        if hidden_states.shape[1] != C:
            return original(hidden_states=hidden_states, **options)
        mean = attention.v_proj(hidden_states).mean(1, keepdim=True).expand(-1, C, -1)
        return attention.out_proj(mean), None

    with torch.no_grad(), Replace("mean", layers=(1,)).on(subject, x) as attached:
        y = attached(x)
    attention.forward = by_hand
    torch.testing.assert_close(y, subject(x), rtol=1e-5, atol=1e-6)
