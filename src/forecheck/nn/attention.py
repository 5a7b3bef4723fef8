"""One attention module for all our models, with kernels by name and a place where its pattern can be edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.dropout import Dropout
from forecheck.nn.softmax import SoftmaxAttention


class KernelOutput(NamedTuple):
    """What a kernel gives: the mixed values, and the pattern and scores if it ever forms them."""

    out: Float[Tensor, "batch head query width"]
    weights: Float[Tensor, "batch head query key"] | None
    scores: Float[Tensor, "batch head query key"] | None


Kernel = Callable[
    [
        Float[Tensor, "batch head query width"],
        Float[Tensor, "batch head key width"],
        Float[Tensor, "batch head key width"],
        Bool[Tensor, "*query_key"] | None,
        Float[Tensor, "batch head query key"] | None,
    ],
    KernelOutput,
]
KERNELS: dict[str, Kernel] = {}


def kernel(name: str) -> Callable[[Kernel], Kernel]:
    """Decorator: make a kernel `(q, k, v, mask, bias) -> KernelOutput` known by name."""

    def known(function: Kernel) -> Kernel:
        KERNELS[name] = function
        return function

    return known


@kernel("softmax")
def softmax_attention(
    q: Float[Tensor, "batch head query width"],
    k: Float[Tensor, "batch head key width"],
    v: Float[Tensor, "batch head key width"],
    mask: Bool[Tensor, "*query_key"] | None = None,
    bias: Float[Tensor, "batch head query key"] | None = None,
) -> KernelOutput:
    r"""Scaled dot-product attention.

    .. math:: A = \mathrm{softmax}(Q K^\top / \sqrt{d} + B), \qquad \mathrm{out} = A V

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: True where a query may look at a key; broadcast over batch and head. A row without any key gives 0.
        bias: B, added to the scores (PatchTST's residual scores, position biases).

    Source: Vaswani et al. 2017, equation 1. By products: at small head widths torch's fused CPU kernel is slower.
    """
    q = q * q.shape[-1] ** -0.5
    if mask is None:
        out, weights, scores = SoftmaxAttention.apply(q, k, v, bias)  # type: ignore[no-untyped-call]
        return KernelOutput(out, weights, scores)
    scores = torch.matmul(q, k.transpose(-2, -1))
    if bias is not None:
        scores = scores + bias
    hidden = scores.masked_fill(~mask, float("-inf"))
    # A fully hidden row is softmax of -inf only, which is NaN; its query sees nothing, so it gets 0.
    weights = torch.softmax(hidden, dim=-1).masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)
    return KernelOutput(torch.matmul(weights, v), weights, scores)


class PatternEdit(nn.Module):
    """Replaces the attention pattern of one site; made by `forecheck.interventions`, held by `Attention.edit`.

    Attributes:
        needs_weights: whether the raw pattern must be computed first.
        keep_scores: whether raw scores must still be formed, because layers that are not edited add them.
    """

    needs_weights: bool = True
    keep_scores: bool = False

    def forward(
        self,
        weights: Float[Tensor, "batch head query key"] | None,
        allowed: Bool[Tensor, "query key"],
        like: Float[Tensor, "batch head query width"],
    ) -> Float[Tensor, "#batch head query key"]:
        """The pattern to use; `weights` is the raw one (None unless needed), `allowed` what the mask lets through."""
        raise RuntimeError("a PatternEdit must say what the pattern becomes")


class Attention(nn.Module):
    """Multi-head self-attention: project, mix by a kernel, project back.

    Attributes:
        edit: an intervention on the pattern, or None. Everything around the pattern (value and output projections,
            their biases, dropout on the pattern, scores for layers that are not edited) stays as it is.
        observe: called with the raw pattern of every forward pass, or None.
    """

    def __init__(self, width: int, heads: int, *, kernel: str = "softmax", dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        if kernel not in KERNELS:
            raise ValueError(f"no attention kernel is called {kernel!r}; known: {', '.join(KERNELS)}")
        self.heads = heads
        self.kernel = kernel
        self.project = nn.Linear(width, 3 * width)  # queries, keys and values in one product
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(width, width)
        self.edit: PatternEdit | None = None
        self.observe: Callable[[Tensor], None] | None = None

    def forward(
        self,
        x: Float[Tensor, "batch token width"],
        mask: Bool[Tensor, "token token"] | None = None,
        bias: Float[Tensor, "batch head token token"] | None = None,
    ) -> tuple[Float[Tensor, "batch token width"], Float[Tensor, "batch head token token"] | None]:
        """Mixed tokens, and the scores for a next layer that adds them (residual attention)."""
        q, k, v = rearrange(self.project(x), "b t (three h w) -> three b h t w", three=3, h=self.heads)
        scores: Tensor | None = None
        weights: Tensor | None = None
        out: Tensor | None = None
        edit = self.edit
        if edit is None or edit.needs_weights or edit.keep_scores or self.observe is not None:
            out, weights, scores = KERNELS[self.kernel](q, k, v, mask, bias)
            if self.observe is not None and weights is not None:
                self.observe(weights.detach())
        if edit is not None:
            tokens = x.shape[1]
            allowed = mask if mask is not None else x.new_ones(tokens, tokens, dtype=torch.bool)
            weights = edit(weights if edit.needs_weights else None, allowed, v)
            out = None
        if weights is not None and (out is None or (self.training and self.dropout.p > 0)):
            out = torch.matmul(self.dropout(weights), v)
        assert out is not None
        return self.out(rearrange(out, "b h t w -> b t (h w)")), scores
