"""Cutting a window into patches and embedding them as tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def patch_count(lookback: int, patch: int, stride: int, *, padding: bool = True) -> int:
    r"""Tokens of a window; with padding it is longer by `stride` values at its end.

    .. math:: T = \lfloor (L - P) / S \rfloor + 1 + [\text{padding}]

    Raises:
        ValueError: if the patch is longer than the window.

    Source: Nie et al. 2023 (PatchTST, arXiv 2211.14730), section 3.1.
    """
    if not 1 <= patch <= lookback:
        raise ValueError(f"patch must lie between 1 and the lookback {lookback}, got {patch}")
    if stride < 1:
        raise ValueError(f"stride must be positive, got {stride}")
    return (lookback - patch) // stride + 1 + padding


class Embedding(nn.Module):
    """What makes tokens of a window.

    Attributes:
        tokens: T, of every series.
        penalty: what the last pass in training asks to be added to the loss, or None; whoever adds it clears it.
    """

    tokens: int
    penalty: Tensor | None = None


class Patches(Embedding):
    """Cut a window into patches; how they become tokens is the subclass's.

    With padding the last value is repeated `stride` times first; without, old values that fill no patch are left out.

    Source: Nie et al. 2023 (PatchTST, arXiv 2211.14730), section 3.1.
    """

    def __init__(self, lookback: int, patch: int, stride: int, *, padding: bool = True) -> None:
        super().__init__()
        self.patch, self.stride, self.padding = patch, stride, padding
        self.tokens = patch_count(lookback, patch, stride, padding=padding)

    def cut(self, x: Float[Tensor, "series lookback"]) -> Float[Tensor, "series token patch"]:
        """Patches of every series."""
        if self.padding:
            x = torch.cat([x, x[:, -1:].expand(-1, self.stride)], dim=1)
        else:
            x = x[:, (x.shape[1] - self.patch) % self.stride :]
        return x.unfold(1, self.patch, self.stride)


class PatchEmbedding(Patches):
    """Map every patch linearly to a token.

    Source: Nie et al. 2023 (PatchTST, arXiv 2211.14730), section 3.1.
    """

    def __init__(self, lookback: int, patch: int, stride: int, width: int, *, padding: bool = True) -> None:
        super().__init__(lookback, patch, stride, padding=padding)
        self.embed = nn.Linear(patch, width)

    def forward(self, x: Float[Tensor, "series lookback"]) -> Float[Tensor, "series token width"]:
        """Tokens of every series."""
        tokens: Tensor = self.embed(self.cut(x))
        return tokens
