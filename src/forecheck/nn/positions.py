"""Position codes added to tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sinusoidal(tokens: int, width: int) -> Float[Tensor, "tokens width"]:
    r"""Fixed codes: :math:`p_{t,2i} = \sin(t / 10000^{2i/D})`, :math:`p_{t,2i+1} = \cos(t / 10000^{2i/D})`.

    Source: Vaswani et al. 2017, section 3.5. An odd width ends in a sine.
    """
    rate = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(tokens, dtype=torch.float64)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width].float()


class LearnedPositions(nn.Module):
    """One learnt vector a token, drawn from U(-0.02, 0.02) as in PatchTST."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.empty(tokens, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the codes anew."""
        nn.init.uniform_(self.code, -0.02, 0.02)

    def forward(self, tokens: Float[Tensor, "series token width"]) -> Float[Tensor, "series token width"]:
        """Tokens with their position's code added."""
        return tokens + self.code
