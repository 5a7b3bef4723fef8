"""LinTrans: the ordinary linear Transformer on SAMoVAR's tokens; its control."""

from __future__ import annotations

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.arx_config import ArxConfig, ArxForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.dropout import Dropout
from forecheck.nn.linear_attention import LinearMixing
from forecheck.nn.normal_linear import NormalFeedForward, NormalLinear, residual_std
from forecheck.nn.rms_norm import RMSNorm


class CausalLinearSelfAttention(LinearMixing):
    r"""Linear attention of tokens to themselves and what came before: :math:`W_o \, O(W_q u, W_k D(u), W_v u)`.

    Args:
        width: D, features a token.
        heads: their number.
        layers: of the stack; the last map starts the smaller the more there are.
        dropout: rate on what keys are made of.
    """

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads = heads
        self.query, self.key, self.value = (NormalLinear(width, width) for _ in range(3))
        self.out = NormalLinear(width, width, residual_std(layers))
        self.key_dropout = Dropout(dropout)

    def forward(self, tokens: Float[Tensor, "series token width"]) -> Float[Tensor, "series token width"]:
        """Mixed tokens."""
        parts = (self.query(tokens), self.key(self.key_dropout(tokens)), self.value(tokens))
        q, k, v = (rearrange(x, "s t (h d) -> s h t d", h=self.heads) for x in parts)
        mixed: Tensor = self.out(rearrange(self.mix(q, k, v), "s h t d -> s t (h d)"))
        return mixed


class LinearTransformerBlock(nn.Module):
    r"""Pre-norm block: :math:`z' = z + D(\mathrm{Attn}(N_1(z)))`, :math:`z'' = z' + \mathrm{MLP}(N_2(z'))`.

    Args:
        width: D, features a token.
        heads: attention heads.
        layers: of the stack.
        dropout: rate on keys, after attention and after the MLP.
    """

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.norm = RMSNorm(width), RMSNorm(width)
        self.attention = CausalLinearSelfAttention(width, heads, layers, dropout)
        self.dropout = Dropout(dropout)
        self.feed_forward = NormalFeedForward(width, layers, dropout)

    def forward(self, tokens: Float[Tensor, "series token width"]) -> Float[Tensor, "series token width"]:
        """The next tokens."""
        tokens = self.dropout(self.attention(self.attention_norm(tokens)), tokens)
        return self.feed_forward(self.norm(tokens), tokens)


class LinearTransformer(nn.Module):
    """Blocks one after the other, read at every second token.

    Args:
        width, heads, dropout: of every block.
        layers: blocks.

    Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), the control LinTrans, by the official code.
    """

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(LinearTransformerBlock(width, heads, layers, dropout) for _ in range(layers))

    def forward(self, tokens: Float[Tensor, "series token width"]) -> Float[Tensor, "series predicted width"]:
        """Tokens at the endogenous places."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens[:, 1::2]


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
