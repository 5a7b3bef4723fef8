"""Root-mean-square normalisation with its gradient by hand: torch's own is made of a dozen passes on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.plain import plain


class _RMSNorm(torch.autograd.Function):
    r"""y = g n with n = x r and r = 1 / sqrt(mean(x²) + eps).

    .. math:: \bar g = \sum \bar y \circ n, \qquad
        \bar x = r \, (g \circ \bar y - n \, \mathrm{mean}(g \circ \bar y \circ n))
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, dim: int, eps: float) -> Tensor:
        rate = x.square().mean(dim=dim, keepdim=True).add_(eps).rsqrt_()
        normed = x * rate
        ctx.save_for_backward(normed, rate, gain)
        ctx.dim = dim
        return normed * gain

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        normed, rate, gain = ctx.saved_tensors
        both = grads[0] * normed
        inner = (both * gain).mean(dim=ctx.dim, keepdim=True)
        d_x = (grads[0] * gain).addcmul_(normed, inner, value=-1).mul_(rate)
        return d_x, both.sum_to_size(gain.shape), None, None


def rms_norm(x: Float[Tensor, "*shape"], gain: Float[Tensor, "..."], dim: int = -1, eps: float = 1e-5) -> Tensor:
    r"""Every vector along `dim` by its root mean square, times gains that broadcast to `x`.

    .. math:: y = g \, x / \sqrt{\mathrm{mean}(x^2) + \epsilon}

    Args:
        x: the vectors.
        gain: g.
        dim: along which they lie.
        eps: epsilon.

    Source: Zhang & Sennrich 2019, Root Mean Square Layer Normalization, equation 4.
    """
    if plain(x.device):
        return x * (x.square().mean(dim=dim, keepdim=True) + eps).rsqrt() * gain
    y: Tensor = _RMSNorm.apply(x, gain, dim, eps)  # type: ignore[no-untyped-call]
    return y


class RMSNorm(nn.Module):
    """`rms_norm` of the last dimension, with gains that start at one."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gains of one."""
        nn.init.ones_(self.weight)

    def forward(self, x: Float[Tensor, "*shape width"]) -> Float[Tensor, "*shape width"]:
        """Normalised vectors."""
        return rms_norm(x, self.weight, eps=self.eps)
