"""What an audit can resolve, told before it trains: independent stretches, and how small a difference will show."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from forecheck.checks.budget import Budget
from forecheck.checks.evidence import LINEAR, Arm
from forecheck.data.splits import most_folds
from forecheck.data.windows import Experiment
from forecheck.evaluation.inference import MINIMUM_BLOCKS, mean_over_windows
from forecheck.evaluation.metrics import loss_by_time
from forecheck.forecasters import registry
from forecheck.forecasters.given import Given
from forecheck.forecasters.neural import NeuralForecaster

_ENOUGH = 30
"""Independent stretches from which on one test part is left alone."""
_MOST = 4
_CHEAP = 500_000
"""Numbers that an epoch reads (windows x lookback x channels), below which further folds cost little."""


def stretches(experiment: Experiment) -> float:
    """N / H: independent stretches of the test part."""
    times = experiment.panel.time[experiment.test.origins]
    return len(np.unique(times)) / experiment.test.overlap


def choose_folds(experiment: Experiment, budget: Budget, model: str | Given) -> int:
    """Rolling origins chosen unasked: as many as make enough stretches, where fits are cheap; else one.

    A model that was trained elsewhere has one test part: it may have seen the rows before.
    """
    if isinstance(model, Given) or budget.windows is None or not issubclass(registry.find(model), NeuralForecaster):
        return 1
    test = experiment.test
    enough = math.ceil(_ENOUGH / max(1.0, stretches(experiment)))
    if enough == 1 or min(len(experiment.train), 4096) * test.lookback * test.channels > _CHEAP:
        return 1
    return max(1, min(enough, _MOST, most_folds(experiment.panel, experiment.split, test.lookback, test.horizon)))


def resolution(experiments: Sequence[Experiment], references: Sequence[Arm]) -> str:
    """What the test part can show, judged by how the linear references differ from each other on it.

    Half the 95 % interval of their pairwise differences, the median over the pairs; only its width is used. More test
    parts narrow it by the root of their number.
    """
    last = experiments[-1]
    times = last.panel.time[last.test.origins]
    losses = [loss_by_time(arm.results[0].arrays["mse"], times) for arm in references if arm.label in LINEAR]
    halves = []
    for a, b in itertools.combinations(losses, 2):
        low, high = mean_over_windows(a - b, last.test.overlap).interval()
        halves.append(50 * (high - low) / float((a + b).mean() / 2))
    folds, windows, count = len(experiments), len(np.unique(times)), sum(map(stretches, experiments))
    said = f"{windows:,} windows" if folds == 1 else f"{folds} folds of about {windows:,} windows"
    said += f" are {count:.0f} independent stretches"
    if count < MINIMUM_BLOCKS:
        said += f", fewer than the {MINIMUM_BLOCKS} that a verdict needs"
    if not halves or not np.isfinite(halves).all():
        return f"{said}."
    half = float(np.median(halves))
    said += f": differences above ±{half / folds**0.5:.2g} % will show"
    most = most_folds(last.panel, last.split, last.test.lookback, last.test.horizon)
    if folds == 1 and most > 1:
        tried = min(most, _MOST)
        said += f"; with --folds {tried} above ±{half / tried**0.5:.2g} %"
    return f"{said} (by how the linear references differ; the spread between seeds comes on top)."
