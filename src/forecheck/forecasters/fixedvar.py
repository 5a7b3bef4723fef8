"""FixedVAR: SAMoVAR with coefficients that do not depend on the data; its control."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from forecheck.forecasters.arx_config import ArxConfig, ArxForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.var_attention import FixedCoefficients, Structure, VarAttention


@dataclass(frozen=True)
class FixedVARConfig(ArxConfig):
    """FixedVAR's settings and its recipe; the defaults are those of the official code.

    Attributes:
        structure: see `SAMoVARConfig`.
    """

    structure: Structure = "direct"


@register
class FixedVAR(ArxForecaster):
    """One vector autoregression over patches, the same for every window."""

    name = "fixedvar"
    summary = "SAMoVAR with fixed coefficients: one vector autoregression over patches"
    mixes = "patches of one channel and of a mix of all, by coefficients that are parameters"
    source = "Lu & Yang 2025, Linear Transformers as VAR Models, arXiv 2502.07244, control"
    rank = 60
    Config = FixedVARConfig

    def build(self) -> nn.Module:
        """The untrained network."""
        c = self.config
        width, heads = c.sizes(self.task.channels)
        tokens = c.tokens(self.task)
        coefficients = FixedCoefficients(width, heads, c.layers, self.task.channels, 2 * tokens.patches)
        return c.network(tokens, VarAttention(coefficients, width, heads, c.layers, c.dropout, c.structure))
