"""Tokens made of the codes of patches, in the variants that tell apart what a codebook does."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.patches import Patches
from forecheck.nn.quantise.autoencoder import VQAutoencoder
from forecheck.nn.quantise.quantiser import commitment_loss, straight_through

VARIANTS = {
    "vq": "frozen codes of a trained encoder",
    "vq-tuned": "the same, encoder and codebook trained on through the forecast",
    "vq-residual": "frozen codes, and what they leave of the patch by a linear map",
    "vq-encoder": "the frozen encoder without its codebook",
    "vq-kmeans": "codes that are k-means of raw patches",
    "vq-random": "codes that are drawn at random, patches of normal noise",
}
RAW = ("vq-kmeans", "vq-random")
"""Variants whose codes are patches."""


class VQEmbedding(Patches):
    r"""Embed the code of every patch, with encoder E, nearest code q and decoder D.

    ============= ====================================================================
    `vq`          :math:`W q(E(x)) + b`; also `vq-kmeans` and `vq-random`, with E = D = 1
    `vq-tuned`    the same, gradient straight through q into E, codes still running means; adds a `penalty`
    `vq-residual` :math:`W q(E(x)) + b + V (x - D(q(E(x))))`
    `vq-encoder`  :math:`W E(x) + b`, the E of `vq`: beside it, `vq` shows what discreteness does
    ============= ====================================================================

    All but W, b and V, and E in `vq-tuned`, is frozen: it comes from an earlier stage.

    Source: the direction that arXiv 2509.20942 proposes and does not test (appendix on VQ-VAE).
    """

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
