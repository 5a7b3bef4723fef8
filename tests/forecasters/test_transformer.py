"""The vanilla Transformer: its equation, its sites, its numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from forecheck.attention.adapters.native import native_sites
from forecheck.attention.replace import Replace
from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task, predict_all
from forecheck.forecasters.transformer import Transformer, TransformerConfig
from forecheck.nn.positions import sinusoidal
from forecheck.nn.seeding import initialise

TASK = Task(24, 4, 3)
TINY = {"width": 8, "heads": 2, "hidden": 16, "layers": 2, "label": 10}


def module(**options):
    made = Transformer(TASK, TransformerConfig(**(TINY | options))).module
    initialise(made, 0)
    with torch.no_grad():
        for parameter in made.parameters():  # biases and norms away from where they start
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return made.eval()


def windows(batch=5):
    return torch.from_numpy(np.random.default_rng(0).standard_normal((batch, 24, 3))).float()


def attention_weights(name, attention):
    return {
        f"{name}.in_proj_weight": attention.project.weight,
        f"{name}.in_proj_bias": attention.project.bias,
        f"{name}.out_proj.weight": attention.out.weight,
        f"{name}.out_proj.bias": attention.out.bias,
    }


def rest(layer, norms):
    forward = layer.feed_forward
    weights = {f"norm{i}.{part}": getattr(n, part) for i, n in enumerate(norms, 1) for part in ("weight", "bias")}
    weights |= {f"linear1.{part}": getattr(forward.inner, part) for part in ("weight", "bias")}
    return weights | {f"linear2.{part}": getattr(forward.outer, part) for part in ("weight", "bias")}


def by_hand(made, x, label=10):
    """The forward pass of torch's own layers with the same weights, in evaluation mode."""

    def tokens(embedding, series):
        conv = nn.Conv1d(3, 8, 3, padding=1, padding_mode="circular", bias=False)
        conv.weight.copy_(embedding.value.weight.view(8, 3, 3).transpose(1, 2))
        return conv(series.mT).mT + sinusoidal(series.shape[1], 8)

    memory = tokens(made.embed_window, x)
    for layer in made.encoder[:-1]:
        torchs = nn.TransformerEncoderLayer(8, 2, 16, 0.1, "gelu", batch_first=True)
        weights = attention_weights("self_attn", layer.mixer.attention)
        torchs.load_state_dict(weights | rest(layer, [layer.mixer_norm, layer.feed_forward_norm]))
        memory = torchs.eval()(memory)
    memory = made.encoder[-1](memory)
    z = tokens(made.embed_label, torch.cat([x[:, 24 - label :], torch.zeros(len(x), 4, 3)], dim=1))
    for layer in made.decoder:
        torchs = nn.TransformerDecoderLayer(8, 2, 16, 0.1, "gelu", batch_first=True)
        weights = attention_weights("self_attn", layer.mixer.attention)
        weights |= attention_weights("multihead_attn", layer.cross.attention)
        torchs.load_state_dict(weights | rest(layer, [layer.mixer_norm, layer.cross_norm, layer.feed_forward_norm]))
        causal = nn.Transformer.generate_square_subsequent_mask(label + 4)
        z = torchs.eval()(z, memory, tgt_mask=causal, tgt_is_causal=True)
    return made.head(made.norm(z))[:, label:]


@pytest.mark.parametrize(("label", "decoder_layers"), [(10, 1), (0, 2)])
def test_forward_is_torchs_encoder_and_decoder(label, decoder_layers):
    made = module(label=label, decoder_layers=decoder_layers)
    with torch.no_grad():
        torch.testing.assert_close(made(windows()), by_hand(made, windows(), label), rtol=1e-4, atol=1e-5)


def test_every_attention_is_found_the_decoders_too():
    sites = native_sites(module(), windows())
    assert [(site.queries, site.keys) for site in sites] == [(24, 24), (24, 24), (14, 14), (14, 24)]


def test_without_attention_to_the_window_only_the_label_part_counts():
    x = windows()
    other = x.clone()
    other[:, 1:13] += 1  # neither in the label part nor beside it
    made = module()
    assert not torch.allclose(made(x), made(other))
    Replace("zero", layers=(3,)).install(made, x)
    torch.testing.assert_close(made(x), made(other))


def test_the_decoder_is_causal():
    """The forecast of a step does not depend on how many follow, but for the joined ends of the convolution."""
    long, short = module(label=24), Transformer(Task(24, 3, 3), TransformerConfig(**(TINY | {"label": 24}))).module
    short.load_state_dict(long.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(short.eval()(windows())[:, :2], long(windows())[:, :2], rtol=1e-4, atol=1e-5)


def test_a_label_longer_than_the_window_is_the_window():
    assert Transformer(Task(24, 4, 3), TransformerConfig(**(TINY | {"label": 48}))).module.label == 24


def test_parameters_counted_by_hand():
    attention, forward, norm = 4 * (8 * 8 + 8), 8 * 16 + 16 + 16 * 8 + 8, 2 * 8
    encoder = attention + forward + 2 * norm
    decoder = 2 * attention + forward + 3 * norm
    expected = 2 * (3 * 3 * 8) + 2 * encoder + norm + decoder + norm + 8 * 3 + 3
    assert sum(p.numel() for p in module().parameters()) == expected


def test_defaults_are_the_official_ones():
    c = TransformerConfig()
    assert (c.label, c.width, c.heads, c.hidden, c.layers, c.decoder_layers) == (48, 512, 8, 2048, 2, 1)
    assert (c.dropout, c.lr, c.batch, c.epochs, c.patience) == (0.05, 1e-4, 32, 10, 3)


def test_it_learns_a_season():
    rng = np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(700)[:, None] / 12 + np.arange(3)) + 0.1 * rng.standard_normal((700, 3))
    train, validation = (Windows(values, 24, 4, np.arange(a, b)) for a, b in ((24, 500), (500, 690)))
    options = {"width": 16, "hidden": 32, "epochs": 6, "lr": 3e-3, "dropout": 0.0, "attention_dropout": 0.0}
    forecaster = Transformer(TASK, TransformerConfig(**(TINY | options)))
    forecaster.fit(train, validation)
    truth = validation.gather(slice(0, len(validation)))[1]
    assert (predict_all(forecaster, validation) - truth).square().mean() < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder_layers": 0}, "decoder_layers must be positive"),
        ({"heads": 3}, "8 is not"),
        ({"label": -1}, "label must not be negative"),
        ({"kernel": "hard"}, "transformer.kernel = .hard.: must be one of softmax, linear"),
        ({"positions": "near"}, "transformer.positions = .near.: must be one of learned, none"),
    ],
)
def test_impossible_settings_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        registry.create("transformer", TASK, TINY | options)
