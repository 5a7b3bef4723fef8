"""Position codes added to tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


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
