"""The structural matrix of a vector autoregression: invertible by construction."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StructuralMatrix(nn.Module):
    r"""One invertible matrix a head, by its triangular factors.

    .. math:: D = (I + \mathrm{strictlower}(P)) \, (\mathrm{strictupper}(P) + \mathrm{diag}(\mathrm{softplus}(P)))

    P starts as N(0, 0.02/√d), so D starts near ln 2 · I; its determinant is the product of the softplus terms, > 0.

    Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), section 4 (structural form), by the official code.
    """

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.empty(heads, width, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw P anew."""
        nn.init.normal_(self.factors, std=(0.02 / self.factors.shape[-1] ** 0.5) ** 0.5)

    def triangles(self) -> tuple[Float[Tensor, "head width width"], Float[Tensor, "head width width"]]:
        """The lower factor (ones on its diagonal) and the upper."""
        lower = self.factors.tril(-1) + torch.eye(self.factors.shape[-1]).to(self.factors)
        diagonal = nn.functional.softplus(self.factors.diagonal(dim1=1, dim2=2))
        return lower, self.factors.triu(1) + torch.diag_embed(diagonal)

    def matrix(self) -> Float[Tensor, "head width width"]:
        """D."""
        lower, upper = self.triangles()
        return torch.bmm(lower, upper)

    def forward(self, rows: Float[Tensor, "*batch head row width"]) -> Float[Tensor, "*batch head row width"]:
        """Rows times D."""
        return _as(rows, torch.bmm(_by_head(rows), self.matrix()))

    def solve(self, rows: Float[Tensor, "*batch head row width"]) -> Float[Tensor, "*batch head row width"]:
        """Rows times the inverse of D, by two triangular solves."""
        lower, upper = self.triangles()
        half = torch.linalg.solve_triangular(upper, _by_head(rows), upper=True, left=False)
        return _as(rows, torch.linalg.solve_triangular(lower, half, upper=False, left=False, unitriangular=True))


def _by_head(rows: Tensor) -> Tensor:
    """(head, everything else, width): one product a head, not one a head and member of the batch."""
    return rows.movedim(-3, 0).flatten(1, -2)


def _as(like: Tensor, by_head: Tensor) -> Tensor:
    """What `_by_head` took apart, in its shape again."""
    return by_head.view(like.movedim(-3, 0).shape).movedim(0, -3)
