"""Positions by name, and the codes among them that are added to tokens."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

Positions = Literal["learned", "none", "sinusoidal", "rope", "score-bias", "recency"]
"""`learned` and `sinusoidal` are codes of tokens; the last three act on scores, see `score_positions`."""
POSITIONS: tuple[Positions, ...] = get_args(Positions)


def check_positions(name: str) -> None:
    """Refuse what is none of `POSITIONS`.

    Raises:
        ValueError: naming all.
    """
    if name not in POSITIONS:
        raise ValueError(f"no positions are called {name!r}; known: {', '.join(POSITIONS)}")


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


class SinusoidalPositions(nn.Module):
    """`sinusoidal` codes."""

    code: Tensor

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.register_buffer("code", sinusoidal(tokens, width), persistent=False)

    def forward(self, tokens: Float[Tensor, "series token width"]) -> Float[Tensor, "series token width"]:
        """Tokens with their position's code added."""
        return tokens + self.code


def token_positions(name: str, tokens: int, width: int) -> nn.Module:
    """What adds codes to tokens; the tokens themselves if positions act on scores, or there are none.

    Args:
        name: one of `POSITIONS`.
        tokens: their number.
        width: features a token.

    Raises:
        ValueError: if there are no such positions.
    """
    check_positions(name)
    kinds: dict[str, type[nn.Module]] = {"learned": LearnedPositions, "sinusoidal": SinusoidalPositions}
    return kinds.get(name, nn.Identity)(tokens, width)
