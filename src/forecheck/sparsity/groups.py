"""Groups of weights that stay or go together: all that belongs to one attention head, or to one hidden unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Member:
    """A matrix whose rows or columns come in blocks, each of one group.

    Attributes:
        name: of the weight.
        axis: 0 for blocks of rows, 1 for blocks of columns.
        repeats: how often all blocks follow each other, as those of queries, keys and values do.
        owners: the group of every block.
    """

    name: str
    axis: int
    repeats: int
    owners: tuple[int, ...]

    def energies(self, scores: Float[Tensor, "row column"]) -> Float[Tensor, " block"]:
        """Sum of the scores of every block."""
        along = scores.sum(dim=1 - self.axis)
        return along.view(self.repeats, len(self.owners), -1).sum(dim=(0, 2))

    def mask(self, kept: Bool[Tensor, " group"], shape: torch.Size) -> Bool[Tensor, "row column"]:
        """Where weights of a matrix of this shape stay."""
        blocks = kept[list(self.owners)]
        size = shape[self.axis] // (self.repeats * len(self.owners))
        along = blocks.repeat_interleave(size).repeat(self.repeats)
        return (along[:, None] if self.axis == 0 else along[None, :]).expand(shape)


@dataclass(frozen=True)
class Groups:
    """The groups of one layer.

    Attributes:
        count: their number.
        members: the matrices that they lie in.
    """

    count: int
    members: tuple[Member, ...]

    def energies(self, scores: Mapping[str, Tensor]) -> Float[Tensor, " group"]:
        r"""Of every group the sum of its scores, for squared weights :math:`\lVert w_g \rVert_2^2`.

        Args:
            scores: by name of a weight.
        """
        total = torch.zeros(self.count)
        for member in self.members:
            own = member.energies(scores[member.name])
            owners = torch.tensor(member.owners, dtype=torch.long, device=own.device)
            total = total.to(own).index_add(0, owners, own)
        return total
