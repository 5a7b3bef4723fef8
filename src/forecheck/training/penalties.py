"""Penalties on attention patterns while training: look at yourself, or do not look at too little."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.training.drift import attentions
from forecheck.training.recipe import Recipe


def local_penalty(weights: Float[Tensor, "batch head token token"]) -> Float[Tensor, ""]:
    r"""How little tokens look at themselves: :math:`-\mathrm{mean} \log A_{ii}`, natural logarithm.

    Source: this project, a candidate for the gradient correction of Ke et al. 2025 (arXiv 2412.06061), section 7.2.
    """
    return -_log(weights.diagonal(dim1=-2, dim2=-1)).mean()


def entropy_penalty(
    weights: Float[Tensor, "batch head query key"],
    mask: Bool[Tensor, "*query_key"] | None = None,
    floor: float = 0.5,
) -> Float[Tensor, ""]:
    r"""How far rows fall below a floor of entropy.

    .. math:: \mathrm{mean}_i \, \mathrm{relu}(h_i - H(A_i)), \qquad H(A_i) = -\sum_j A_{ij} \log A_{ij},
        \qquad h_i = \phi \log n_i

    Args:
        weights: patterns.
        mask: True where a query may look; :math:`n_i` counts these, all keys without a mask.
        floor: phi, share of the largest entropy.

    Source: as `local_penalty`; entropy collapse in series models: LATST (arXiv 2410.23749).
    """
    entropy = -(weights * _log(weights)).sum(dim=-1)
    if mask is None:
        lowest = weights.new_tensor(floor * math.log(weights.shape[-1]))
    else:
        lowest = floor * mask.sum(dim=-1).clamp(min=1).to(weights.dtype).log()
    return torch.relu(lowest - entropy).mean()


def _log(weights: Tensor) -> Tensor:
    # Entries that are zero (hidden by a mask) or negative (differences of patterns) have no logarithm and no gradient.
    return weights.clamp(min=torch.finfo(weights.dtype).tiny).log()


@contextmanager
def penalised(model: nn.Module, recipe: Recipe) -> Iterator[Callable[[], Tensor | float]]:
    """Gives a function that returns mu times the penalty of the forward pass just made, averaged over layers.

    Patterns that an edit made before training replaces are left out, and so is attention to a memory where the penalty
    is on the diagonal; if no pattern is left the penalty is 0, as it is without a correction.

    Raises:
        ValueError: if the model has no attention, or its kernel forms no patterns.
    """
    if recipe.correction not in ("local", "entropy"):
        yield lambda: 0.0
        return
    local = recipe.correction == "local"
    found: list[Tensor] = []

    def meet(weights: Tensor | None, mask: Tensor | None, *, to_itself: bool) -> None:
        if weights is None:
            raise ValueError(
                f"correction {recipe.correction!r} needs attention patterns, which this kernel never forms"
            )
        if local and to_itself:
            found.append(local_penalty(weights))
        elif not local:
            found.append(entropy_penalty(weights, mask, recipe.entropy_floor))

    def take() -> Tensor | float:
        penalty = recipe.correction_strength * torch.stack(found).mean() if found else 0.0
        found.clear()
        return penalty

    watched = [each for each in attentions(model) if each.edit is None or each.edit.needs_weights]
    try:
        for attention in watched:
            attention.regularise = meet
        yield take
    finally:
        for attention in watched:
            attention.regularise = None
