"""Ways of pruning, by name: what each does before, after the gradient, and after the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from forecheck.sparsity.elsa import Elsa, Penalty, Projection
from forecheck.sparsity.groups import Groups
from forecheck.sparsity.masks import Pattern, Scope, kept, largest, masks
from forecheck.sparsity.parts import Kind
from forecheck.sparsity.prunable import Weight
from forecheck.sparsity.stored import Format

_GROWING = 0.6
"""Share of the steps in which a gradual mask grows."""


@dataclass(frozen=True)
class Goal:
    """What is asked for.

    Attributes:
        sparsity: share of weights, or of heads or units, that become zero.
        scope: within what weights are compared; None for what suits the method.
        pattern: n of every m instead; or `heads` or `units`, to prune whole ones.
        steps: of training.
        interval: steps between two looks at the mask.
        penalty: of ELSA.
        projection: of ELSA.
        formats: of ELSA's z and u.
    """

    sparsity: float
    scope: Scope | None = None
    pattern: Pattern | Kind | None = None
    steps: int = 1024
    interval: int = 32
    penalty: Penalty = field(default_factory=Penalty)
    projection: Projection = "plain"
    formats: tuple[Format, Format] = ("fp32", "fp32")


class Method(ABC):
    """One way of pruning.

    Args:
        weights: what is pruned.
        goal: what is asked for.
        norms: makes, by name of a weight, norms of its inputs; called by the methods that need them.
        groups: of the weights, where they stay or go as wholes; none otherwise.
    """

    usual_scope: ClassVar[Scope] = "layer"

    def __init__(
        self,
        weights: Sequence[Weight],
        goal: Goal,
        norms: Callable[[], Mapping[str, Tensor]],
        groups: Sequence[Groups] = (),
    ) -> None:
        self.weights, self.goal = list(weights), goal
        pattern = None if isinstance(goal.pattern, str) else goal.pattern
        self.pattern: Pattern | list[Groups] | None = list(groups) or pattern
        self.scope: Scope = goal.scope or self.usual_scope
        self.start(norms)

    @abstractmethod
    def start(self, norms: Callable[[], Mapping[str, Tensor]]) -> None:
        """Before the first step.

        Args:
            norms: see the class.
        """

    @abstractmethod
    def masks(self, moments: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """By name, where weights would stay if it ended here; None while fewer are gone than asked for.

        Args:
            moments: Adam's second moments by name.
        """

    def before_step(self, step: int) -> None:  # noqa: B027  most have nothing to do here
        """Change gradients, after they were clipped."""

    def after_step(self, step: int, moments: Mapping[str, Tensor]) -> None:  # noqa: B027  most have nothing to do here
        """Change weights after a step of the optimiser."""

    def measured(self) -> dict[str, float]:
        """What is worth watching."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """What an interrupted run has to go on with."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:  # noqa: B027  most have nothing to do here
        """Take back what `tensors` gave."""


class Masked(Method):
    """Weights under a mask that is made once; training then leaves the others at zero."""

    mask: dict[str, Tensor]

    def masks(self, moments: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """The mask that was made at the start."""
        return self.mask

    @torch.no_grad()
    def before_step(self, step: int) -> None:
        """No gradient where weights are gone, so that Adam does not remember one."""
        for weight in self.weights:
            if weight.parameter.grad is not None:
                weight.of(weight.parameter.grad).mul_(self.mask[weight.name])

    def after_step(self, step: int, moments: Mapping[str, Tensor]) -> None:
        """Set the weights outside the mask to zero again."""
        self._cut()

    def tensors(self) -> dict[str, Tensor]:
        """The mask, so that a run that was interrupted goes on with the same one."""
        return dict(self.mask)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back the mask."""
        self.mask = {name: tensors[name].bool() for name in self.mask}

    @torch.no_grad()
    def _cut(self) -> None:
        for weight in self.weights:
            weight.value.masked_fill_(~self.mask[weight.name], 0)  # a product would leave negative zeros

    def _put(self, scores: Mapping[str, Tensor], sparsity: float, pattern: Pattern | list[Groups] | None) -> None:
        if isinstance(pattern, list):  # a group is as large as the root of its sum of squares
            scores = {name: score.square() for name, score in scores.items()}
        self.mask = masks(scores, sparsity, self.scope, pattern)
        self._cut()


class Magnitude(Masked):
    r"""One-shot: the smallest :math:`|w|` go; over all weights :math:`|w| / \lVert w \rVert_2` of the matrix.

    Source: Han et al. 2015 (arXiv 1506.02626).
    """

    def start(self, norms: Callable[[], Mapping[str, Tensor]]) -> None:
        """Make the mask, of which training then leaves zeros at zero."""
        self._put(magnitudes(self.weights, self.scope), self.goal.sparsity, self.pattern)


class Wanda(Masked):
    r"""One-shot: the smallest :math:`|w_{ij}| \, \lVert x_j \rVert_2` of every row go; norms over training windows.

    Source: Sun et al. 2024 (arXiv 2306.11695), equation 1.
    """

    def start(self, norms: Callable[[], Mapping[str, Tensor]]) -> None:
        """Make the mask, of which training then leaves zeros at zero."""
        inputs = norms()
        scores = {weight.name: weight.value.abs() * inputs[weight.name] for weight in self.weights}
        if self.pattern is not None or self.goal.scope is not None:
            self._put(scores, self.goal.sparsity, self.pattern)
            return
        self.mask = {
            name: torch.stack([largest(row, kept(len(row), self.goal.sparsity)) for row in score])
            for name, score in scores.items()
        }
        self._cut()


class Gradual(Masked):
    r"""The mask grows while the network trains, and is fixed for the last part of the steps.

    .. math:: s_t = s \, (1 - (1 - t / t_e)^3)

    Source: Zhu & Gupta 2018 (arXiv 1710.01878), equation 1.
    """

    usual_scope = "global"

    def start(self, norms: Callable[[], Mapping[str, Tensor]]) -> None:
        """All weights stay at first."""
        self.mask = {weight.name: torch.ones_like(weight.value, dtype=torch.bool) for weight in self.weights}
        self.end = max(1, int(_GROWING * self.goal.steps))
        self.grown = False

    def masks(self, moments: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """The mask once it has grown."""
        return self.mask if self.grown else None

    def after_step(self, step: int, moments: Mapping[str, Tensor]) -> None:
        """Cut more, until the end of growth."""
        done = min(1.0, (step + 1) / self.end)
        if not self.grown and (done == 1 or (step + 1) % self.goal.interval == 0):
            final, pattern = self.goal.sparsity, self.pattern
            if isinstance(pattern, tuple):
                final, pattern = 1 - pattern[0] / pattern[1], pattern if done == 1 else None
            self._put(magnitudes(self.weights, self.scope), final * (1 - (1 - done) ** 3), pattern)
            self.grown = done == 1
        self._cut()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back the mask."""
        super().restore(tensors)
        self.grown = bool(tensors["grown"])

    def tensors(self) -> dict[str, Tensor]:
        """The mask, and whether it has grown."""
        return super().tensors() | {"grown": torch.tensor(self.grown)}


class SurrogateFree(Method):
    """ELSA; see `forecheck.sparsity.elsa`."""

    def start(self, norms: Callable[[], Mapping[str, Tensor]]) -> None:
        """A sparse copy of the weights."""
        goal = self.goal
        self.elsa = Elsa(self.weights, goal.sparsity, self.scope, self.pattern, goal.projection, goal.formats)

    def masks(self, moments: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Of the projection of the weights as they are."""
        return self.elsa.final(moments)

    def before_step(self, step: int) -> None:
        """Pull to the sparse copy."""
        self.elsa.penalise(self.goal.penalty.at(step, self.goal.steps))

    def after_step(self, step: int, moments: Mapping[str, Tensor]) -> None:
        """Project after the first step, and then again and again."""
        if step % self.goal.interval == 0:
            self.elsa.update(self.goal.penalty.at(step, self.goal.steps), moments)

    def measured(self) -> dict[str, float]:
        """How far the weights are from sparse ones."""
        return {"residual": self.elsa.residual()}

    def tensors(self) -> dict[str, Tensor]:
        """Sparse copy and dual."""
        return self.elsa.tensors()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back sparse copy and dual."""
        self.elsa.restore(tensors)


METHODS: dict[str, type[Method]] = {
    "elsa": SurrogateFree,
    "gradual-magnitude": Gradual,
    "magnitude": Magnitude,
    "wanda": Wanda,
}


def magnitudes(weights: Sequence[Weight], scope: Scope) -> dict[str, Tensor]:
    """Scores by size; over all weights relative to their matrix, so that one threshold empties none.

    Args:
        weights: matrices.
        scope: see `masks`.
    """
    values = {weight.name: weight.value.abs() for weight in weights}
    if scope == "layer":
        return values
    return {name: value / value.norm().clamp(min=1e-30) for name, value in values.items()}
