"""One attention module for all our models, with kernels and positions by name and a pattern that can be edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.dropout import Dropout
from forecheck.nn.kernels.base import Kernel, Scores
from forecheck.nn.kernels.named import make_kernel
from forecheck.nn.kernels.softmax import Softmax, fused_attention
from forecheck.nn.plain import fused
from forecheck.nn.score_positions import score_positions


class PatternEdit(nn.Module):
    """Replaces the attention pattern of one site; made by `forecheck.attention`, held by whatever does the mixing.

    Attributes:
        needs_weights: whether the raw pattern must be computed first.
        keep_scores: whether raw scores must still be formed, because layers that are not edited add them.
        stochastic: whether every row of the edited pattern sums to one where that of the raw pattern does.
        of_sublayer: whether it also says what becomes of a sublayer that has no pattern.
    """

    needs_weights: bool = True
    keep_scores: bool = False
    stochastic: bool = True
    of_sublayer: bool = False

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
        """The edited pattern times the values; edits that can do without the product say how.

        Args:
            weights, allowed: as in `forward`.
            values: what is mixed.
        """
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
        """Take note of a pattern.

        Args:
            weights: the pattern, with its gradient; None if the kernel forms none.
            mask: True where a token may look; None for everywhere.
            to_itself: whether tokens look at themselves, not at a memory.
        """


class Attention(nn.Module):
    r"""Multi-head attention of tokens to themselves or to a memory: project, mix by a kernel, project back.

    .. math:: S = P(Q K^\top / \sqrt{d}) + B, \qquad A = f(S), \qquad y = W_o \, \mathrm{finish}(A V) + b_o

    with P what positions do to scores, B the scores of the layer below (PatchTST's residual scores) and d the width
    of a head's queries, or of a part of them where the kernel f cuts them into parts.

    Args:
        width: features of a token.
        heads: their number.
        kernel: name of a kernel, or a kernel itself.
        dropout: rate on the pattern.
        inner: features of all heads together, if not `width`.
        bias: whether the projections have one.
        depth: the layer, from 0; the differential kernel depends on it.
        positions: name of positions; those that are codes of tokens do nothing here.
        keys: tokens that are looked at; only positions need to know.
        start: position of the first query, from that of the first key.

    Attributes:
        edit: an intervention on the pattern, or None. Everything around the pattern (value and output projections,
            their biases, dropout on the pattern, what the kernel does to mixed values, scores for layers that are not
            edited) stays as it is.
        observe: called with the raw pattern of every forward pass, or None.
        regularise: called likewise while training, with a pattern that carries its gradient (None if the kernel forms
            none), the mask, and whether tokens look at themselves.
        across: whether the last pass looked at a memory instead of the tokens themselves.
    """

    across: bool = False

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        kernel: str | Kernel = "softmax",
        dropout: float = 0.0,
        inner: int | None = None,
        bias: bool = True,
        depth: int = 0,
        positions: str = "none",
        keys: int = 0,
        start: int = 0,
    ) -> None:
        super().__init__()
        self.inner = width if inner is None else inner
        if heads < 1 or self.inner % heads:
            raise ValueError(f"width {self.inner} is not a multiple of {heads} heads")
        self.heads = heads
        self.kernel = make_kernel(kernel, self.inner, heads, depth) if isinstance(kernel, str) else kernel
        parts = self.kernel.parts
        self.positions = score_positions(positions, self.inner // heads // parts, heads, parts, keys, start)
        self.project = nn.Linear(width, 3 * self.inner, bias=bias)  # queries, keys and values in one product
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(self.inner, width, bias=bias)
        self.edit: PatternEdit | None = None
        self.observe: Callable[[Tensor], None] | None = None
        self.regularise: Regularise | None = None

    @property
    def stochastic(self) -> bool:
        """Whether rows of the raw pattern sum to one."""
        return self.kernel.stochastic

    def forward(
        self,
        x: Float[Tensor, "batch token width"],
        mask: Bool[Tensor, "token token"] | None = None,
        bias: Scores | None = None,
        memory: Float[Tensor, "batch key width"] | None = None,
    ) -> tuple[Float[Tensor, "batch token width"], Scores | None]:
        """Mixed tokens, and the scores for a next layer that adds them (residual attention).

        With a memory, keys and values are its tokens (cross-attention), all of which may be seen.

        Args:
            x: tokens.
            mask: True where a token may look at another one; None for everywhere.
            bias: scores of the layer below, added to its own.
            memory: tokens that are looked at; None for x.
        """
        width = self.inner
        self.across = memory is not None
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
        if edit is None and dropping and not watched and type(self.kernel) is Softmax and fused(x.device):
            scores, used = self._scores(q, k, bias)
            out = fused_attention(*used, v, mask, self.dropout.p)
        elif edit is None or edit.needs_weights or edit.keep_scores or watched:
            need_weights = dropping or watched or (edit is not None and edit.needs_weights)
            scores, used = self._scores(q, k, bias)
            out, weights = self.kernel(*used, v, mask, need_weights=need_weights)
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
        return self.out(rearrange(self.kernel.finish(out), "b h t w -> b t (h w)")), scores

    def _scores(
        self,
        q: Float[Tensor, "batch head query width"],
        k: Float[Tensor, "batch head key width"],
        below: Scores | None,
    ) -> tuple[Scores, Scores]:
        """The scores that a next layer may add, and those that are used here."""
        parts = self.kernel.parts
        if parts > 1:
            q, k = (rearrange(x.mT, "b h (p w) t -> b (h p) w t", p=parts).mT for x in (q, k))
        own = Scores(q * q.shape[-1] ** -0.5, k)
        if self.positions is None:
            scores = own.plus(below)
            return scores, scores
        scores = self.positions.turned(own).plus(below)
        return scores, self.positions.added(scores)

    def _projected(
        self, x: Float[Tensor, "batch token width"], start: int, end: int
    ) -> tuple[Float[Tensor, "batch head token head_width"], ...]:
        """What some rows of the projection make of tokens: one tensor for every `inner` rows."""
        weight = self.project.weight[start:end]
        own: Tensor | None = self.project.bias
        bias = None if own is None else own[start:end]
        # (batch, rows, token) is the layout that kernels compute in, straight from a product a window; where windows
        # have few, wide tokens one product over all of them and a copy is several times faster.
        if x.shape[1] < x.shape[2]:
            projected = nn.functional.linear(x, weight, bias).mT.contiguous()
        else:
            projected = torch.bmm(weight.expand(x.shape[0], -1, -1), x.mT)
            projected = projected if bias is None else projected + bias[:, None]
        parts = rearrange(projected, "b (n h w) t -> n b h w t", w=self.inner // self.heads, h=self.heads)
        return tuple(part.mT for part in parts)
