"""LinTrans: the ordinary linear Transformer on SAMoVAR's tokens; its control."""

from __future__ import annotations

from torch import nn

from forecheck.forecasters.arx_config import ArxConfig, ArxForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.linear_transformer import LinearTransformer


@register
class LinTrans(ArxForecaster):
    """Causal linear attention between patches, in ordinary pre-norm blocks."""

    name = "lintrans"
    summary = "linear Transformer over patches of a channel and of the mix of all channels"
    mixes = "patches of one channel and of a mix of all, by linear attention"
    source = "Lu & Yang 2025, Linear Transformers as VAR Models, arXiv 2502.07244, control"
    rank = 61
    Config = ArxConfig

    def build(self) -> nn.Module:
        """The untrained network."""
        c = self.config
        width, heads = c.sizes(self.task.channels)
        return c.network(c.tokens(self.task, pairs=False), LinearTransformer(width, heads, c.layers, c.dropout))
