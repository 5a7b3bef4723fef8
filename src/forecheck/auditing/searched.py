"""What a search of learning rates and training lengths found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SEARCHED = frozenset({"lr", "epochs", "average", "dropout", "attention_dropout"})
"""Options of training that may differ between arms, since every arm searches them."""


@dataclass(frozen=True)
class Tried:
    """One fit of the search, with the first seed.

    Attributes:
        arm: `raw`, or the label of a retrained arm.
        options: of training: `lr`, `epochs`, and `dropout` where it was changed.
        validation_mse: what it is judged by; the test part is not looked at.
        chosen: whether the arm is trained that way.
    """

    arm: str
    options: Mapping[str, Any]
    validation_mse: float
    chosen: bool = False


@dataclass(frozen=True)
class Searched:
    """What a search found; empty for what was not trained here.

    Attributes:
        tuned: by arm, the training options that validation chose.
        tried: every fit.
        gains: by arm, by how much of its validation loss a fit twice as long is better; a negative one is worse.
        tolerance: relative gain below which an arm counts as converged.
    """

    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()
    gains: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = 0.01

    def converged(self, arm: str) -> bool:
        """Whether twice the training gains less than the tolerance; true where it was not measured."""
        return self.gains.get(arm, 0.0) < self.tolerance

    def rows(self) -> list[dict[str, Any]]:
        """As JSON types."""
        return [
            {"arm": one.arm, **one.options, "validation_mse": one.validation_mse, "chosen": one.chosen}
            for one in self.tried
        ]
