"""One attention module for all our models, with kernels by name and a place where its pattern can be edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.dropout import Dropout
from forecheck.nn.softmax import softmax_mix


class Scores(NamedTuple):
    r"""Scores :math:`S = Q K^\top` by their factors.

    Adding the scores of the layer below (residual attention) is putting queries and keys of both layers side by side,
    :math:`[Q_1 Q_2] [K_1 K_2]^\top = S_1 + S_2`; the square matrices never go from layer to layer.
    """

    q: Float[Tensor, "batch head query width"]
    k: Float[Tensor, "batch head key width"]

    def plus(self, others: Scores | None) -> Scores:
        """The sum of two matrices of scores."""
        if others is None:
            return self
        # Side by side in the layout of the memory, where features are rows.
        q, k = (torch.cat([x.mT, y.mT], dim=2).mT for x, y in zip(others, self, strict=True))
        return Scores(q, k)

    def full(self) -> Float[Tensor, "batch head query key"]:
        """S itself."""
        return torch.matmul(self.q, self.k.mT)


class KernelOutput(NamedTuple):
    """What a kernel gives: the mixed values, and the pattern and scores if it ever forms them."""

    out: Float[Tensor, "batch head query width"]
    weights: Float[Tensor, "batch head query key"] | None
    scores: Scores | None


@runtime_checkable
class Kernel(Protocol):
    """A way to mix values; see `softmax_attention` for the arguments."""

    def __call__(
        self,
        q: Float[Tensor, "batch head query width"],
        k: Float[Tensor, "batch head key width"],
        v: Float[Tensor, "batch head key width"],
        mask: Bool[Tensor, "*query_key"] | None = None,
        bias: Scores | None = None,
        *,
        need_weights: bool = True,
    ) -> KernelOutput:
        """Mix `v` by what `q` and `k` say."""


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
    bias: Scores | None = None,
    *,
    need_weights: bool = True,
) -> KernelOutput:
    r"""Scaled dot-product attention.

    .. math:: A = \mathrm{softmax}(Q K^\top / \sqrt{d} + B), \qquad \mathrm{out} = A V

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: True where a query may look at a key; broadcast over batch and head. A row without any key gives 0.
        bias: B, scores of the layer below to add to this one's (PatchTST's residual scores).
        need_weights: whether A itself is wanted; without it a kernel may save the work and give None.

    Source: Vaswani et al. 2017, equation 1. By products: at small head widths torch's fused CPU kernel is slower.
    """
    scores = Scores(q * q.shape[-1] ** -0.5, k).plus(bias)
    if mask is None:
        out, weights = softmax_mix(*scores, v, need_weights)
        return KernelOutput(out, weights, scores)
    hidden = scores.full().masked_fill(~mask, float("-inf"))
    # A fully hidden row is softmax of -inf only, which is NaN; its query sees nothing, so it gets 0.
    weights = torch.softmax(hidden, dim=-1).masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)
    return KernelOutput(torch.matmul(weights, v), weights, scores)


class PatternEdit(nn.Module):
    """Replaces the attention pattern of one site; made by `forecheck.interventions`, held by whatever does the mixing.

    Attributes:
        needs_weights: whether the raw pattern must be computed first.
        keep_scores: whether raw scores must still be formed, because layers that are not edited add them.
        stochastic: whether every row of the edited pattern sums to one where that of the raw pattern does.
    """

    needs_weights: bool = True
    keep_scores: bool = False
    stochastic: bool = True

    def forward(
        self,
        weights: Float[Tensor, "batch head query key"] | None,
        allowed: Bool[Tensor, "*#batch_head query key"],
        like: Float[Tensor, "batch head query width"],
    ) -> Float[Tensor, "#batch #head query key"]:
        """The pattern to use.

        Args:
            weights: the raw pattern; None unless needed.
            allowed: what the mask lets through, broadcast over batch and head.
            like: a tensor of the size, type and device of what is mixed; only these may be used.
        """
        raise RuntimeError("a PatternEdit must say what the pattern becomes")

    def mix(
        self,
        weights: Float[Tensor, "batch head query key"] | None,
        allowed: Bool[Tensor, "*#batch_head query key"],
        values: Float[Tensor, "batch head key width"],
    ) -> Float[Tensor, "batch head query width"]:
        """The edited pattern times the values; edits that can do without the product say how."""
        return torch.matmul(self(weights, allowed, values), values)


class Regularise(Protocol):
    """Takes the pattern that a penalty is on."""

    def __call__(
        self,
        weights: Float[Tensor, "batch head query key"] | None,
        mask: Bool[Tensor, "*query_key"] | None,
        *,
        to_itself: bool,
    ) -> None:
        """Take note of a pattern."""


class Attention(nn.Module):
    """Multi-head attention of tokens to themselves or to a memory: project, mix by a kernel, project back.

    Attributes:
        kernel: name of a kernel, or a kernel itself (a module where it keeps anything).
        edit: an intervention on the pattern, or None. Everything around the pattern (value and output projections,
            their biases, dropout on the pattern, scores for layers that are not edited) stays as it is.
        observe: called with the raw pattern of every forward pass, or None.
        regularise: called likewise while training, with a pattern that carries its gradient (None if the kernel forms
            none), the mask, and whether tokens look at themselves.
    """

    def __init__(self, width: int, heads: int, *, kernel: str | Kernel = "softmax", dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        if isinstance(kernel, str) and kernel not in KERNELS:
            raise ValueError(f"no attention kernel is called {kernel!r}; known: {', '.join(KERNELS)}")
        self.heads = heads
        self.kernel = kernel
        self.project = nn.Linear(width, 3 * width)  # queries, keys and values in one product
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(width, width)
        self.edit: PatternEdit | None = None
        self.observe: Callable[[Tensor], None] | None = None
        self.regularise: Regularise | None = None

    def forward(
        self,
        x: Float[Tensor, "batch token width"],
        mask: Bool[Tensor, "token token"] | None = None,
        bias: Scores | None = None,
        memory: Float[Tensor, "batch key width"] | None = None,
    ) -> tuple[Float[Tensor, "batch token width"], Scores | None]:
        """Mixed tokens, and the scores for a next layer that adds them (residual attention).

        With a memory, keys and values are its tokens (cross-attention), all of which may be seen.
        """
        width = x.shape[-1]
        if memory is None:
            q, k, v = self._projected(x, 0, 3 * width)
        else:
            (q,), (k, v) = self._projected(x, 0, width), self._projected(memory, width, 3 * width)
        scores: Scores | None = None
        weights: Tensor | None = None
        out: Tensor | None = None
        edit = self.edit
        dropping = self.training and self.dropout.p > 0
        watched = self.observe is not None or self.regularise is not None
        if edit is None or edit.needs_weights or edit.keep_scores or watched:
            need_weights = dropping or watched or (edit is not None and edit.needs_weights)
            mix = KERNELS[self.kernel] if isinstance(self.kernel, str) else self.kernel
            out, weights, scores = mix(q, k, v, mask, bias, need_weights=need_weights)
            if self.observe is not None and weights is not None:
                self.observe(weights.detach())
            if self.regularise is not None:
                self.regularise(weights, mask, to_itself=memory is None)
        if edit is not None:
            allowed = mask if mask is not None else x.new_ones(x.shape[1], k.shape[2], dtype=torch.bool)
            raw = weights if edit.needs_weights else None
            out, weights = (None, edit(raw, allowed, v)) if dropping else (edit.mix(raw, allowed, v), None)
        if weights is not None and (out is None or dropping):
            out = torch.matmul(self.dropout(weights), v)
        assert out is not None
        return self.out(rearrange(out, "b h t w -> b t (h w)")), scores

    def _projected(
        self, x: Float[Tensor, "batch token width"], start: int, end: int
    ) -> tuple[Float[Tensor, "batch head token head_width"], ...]:
        """What some rows of the projection make of tokens: one tensor for every `width` rows."""
        # (batch, rows, token): the layout that kernels compute in, straight from the product.
        weight = self.project.weight[start:end].expand(x.shape[0], -1, -1)
        projected = torch.bmm(weight, x.mT) + self.project.bias[start:end, None]
        parts = rearrange(projected, "b (n h w) t -> n b h w t", w=x.shape[-1] // self.heads, h=self.heads)
        return tuple(part.mT for part in parts)
