"""Nearest centres, and centres by k-means."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from forecheck.nn.chunks import chunk, pieces
from forecheck.nn.placed import doubles
from forecheck.nn.plain import recorded


def nearest(points: Float[Tensor, "point width"], centres: Float[Tensor, "centre width"]) -> Int64[Tensor, " point"]:
    r"""Number of the nearest centre of every point, the first of several.

    .. math:: \arg\min_k \|x - c_k\|^2 = \arg\min_k \tfrac12 \|c_k\|^2 - c_k^\top x
    """
    half = centres.square().sum(dim=1) / 2
    if recorded():
        return torch.addmm(half, points, centres.mT, alpha=-1).argmin(dim=1)
    index = torch.empty(len(points), dtype=torch.int64, device=points.device)
    for some, found in pieces(chunk(len(centres), points.device), points, index):
        torch.argmin(torch.addmm(half, some, centres.mT, alpha=-1), dim=1, out=found)
    return index


def kmeans(
    points: Float[Tensor, "point width"], count: int, random: np.random.Generator, rounds: int = 20
) -> Float[Tensor, "centre width"]:
    """Centres by Lloyd's rounds until no point moves, from the seeds of k-means++.

    A centre that no point is nearest to moves to a random point. With fewer different points than centres some
    centres are equal.

    Args:
        points: at least one.
        count: centres wanted.
        random: decides on seeds and moved centres.
        rounds: at most.

    Source: Arthur & Vassilvitskii 2007 (k-means++).
    """
    centres = _seeds(points, count, random)
    before: Tensor | None = None
    for _ in range(rounds):
        index = nearest(points, centres)
        if before is not None and torch.equal(index, before):
            break
        before = index
        members = torch.bincount(index, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, index, points)
        centres = sums / members.clamp(min=1)[:, None]
        empty = members == 0
        centres[empty] = points[torch.from_numpy(random.integers(len(points), size=int(empty.sum())))]
    return centres


def _seeds(points: Tensor, count: int, random: np.random.Generator) -> Tensor:
    """Points, each drawn in proportion to its squared distance from the nearest one drawn before."""
    chosen = [int(random.integers(len(points)))]
    distance = torch.full((len(points),), torch.inf, dtype=points.dtype, device=points.device)
    while len(chosen) < count:
        distance = torch.minimum(distance, (points - points[chosen[-1]]).square().sum(dim=1))
        heights = doubles(distance).cumsum(dim=0)
        drawn = random.random() * float(heights[-1])
        # Where all points are drawn already, all heights are 0 and the first is drawn again.
        chosen.append(min(int(torch.searchsorted(heights, drawn, right=drawn > 0)), len(points) - 1))
    return points[torch.tensor(chosen)]
