r"""ELSA: the constraint on the number of weights is met by ADMM on the loss itself.

.. math:: \min_x f(x) + I_S(z), \; x = z: \qquad
    x \leftarrow \text{steps on } f(x) + \tfrac\lambda2 \lVert x - z + u \rVert^2, \quad
    z \leftarrow \Pi_S(x + u), \quad u \leftarrow u + x - z

S holds the tensors with at most k entries that are not zero. The projection keeps the k largest :math:`(x + u)_i^2`,
or, aware of the objective, :math:`\hat F_{ii} (x + u)_i^2` with the second moments of Adam for the Fisher information.
Where groups of weights are to stay or go together, it keeps those with the largest sums of these.

Source: Lee et al. 2026 (arXiv 2510.01650), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.nn.placed import doubles
from forecheck.sparsity.groups import Groups
from forecheck.sparsity.masks import Pattern, Scope, masks
from forecheck.sparsity.prunable import Weight
from forecheck.sparsity.stored import Format, Stored

Schedule = Literal["constant", "linear", "cosine", "exponential"]
Projection = Literal["aware", "plain"]
_FIRST = 0.01
"""Of the last lambda, where the exponential schedule begins."""


@dataclass(frozen=True)
class Penalty:
    r"""Strength :math:`\lambda` of the pull to the sparse copy.

    Attributes:
        strength: at the end, for all schedules.
        schedule: `constant`; `linear` and `cosine` rise from 0, `exponential` from a hundredth.
    """

    strength: float = 0.1
    schedule: Schedule = "cosine"

    def at(self, step: int, steps: int) -> float:
        """Of a step (0-based) of so many."""
        done = step / max(1, steps - 1)
        if self.schedule == "linear":
            return self.strength * done
        if self.schedule == "cosine":
            return self.strength * (1 - math.cos(math.pi * done)) / 2
        if self.schedule == "exponential":
            return self.strength * _FIRST ** (1 - done)
        return self.strength


class Elsa:
    """The sparse copy z and the scaled dual u of every weight.

    Args:
        weights: what is pruned.
        sparsity: see `masks`.
        scope: see `masks`; the paper's comparison is within a layer.
        pattern: see `masks`.
        projection: `aware` weighs by Adam's second moments, `plain` does not.
        formats: how z and u are stored.
    """

    def __init__(
        self,
        weights: Sequence[Weight],
        sparsity: float,
        scope: Scope = "layer",
        pattern: Pattern | list[Groups] | None = None,
        projection: Projection = "plain",
        formats: tuple[Format, Format] = ("fp32", "fp32"),
    ) -> None:
        self.weights = list(weights)
        self.sparsity, self.scope, self.pattern, self.projection = sparsity, scope, pattern, projection
        values = {weight.name: weight.value for weight in self.weights}
        first = self._masks({name: value.square() for name, value in values.items()})
        self.z = {name: Stored(value * first[name], formats[0]) for name, value in values.items()}
        self.u = {name: Stored(torch.zeros_like(value), formats[1]) for name, value in values.items()}
        self._strength: float | None = None
        self._at_first = _energy(values.values())

    @torch.no_grad()
    def penalise(self, strength: float) -> None:
        r"""Add :math:`\lambda (w - z + u)` to the gradients; to be called after they are clipped.

        Args:
            strength: lambda of this step.
        """
        for weight in self.weights:
            pull = weight.value - self.z[weight.name].value + self.u[weight.name].value
            if weight.parameter.grad is None:
                weight.parameter.grad = torch.zeros_like(weight.parameter)
            weight.of(weight.parameter.grad).add_(pull, alpha=strength)

    @torch.no_grad()
    def update(self, strength: float, moments: Mapping[str, Tensor]) -> None:
        r"""Project, and move the dual; where lambda changed, u is first multiplied by old / new.

        Args:
            strength: lambda of this step.
            moments: by name, Adam's second moments.
        """
        ratio = 1.0 if self._strength is None or strength == 0 else self._strength / strength
        self._strength = strength
        sums = {weight.name: weight.value + ratio * self.u[weight.name].value for weight in self.weights}
        found = self._masks(self._scores(sums, moments))
        for weight in self.weights:
            name = weight.name
            self.z[name].value = sums[name] * found[name]
            self.u[name].value = sums[name] - self.z[name].value

    def final(self, moments: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Masks of the projection of the weights themselves, without u.

        Args:
            moments: as in `update`.
        """
        return self._masks(self._scores({weight.name: weight.value for weight in self.weights}, moments))

    def residual(self) -> float:
        r"""Relative primal residual :math:`\lVert w - z \rVert / \lVert w \rVert` over all weights.

        Where nothing is to stay it is relative to the weights at first, since w - z is then all of w.
        """
        sparse = {weight.name: self.z[weight.name].value for weight in self.weights}
        nothing = not any(each.any() for each in sparse.values())
        whole = self._at_first if nothing else _energy(weight.value for weight in self.weights)
        apart = _energy(weight.value - sparse[weight.name] for weight in self.weights)
        return math.sqrt(apart / whole) if whole else 0.0

    def tensors(self) -> dict[str, Tensor]:
        """All that an interrupted run has to go on with."""
        held = {
            f"{kind}/{name}/{part}": tensor
            for kind, group in (("z", self.z), ("u", self.u))
            for name, stored in group.items()
            for part, tensor in stored.tensors().items()
        }
        strength = math.nan if self._strength is None else self._strength
        return held | {"strength": torch.tensor(strength, dtype=torch.float64)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave.

        Args:
            tensors: by name.
        """
        for kind, group in (("z", self.z), ("u", self.u)):
            for name, stored in group.items():
                stored.restore(tensors[f"{kind}/{name}/held"], tensors[f"{kind}/{name}/scale"])
        strength = float(tensors["strength"])
        self._strength = None if math.isnan(strength) else strength

    def _scores(self, values: Mapping[str, Tensor], moments: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.projection == "plain":
            return {name: value.square() for name, value in values.items()}
        return {name: value.square() * moments[name] for name, value in values.items()}

    def _masks(self, scores: Mapping[str, Float[Tensor, "row column"]]) -> dict[str, Tensor]:
        return masks(scores, self.sparsity, self.scope, self.pattern)


def _energy(tensors: Iterable[Tensor]) -> float:
    """Sum of all squares."""
    return sum(float(doubles(each).square().sum()) for each in tensors)
