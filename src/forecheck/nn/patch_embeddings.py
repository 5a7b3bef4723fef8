"""Embeddings that are not linear in the patch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.patches import Embedding, Patches
from forecheck.nn.residual_mlp import ResidualMLP


class MLPEmbedding(Patches):
    """Map every patch by a multi-layer perceptron with a linear skip, P to 2 D to D.

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
