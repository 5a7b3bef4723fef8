"""Chronos, Chronos-Bolt and Chronos-2, from tiny configurations."""

import math

import pytest
import torch
from adapted import AdapterSuite, C, H, L, check_identity, drawn, sites_of, subject_of, windows

from forecheck.attention.adapters.chronos import ADAPTER
from forecheck.attention.patterns import Mean
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject
from forecheck.errors import UsageError

T5 = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 2}
T5 |= {"feed_forward_proj": "relu", "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
PATCHES = {"context_length": 32, "input_patch_size": 4, "input_patch_stride": 4, "quantiles": [0.1, 0.5, 0.9]}
TOKENS = {
    "tokenizer_class": "MeanScaleUniformBins",
    "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0},
    "context_length": 32,
    "prediction_length": H,
    "n_tokens": 64,
    "n_special_tokens": 2,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "use_eos_token": True,
    "model_type": "seq2seq",
    "num_samples": 5,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
}


def bolt(**options):
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    config = PATCHES | {"prediction_length": 2 * H, "use_reg_token": True} | options
    return drawn(ChronosBoltModelForForecasting(T5Config(**T5, chronos_config=config)), ".q.", by=2)


def chronos2(**options):
    from chronos.chronos2.config import Chronos2CoreConfig
    from chronos.chronos2.model import Chronos2Model

    config = PATCHES | {"output_patch_size": 4, "max_output_patches": 2, "use_reg_token": True, "use_arcsinh": True}
    sizes = {key: value for key, value in T5.items() if key in {"d_model", "d_kv", "d_ff", "num_layers", "num_heads"}}
    core = Chronos2CoreConfig(**sizes, initializer_factor=1.0, chronos_config=config, **options)
    return drawn(Chronos2Model(core), ".q.", by=3)


def tokens():
    from transformers import T5Config, T5ForConditionalGeneration

    # The output layer shares the embedding's weights: large logits would always sample the same token.
    model = T5ForConditionalGeneration(T5Config(**T5, vocab_size=64, chronos_config=TOKENS))
    return drawn(model, ".q.", ".o.", ".v.", by=3)


def pipeline(model):
    import chronos
    from chronos.chronos import ChronosConfig, ChronosModel

    name = type(model).__name__
    if name == "T5ForConditionalGeneration":
        config = ChronosConfig(**TOKENS)
        return chronos.ChronosPipeline(config.create_tokenizer(), ChronosModel(config, model))
    return (chronos.ChronosBoltPipeline if "Bolt" in name else chronos.Chronos2Pipeline)(model)


ENCODER = [f"encoder.block.{layer}.layer.0.SelfAttention" for layer in range(2)]
SELF, CROSS = "decoder.block.0.layer.0.SelfAttention", "decoder.block.0.layer.1.EncDecAttention"
# Six patches and a register token; 24 tokens and the end.
SITES = {
    "bolt": [*((path, 2, 7, 7) for path in ENCODER), (SELF, 2, 1, 1), (CROSS, 2, 1, 7)],
    "chronos2": [(f"encoder.block.{layer}.layer.0.self_attention", 2, 8, 8) for layer in range(2)],
    "tokens": [*((path, 2, L + 1, L + 1) for path in ENCODER), (SELF, 2, H, H), (CROSS, 2, H, L + 1)],
}
MODELS = {
    "bolt": (bolt, SITES["bolt"]),
    "chronos2": (chronos2, SITES["chronos2"]),
    "chronos2-eager": (lambda: chronos2(attn_implementation="eager"), SITES["chronos2"]),
    "tokens": (tokens, SITES["tokens"]),
}


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


@pytest.fixture(params=MODELS)
def case(request):
    make, sites = MODELS[request.param]
    return make(), sites


class TestAdapter(AdapterSuite):
    adapter, models = ADAPTER, MODELS

    def state(self, model):
        generation = getattr(model, "generation_config", None)
        return generation and generation.to_dict(), [
            each.config.to_dict() for each in model.modules() if hasattr(each, "config")
        ]


def test_a_pipeline_is_its_model(case):
    model, sites = case
    inside, outside = subject_of(ADAPTER, model), subject_of(ADAPTER, pipeline(model))
    assert outside.module is None
    assert sites_of(ADAPTER, outside) == sites
    with torch.no_grad():
        torch.testing.assert_close(outside(windows()), inside(windows()), rtol=0, atol=0)
    check_identity(ADAPTER, outside)


@pytest.mark.parametrize("make", [bolt, chronos2])
def test_the_forecast_is_the_pipelines_median(make):
    model = make()
    series = windows().transpose(1, 2).reshape(-1, L)
    if make is bolt:
        quantiles = pipeline(model).predict(series, prediction_length=H)
    else:
        quantiles = torch.cat(pipeline(model).predict(series[:, None], prediction_length=H, unrolled_quantiles=[0.5]))
    expected = quantiles[:, 1].reshape(-1, C, H).transpose(1, 2)
    torch.testing.assert_close(subject_of(ADAPTER, model)(windows()).detach(), expected, rtol=1e-5, atol=1e-5)


def test_series_are_forecast_alone():
    """Nothing of one channel or window gets into the forecast of another."""
    subject = subject_of(ADAPTER, chronos2())
    x = windows()
    with torch.no_grad():
        together = subject(x)
        torch.testing.assert_close(subject(x[:1, :, :1]), together[:1, :, :1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [bolt, chronos2])
def test_under_zero_attention_gives_nothing(make):
    """These output projections have no bias."""
    model = make()
    seen = []
    subject = subject_of(ADAPTER, model)
    with Replace("zero", layers=(0,)).on(subject, windows()) as edited, torch.no_grad():
        with ADAPTER.attach(subject, windows()) as attached:
            module = attached.sites[0].module
        handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0]))
        edited(windows())
        handle.remove()
    assert not seen[0].any()


def test_under_mean_values_are_averaged():
    model = chronos2()
    attention = model.encoder.block[0].layer[0].self_attention
    inputs, outputs = [], []
    with Replace("mean", layers=(0,)).on(subject_of(ADAPTER, model), windows()) as edited, torch.no_grad():
        handles = [
            attention.v.register_forward_pre_hook(lambda _module, args: inputs.append(args[0])),
            attention.register_forward_hook(lambda _module, _inputs, output: outputs.append(output[0])),
        ]
        edited(windows())
        for handle in handles:
            handle.remove()
    expected = attention.o(attention.v(inputs[0].mean(dim=1, keepdim=True)))
    torch.testing.assert_close(outputs[0], expected.expand_as(outputs[0]))


def test_padded_patches_stay_hidden():
    """A series with missing values in front: under mean, its forecast is that of the series without them."""
    model = bolt()

    def forecast(x):
        return model(context=x).quantile_preds

    short = windows()[:, :, 0]
    padded = torch.cat([torch.full((4, 8), math.nan), short], dim=1)
    found = []
    for x in (short, padded):
        with ADAPTER.attach(Subject(forecast, model), x) as attached, torch.no_grad():
            for site in attached.sites:
                site.edit(Mean())
            found.append(attached.forward(x))
    torch.testing.assert_close(found[0], found[1])


def test_what_cannot_be_forecast_is_refused():
    for model, longest in [(bolt(), 8), (chronos2(), 8), (tokens(), H)]:
        with pytest.raises(UsageError, match=f"forecasts {longest} steps, not {longest + 1}"):
            ADAPTER.wrap(model, longest + 1)
    with pytest.raises(UsageError, match="does not forecast the median"):
        ADAPTER.wrap(bolt(quantiles=[0.1, 0.9]), H)


def test_another_librarys_model_is_left_alone():
    other = torch.nn.Linear(2, 2)
    assert ADAPTER.wrap(other, H) is None
    with ADAPTER.attach(Subject.of(other), windows()) as attached:
        assert not attached.sites


def test_a_t5_that_is_no_forecaster_is_left_alone():
    from transformers import T5Config, T5ForConditionalGeneration

    assert ADAPTER.wrap(T5ForConditionalGeneration(T5Config(**T5, vocab_size=8)), H) is None
