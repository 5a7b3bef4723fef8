"""iTransformer: a channel's whole window is one token, attention mixes the channels."""

from __future__ import annotations

from dataclasses import dataclass

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.attention import Attention
from forecheck.nn.blocks import EncoderBlock
from forecheck.nn.dropout import Dropout
from forecheck.nn.kernels.named import KernelName
from forecheck.nn.norms import WindowNorm
from forecheck.nn.positions import Positions, token_positions
from forecheck.training.recipe import Recipe, Schedule


@dataclass(frozen=True)
class ITransformerConfig(Recipe):
    """iTransformer's settings and its recipe; the defaults are those of the official code.

    Attributes:
        width: D, features a token (d_model).
        heads: attention heads.
        hidden: features of the feed-forward part (d_ff).
        layers: encoder blocks.
        dropout: rate after the embedding, attention and feed-forward.
        attention_dropout: rate on the attention pattern.
        kernel: attention kernel by name.
        positions: positions of channels by name; the paper has none, so that channels have no order.
    """

    width: int = 512
    heads: int = 8
    hidden: int = 2048
    layers: int = 2
    dropout: float = 0.1
    attention_dropout: float = 0.1
    kernel: KernelName = "softmax"
    positions: Positions = "none"
    epochs: int = 10
    batch: int = 32
    patience: int = 3
    schedule: Schedule = "halving"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("width", "heads", "hidden", "layers")


class ITransformerModule(nn.Module):
    r"""The network; channels share all weights and have no order.

    .. math:: z_c = W_{in} \frac{x_c - \mu_c}{s_c} + b, \qquad
        \hat y_c = s_c (W_{out} N(\mathrm{blocks}(z)_c) + b') + \mu_c
    """

    def __init__(self, task: Task, config: ITransformerConfig) -> None:
        super().__init__()
        c = config
        self.window_norm = WindowNorm()
        self.embed = nn.Linear(task.lookback, c.width)
        self.positions = token_positions(c.positions, task.channels, c.width)
        self.dropout = Dropout(c.dropout)
        attentions = (
            Attention(
                c.width,
                c.heads,
                kernel=c.kernel,
                dropout=c.attention_dropout,
                depth=depth,
                positions=c.positions,
                keys=task.channels,
            )
            for depth in range(c.layers)
        )
        self.blocks = nn.ModuleList(
            EncoderBlock(attention, c.hidden, dropout=c.dropout, norm="layer", attention_dropouts=1)
            for attention in attentions
        )
        self.norm = nn.LayerNorm(c.width)
        self.head = nn.Linear(c.width, task.horizon)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast all channels together."""
        z, mean, scale = self.window_norm(x)
        z = self.dropout(self.positions(self.embed(z.mT)))  # (batch, channel, width)
        for block in self.blocks:
            z, _ = block(z)
        y: Tensor = self.head(self.norm(z))  # (batch, channel, horizon)
        return rearrange(y, "b c h -> b h c") * scale + mean


@register
class ITransformer(NeuralForecaster):
    """Channels as tokens, attention between them."""

    name = "itransformer"
    summary = "Transformer over channels, each channel's window one token"
    mixes = "channels, by attention; steps of one channel, by linear maps"
    source = "Liu et al. 2024, iTransformer: Inverted Transformers Are Effective, arXiv 2310.06625"
    rank = 51
    Config = ITransformerConfig
    usual_lookback = 96
    Module = ITransformerModule
