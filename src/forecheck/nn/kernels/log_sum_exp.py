"""Softmax by way of the log of its normaliser: a control of numerical stability."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from forecheck.nn.kernels.base import Kernel, KernelOutput


class LogSumExp(Kernel):
    r"""The same pattern as softmax in exact arithmetic, by other operations.

    .. math:: A_{ij} = \exp(s_{ij} - \mathrm{LSE}(s_i)), \qquad
        \mathrm{LSE}(s_i) = m_i + \log \sum_k e^{s_{ik} - m_i}, \quad m_i = \max_k s_{ik}

    So whatever differs from `softmax` after training is rounding: this is a control, not another attention.

    Source: the normalisation of LATST (Liang, LSEAttention, arXiv 2410.23749, versions 1 to 9); `latst` has the rest of
    its block.
    """

    def forward(
        self,
        q: Float[Tensor, "batch head query width"],
        k: Float[Tensor, "batch head key width"],
        v: Float[Tensor, "batch head key value_width"],
        mask: Bool[Tensor, "*query_key"] | None = None,
        *,
        need_weights: bool = True,
    ) -> KernelOutput:
        """A V and A.

        Args:
            q, k, v, mask, need_weights: as in `Kernel.forward`.
        """
        scores = torch.matmul(q, k.mT)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = (scores - torch.logsumexp(scores, dim=-1, keepdim=True)).exp()
        if mask is not None:  # -inf less -inf is NaN: a query that sees nothing gets 0
            weights = weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)
        return KernelOutput(torch.matmul(weights, v), weights)
