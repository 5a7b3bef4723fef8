"""Budgets: how many seeds, how much training, whether slow checks are run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from forecheck.errors import UsageError
from forecheck.forecasters.base import Forecaster


@dataclass(frozen=True)
class Budget:
    """What an audit may spend.

    Attributes:
        name: as given on the command line.
        seeds: fits an arm.
        slow: whether slow checks are run unasked.
        training: recipe fields that differ from the forecaster's own defaults.
    """

    name: str
    seeds: int
    slow: bool
    training: Mapping[str, Any]

    windows: int | None = None
    """Training windows that a fit may see in all, None for no bound; stride and epochs follow from it."""

    def options(self, forecaster: type[Forecaster], train_windows: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Training fields that the forecaster knows; what the user chose wins."""
        known = {field.name for field in fields(forecaster.Config)}
        training = dict(self.training)
        if self.windows is not None:
            # Neighbouring windows share all but a few steps: rather skip some than go through few epochs.
            stride = max(1, train_windows // _WINDOWS_AN_EPOCH)
            seen = max(1, train_windows // stride)
            training |= {"train_stride": stride, "epochs": min(_MOST_EPOCHS, max(1, round(self.windows / seen)))}
        return {key: value for key, value in training.items() if key in known} | dict(chosen)


_WINDOWS_AN_EPOCH = 2048
_MOST_EPOCHS = 40
_QUICK = {"lr": 1e-3, "schedule": "onecycle", "batch": 32}
BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("quick", 3, False, _QUICK, windows=12_288),
        Budget("standard", 3, True, {"epochs": 30, "patience": 10}),
        Budget("full", 5, True, {"patience": 20}),
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
