"""Linear maps that start as in GPT-2."""

from __future__ import annotations

from torch import nn

from forecheck.nn.dropout import Dropout
from forecheck.nn.feedforward import FeedForward


class NormalLinear(nn.Linear):
    """A linear map whose weights are drawn from N(0, std²) and whose biases start at 0.

    Args:
        inputs: features of a row.
        outputs: features of a mapped row.
        std: of the weights at the start.

    Source: Radford et al. 2019 (GPT-2), section 2.3.
    """

    def __init__(self, inputs: int, outputs: int, std: float = 0.02) -> None:
        super().__init__(inputs, outputs)
        self.std = std

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        # torch's own constructor calls this before the spread is known.
        nn.init.normal_(self.weight, std=getattr(self, "std", 0.02))
        nn.init.zeros_(self.bias)


def residual_std(layers: int) -> float:
    r"""Spread of the last map of a residual branch, :math:`0.02 / \sqrt{2 L}`: L layers add two branches each."""
    return 0.02 / (2 * layers) ** 0.5


class NormalFeedForward(FeedForward):
    r"""GPT-2's feed-forward part.

    .. math:: y = D(W_2 \mathrm{GELU}(W_1 x + b_1) + b_2)

    with :math:`4 D` hidden features, one dropout at the end, and :math:`W_2` that starts small.

    Args:
        width: D, features a token.
        layers: of the stack, see `residual_std`.
        dropout: rate.
    """

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__(width, 4 * width, dropout)
        self.inner = NormalLinear(width, 4 * width)
        self.inner_dropout = Dropout(0.0)
        self.outer = NormalLinear(4 * width, width, residual_std(layers))
