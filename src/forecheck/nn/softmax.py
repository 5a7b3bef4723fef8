"""Softmax attention with its gradient by hand.

On a CPU torch's softmax over a last dimension that is no multiple of the vector width is several times slower than
its parts (exponential, sum, division), and at PatchTST's 42 tokens it dominates training. Here the bias is added by
the product itself and the gradient reuses its buffers.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def softmax(scores: Float[Tensor, "*batch key"]) -> Float[Tensor, "*batch key"]:
    """Softmax over the last dimension from whole-array operations; rows of -inf only give NaN, as torch's does."""
    weights = torch.sub(scores, scores.amax(dim=-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(dim=-1, keepdim=True))


class SoftmaxAttention(torch.autograd.Function):
    r"""out, A, S of S = Q K^T + B, A = softmax(S), out = A V.

    With :math:`\bar X` the gradient with respect to X:

    .. math::
        \bar A = \bar{out} V^\top, \quad
        \bar S = A \circ (\bar A - \mathrm{rowsum}(A \circ \bar A)) + \bar S_{next}, \quad
        \bar Q = \bar S K, \; \bar K = \bar S^\top Q, \; \bar V = A^\top \bar{out}, \; \bar B = \bar S

    where :math:`\bar S_{next}` comes from a next layer that adds these scores to its own. Without a gradient on A
    itself the row sum is that of out and its gradient, which is cheaper.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Mixed values, pattern and scores, each (batch, head, token, ...)."""
        batch, heads, tokens, width = q.shape
        flat = (batch * heads, tokens, width)
        q, k, v = q.reshape(flat), k.reshape(-1, *k.shape[-2:]), v.reshape(-1, *v.shape[-2:])
        if bias is None:
            scores = torch.bmm(q, k.transpose(1, 2))
        else:
            scores = torch.baddbmm(bias.reshape(-1, *bias.shape[-2:]), q, k.transpose(1, 2))
        weights = softmax(scores)
        out = torch.bmm(weights, v)
        ctx.save_for_backward(q, k, v, weights, out)
        ctx.has_bias = bias is not None
        ctx.series_and_heads = (batch, heads)
        ctx.set_materialize_grads(False)
        shape = (batch, heads, tokens, k.shape[1])
        return out.view(batch, heads, tokens, -1), weights.view(shape), scores.view(shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of queries, keys, values and bias."""
        q, k, v, weights, out = ctx.saved_tensors
        d_out, d_weights, d_scores = grads
        d_v: Tensor | None = None
        d_s: Tensor | None = None
        if d_out is not None:
            d_out = d_out.reshape(out.shape)
            d_v = torch.bmm(weights.transpose(1, 2), d_out)
            d_s = torch.bmm(d_out, v.transpose(1, 2))
        if d_weights is not None:
            d_weights = d_weights.reshape(weights.shape)
            d_s = d_weights.clone() if d_s is None else d_s.add_(d_weights)
            d_s = d_s.sub_((d_s * weights).sum(dim=-1, keepdim=True)).mul_(weights)
        elif d_s is not None:
            assert d_out is not None
            d_s = d_s.sub_((d_out * out).sum(dim=-1, keepdim=True)).mul_(weights)
        if d_scores is not None:
            d_scores = d_scores.reshape(weights.shape)
            d_s = d_scores if d_s is None else d_s.add_(d_scores)
        if d_s is None:
            return None, None, None, None
        batch, heads = ctx.series_and_heads
        return (
            torch.bmm(d_s, k).view(batch, heads, *q.shape[1:]),
            torch.bmm(d_s.transpose(1, 2), q).view(batch, heads, *k.shape[1:]),
            None if d_v is None else d_v.view(batch, heads, *v.shape[1:]),
            d_s.view(batch, heads, *d_s.shape[1:]) if ctx.has_bias else None,
        )
