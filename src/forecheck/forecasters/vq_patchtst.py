"""PatchTST and the Differential Transformer over codes of patches, which a VQ autoencoder learns beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.differential import DifferentialConfig, DifferentialModule
from forecheck.forecasters.patchtst import PatchTSTConfig, PatchTSTModule
from forecheck.forecasters.registry import register
from forecheck.forecasters.vq import VQForecaster, VQRecipe
from forecheck.nn.observed import squared_error
from forecheck.nn.patches import Patches
from forecheck.nn.quantise.autoencoder import VQAutoencoder
from forecheck.nn.quantise.quantiser import commitment_loss, straight_through

Variant = Literal["vq", "vq-tuned", "vq-residual", "vq-encoder", "vq-kmeans", "vq-random"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
RAW = ("vq-kmeans", "vq-random")
"""Variants whose codes are patches."""


@dataclass(frozen=True)
class VQPatchTSTConfig(PatchTSTConfig, VQRecipe):
    """PatchTST's settings, with an embedding by codes.

    Attributes:
        embedding: of patches, one of the variants of `VQEmbedding`.
    """

    embedding: Variant = "vq"  # type: ignore[assignment]  # in the place of PatchTST's own


@dataclass(frozen=True)
class VQDifferentialConfig(DifferentialConfig, VQRecipe):
    """The Differential Transformer's settings, with an embedding by codes.

    Attributes:
        embedding: of patches, one of the variants of `VQEmbedding`.
    """

    embedding: Variant = "vq"  # type: ignore[assignment]  # in the place of PatchTST's own


class VQEmbedding(Patches):
    r"""Embed the code of every patch, with encoder E, nearest code q and decoder D.

    ============= ====================================================================
    `vq`          :math:`W q(E(x)) + b`; also `vq-kmeans` and `vq-random`, with E = D = 1
    `vq-tuned`    the same, gradient straight through q into E, codes still running means; adds a `penalty`
    `vq-residual` :math:`W q(E(x)) + b + V (x - D(q(E(x))))`
    `vq-encoder`  :math:`W E(x) + b`, the E of `vq`: beside it, `vq` shows what discreteness does
    ============= ====================================================================

    All but W, b and V, and E in `vq-tuned`, is frozen: it comes from an earlier stage.

    Args:
        variant: which of these.
        autoencoder: E, the codebook and D, untrained.
        lookback: L, steps of a window.
        patch: P, steps a patch.
        stride: S, steps between two patches.
        width: D, features a token.
        padding: whether the last value is repeated before cutting.

    Raises:
        ValueError: if there is no such variant.

    Attributes:
        penalty: what the last pass in training asks to be added to the loss, or None; whoever adds it clears it.

    Source: the direction that arXiv 2509.20942 proposes and does not test (appendix on VQ-VAE).
    """

    penalty: Tensor | None = None

    def __init__(
        self,
        variant: str,
        autoencoder: VQAutoencoder,
        lookback: int,
        patch: int,
        stride: int,
        width: int,
        *,
        padding: bool = True,
    ) -> None:
        super().__init__(lookback, patch, stride, padding=padding)
        if variant not in VARIANTS:
            raise ValueError(f"no embedding by codes is called {variant!r}; known: {', '.join(VARIANTS)}")
        self.variant = variant
        self.autoencoder = autoencoder.requires_grad_(False)
        if variant == "vq-tuned":
            autoencoder.encoder.requires_grad_(True)
        self.embed = nn.Linear(autoencoder.width, width)
        self.residual = nn.Linear(patch, width, bias=False) if variant == "vq-residual" else None

    def forward(self, x: Float[Tensor, "series lookback"]) -> Float[Tensor, "series token width"]:
        """Tokens of every series."""
        patches, quantiser = self.cut(x), self.autoencoder.quantiser
        z = self.autoencoder.encoder(patches)
        tokens: Tensor
        if self.variant == "vq-encoder":
            tokens = self.embed(z)
            return tokens
        index = quantiser(z)
        code = quantiser.codes[index]
        if self.variant == "vq-tuned" and self.training:
            quantiser.update(z, index)
            self.penalty = self.autoencoder.commitment * commitment_loss(z, code)
            code = straight_through(z, code)
        tokens = self.embed(code)
        if self.residual is not None:
            tokens = tokens + self.residual(patches - self.autoencoder.decoder(code))
        return tokens


class VQPatchTSTModule(PatchTSTModule):
    """PatchTST's network over codes; its weights have the same names, and so the same draws."""

    embed: VQEmbedding

    def embedding(self, lookback: int, config: PatchTSTConfig) -> VQEmbedding:
        """What makes tokens of a window."""
        c = config
        assert isinstance(c, VQPatchTSTConfig | VQDifferentialConfig)
        autoencoder = c.autoencoder(c.patch, raw=c.embedding in RAW)
        return VQEmbedding(c.embedding, autoencoder, lookback, c.patch, c.stride, c.width, padding=c.padding)

    def loss(
        self, x: Float[Tensor, "batch lookback channel"], y: Float[Tensor, "batch horizon channel"]
    ) -> Float[Tensor, ""]:
        """Mean squared error, and what the embedding adds to it."""
        error = squared_error(self(x), y)
        penalty, self.embed.penalty = self.embed.penalty, None
        return error if penalty is None else error + penalty

    @property
    def autoencoder(self) -> VQAutoencoder:
        """Of the embedding."""
        return self.embed.autoencoder

    def patches(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "patches patch"]:
        """Patches of normalised windows, as the embedding cuts them."""
        return self.embed.cut(rearrange(self.window_norm(x)[0], "b l c -> (b c) l")).flatten(0, 1)


class VQDifferentialModule(VQPatchTSTModule, DifferentialModule):
    """The Differential Transformer's network over codes."""


@register
class VQPatchTST(VQForecaster):
    """PatchTST whose patches are stood for by codes; `embedding` has the variants."""

    name = "vq-patchtst"
    summary = "patchtst over codes of patches, which an autoencoder learns beforehand"
    mixes = "codes of patches of one channel, by attention"
    source = "Nie et al. 2023, arXiv 2211.14730, with the codes that Zida et al. 2025, arXiv 2509.20942, propose"
    rank = 52
    Config: ClassVar[type[Any]] = VQPatchTSTConfig
    Module: ClassVar[type[Any]] = VQPatchTSTModule

    @property
    def learns_codes(self) -> bool:
        """Random codes stay as they are."""
        return self.config.embedding != "vq-random"


@register
class VQDifferential(VQPatchTST):
    """The Differential Transformer over codes of patches."""

    name = "vq-differential"
    summary = "differential over codes of patches, which an autoencoder learns beforehand"
    mixes = "codes of patches of one channel, by differential attention"
    source = "Ye et al. 2024, arXiv 2410.05258, with the codes that Zida et al. 2025, arXiv 2509.20942, propose"
    rank = 55
    Config = VQDifferentialConfig
    Module = VQDifferentialModule
