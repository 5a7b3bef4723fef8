"""PatchTST: channel-independent patches, a Transformer encoder, a flatten head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

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
from forecheck.nn.norms import NormName, WindowNorm
from forecheck.nn.patches import Embedding, EmbeddingName, patch_embedding
from forecheck.nn.positions import Positions, token_positions
from forecheck.training.recipe import Recipe


@dataclass(frozen=True)
class PatchTSTConfig(Recipe):
    """PatchTST's settings and its recipe; the defaults are those of its ETTh1 script.

    Attributes:
        patch: P, steps a patch.
        stride: S, steps between two patches.
        padding: repeat the last value S times before cutting, as the paper does.
        width: D, features a token (d_model).
        heads: H, attention heads.
        hidden: F, features of the feed-forward part (d_ff).
        layers: encoder blocks.
        dropout: rate after tokens, attention and feed-forward.
        attention_dropout: rate on the attention pattern.
        norm: `batch` (the paper's), `layer` or `rms`.
        residual_scores: add every layer's attention scores to the next layer's (the official code's default).
        kernel: attention kernel by name.
        positions: positions by name; `learned` codes are the paper's.
        embedding: of patches: `linear` (the paper's), `mlp`, or `conv`, see `patch_embedding`.
    """

    patch: int = 16
    stride: int = 8
    padding: bool = True
    width: int = 16
    heads: int = 4
    hidden: int = 128
    layers: int = 3
    dropout: float = 0.3
    attention_dropout: float = 0.0
    norm: NormName = "batch"
    residual_scores: bool = True
    kernel: KernelName = "softmax"
    positions: Positions = "learned"
    embedding: EmbeddingName = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("patch", "stride", "width", "heads", "hidden", "layers")


class PatchTSTModule(nn.Module):
    r"""The network; channels share all weights.

    .. math:: z_c = \frac{x_c - \mu_c}{s_c}, \qquad
        \hat y_c = s_c \, (W \, \mathrm{flatten}(\mathrm{blocks}(W_p \, \mathrm{patches}(z_c) + W_{pos})) + b) + \mu_c

    with N = floor((L - P) / S) + 2 patches of a window as tokens.

    Source: Nie et al. 2023, section 3.1.
    """

    def __init__(self, task: Task, config: PatchTSTConfig) -> None:
        super().__init__()
        c = config
        self.window_norm = WindowNorm()
        self.embed = self.embedding(task.lookback, c)
        tokens = self.embed.tokens
        self.positions = token_positions(c.positions, tokens, c.width)
        self.dropout = Dropout(c.dropout)
        self.blocks = nn.ModuleList(self.block(c, depth, tokens) for depth in range(c.layers))
        self.residual_scores = c.residual_scores
        self.norm: nn.Module = nn.Identity()  # these blocks leave tokens normalised
        self.head = nn.Linear(tokens * c.width, task.horizon)

    def embedding(self, lookback: int, config: PatchTSTConfig) -> Embedding:
        """What makes tokens of a window."""
        c = config
        return patch_embedding(c.embedding, lookback, c.patch, c.stride, c.width, padding=c.padding)

    def block(self, config: PatchTSTConfig, depth: int, tokens: int) -> nn.Module:
        """A layer of tokens.

        Args:
            config: of the network.
            depth: the layer, from 0.
            tokens: their number, which only positions need.
        """
        c = config
        attention = Attention(
            c.width,
            c.heads,
            kernel=c.kernel,
            dropout=c.attention_dropout,
            depth=depth,
            positions=c.positions,
            keys=tokens,
        )
        return EncoderBlock(attention, c.hidden, dropout=c.dropout, norm=c.norm)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast every channel by itself."""
        z, mean, scale = self.window_norm(x)  # (batch, lookback, channel), twice (batch, 1, channel)
        z = self.embed(rearrange(z, "b l c -> (b c) l"))  # (batch*channel, token, width)
        z = self.dropout(self.positions(z))  # (batch*channel, token, width)
        scores = None
        for block in self.blocks:
            z, scores = block(z, bias=scores if self.residual_scores else None)  # (batch*channel, token, width)
        y = self.head(self.norm(z).flatten(1))  # (batch*channel, horizon)
        return rearrange(y, "(b c) h -> b h c", b=x.shape[0]) * scale + mean  # (batch, horizon, channel)


@register
class PatchTST(NeuralForecaster):
    """Patches as tokens, attention between the patches of one channel."""

    name = "patchtst"
    summary = "Transformer over patches of one channel, with a linear head on all tokens"
    mixes = "patches of one channel, by attention"
    source = "Nie et al. 2023, A Time Series is Worth 64 Words, arXiv 2211.14730"
    rank = 50
    Config = PatchTSTConfig
    Module: ClassVar[type[Any]] = PatchTSTModule
