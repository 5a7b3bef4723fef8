"""A multi-layer perceptron beside a linear map."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class ResidualMLP(nn.Module):
    r"""One hidden layer and a linear skip: :math:`y = W_2\, \mathrm{GELU}(W_1 x + b_1) + b_2 + W_s x + b_s`.

    Source: the input block of Chronos-Bolt (amazon-science/chronos-forecasting), with GELU and without layer norm.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Linear(inputs, hidden)
        self.outer = nn.Linear(hidden, outputs)
        self.skip = nn.Linear(inputs, outputs)

    def forward(self, x: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """Map every row."""
        y: Tensor = self.outer(nn.functional.gelu(self.inner(x))) + self.skip(x)
        return y
