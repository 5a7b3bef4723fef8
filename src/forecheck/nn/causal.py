"""How a part of a network claims to be causal, so that the claim can be checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class CausalPart(NamedTuple):
    r"""A function whose output at a position depends on its input up to there alone.

    .. math:: y_t = f(x_1, \dots, x_t)

    Attributes:
        inputs: x, as a forecast has them.
        function: f, for inputs of this shape; outputs have the same positions.
    """

    inputs: Float[Tensor, "batch position *features"]
    function: Callable[[Tensor], Tensor]
