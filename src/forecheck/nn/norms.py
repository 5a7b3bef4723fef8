"""Normalisations: of a window by its own statistics, and of tokens over the batch."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.rms_norm import RMSNorm


class WindowNorm(nn.Module):
    r"""Reversible instance normalisation without affine weights.

    .. math:: z = (x - \mu) / \sqrt{s^2 + 10^{-5}}, \qquad \hat y = z_{out} \sqrt{s^2 + 10^{-5}} + \mu

    with mean and variance of the window itself. A constant window gives zeros and gets its level back.

    Source: Kim et al. 2022 (RevIN), as PatchTST uses it (affine off).
    """

    def forward(
        self, x: Float[Tensor, "batch lookback channel"]
    ) -> tuple[
        Float[Tensor, "batch lookback channel"], Float[Tensor, "batch 1 channel"], Float[Tensor, "batch 1 channel"]
    ]:
        """The normalised window, and the mean and scale to undo it with."""
        mean = x.mean(dim=1, keepdim=True)
        centred = x - mean
        scale = torch.sqrt(centred.square().mean(dim=1, keepdim=True) + 1e-5)
        return centred / scale, mean, scale


class TokenBatchNorm(nn.Module):
    """Batch normalisation of every feature over all tokens of the batch (PatchTST's default norm)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, tokens: Float[Tensor, "series token width"]) -> Float[Tensor, "series token width"]:
        """Normalised tokens; with running statistics outside training."""
        flat: Tensor = self.norm(tokens.reshape(-1, tokens.shape[-1]))
        return flat.view(tokens.shape)


NormName = Literal["batch", "layer", "rms"]
NORMS: dict[str, type[nn.Module]] = {"batch": TokenBatchNorm, "layer": nn.LayerNorm, "rms": RMSNorm}
