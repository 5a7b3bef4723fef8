"""Linear attention: the scores themselves are the pattern."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from forecheck.nn.kernels.base import Kernel, KernelOutput


class Linear(Kernel):
    r"""Scores over the number of keys, without softmax.

    .. math:: A_{ij} = \frac{s_{ij}}{n_i}, \qquad \mathrm{out}_i = \frac{1}{n_i} \sum_{j \text{ allowed}} s_{ij} v_j

    with n_i the number of keys that query i may see: all T, or i + 1 under a causal mask. Scores have both signs, so
    dividing by their sum, as softmax and positive feature maps do, could divide by nothing; a mean keeps the size of
    the output independent of the number of tokens, needs no clipping, and leaves attention a polynomial of its input.
    Weights may be negative, and rows sum to anything.

    Source: the form of the theory of linear self-attention (von Oswald et al. 2023; Ahn et al. 2023, with 1/n);
    Katharopoulos et al. 2020 have a feature map and a normaliser in addition.
    """

    stochastic = False

    def forward(
        self,
        q: Float[Tensor, "batch head query width"],
        k: Float[Tensor, "batch head key width"],
        v: Float[Tensor, "batch head key value_width"],
        mask: Bool[Tensor, "*query_key"] | None = None,
        *,
        need_weights: bool = True,
    ) -> KernelOutput:
        """A V and A; linear in the number of tokens where neither mask nor pattern is wanted.

        Args:
            q, k, v, mask, need_weights: as in `Kernel.forward`.
        """
        if mask is None and not need_weights:
            return KernelOutput(torch.matmul(q, torch.matmul(k.mT, v)) / k.shape[2], None)
        weights = torch.matmul(q, k.mT)
        if mask is None:
            weights = weights / k.shape[2]
        else:
            weights = weights * (mask / mask.sum(dim=-1, keepdim=True).clamp(min=1)).to(weights.dtype)
        return KernelOutput(torch.matmul(weights, v), weights)
