"""Budgets: how many seeds, how much training, which retrained arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from forecheck.errors import UsageError
from forecheck.forecasters.base import Forecaster
from forecheck.interventions.edits import RETRAINED_MODES, Mode


@dataclass(frozen=True)
class Budget:
    """What an audit may spend.

    Attributes:
        name: as given on the command line.
        seeds: fits an arm.
        retrained: replacement modes that get retrained arms.
        training: recipe fields that differ from the forecaster's own defaults.
    """

    name: str
    seeds: int
    retrained: tuple[Mode, ...]
    training: Mapping[str, Any]

    def options(self, forecaster: type[Forecaster], chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Training fields that the forecaster knows; what the user chose wins."""
        known = {field.name for field in fields(forecaster.Config)}
        return {key: value for key, value in self.training.items() if key in known} | dict(chosen)


# Quick trains on every fourth window with a short one-cycle schedule; neighbouring windows share all but a few steps.
_QUICK = {"epochs": 6, "train_stride": 4, "lr": 1e-3, "schedule": "onecycle"}
BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("quick", 2, ("identity",), _QUICK),
        Budget("standard", 3, RETRAINED_MODES, {"epochs": 30, "patience": 10}),
        Budget("full", 5, RETRAINED_MODES, {"patience": 20}),
    )
}


def find_budget(name: str) -> Budget:
    """A budget by name.

    Raises:
        UsageError: if there is none.
    """
    if name not in BUDGETS:
        raise UsageError(f"no budget is called {name!r}", f"Known: {', '.join(BUDGETS)}.")
    return BUDGETS[name]
