"""The feed-forward part of a Transformer block, a few tokens at a time so that the hidden layer stays in cache."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from forecheck.nn.chunks import chunks
from forecheck.nn.dropout import Dropout


class _FeedForward(torch.autograd.Function):
    r"""y = W_2 D(GELU(W_1 x + b_1)) + b_2; what is hidden is computed anew on the way back instead of being kept.

    The dropout mask comes as bytes, its scale inside W_2.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor | None, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        y = x.new_empty(len(x), len(w2))
        for part in chunks(len(x), len(w1), x.device):
            hidden = gelu(torch.addmm(b1, x[part], w1.T))
            if keep is not None:
                hidden *= keep[part].to(hidden.dtype)
            torch.addmm(b2, hidden, w2.T, out=y[part])
        ctx.save_for_backward(x, keep, w1, b1, w2)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, w1, b1, w2 = ctx.saved_tensors
        d_y = grads[0].contiguous()
        d_x, d_w1, d_b1, d_w2 = (torch.zeros_like(like) for like in (x, w1, b1, w2))
        for part in chunks(len(x), len(w1), x.device):
            before = torch.addmm(b1, x[part], w1.T)
            hidden = gelu(before)
            d_hidden = torch.mm(d_y[part], w2)
            if keep is not None:
                kept = keep[part].to(hidden.dtype)
                hidden *= kept
                d_hidden *= kept
            d_w2.addmm_(d_y[part].T, hidden)
            d_before = torch.ops.aten.gelu_backward(d_hidden, before)
            d_w1.addmm_(d_before.T, x[part])
            d_b1 += d_before.sum(dim=0)
            torch.mm(d_before, w1, out=d_x[part])
        return d_x, None, d_w1, d_b1, d_w2, d_y.sum(dim=0)


class FeedForward(nn.Module):
    r"""Two linear maps of every token by itself.

    .. math:: y = D(W_2 D(\mathrm{GELU}(W_1 x + b_1)) + b_2)
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
        x = tokens.reshape(-1, tokens.shape[-1])
        keep = self.inner_dropout.draw((len(x), self.inner.out_features), x.device)
        w2 = self.outer.weight if keep is None else self.outer.weight * self.inner_dropout.scale
        y: Tensor = _FeedForward.apply(x, keep, self.inner.weight, self.inner.bias, w2, self.outer.bias)  # type: ignore[no-untyped-call]
        return self.outer_dropout(y.view(tokens.shape), base)
