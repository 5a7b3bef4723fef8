"""Differential attention: one softmax pattern less another, so that what both look at cancels."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.kernels.base import Kernel, KernelOutput
from forecheck.nn.kernels.softmax import softmax_attention
from forecheck.nn.rms_norm import RMSNorm


class _Difference(Kernel):
    r"""A = softmax(S_1) - lam softmax(S_2): rows sum to 1 - lam."""

    parts: ClassVar[int] = 2
    stochastic: ClassVar[bool] = False

    @abstractmethod
    def share(self) -> Float[Tensor, ""]:
        """The factor lambda of the second softmax."""

    def forward(
        self,
        q: Float[Tensor, "batch score_head query width"],
        k: Float[Tensor, "batch score_head key width"],
        v: Float[Tensor, "batch head key value_width"],
        mask: Bool[Tensor, "*query_key"] | None = None,
        *,
        need_weights: bool = True,
    ) -> KernelOutput:
        """The mixed values A V, and the pattern A if it is asked for."""
        both = softmax_attention(q, k, v.repeat_interleave(2, dim=1), mask, need_weights=need_weights)
        lam = self.share()
        out, weights = (None if x is None else x[:, ::2] - lam * x[:, 1::2] for x in both)
        assert out is not None
        return KernelOutput(out, weights)


class SimpleDifferential(_Difference):
    r"""Differential attention with one trainable number a layer.

    .. math:: A = \mathrm{softmax}(Q_1 K_1^\top) - \lambda \, \mathrm{softmax}(Q_2 K_2^\top), \qquad
        \lambda = \sigma(a) \in (0, 1)

    Q_1, Q_2 and K_1, K_2 are the halves of a head's queries and keys. The sigmoid and the start at 1/2 are ours.

    Source: Ke et al., Curse of Attention (arXiv 2412.06061), section 7.2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start from a lambda of one half."""
        nn.init.zeros_(self.logit)

    def share(self) -> Float[Tensor, ""]:
        """The factor lambda of the second softmax."""
        return torch.sigmoid(self.logit)


class Differential(_Difference):
    r"""Differential attention in full.

    .. math::
        A = \mathrm{softmax}(Q_1 K_1^\top) - \lambda \, \mathrm{softmax}(Q_2 K_2^\top), \qquad
        \lambda = e^{l_{q1} \cdot l_{k1}} - e^{l_{q2} \cdot l_{k2}} + \lambda_0, \\
        \mathrm{out} = (1 - \lambda_0) \, \mathrm{RMSNorm}(A V), \qquad
        \lambda_0 = 0.8 - 0.6 \, e^{-0.3 \, \text{depth}}

    A head of width 2d has queries and keys of two heads of width d, as there are half as many heads as elsewhere. The
    four vectors (d) start as N(0, 0.1²), and like the gains of the norm (2d) they are shared by the heads of a layer.
    Scores are those of any layer of ours: a mask is optional, and queries are rotated only if positions say so.

    Args:
        width: D, features of all heads together.
        heads: their number.
        depth: the layer, from 0.

    Source: Ye et al., Differential Transformer (arXiv 2410.05258), section 2.1 and the official code.
    """

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        d = width // heads // 2
        self.start = 0.8 - 0.6 * math.exp(-0.3 * depth)
        self.query1, self.key1, self.query2, self.key2 = (nn.Parameter(torch.empty(d)) for _ in range(4))
        self.norm = RMSNorm(width // heads)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew."""
        for vector in (self.query1, self.key1, self.query2, self.key2):
            nn.init.normal_(vector, std=0.1)

    def share(self) -> Float[Tensor, ""]:
        """The factor lambda of the second softmax."""
        return (self.query1 @ self.key1).exp() - (self.query2 @ self.key2).exp() + self.start

    def finish(self, out: Float[Tensor, "batch head query width"]) -> Float[Tensor, "batch head query width"]:
        """Every head's mixed values, normalised."""
        normed: Tensor = self.norm(out)
        return normed * (1 - self.start)
