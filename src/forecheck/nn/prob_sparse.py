"""ProbSparse attention: only the queries that single out some keys attend, the others take the plain mean."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from forecheck.nn.kernels.base import Kernel, KernelOutput
from forecheck.nn.kernels.softmax import softmax_attention


class ProbSparse(Kernel):
    r"""An attention kernel in which few queries are active.

    .. math::
        M_i = \max_{j \in \Omega_i} s_{ij} - \frac{1}{K} \sum_{j \in \Omega_i} s_{ij}, \qquad s = Q K^\top / \sqrt d, \\
        A_i = \mathrm{softmax}(s_i) \text{ for the } c \lceil \ln T \rceil \text{ queries with the largest } M_i,
        \qquad A_i = 1 / K \text{ for the others}

    with :math:`\Omega_i` a sample of :math:`c \lceil \ln K \rceil` of the K keys, drawn with replacement. While
    training it is drawn anew at every step, from a stream set by `reseed`; a forecast uses one sample, drawn with the
    weights and saved with them, so that it repeats. Under a mask the others take the mean of what they may see, where
    the official code takes the sum; the sample ignores the mask, as there. The pattern is an ordinary one and can be
    edited. Scores are formed in full: at the lengths of windows one product is far cheaper than gathering keys.

    Args:
        queries: T.
        keys: K.
        factor: c.

    Source: Zhou et al. 2021 (Informer, arXiv 2012.07436), section 3.1 and algorithm 1; 1/K, where the paper has one
    over the sample's size, is the official code's.
    """

    sample: Tensor

    def __init__(self, queries: int, keys: int, factor: int) -> None:
        super().__init__()
        if factor < 1:
            raise ValueError(f"factor must be positive, got {factor}")
        self.active = min(queries, factor * math.ceil(math.log(queries)) or 1)
        self.register_buffer("sample", torch.empty(queries, min(keys, factor * math.ceil(math.log(keys)) or 1)).long())
        self.keys = keys
        self._bits = np.random.SFC64(0)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the sample of forecasts anew."""
        self.sample.copy_(torch.randint(self.keys, self.sample.shape))

    def reseed(self, *entropy: int) -> None:
        """Start the stream of samples that belongs to these numbers (a module's seed and the step)."""
        self._bits = np.random.SFC64(entropy)

    def forward(
        self,
        q: Float[Tensor, "batch head query width"],
        k: Float[Tensor, "batch head key width"],
        v: Float[Tensor, "batch head key width"],
        mask: Bool[Tensor, "query key"] | None = None,
        *,
        need_weights: bool = True,
    ) -> KernelOutput:
        """A V and A."""
        top = self._most_selective(q, k)
        rows = top[..., None]
        chosen = q.gather(2, rows.expand(-1, -1, -1, q.shape[3]))
        let = None if mask is None else mask[top]
        out, weights = softmax_attention(chosen, k, v, let, need_weights=need_weights)
        if mask is None:
            mean = v.mean(dim=2, keepdim=True).expand(-1, -1, q.shape[2], -1)
        else:
            share = mask.to(v.dtype) / mask.sum(dim=-1, keepdim=True).clamp(min=1)
            mean = torch.matmul(share, v)
        mixed = mean.scatter(2, rows.expand_as(out), out)
        pattern = None
        if need_weights:
            assert weights is not None
            lazy = q.new_full((q.shape[2], k.shape[2]), 1 / k.shape[2]) if mask is None else share
            pattern = lazy.expand(*q.shape[:2], -1, -1).scatter(2, rows.expand_as(weights), weights)
        return KernelOutput(mixed, pattern)

    @torch.no_grad()
    def _most_selective(
        self, q: Float[Tensor, "batch head query width"], k: Float[Tensor, "batch head key width"]
    ) -> Int[Tensor, "batch head active"]:
        """The queries with the largest M."""
        sample = self.sample
        if self.training:
            drawn = np.random.Generator(self._bits).integers(self.keys, size=tuple(sample.shape))
            sample = torch.from_numpy(drawn).to(sample.device)
        scores = torch.matmul(q, k.mT).gather(3, sample.expand(*q.shape[:2], -1, -1))
        measure = scores.amax(dim=-1) - scores.sum(dim=-1) / k.shape[2]
        return measure.topk(self.active, dim=-1, sorted=False).indices
