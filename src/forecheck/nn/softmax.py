"""Softmax attention with its gradient by hand.

On a CPU torch's softmax over a last dimension that is no multiple of the vector width is several times slower than
its parts, and writing patterns out to memory costs more than their arithmetic. So the pattern is exponentiated as it
is, a few members of the batch at a time, mixed at once, and computed anew on the way back; it is never divided: the
sums come out of the product with the values, and what is divided is the narrow result. Features are rows and tokens
columns here, since products of a few long rows with a square are much faster than those of a square with a few
columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from forecheck.nn.chunks import chunk, pieces
from forecheck.nn.plain import plain

# Sums of exponentials within these bounds have neither overflowed nor lost digits that count.
_SMALLEST, _LARGEST = 1e-15, 1e15


def softmax_mix(q: Tensor, k: Tensor, v: Tensor, need_weights: bool = True) -> tuple[Tensor, Tensor | None]:
    r"""Mixed values and pattern (None unless needed): :math:`A V` and :math:`A = \mathrm{softmax}(Q K^\top)`.

    Args:
        q: queries, scaled, (batch, head, query, width).
        k: keys.
        v: values.
        need_weights: whether the pattern is wanted.
    """
    if plain(q.device):
        weights = torch.softmax(torch.matmul(q, k.mT), dim=-1)
        return torch.matmul(weights, v), weights if need_weights else None
    mixed: tuple[Tensor, Tensor | None] = SoftmaxAttention.apply(q, k, v, need_weights)  # type: ignore[no-untyped-call]
    return mixed


class SoftmaxAttention(torch.autograd.Function):
    r"""out, A of A = softmax(Q K^T), out = A V.

    With E = exp(Q K^T), s = rowsum(E), A = E / s and :math:`\bar X` the gradient with respect to X:

    .. math::
        \bar V = E^\top \frac{\bar{out}}{s}, \quad
        \bar S = E \circ \frac{\bar{out} V^\top - \mathrm{rowsum}(\bar{out} \circ out)}{s}, \quad
        \bar Q = \bar S K, \quad \bar K = \bar S^\top Q

    One more value, always 1, makes both row sums part of a product. A is formed, and takes a gradient, only when it
    is asked for.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, need_weights: bool = True) -> tuple[Tensor, Tensor | None]:
        """Mixed values and pattern (None unless needed), each (batch, head, token, ...).

        Args:
            ctx: for the way back.
            q, k, v, need_weights: as in `softmax_mix`.
        """
        shape = q.shape[:2]
        q, k, v = (x.transpose(2, 3).reshape(-1, x.shape[3], x.shape[2]) for x in (q, k, v))  # (member, width, token)
        v = torch.cat([v, v.new_ones(len(v), 1, v.shape[2])], dim=1)
        mixed = v.new_empty(len(v), v.shape[1], q.shape[2])
        weights = v.new_empty(len(v), k.shape[2], q.shape[2]) if need_weights else None

        size = chunk(k.shape[2] * q.shape[2], q.device)
        buffer = q.new_empty(min(size, len(q)), k.shape[2], q.shape[2])

        def mix(shift: Tensor | None) -> None:
            for q_, k_, v_, mixed_, shift_, weights_ in pieces(size, q, k, v, mixed, shift, weights):
                powers = _powers(q_, k_, shift_, buffer)
                torch.bmm(v_, powers, out=mixed_)
                if weights is not None:
                    torch.div(powers, mixed_[:, -1:], out=weights_)

        shift = None
        mix(shift)
        low, high = mixed[:, -1].aminmax()
        if not (low > _SMALLEST and high < _LARGEST):  # subtracting the largest score changes nothing but the range
            shift = torch.bmm(k.transpose(1, 2), q).amax(dim=1, keepdim=True)
            mix(shift)
        out = mixed[:, :-1] / mixed[:, -1:]
        ctx.save_for_backward(q, k, v, mixed[:, -1:], shift, out, weights)
        ctx.batch_and_head = shape
        ctx.set_materialize_grads(False)
        return _rows(out, shape), None if weights is None else _rows(weights, shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of queries, keys and values."""
        if all(gradient is None for gradient in grads):
            return None, None, None, None
        q, k, v, sums, shift, out, weights = ctx.saved_tensors
        d_out, d_weights = (None if d is None else d.transpose(2, 3).reshape(len(q), *d.shape[:1:-1]) for d in grads)
        d_out = torch.zeros_like(out) if d_out is None else d_out
        inner = (d_out * out).sum(dim=1, keepdim=True)
        if d_weights is not None:
            inner += (d_weights * weights).sum(dim=1, keepdim=True)
        left = torch.cat([d_out, -inner], dim=1) / sums
        d_q, d_k, d_v = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v[:, :-1])
        size = chunk(k.shape[2] * q.shape[2], q.device)
        buffers = q.new_empty(2, min(size, len(q)), k.shape[2], q.shape[2])
        tensors = (q, k, v, shift, left, sums, d_weights, d_q, d_k, d_v)
        for q_, k_, v_, shift_, left_, sums_, d_weights_, d_q_, d_k_, d_v_ in pieces(size, *tensors):
            powers = _powers(q_, k_, shift_, buffers[0])
            torch.bmm(left_[:, :-1], powers.mT, out=d_v_)
            d_scores = torch.bmm(v_.mT, left_, out=buffers[1, : len(q_)])
            if d_weights is not None:
                d_scores.add_(d_weights_ / sums_)
            d_scores.mul_(powers)
            torch.bmm(k_, d_scores, out=d_q_)
            torch.bmm(q_, d_scores.mT, out=d_k_)
        return (*(_rows(d, ctx.batch_and_head) for d in (d_q, d_k, d_v)), None)


def _powers(q: Tensor, k: Tensor, shift: Tensor | None, buffer: Tensor) -> Tensor:
    """exp(K^T Q), (member, key, query), in the front of `buffer`."""
    scores = torch.bmm(k.mT, q, out=buffer[: len(q)])
    return (scores if shift is None else scores.sub_(shift)).exp_()


def _rows(x: Tensor, batch_and_head: tuple[int, ...]) -> Tensor:
    """(member, width, token) as (batch, head, token, width)."""
    return x.view(*batch_and_head, *x.shape[1:]).transpose(2, 3)
