"""Masks of weights: the largest scores of one tensor or of several, exactly as many as asked for, or n of every m.

Or the largest groups of weights, as all that belongs to an attention head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from forecheck.errors import UsageError
from forecheck.sparsity.groups import Groups

Scope = Literal["layer", "global"]
Pattern = tuple[int, int]


def kept(size: int, sparsity: float) -> int:
    r"""How many of `size` weights are left, :math:`\mathrm{round}((1 - s)\, n)` with halves rounded up."""
    return math.floor((1 - sparsity) * size + 0.5 + 1e-9)


def largest(scores: Float[Tensor, "*shape"], count: int) -> Bool[Tensor, "*shape"]:
    """True at exactly `count` of the largest scores; of equal ones those that come first.

    A threshold would keep fewer or more where scores tie, as they do at inputs that are always zero.

    Args:
        scores: of any shape.
        count: from 0 to their number.
    """
    flat = scores.reshape(-1)
    order = torch.sort(flat, descending=True, stable=True).indices[:count]
    return torch.zeros_like(flat, dtype=torch.bool).index_fill_(0, order, value=True).view(scores.shape)


def of_every(scores: Float[Tensor, "row column"], pattern: Pattern) -> Bool[Tensor, "row column"]:
    """True at the n largest of every m scores that follow each other in a row.

    Args:
        scores: rows are outputs, columns inputs.
        pattern: n and m.
    """
    n, m = pattern
    groups = scores.reshape(-1, m)
    order = torch.sort(groups, dim=-1, descending=True, stable=True).indices[:, :n]
    return torch.zeros_like(groups, dtype=torch.bool).scatter_(1, order, value=True).view(scores.shape)


def of_groups(
    scores: Mapping[str, Float[Tensor, "row column"]], sparsity: float, scope: Scope, layers: Sequence[Groups]
) -> dict[str, Tensor]:
    """By name, where weights stay if groups with the largest sums of scores stay as wholes.

    Args:
        scores: by name, matrices; every one belongs to a group.
        sparsity: share of the groups that becomes zero.
        scope: `layer` for this share of every layer, `global` for this share of all.
        layers: the groups.
    """
    stay = _largest_of([groups.energies(scores) for groups in layers], sparsity, scope)
    found = {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}
    for groups, each in zip(layers, stay, strict=True):
        for member in groups.members:
            found[member.name] &= member.mask(each, found[member.name].shape)
    return found


def masks(
    scores: Mapping[str, Tensor],
    sparsity: float,
    scope: Scope = "layer",
    pattern: Pattern | list[Groups] | None = None,
) -> dict[str, Tensor]:
    """By name, where weights stay.

    Args:
        scores: by name, matrices; for groups of weights squares, since they are added.
        sparsity: share of the weights, or of the groups, that becomes zero.
        scope: `layer` for this share of every matrix, `global` for this share of all, by one threshold.
        pattern: n and m, to keep n of every m inputs instead, for which `sparsity` is not looked at; or groups.
    """
    if isinstance(pattern, list):
        return of_groups(scores, sparsity, scope, pattern)
    if pattern is not None:
        return {name: of_every(score, pattern) for name, score in scores.items()}
    return dict(zip(scores, _largest_of(list(scores.values()), sparsity, scope), strict=True))


def _largest_of(scores: Sequence[Tensor], sparsity: float, scope: Scope) -> list[Tensor]:
    """Where scores are among the largest of their own tensor, or of all."""
    if scope == "layer":
        return [largest(score, kept(score.numel(), sparsity)) for score in scores]
    joined = torch.cat([score.reshape(-1) for score in scores])
    parts = torch.split(largest(joined, kept(len(joined), sparsity)), [score.numel() for score in scores])
    return [part.view(score.shape) for score, part in zip(scores, parts, strict=True)]


def check_sparsity(sparsity: float) -> None:
    """Refuse what is no share (UsageError)."""
    if not 0 <= sparsity < 1:
        remedy = "Write a share, as --sparsity 0.9 for nine weights of ten."
        raise UsageError(f"sparsity is the share of weights that become zero, in [0, 1), got {sparsity!r}", remedy)


def check_pattern(pattern: Pattern, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a pattern that is none, or that does not divide the inputs of a matrix (UsageError).

    Args:
        pattern: n and m.
        shapes: by name, of the matrices.
    """
    n, m = pattern
    if not 0 < n < m:
        raise UsageError(f"a pattern n:m keeps n of every m weights, 0 < n < m, got {n}:{m}", "Write 2:4, or 4:8.")
    wrong = [f"{name} has {shape[1]}" for name, shape in shapes.items() if shape[1] % m]
    if wrong:
        raise UsageError(
            f"the pattern {n}:{m} needs inputs in multiples of {m}: {', '.join(wrong[:3])}",
            "Leave these out by --ignore NAME, or choose another pattern.",
        )
