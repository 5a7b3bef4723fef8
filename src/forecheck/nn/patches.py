"""Cutting a window into patches and embedding them as tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def patch_count(lookback: int, patch: int, stride: int) -> int:
    r"""Tokens of a window padded at its end by `stride` values.

    .. math:: T = \lfloor (L - P) / S \rfloor + 2

    Raises:
        ValueError: if the patch is longer than the window.

    Source: Nie et al. 2023 (PatchTST, arXiv 2211.14730), section 3.1.
    """
    if not 1 <= patch <= lookback:
        raise ValueError(f"patch must lie between 1 and the lookback {lookback}, got {patch}")
    if stride < 1:
        raise ValueError(f"stride must be positive, got {stride}")
    return (lookback - patch) // stride + 2


class PatchEmbedding(nn.Module):
    """Pad the end by repeating the last value `stride` times, cut into patches, map each linearly to a token.

    Source: Nie et al. 2023 (PatchTST, arXiv 2211.14730), section 3.1.
    """

    def __init__(self, lookback: int, patch: int, stride: int, width: int) -> None:
        super().__init__()
        self.patch, self.stride = patch, stride
        self.tokens = patch_count(lookback, patch, stride)
        self.embed = nn.Linear(patch, width)

    def forward(self, x: Float[Tensor, "series lookback"]) -> Float[Tensor, "series token width"]:
        """Tokens of every series."""
        padded = torch.cat([x, x[:, -1:].expand(-1, self.stride)], dim=1)
        tokens: Tensor = self.embed(padded.unfold(1, self.patch, self.stride))
        return tokens
