"""FEDformer, Fourier version: steps are mixed in few frequencies, season and trend apart all the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.forecasters.transformer import EncoderDecoderConfig
from forecheck.nn.decomposed import DecomposedDecoderLayer, DecomposedEncoderDecoder, DecomposedEncoderLayer
from forecheck.nn.fourier import FourierBlock, FourierCross


@dataclass(frozen=True)
class FEDformerConfig(EncoderDecoderConfig):
    """FEDformer's settings and its recipe; the defaults are those of the official code.

    Attributes:
        heads: heads whose features are mapped apart from each other.
        modes: frequencies kept.
        selection: `random` ones, drawn with the weights, or the `lowest`.
        activation: of the frequencies' attention.
        moving_average: steps that make up the trend; several are mixed by experts.
    """

    heads: int = 8
    modes: int = 64
    selection: Literal["random", "lowest"] = "random"
    activation: Literal["tanh", "softmax"] = "tanh"
    moving_average: tuple[int, ...] | list[int] = (24,)  # JSON has lists; kept as a tuple

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "moving_average", tuple(self.moving_average))
        if self.modes < 1:
            raise ValueError(f"modes must be positive, got {self.modes}")
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of {self.heads} heads")
        if not self.moving_average or min(self.moving_average) < 1:
            raise ValueError(f"moving_average must be positive, got {self.moving_average}")


def fedformer(task: Task, config: FEDformerConfig) -> DecomposedEncoderDecoder:
    """The network: Fourier blocks in encoder and decoder, frequencies' attention from the decoder to the encoder."""
    c = config
    label = min(c.label, task.lookback)
    decoded = label + task.horizon
    return DecomposedEncoderDecoder(
        task.lookback,
        task.horizon,
        task.channels,
        label=label,
        width=c.width,
        dropout=c.dropout,
        kernels=c.moving_average,
        encoder=[
            DecomposedEncoderLayer(
                FourierBlock(c.width, c.heads, task.lookback, c.modes, c.selection),
                c.width,
                c.hidden,
                c.dropout,
                c.moving_average,
            )
            for _ in range(c.layers)
        ],
        decoder=[
            DecomposedDecoderLayer(
                FourierBlock(c.width, c.heads, decoded, c.modes, c.selection),
                FourierCross(c.width, c.heads, decoded, task.lookback, c.modes, c.selection, c.activation),
                c.width,
                c.hidden,
                task.channels,
                c.dropout,
                c.moving_average,
            )
            for _ in range(c.decoder_layers)
        ],
    )


@register
class FEDformer(NeuralForecaster):
    """Autoformer's frame around maps of frequencies.

    Windows hold values only, so tokens carry their position instead of the official code's time features. Its
    attention is between frequencies, not steps, and no audit can edit it.
    """

    name = "fedformer"
    summary = "encoder and decoder over steps that are mixed in few frequencies, trend taken out after every part"
    mixes = "frequencies of all channels, by linear maps"
    source = "Zhou et al. 2022, FEDformer: Frequency Enhanced Decomposed Transformer, arXiv 2201.12740"
    rank = 83
    Config = FEDformerConfig
    usual_lookback = 96

    def build(self) -> nn.Module:
        """The untrained network."""
        return fedformer(self.task, self.config)
