"""What every part of a calibration is given: how much to do, with what, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from forecheck.calibration.journal import Journal
from forecheck.errors import UsageError
from forecheck.trials.engines.base import Run
from forecheck.trials.ledger import Ledger

Tell = Callable[[str, int, int], None]
"""Told of a part's progress: its name, repetitions done, repetitions in all."""


@dataclass(frozen=True)
class Scale:
    """How much a calibration does.

    Attributes:
        name: as given on the command line.
        simulations: repetitions of simulated tests.
        bootstraps: repetitions of the bootstrap, which costs far more.
        decisions: repetitions of simulated decisions.
        negative: fresh panels of the negative control.
        real_seeds: fits on real data, 0 for none.
        splits: ways of setting three of these against three others.
        positive: data seeds of every positive control.
        events: data seeds of the event set.
        event_windows: windows of each of them.
        equivalence: panels on which equal models are compared.
        settings: repetitions of every setting that an audit meets.
    """

    name: str
    simulations: int
    bootstraps: int
    decisions: int
    negative: int
    real_seeds: int
    splits: int
    positive: int
    events: int
    event_windows: int
    equivalence: int
    settings: int


SCALES = {
    scale.name: scale
    for scale in (
        Scale("quick", 1000, 200, 500, 40, 6, 10, 3, 1, 10_000, 5, 200),
        Scale("full", 10_000, 1000, 4000, 200, 12, 1000, 10, 2, 12_000, 20, 3000),
    )
}


def find_scale(name: str) -> Scale:
    """A scale by name.

    Raises:
        UsageError: if there is none.
    """
    if name not in SCALES:
        raise UsageError(f"no budget is called {name!r}", f"Known: {', '.join(SCALES)}.")
    return SCALES[name]


@dataclass(frozen=True)
class Context:
    """Scale, engine, places to keep things, and who is told.

    Attributes:
        scale: how much to do.
        run: engine of the trials.
        ledger: of panels and trials.
        journal: of everything else that is finished.
        tell: told of progress.
        parallel: trials that `run` runs at once.
    """

    scale: Scale
    run: Run
    ledger: Ledger
    journal: Journal
    tell: Tell
    parallel: int = 1
