"""An experiment: parts that are run on their own, each a function of settings that gives plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forecheck.errors import ForecheckError
from forecheck.progress import Progress
from forecheck.trials.store import Store

QUICK, FULL = "quick", "full"
BUDGETS = (QUICK, FULL)
"""All papers within a quarter of an hour on two cores; or as the papers did it, as far as one machine allows."""

Settings = Mapping[str, Any]
Row = Mapping[str, Any]
"""Settings of a part and what it measured, in one mapping."""


class UntestableError(ForecheckError):
    """An experiment cannot be run here, and why: a set that cannot be read, no GPU."""


@dataclass(frozen=True)
class Bench:
    """What a part is given besides its settings.

    Attributes:
        store: for parts that train forecasters: trials in it are found again by audits, and the other way round.
        progress: called with the share that is done and a word; for parts that take long.
    """

    store: Store
    progress: Progress


@dataclass(frozen=True)
class Experiment:
    """How something is measured.

    Attributes:
        name: unique in its paper.
        measure: `measure(bench, **settings)` gives a mapping of JSON types. A function of a module of its own or of
            other measures: what is kept of it counts as long as neither this module nor any of ours that it imports
            changes.
        quick: settings of the parts of the quick budget; empty if it takes longer.
        full: settings of the parts of the full budget; those of `quick` if not given.
    """

    name: str
    measure: Callable[..., Mapping[str, Any]]
    quick: Sequence[Settings]
    full: Sequence[Settings] | None = None

    def parts(self, budget: str) -> list[Part]:
        """The parts of a budget."""
        chosen = self.quick if budget == QUICK or self.full is None else self.full
        return [Part(self, settings) for settings in chosen]


@dataclass(frozen=True)
class Part:
    """One call of an experiment's function."""

    experiment: Experiment
    settings: Settings

    @property
    def label(self) -> str:
        """What a person calls it."""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"{self.experiment.name}: {settings}" if settings else self.experiment.name
