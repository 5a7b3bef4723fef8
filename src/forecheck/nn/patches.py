"""Cutting a window into patches and embedding them as tokens."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.feedforward import ResidualMLP

EmbeddingName = Literal["linear", "mlp", "conv"]
"""How patches become tokens, see `patch_embedding`."""


def patch_count(lookback: int, patch: int, stride: int, *, padding: bool = True) -> int:
    r"""Tokens of a window; with padding it is longer by `stride` values at its end.

    .. math:: T = \lfloor (L - P) / S \rfloor + 1 + [\text{padding}]

    Args:
        lookback: L, steps of a window.
        patch: P, steps a patch.
        stride: S, steps between two patches.
        padding: whether the last value is repeated S times before cutting.

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
    """

    tokens: int


class Patches(Embedding):
    """Cut a window into patches; how they become tokens is the subclass's.

    With padding the last value is repeated `stride` times first; without, old values that fill no patch are left out.

    Args:
        lookback, patch, stride, padding: as in `patch_count`.

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

    Args:
        lookback, patch, stride, padding: as in `patch_count`.
        width: D, features a token.

    Source: Nie et al. 2023 (PatchTST, arXiv 2211.14730), section 3.1.
    """

    def __init__(self, lookback: int, patch: int, stride: int, width: int, *, padding: bool = True) -> None:
        super().__init__(lookback, patch, stride, padding=padding)
        self.embed = nn.Linear(patch, width)

    def forward(self, x: Float[Tensor, "series lookback"]) -> Float[Tensor, "series token width"]:
        """Tokens of every series."""
        tokens: Tensor = self.embed(self.cut(x))
        return tokens


class MLPEmbedding(Patches):
    """Map every patch by a multi-layer perceptron with a linear skip, P to 2 D to D.

    Args:
        lookback, patch, stride, padding: as in `patch_count`.
        width: D, features a token.

    Source: the input block of Chronos-Bolt (amazon-science/chronos-forecasting).
    """

    def __init__(self, lookback: int, patch: int, stride: int, width: int, *, padding: bool = True) -> None:
        super().__init__(lookback, patch, stride, padding=padding)
        self.embed = ResidualMLP(patch, 2 * width, width)

    def forward(self, x: Float[Tensor, "series lookback"]) -> Float[Tensor, "series token width"]:
        """Tokens of every series."""
        tokens: Tensor = self.embed(self.cut(x))
        return tokens


class ConvolutionEmbedding(Embedding):
    r"""A stack of convolutions over the series, whose strides multiply to S: a token for every S steps.

    For every prime factor f of S a convolution of kernel f + 2, stride f and one value of padding, with ReLU; then
    kernel 3, two residual blocks (ReLU, kernel 3 to D/2, ReLU, kernel 1 to D), ReLU, and kernel 1, all of D channels.
    A token sees beyond its own steps. If S does not divide the lookback, the last value is repeated up to the next
    multiple; without padding the oldest values are left out instead.

    Args:
        lookback: L, steps of a window.
        stride: S, steps a token.
        width: D, features a token.
        padding: whether windows are made longer, not shorter.

    Source: the encoder of TOTEM (arXiv 2402.16412), with D in place of its channels.
    """

    def __init__(self, lookback: int, stride: int, width: int, *, padding: bool = True) -> None:
        super().__init__()
        if not 1 <= stride <= lookback:
            raise ValueError(f"stride must lie between 1 and the lookback {lookback}, got {stride}")
        self.tokens = -(-lookback // stride) if padding else lookback // stride
        self.steps = self.tokens * stride
        channels = 1
        self.reduce = nn.Sequential()
        for factor in prime_factors(stride):
            self.reduce.append(nn.Conv1d(channels, width, factor + 2, stride=factor, padding=1)).append(nn.ReLU())
            channels = width
        self.widen = nn.Conv1d(channels, width, 3, padding=1)
        self.residual = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv1d(width, max(1, width // 2), 3, padding=1, bias=False),
                nn.ReLU(),
                nn.Conv1d(max(1, width // 2), width, 1, bias=False),
            )
            for _ in range(2)
        )
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, x: Float[Tensor, "series lookback"]) -> Float[Tensor, "series token width"]:
        """Tokens of every series."""
        missing = self.steps - x.shape[1]
        x = torch.cat([x, x[:, -1:].expand(-1, missing)], dim=1) if missing > 0 else x[:, -self.steps :]
        z = self.widen(self.reduce(x[:, None]))
        for block in self.residual:
            z = z + block(z)
        tokens: Tensor = self.out(torch.relu(z))
        return tokens.mT


def prime_factors(number: int) -> list[int]:
    """Its prime factors in rising order; none of 1."""
    factors, factor = [], 2
    while number > 1:
        while number % factor == 0:
            factors.append(factor)
            number //= factor
        factor += 1
    return factors


def patch_embedding(
    name: str, lookback: int, patch: int, stride: int, width: int, *, padding: bool = True
) -> Embedding:
    """The untrained embedding called `name`.

    Args:
        name: `linear` (`PatchEmbedding`), `mlp` or `conv` (convolutions whose strides make S; P plays no part).
        lookback: L, steps of a window.
        patch: P, steps a patch.
        stride: S, steps between two patches.
        width: D, features a token.
        padding: whether the last value is repeated before cutting.

    Raises:
        ValueError: if there is no such embedding.
    """
    if name == "conv":
        return ConvolutionEmbedding(lookback, stride, width, padding=padding)
    kinds = {"linear": PatchEmbedding, "mlp": MLPEmbedding}
    if name not in kinds:
        raise ValueError(f"no embedding of patches is called {name!r}; known: {', '.join(get_args(EmbeddingName))}")
    return kinds[name](lookback, patch, stride, width, padding=padding)
