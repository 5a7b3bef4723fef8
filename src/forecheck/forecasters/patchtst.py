"""PatchTST: channel-independent patches, a Transformer encoder, a flatten head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.registry import register
from forecheck.forecasters.vq import VQForecaster, VQRecipe
from forecheck.nn.blocks import EncoderBlock, PreNormBlock
from forecheck.nn.dropout import Dropout
from forecheck.nn.kernels.named import KernelName
from forecheck.nn.norms import NormName, WindowNorm
from forecheck.nn.observed import squared_error
from forecheck.nn.patch_embeddings import ConvolutionEmbedding, MLPEmbedding
from forecheck.nn.patches import Embedding, PatchEmbedding
from forecheck.nn.positions import Positions, token_positions
from forecheck.nn.quantise.autoencoder import VQAutoencoder
from forecheck.nn.quantise.embedding import RAW, VQEmbedding

PatchEmbeddingName = Literal[
    "linear", "mlp", "conv", "vq", "vq-tuned", "vq-residual", "vq-encoder", "vq-kmeans", "vq-random"
]


@dataclass(frozen=True)
class PatchTSTConfig(VQRecipe):
    """PatchTST's settings and its recipe; the defaults are those of its ETTh1 script.

    Attributes:
        patch: P, steps a patch.
        stride: S, steps between two patches.
        padding: repeat the last value S times before cutting, as the paper does.
        width: D, features a token (d_model).
        heads: attention heads.
        hidden: features of the feed-forward part (d_ff).
        layers: encoder blocks.
        dropout: rate after tokens, attention and feed-forward.
        attention_dropout: rate on the attention pattern.
        norm: `batch` (the paper's), `layer` or `rms`.
        residual_scores: add every layer's attention scores to the next layer's (the official code's default).
        kernel: attention kernel by name.
        positions: positions by name; `learned` codes are the paper's.
        embedding: of patches: `linear`, `mlp`, `conv` (a stack of convolutions whose strides make S; P plays no part),
            or one of the variants by codes, see `VQEmbedding`, for which the options `vq_...` are.
    """

    layer: ClassVar[type[EncoderBlock | PreNormBlock]] = EncoderBlock
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
    embedding: PatchEmbeddingName = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("patch", "stride", "width", "heads", "hidden", "layers")

    def block(self, depth: int, tokens: int) -> nn.Module:
        """An untrained layer."""
        return self.layer(
            self.width,
            self.heads,
            self.hidden,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            norm=self.norm,
            kernel=self.kernel,
            depth=depth,
            positions=self.positions,
            tokens=tokens,
        )

    def last_norm(self) -> nn.Module:
        """Post-norm layers leave tokens normalised."""
        return nn.Identity()

    def embed(self, lookback: int) -> Embedding:
        """The untrained embedding of windows."""
        name, cut = self.embedding, (lookback, self.patch, self.stride, self.width)
        if name == "linear":
            return PatchEmbedding(*cut, padding=self.padding)
        if name == "mlp":
            return MLPEmbedding(*cut, padding=self.padding)
        if name == "conv":
            return ConvolutionEmbedding(lookback, self.stride, self.width, padding=self.padding)
        autoencoder = self.autoencoder(self.patch, raw=name in RAW)
        return VQEmbedding(name, autoencoder, *cut, padding=self.padding)


class PatchTSTModule(nn.Module):
    """The network; channels share all weights."""

    def __init__(self, task: Task, config: PatchTSTConfig) -> None:
        super().__init__()
        c = config
        self.residual_scores = c.residual_scores
        self.window_norm = WindowNorm()
        self.embed = c.embed(task.lookback)
        tokens = self.embed.tokens
        self.positions = token_positions(c.positions, tokens, c.width)
        self.dropout = Dropout(c.dropout)
        self.blocks = nn.ModuleList(c.block(depth, tokens) for depth in range(c.layers))
        self.norm = c.last_norm()
        self.head = nn.Linear(tokens * c.width, task.horizon)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast every channel by itself."""
        z, mean, scale = self.window_norm(x)
        z = self.embed(rearrange(z, "b l c -> (b c) l"))  # (batch*channel, token, width)
        z = self.dropout(self.positions(z))  # (batch*channel, token, width)
        scores = None
        for block in self.blocks:
            z, scores = block(z, bias=scores if self.residual_scores else None)
        y = self.head(self.norm(z).flatten(1))  # (batch*channel, horizon)
        return rearrange(y, "(b c) h -> b h c", b=x.shape[0]) * scale + mean

    def loss(
        self, x: Float[Tensor, "batch lookback channel"], y: Float[Tensor, "batch horizon channel"]
    ) -> Float[Tensor, ""]:
        """Mean squared error, and what the embedding adds to it."""
        error = squared_error(self(x), y)
        penalty, self.embed.penalty = self.embed.penalty, None
        return error if penalty is None else error + penalty

    @property
    def autoencoder(self) -> VQAutoencoder | None:
        """Of an embedding by codes."""
        return self.embed.autoencoder if isinstance(self.embed, VQEmbedding) else None

    def patches(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "patches patch"]:
        """Patches of normalised windows, as an embedding by codes cuts them."""
        assert isinstance(self.embed, VQEmbedding)
        return self.embed.cut(rearrange(self.window_norm(x)[0], "b l c -> (b c) l")).flatten(0, 1)


@register
class PatchTST(VQForecaster):
    """Patches as tokens, attention between the patches of one channel."""

    name = "patchtst"
    summary = "Transformer over patches of one channel, with a linear head on all tokens"
    mixes = "patches of one channel, by attention"
    source = "Nie et al. 2023, A Time Series is Worth 64 Words, arXiv 2211.14730"
    rank = 50
    Config = PatchTSTConfig

    def build(self) -> nn.Module:
        """The untrained network."""
        return PatchTSTModule(self.task, self.config)

    @property
    def learns_codes(self) -> bool:
        """Random codes stay as they are."""
        return self.config.embedding != "vq-random"
