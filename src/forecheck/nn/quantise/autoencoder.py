"""Patches to codes and back."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.feedforward import ResidualMLP
from forecheck.nn.quantise.quantiser import Quantiser, commitment_loss, straight_through


class VQAutoencoder(nn.Module):
    r"""Encoder, codebook and decoder of single patches.

    .. math:: z = E(x), \quad k = \arg\min_j \|z - e_j\|, \quad \hat x = D(e_k), \qquad
        \mathcal L = \|x - \hat x\|^2 + \beta \|z - \mathrm{sg}(e_k)\|^2

    as means over all numbers; the gradient of the first term reaches E straight through the codes, which are running
    means (see `Quantiser`). Without a width the codes are patches themselves, E and D the identity.

    Args:
        patch: P, values a patch.
        codes: K.
        width: numbers a code, or None.
        decay: of the running means.
        commitment: beta.
        revive: count below which a code is dead.

    Source: van den Oord et al. 2017 (VQ-VAE, arXiv 1711.00937); TOTEM (arXiv 2402.16412) for series.
    """

    def __init__(
        self,
        patch: int,
        codes: int,
        width: int | None,
        *,
        decay: float = 0.99,
        commitment: float = 0.25,
        revive: float = 2.0,
    ) -> None:
        super().__init__()
        self.commitment = commitment
        self.width = patch if width is None else width
        self.encoder = nn.Identity() if width is None else ResidualMLP(patch, 2 * width, width)
        self.quantiser = Quantiser(codes, self.width, decay=decay, revive=revive)
        self.decoder = nn.Identity() if width is None else ResidualMLP(width, 2 * width, patch)

    def code(self, patches: Float[Tensor, "*rows patch"]) -> Float[Tensor, "*rows width"]:
        """The code of every patch."""
        return self.quantiser.codes[self.quantiser(self.encoder(patches))]

    def forward(self, patches: Float[Tensor, "*rows patch"]) -> Float[Tensor, "*rows patch"]:
        """Patches as their codes give them back."""
        decoded: Tensor = self.decoder(self.code(patches))
        return decoded

    def loss(self, patches: Float[Tensor, "rows patch"]) -> Float[Tensor, ""]:
        """The loss on a batch, by the codes as they were; they take their step with it."""
        z = self.encoder(patches)
        index = self.quantiser(z)
        code = self.quantiser.codes[index]
        self.quantiser.update(z, index)
        restored = self.decoder(straight_through(z, code))
        error: Tensor = nn.functional.mse_loss(restored, patches)
        return error + self.commitment * commitment_loss(z, code)
