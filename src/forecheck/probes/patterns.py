"""What attention patterns look like: entropy, distance from uniform, position and content."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.attention.sites import Site, why_no_pattern
from forecheck.probes.case import number, numbers

COLLAPSE = 0.1
"""A layer whose mean normalised entropy is lower has collapsed: of 42 keys a row then uses exp(0.1 log 42) = 1.5."""


class PatternSums:
    r"""Sums over windows of one site's raw patterns, and what follows from them.

    - entropy of a row over the log of its keys, :math:`-\sum_j A_{ij} \log A_{ij} / \log n_i`, in [0, 1];
    - total variation of a row to uniform, :math:`\frac12 \sum_j |A_{ij} - 1 / n_i|`;
    - variance of A around uniform, split exactly into what is the same for every window and what is not:
      :math:`E[(A - \bar A)^2] = (E[A] - \bar A)^2 + \mathrm{Var}[A]`, position and content part.

    The keys of a row (n_i) are all, or those up to the query where the pattern is causal. Series of one batch count
    as windows. Sums are float64.

    Source: arXiv 2509.20942 (the thesis); Zhai et al. 2023 (entropy collapse).
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        shape = (site.heads, site.queries, site.keys)
        self.count = 0
        self.total = torch.zeros(shape, dtype=torch.float64)
        self.squares = torch.zeros(shape, dtype=torch.float64)
        self.entropies = torch.zeros(shape[:2], dtype=torch.float64)
        self.variations = torch.zeros(shape[:2], dtype=torch.float64)
        self.uniform: Tensor | None = None
        self.why_not = why_no_pattern(site)

    def add(self, weights: Float[Tensor, "batch head query key"]) -> None:
        """Take in the patterns of one pass."""
        if self.why_not:
            return
        if weights.shape[1:] != self.total.shape:
            self.why_not = "the pattern changes its size from pass to pass"
            return
        weights = weights.detach().cpu().double()
        if self.uniform is None:
            self.uniform = _uniform(weights)
        self.count += len(weights)
        self.total += weights.sum(dim=0)
        self.squares += weights.square().sum(dim=0)
        # Rows with weights below 0 (of linear and differential attention) are no distributions: they have neither.
        known = math.nan if bool((weights < 0).any()) else 1.0
        self.entropies -= known * torch.xlogy(weights, weights).sum(dim=(0, 3))
        self.variations += known * (weights - self.uniform).abs().sum(dim=(0, 3)) / 2

    @property
    def entropy(self) -> Float[Tensor, "head query"]:
        """Normalised entropy, mean over windows, at most 1 whatever the rounding; NaN for a query with a single key."""
        assert self.uniform is not None
        keys = (self.uniform > 0).sum(dim=-1)
        most = keys.double().log().masked_fill(keys < 2, math.nan)
        return (self.entropies / self.count / most).clamp(max=1)

    def summary(self) -> dict[str, Any]:
        """JSON types; `heads` lists hold one number a head, the others are means over heads."""
        if self.why_not or self.uniform is None:
            return {"why_not": self.why_not or "no pattern was seen"}
        mean = self.total / self.count
        content = (self.squares / self.count - mean.square()).clamp(min=0).mean(dim=(1, 2))
        position = (mean - self.uniform).square().mean(dim=(1, 2))
        entropy = self.entropy.nanmean(dim=1)
        variation = (self.variations / self.count).mean(dim=1)
        square = self.site.queries == self.site.keys
        layer_entropy = number(entropy.nanmean())
        return {
            "entropy": layer_entropy,
            "collapsed": layer_entropy is not None and layer_entropy < COLLAPSE,
            "total_variation": number(variation.mean()),
            "position_share": number(position.sum() / (position + content).sum()),
            "content_share": number(content.sum() / (position + content).sum()),
            "self_weight": number(mean.diagonal(dim1=1, dim2=2).mean()) if square else None,
            "last_key_weight": number(mean[..., -1].mean()),
            "uniform_weight": number(1 / self.site.keys),
            "series": self.count,
            "heads": {
                "entropy": numbers(entropy),
                "total_variation": numbers(variation),
                "position_share": numbers(position / (position + content)),
                "content_share": numbers(content / (position + content)),
                "self_weight": numbers(mean.diagonal(dim1=1, dim2=2).mean(dim=1)) if square else None,
                "last_key_weight": numbers(mean[..., -1].mean(dim=1)),
            },
        }


def _uniform(weights: Float[Tensor, "batch head query key"]) -> Float[Tensor, "query key"]:
    """Uniform over all keys, or over those up to the query where nothing but these is ever looked at."""
    queries, keys = weights.shape[2:]
    looked = weights.sum(dim=(0, 1))
    # Looked at over a whole batch, since one pattern can look like a mask by chance. A pattern without anything below
    # the diagonal either is no mask but a collapsed one.
    causal = queries == keys and not looked.triu(1).any() and bool(looked.tril(-1).any())
    allowed = weights.new_ones(queries, keys)
    if causal:
        allowed = allowed.tril()
    return allowed / allowed.sum(dim=1, keepdim=True)
