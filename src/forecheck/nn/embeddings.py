"""Tokens from the values of all channels at a step, with the step's position."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.dropout import Dropout
from forecheck.nn.positions import token_positions


class TimeConvolution(nn.Module):
    r"""Convolution over three steps, the ends of the series joined: :math:`y_t = \sum_{j=-1}^{1} W_j x_{t+j}`.

    Source: the official code of Informer, whose value embedding it is, and Autoformer, which ends in one.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, 3 * inputs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw from the normal distribution that He et al. give for leaky rectifiers."""
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="leaky_relu")

    def forward(self, x: Float[Tensor, "batch time inputs"]) -> Float[Tensor, "batch time outputs"]:
        """Convolved series, as one product."""
        neighbours = torch.cat([x.roll(1, dims=1), x, x.roll(-1, dims=1)], dim=-1)
        return nn.functional.linear(neighbours, self.weight)


class StepEmbedding(nn.Module):
    r"""One token a step: :math:`z_t = D(\mathrm{conv}(x)_t + p_t)` with codes p of positions, see `POSITIONS`.

    Args:
        channels: C.
        width: D, features a token.
        steps: T, of the series.
        dropout: rate.
        positions: one of `POSITIONS`.

    Source: Zhou et al. 2021 (Informer, arXiv 2012.07436), appendix B, less its time features: windows hold values only.
    """

    def __init__(self, channels: int, width: int, steps: int, dropout: float, positions: str = "sinusoidal") -> None:
        super().__init__()
        self.value = TimeConvolution(channels, width)
        self.positions = token_positions(positions, steps, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch time channel"]) -> Float[Tensor, "batch time width"]:
        """Tokens of a series of `steps` steps."""
        tokens: Tensor = self.dropout(self.positions(self.value(x)))
        return tokens
