"""The Differential Transformer for series: over the patches of one channel, with positions in the scores."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig, PatchTSTModule
from forecheck.forecasters.registry import register
from forecheck.nn.attention import Attention
from forecheck.nn.dropout import Dropout
from forecheck.nn.feedforward import FeedForward
from forecheck.nn.kernels.base import Scores
from forecheck.nn.kernels.named import KernelName
from forecheck.nn.norms import NORMS, NormName
from forecheck.nn.positions import Positions


@dataclass(frozen=True)
class DifferentialConfig(PatchTSTConfig):
    """PatchTST's settings with the Differential Transformer's block; half of PatchTST's heads, as in its paper.

    Attributes:
        norm: `rms` (the paper's), `layer` or `batch`.
        kernel: `differential` (the paper's), or any other.
        positions: `rope` (the paper's), or any other.
    """

    heads: int = 2
    norm: NormName = "rms"
    residual_scores: bool = False
    kernel: KernelName = "differential"
    positions: Positions = "rope"


class PreNormBlock(nn.Module):
    r"""Pre-norm encoder layer whose attention has no biases.

    .. math:: z' = z + D(\mathrm{Attn}(N_1(z))), \qquad z'' = z' + \mathrm{FF}(N_2(z'))

    Args:
        config: of the network.
        depth: the layer, from 0.
        tokens: their number, which only positions need.

    Source: Ye et al. 2024 (Differential Transformer, arXiv 2410.05258), section 2.2, whose feed-forward part is SwiGLU.
    """

    def __init__(self, config: DifferentialConfig, depth: int, tokens: int) -> None:
        super().__init__()
        c = config
        self.attention_norm = NORMS[c.norm](c.width)
        self.attention = Attention(
            c.width,
            c.heads,
            kernel=c.kernel,
            dropout=c.attention_dropout,
            bias=False,
            depth=depth,
            positions=c.positions,
            keys=tokens,
        )
        self.attention_out_dropout = Dropout(c.dropout)
        self.feed_forward_norm = NORMS[c.norm](c.width)
        self.feed_forward = FeedForward(c.width, c.hidden, c.dropout)

    def forward(
        self, tokens: Float[Tensor, "series token width"], bias: Scores | None = None
    ) -> tuple[Float[Tensor, "series token width"], Scores | None]:
        """The next tokens, and this layer's scores for residual attention."""
        mixed, scores = self.attention(self.attention_norm(tokens), bias=bias)
        tokens = self.attention_out_dropout(mixed, tokens)
        return self.feed_forward(self.feed_forward_norm(tokens), tokens), scores


class DifferentialModule(PatchTSTModule):
    """PatchTST's network with pre-norm blocks, whose tokens only add up, and so with a norm after them."""

    def __init__(self, task: Task, config: DifferentialConfig) -> None:
        super().__init__(task, config)
        self.norm = NORMS[config.norm](config.width)

    def block(self, config: PatchTSTConfig, depth: int, tokens: int) -> nn.Module:
        """A layer of tokens; see `PreNormBlock`.

        Args:
            config, depth, tokens: as in `PreNormBlock`.
        """
        assert isinstance(config, DifferentialConfig)
        return PreNormBlock(config, depth, tokens)


@register
class DifferentialTransformer(PatchTST):
    """Patches as tokens, attention by the difference of two patterns.

    The paper's, a language model: pre-norm layers with RMS norms, the differential kernel with a norm of every head,
    rotary positions, no biases in attention. Ours, for series: PatchTST's window norm, patches, flatten head and
    recipe; no causal mask; its feed-forward part with GELU, where the paper has SwiGLU.
    """

    name = "differential"
    summary = "Transformer over patches of one channel, whose attention is the difference of two patterns"
    mixes = "patches of one channel, by differential attention"
    source = "Ye et al. 2024, Differential Transformer, arXiv 2410.05258; for series: this project"
    rank = 54
    Config = DifferentialConfig
    Module = DifferentialModule
