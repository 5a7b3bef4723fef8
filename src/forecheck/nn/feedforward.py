"""Perceptrons with one hidden layer: the feed-forward part of a Transformer block, and one beside a linear map.

The first takes a few tokens at a time, so that the hidden layer stays in cache.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.chunks import chunk, pieces
from forecheck.nn.dropout import Dropout
from forecheck.nn.plain import plain

# The forms that write into a buffer; torch.nn.functional has none.
gelu_out, gelu_backward_out = torch.ops.aten.gelu.out, torch.ops.aten.gelu_backward.grad_input


class _FeedForward(torch.autograd.Function):
    r"""y = W_2 D(GELU(W_1 x + b_1)) + b_2; what is hidden is computed anew on the way back instead of being kept.

    The dropout mask comes as bytes, its scale inside W_2.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor | None, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        y = x.new_empty(len(x), len(w2))
        size = chunk(len(w1), x.device)
        hidden, kept = x.new_empty(2, min(size, len(x)), len(w1))
        for x_, y_, keep_ in pieces(size, x, y, keep):
            h, m = hidden[: len(x_)], kept[: len(x_)]
            gelu_out(torch.addmm(b1, x_, w1.T, out=h), out=h)
            if keep is not None:
                h.mul_(m.copy_(keep_))
            torch.addmm(b2, h, w2.T, out=y_)
        ctx.save_for_backward(x, keep, w1, b1, w2)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, w1, b1, w2 = ctx.saved_tensors
        d_y = grads[0].contiguous()
        d_x = torch.empty_like(x)
        d_w1, d_b1, d_w2 = (torch.zeros_like(like) for like in (w1, b1, w2))
        size = chunk(len(w1), x.device)
        buffers = x.new_empty(4, min(size, len(x)), len(w1))
        for x_, keep_, d_y_, d_x_ in pieces(size, x, keep, d_y, d_x):
            before, hidden, d_hidden, kept = buffers[:, : len(x_)]
            torch.addmm(b1, x_, w1.T, out=before)
            gelu_out(before, out=hidden)
            torch.mm(d_y_, w2, out=d_hidden)
            if keep is not None:
                kept.copy_(keep_)
                hidden.mul_(kept)
                d_hidden.mul_(kept)
            d_w2.addmm_(d_y_.T, hidden)
            gelu_backward_out(d_hidden, before, grad_input=d_hidden)
            d_w1.addmm_(d_hidden.T, x_)
            d_b1.add_(d_hidden.sum(dim=0))
            torch.mm(d_hidden, w1, out=d_x_)
        return d_x, None, d_w1, d_b1, d_w2, d_y.sum(dim=0)


class FeedForward(nn.Module):
    r"""Two linear maps of every token by itself.

    .. math:: y = D(W_2 D(\mathrm{GELU}(W_1 x + b_1)) + b_2)

    Args:
        width: features a token.
        hidden: features between the two maps.
        dropout: rate of both D.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.inner_dropout = Dropout(dropout)
        self.outer = nn.Linear(hidden, width)
        self.outer_dropout = Dropout(dropout)

    def forward(
        self, tokens: Float[Tensor, "series token width"], base: Float[Tensor, "series token width"] | None = None
    ) -> Float[Tensor, "series token width"]:
        """y, added to `base` if there is one."""
        if plain(tokens.device):
            hidden = self.inner_dropout(nn.functional.gelu(self.inner(tokens)))
            return self.outer_dropout(self.outer(hidden), base)
        x = tokens.reshape(-1, tokens.shape[-1])
        keep = self.inner_dropout.draw((len(x), self.inner.out_features))
        w2 = self.outer.weight if keep is None else self.outer.weight * self.inner_dropout.scale
        y: Tensor = _FeedForward.apply(x, keep, self.inner.weight, self.inner.bias, w2, self.outer.bias)  # type: ignore[no-untyped-call]
        return self.outer_dropout(y.view(tokens.shape), base)


class ResidualMLP(nn.Module):
    r"""One hidden layer and a linear skip: :math:`y = W_2\, \mathrm{GELU}(W_1 x + b_1) + b_2 + W_s x + b_s`.

    Args:
        inputs: features of a row.
        hidden: features between the two maps.
        outputs: features of a mapped row.

    Source: the input block of Chronos-Bolt (amazon-science/chronos-forecasting), with GELU and without layer norm.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Linear(inputs, hidden)
        self.outer = nn.Linear(hidden, outputs)
        self.skip = nn.Linear(inputs, outputs)

    def forward(self, x: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """Map every row."""
        y: Tensor = self.outer(nn.functional.gelu(self.inner(x))) + self.skip(x)
        return y
