"""Autoformer: auto-correlation in the place of attention, season and trend apart all the way."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.forecasters.transformer import EncoderDecoderConfig
from forecheck.nn.autocorrelation import AutoCorrelation
from forecheck.nn.decomposed import DecomposedDecoderLayer, DecomposedEncoderDecoder, DecomposedEncoderLayer


@dataclass(frozen=True)
class AutoformerConfig(EncoderDecoderConfig):
    """Autoformer's settings and its recipe; the defaults are those of the official code.

    Attributes:
        factor: c of auto-correlation: c ln L lags are kept.
        moving_average: steps that make up the trend.
    """

    factor: int = 1
    moving_average: int = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("factor", "moving_average")


def autoformer(task: Task, config: AutoformerConfig) -> DecomposedEncoderDecoder:
    """The network: auto-correlation in encoder and decoder, and from the decoder to the encoder."""
    c, kernels = config, [config.moving_average]
    return DecomposedEncoderDecoder(
        task.lookback,
        task.horizon,
        task.channels,
        label=min(c.label, task.lookback),
        width=c.width,
        dropout=c.dropout,
        kernels=kernels,
        encoder=[
            DecomposedEncoderLayer(AutoCorrelation(c.width, c.factor), c.width, c.hidden, c.dropout, kernels)
            for _ in range(c.layers)
        ],
        decoder=[
            DecomposedDecoderLayer(
                AutoCorrelation(c.width, c.factor),
                AutoCorrelation(c.width, c.factor),
                c.width,
                c.hidden,
                task.channels,
                c.dropout,
                kernels,
            )
            for _ in range(c.decoder_layers)
        ],
    )


@register
class Autoformer(NeuralForecaster):
    """A Transformer over steps that rolls whole series instead of weighing single steps.

    Windows hold values only, so tokens carry their position instead of the official code's time features. Nothing in
    it forms an attention pattern, so edits of patterns do not apply.
    """

    name = "autoformer"
    summary = "encoder and decoder over steps with auto-correlation, trend taken out after every part"
    mixes = "steps, each of all channels, by autocorrelation"
    source = "Wu et al. 2021, Autoformer: Decomposition Transformers with Auto-Correlation, arXiv 2106.13008"
    rank = 82
    Config = AutoformerConfig
    usual_lookback = 96

    def build(self) -> nn.Module:
        """The untrained network."""
        return autoformer(self.task, self.config)
