"""Layers with fewer heads, hidden units or none, that compute what the larger ones did where the rest was zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.attention import Attention
from forecheck.nn.kernels.base import Scores


class FewerHeads(Attention):
    """Attention with some of the heads of another one.

    Args:
        attention: the other one; its parts are taken over.
        kept: its heads that stay, at least one.
        below: with residual scores, the head of the layer below of every head; None if the layers have the same.
    """

    def __init__(self, attention: Attention, kept: Sequence[int], below: Sequence[int] | None = None) -> None:
        width = attention.inner // attention.heads
        super().__init__(
            attention.out.out_features,
            len(kept),
            kernel=attention.kernel,
            inner=len(kept) * width,
            bias=bias_of(attention.project) is not None,
        )
        self.below = None if below is None else list(below)
        self.positions, self.dropout = attention.positions, attention.dropout
        features = torch.arange(attention.inner).view(attention.heads, width)[list(kept)].flatten()
        rows = torch.cat([features + part * attention.inner for part in range(3)])
        self.project, self.out = attention.project, attention.out
        narrow(self.project, 0, rows)
        narrow(self.out, 1, features)
        self.train(attention.training)

    def _scores(
        self,
        q: Float[Tensor, "batch head query width"],
        k: Float[Tensor, "batch head key width"],
        below: Scores | None,
    ) -> tuple[Scores, Scores]:
        """Scores of the layer below are taken from the same heads."""
        if below is not None and self.below is not None:
            below = Scores(*(x.mT[:, self.below].mT for x in below))
        return super()._scores(q, k, below)


class NoHeads(nn.Module):
    """What is left of attention without heads: the bias of its output.

    Args:
        attention: that has lost its heads.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        bias = bias_of(attention.out)
        self.bias = nn.Parameter(attention.out.weight.new_zeros(attention.out.out_features)) if bias is None else bias
        self.train(attention.training)

    def forward(
        self, x: Float[Tensor, "batch token width"], *_: Any, **__: Any
    ) -> tuple[Float[Tensor, "batch token width"], None]:
        """The same for every token, and no scores."""
        return self.bias.expand_as(x), None


def narrow(linear: nn.Linear, axis: int, kept: Tensor) -> None:
    """Take outputs (axis 0) or inputs (axis 1) of a linear map away, in place.

    Args:
        linear: the map.
        axis: of its weight.
        kept: places that stay.
    """
    learns, kept = linear.weight.requires_grad, kept.to(linear.weight.device)
    linear.weight = nn.Parameter(linear.weight.detach().index_select(axis, kept), requires_grad=learns)
    if axis == 0:
        linear.out_features = len(kept)
        bias = bias_of(linear)
        if bias is not None:
            linear.bias = nn.Parameter(bias.detach()[kept], requires_grad=bias.requires_grad)
    else:
        linear.in_features = len(kept)


def bias_of(linear: nn.Linear) -> nn.Parameter | None:
    """The bias of a linear map, if it has one."""
    return dict(linear.named_parameters(recurse=False)).get("bias")
