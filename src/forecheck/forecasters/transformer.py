"""The vanilla Transformer over time: one token a step, an encoder, a decoder that forecasts in one pass."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.attention import Attention
from forecheck.nn.encoder_decoder import AttentionMixer, DecoderLayer, EncoderDecoder, EncoderLayer, Sizes
from forecheck.nn.kernels.named import KernelName
from forecheck.nn.positions import Positions
from forecheck.training.recipe import Recipe, Schedule


@dataclass(frozen=True)
class EncoderDecoderConfig(Recipe):
    """Settings and recipe that the Transformers over steps share; the defaults are those of the official codes.

    Attributes:
        label: steps of the window that the decoder starts from; the whole window if that is shorter.
        width: D, features a token (d_model).
        hidden: features of the feed-forward part (d_ff).
        layers: encoder layers.
        decoder_layers: decoder layers.
        dropout: rate after embeddings, mixing and feed-forward.
    """

    label: int = 48
    width: int = 512
    hidden: int = 2048
    layers: int = 2
    decoder_layers: int = 1
    dropout: float = 0.05
    epochs: int = 10
    batch: int = 32
    patience: int = 3
    schedule: Schedule = "halving"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("width", "hidden", "layers", "decoder_layers")
        if self.label < 0:
            raise ValueError(f"label must not be negative, got {self.label}")

    def sizes(self, task: Task) -> Sizes:
        """Of the network."""
        label = min(self.label, task.lookback)
        return Sizes(task.lookback, task.horizon, task.channels, label, self.width, self.hidden, self.dropout)


@dataclass(frozen=True)
class TransformerConfig(EncoderDecoderConfig):
    """The vanilla Transformer's settings, as Autoformer's code has it for comparison.

    Attributes:
        heads: attention heads.
        attention_dropout: rate on the attention patterns.
        kernel: attention kernel by name, everywhere.
        positions: positions by name, everywhere; `sinusoidal` codes are the paper's. Those that act on scores count
            the decoder's steps on from the window's, where it looks at the encoder.
    """

    heads: int = 8
    attention_dropout: float = 0.05
    kernel: KernelName = "softmax"
    positions: Positions = "sinusoidal"


@register
class Transformer(NeuralForecaster):
    """Attention between steps, as first applied to series.

    Windows hold values only, so tokens carry their position instead of the official code's time features.
    """

    name = "transformer"
    summary = "Transformer over steps, whose decoder forecasts all steps in one pass"
    mixes = "steps, each of all channels, by attention"
    source = "Vaswani et al. 2017, Attention Is All You Need, as compared in Wu et al. 2021, arXiv 2106.13008"
    rank = 80
    Config = TransformerConfig
    usual_lookback = 96

    def build(self) -> nn.Module:
        """The untrained network: full attention in the encoder, causal in the decoder, and from it to the encoder."""
        c, sizes = self.config, self.config.sizes(self.task)

        def attention(depth: int, keys: int, start: int = 0) -> Attention:
            return Attention(
                c.width,
                c.heads,
                kernel=c.kernel,
                dropout=c.attention_dropout,
                depth=depth,
                positions=c.positions,
                keys=keys,
                start=start,
            )

        def encoder(depth: int) -> EncoderLayer:
            return EncoderLayer(AttentionMixer(attention(depth, sizes.lookback)), sizes)

        def decoder(depth: int) -> DecoderLayer:
            among = AttentionMixer(attention(depth, sizes.label + sizes.horizon), causal=True)
            across = AttentionMixer(attention(depth, sizes.lookback, start=sizes.lookback - sizes.label))
            return DecoderLayer(among, across, sizes)

        layers, decoder_layers = map(encoder, range(c.layers)), map(decoder, range(c.decoder_layers))
        return EncoderDecoder(sizes, [*layers], [*decoder_layers], positions=c.positions)
