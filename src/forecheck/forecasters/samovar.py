"""SAMoVAR: a linear Transformer that is one vector autoregression with coefficients made of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.arx_config import ArxConfig, ArxForecaster
from forecheck.forecasters.registry import register
from forecheck.forecasters.samovar_explained import Explanation, Jacobian, explain, jacobian
from forecheck.nn.var_attention import DynamicCoefficients, Scale, Structure, VarAttention


@dataclass(frozen=True)
class SAMoVARConfig(ArxConfig):
    r"""SAMoVAR's settings and its recipe; the defaults are those of the official code.

    Attributes:
        structure: :math:`x + D \sum_l o^{(l)}` (`direct`, the code) or :math:`D^{-1}(x + \sum_l o^{(l)})` (`inverse`,
            the paper).
        scale: of queries: `none` (the code), `root` for 1/sqrt(d) or `width` for 1/d, d features a head.
    """

    structure: Structure = "direct"
    scale: Scale = "none"


@register
class SAMoVAR(ArxForecaster):
    """A mixture of dynamic vector autoregressions over patches."""

    name = "samovar"
    summary = "stack of linear attentions aligned as one vector autoregression over patches"
    mixes = "patches of one channel and of a mix of all, by linear attention"
    source = "Lu & Yang 2025, Linear Transformers as VAR Models, arXiv 2502.07244"
    rank = 62
    Config = SAMoVARConfig

    def build(self) -> nn.Module:
        """The untrained network."""
        c = self.config
        width, heads = c.sizes(self.task.channels)
        coefficients = DynamicCoefficients(width, heads, c.layers, c.scale)
        stack = VarAttention(coefficients, width, heads, c.layers, c.dropout, c.structure)
        return c.network(c.tokens(self.task), stack)

    def explain(
        self, x: Float[Tensor, "batch lookback channel"], paths: int = 10, channels: Sequence[int] | None = None
    ) -> Explanation:
        """What the forecast of some channels (None for all) is made of, exactly; see `Explanation`.

        Args:
            x: windows.
            paths: how many paths a window and channel.
            channels: whose forecasts; None for all.
        """
        return explain(self.module, x, paths, channels)

    def jacobian(self, x: Float[Tensor, "batch lookback channel"], channels: Sequence[int] | None = None) -> Jacobian:
        """How the forecast of some channels (None for all) answers to its input; see `Jacobian`."""
        return jacobian(self.module, x, channels)
