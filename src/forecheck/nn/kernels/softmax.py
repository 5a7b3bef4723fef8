"""Softmax attention."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.kernels.base import Kernel, KernelOutput
from forecheck.nn.plain import fused
from forecheck.nn.softmax import softmax_mix


def softmax_attention(
    q: Float[Tensor, "batch head query width"],
    k: Float[Tensor, "batch head key width"],
    v: Float[Tensor, "batch head key value_width"],
    mask: Bool[Tensor, "*query_key"] | None = None,
    *,
    need_weights: bool = True,
) -> KernelOutput:
    r"""Softmax of scores.

    .. math:: A = \mathrm{softmax}(Q K^\top), \qquad \mathrm{out} = A V

    Args:
        q, k, v, mask, need_weights: as in `Kernel.forward`.

    Source: Vaswani et al. 2017, equation 1. By products: at small head widths torch's fused CPU kernel is slower.
    """
    if not need_weights and fused(q.device):
        return KernelOutput(fused_attention(q, k, v, mask), None)
    if mask is None:
        return KernelOutput(*softmax_mix(q, k, v, need_weights))
    hidden = torch.matmul(q, k.mT).masked_fill(~mask, float("-inf"))
    # A fully hidden row is softmax of -inf only, which is NaN; its query sees nothing, so it gets 0.
    weights = torch.softmax(hidden, dim=-1).masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)
    return KernelOutput(torch.matmul(weights, v), weights)


def fused_attention(
    q: Float[Tensor, "batch head query width"],
    k: Float[Tensor, "batch head key width"],
    v: Float[Tensor, "batch head key value_width"],
    mask: Bool[Tensor, "*query_key"] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "batch head query value_width"]:
    """Softmax attention by torch's own kernel, which forms no pattern in memory.

    Args:
        q, k, v, mask: as in `Kernel.forward`.
        dropout: rate on the pattern.
    """
    return nn.functional.scaled_dot_product_attention(q, k, v, mask, dropout, scale=1.0)


class Softmax(Kernel):
    """`softmax_attention`."""

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
        return softmax_attention(q, k, v, mask, need_weights=need_weights)
