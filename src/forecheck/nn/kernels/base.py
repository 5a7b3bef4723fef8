"""What every attention kernel signs."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class Scores(NamedTuple):
    r"""Scores :math:`S = Q K^\top` by their factors.

    Adding other scores (those of the layer below, or of positions) is putting queries and keys of both side by side,
    :math:`[Q_1 Q_2] [K_1 K_2]^\top = S_1 + S_2`; the square matrices never go from layer to layer.
    """

    q: Float[Tensor, "batch head query width"]
    k: Float[Tensor, "batch head key width"]

    def plus(self, others: Scores | None) -> Scores:
        """The sum of two matrices of scores."""
        if others is None:
            return self
        # Side by side in the layout of the memory, where features are rows.
        q, k = (torch.cat([x.mT, y.mT], dim=2).mT for x, y in zip(others, self, strict=True))
        return Scores(q, k)

    def full(self) -> Float[Tensor, "batch head query key"]:
        """The matrix of scores, formed by the product of its factors."""
        return torch.matmul(self.q, self.k.mT)


class KernelOutput(NamedTuple):
    """What a kernel gives: the mixed values, and the pattern if it is wanted and there is one."""

    out: Float[Tensor, "batch head query width"]
    weights: Float[Tensor, "batch head query key"] | None


class Kernel(nn.Module):
    r"""A way to mix values: :math:`A = f(Q K^\top)`, then :math:`\mathrm{finish}(A V)`.

    Attributes:
        parts: score matrices a head. Queries and keys of a head are cut into so many of equal width, which come as
            neighbours on the axis of heads.
        stochastic: whether rows of A sum to one.
    """

    parts: ClassVar[int] = 1
    stochastic: ClassVar[bool] = True

    @abstractmethod
    def forward(
        self,
        q: Float[Tensor, "batch score_head query width"],
        k: Float[Tensor, "batch score_head key width"],
        v: Float[Tensor, "batch head key value_width"],
        mask: Bool[Tensor, "*query_key"] | None = None,
        *,
        need_weights: bool = True,
    ) -> KernelOutput:
        """A V and A.

        Args:
            q: queries, scaled: the scores are their products with the keys and nothing else.
            k: keys.
            v: values.
            mask: True where a query may look at a key; broadcast over batch and head. A row without any key gives 0.
            need_weights: whether A itself is wanted; without it a kernel may save the work and give None.
        """

    def finish(self, out: Float[Tensor, "batch head query width"]) -> Float[Tensor, "batch head query width"]:
        """What is done to mixed values, also to those that an edited or thinned-out pattern has mixed."""
        return out
