"""Layers that take the trend out: their equations, and that nothing is lost."""

import torch

from forecheck.nn.attention import Attention
from forecheck.nn.decomposed import (
    DecomposedDecoderLayer,
    DecomposedEncoderDecoder,
    DecomposedEncoderLayer,
    SeasonalNorm,
)
from forecheck.nn.decomposition import moving_average
from forecheck.nn.encoder_decoder import AttentionMixer, Sizes

SIZES = Sizes(lookback=12, horizon=4, channels=2, label=5, width=8, hidden=16, dropout=0.0)


def attention():
    return AttentionMixer(Attention(8, 2))


def test_seasonal_norm_has_no_mean_over_time():
    tokens = torch.randn(3, 7, 8) + 5
    made = SeasonalNorm(8)
    torch.testing.assert_close(made(tokens).mean(dim=1), torch.zeros(3, 8), atol=1e-6, rtol=0)
    torch.testing.assert_close(made(tokens), made.norm(tokens) - made.norm(tokens).mean(dim=1, keepdim=True))


def test_encoder_layer_is_its_equation():
    made = DecomposedEncoderLayer(attention(), SIZES, [5]).eval()
    tokens = torch.randn(3, 9, 8)
    z = tokens + made.mixer(tokens)
    z = z - moving_average(z, 5)
    z = z + made.feed_forward(z)
    torch.testing.assert_close(made(tokens), z - moving_average(z, 5))


def test_decoder_layer_is_its_equation():
    made = DecomposedDecoderLayer(attention(), attention(), SIZES, [5]).eval()
    tokens, memory = torch.randn(3, 9, 8), torch.randn(3, 4, 8)
    z, trend = tokens, 0
    for part in (made.mixer, lambda z: made.cross(z, memory), made.feed_forward):
        mixed = z + part(z)
        trend = trend + moving_average(mixed, 5)
        z = mixed - moving_average(mixed, 5)
    result, kept = made(tokens, memory)
    torch.testing.assert_close(result, z)
    torch.testing.assert_close(kept, made.trend(trend))


def test_without_a_word_from_its_layers_the_forecast_is_the_mean():
    x = torch.randn(3, 12, 2)
    made = DecomposedEncoderDecoder(SIZES, [5], encoder=[], decoder=[]).eval()
    with torch.no_grad():
        made.head.weight.zero_()
        made.head.bias.zero_()
    torch.testing.assert_close(made(x), x.mean(dim=1, keepdim=True).expand(-1, 4, -1))
