"""What an audit can resolve, told before it trains: independent stretches, and how small a difference will show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from forecheck.auditing.budget import Budget
from forecheck.auditing.evidence import Arm
from forecheck.data.splits import most_folds
from forecheck.data.windows import Experiment
from forecheck.forecasters import registry
from forecheck.forecasters.given import Given
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.statistics.inference import MINIMUM_BLOCKS, mean_over_windows
from forecheck.statistics.metrics import loss_by_time

_ENOUGH = 30
"""Independent stretches from which on one test part is left alone."""
_PLENTY = 100
"""From here on folds are not worth a word."""
_MOST = 4
_LEFT = 0.25
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
    r"""What the test parts can show: a guess before anything is trained, in words.

    Half the 95 % interval of the mean loss of the best reference, times what is left of it in a difference of losses:

    .. math:: \sqrt{2 (1 - \rho)} \approx 1/4 \quad \text{for losses that are correlated by } \rho = .97,

    as those of similar models are. More test parts narrow it by the root of their number.

    Args:
        experiments: the folds.
        references: fitted; the one that validation prefers is used.
    """
    last, folds = experiments[-1], len(experiments)
    times = last.panel.time[last.test.origins]
    windows, count = len(np.unique(times)), sum(map(stretches, experiments))
    said = f"{windows:,} windows" if folds == 1 else f"{folds} folds of about {windows:,} windows"
    said += f" are {count:.0f} independent stretches"
    best = min(references, key=Arm.chosen_by)
    loss = loss_by_time(best.results[0].arrays["mse"], times)
    if count < MINIMUM_BLOCKS or len(loss) < MINIMUM_BLOCKS or not loss.mean() > 0:
        return f"{said}, fewer than the {MINIMUM_BLOCKS} that a verdict needs."
    low, high = mean_over_windows(loss, last.test.overlap).interval()
    half = _LEFT * 50 * (high - low) / float(loss.mean()) / folds**0.5
    said += f": differences above about ±{half:.2g} % will show"
    most = min(_MOST, most_folds(last.panel, last.split, last.test.lookback, last.test.horizon))
    if folds == 1 and most > 1 and count < _PLENTY:
        said += f"; with --folds {most} above ±{half / most**0.5:.2g} %"
    return f"{said}. The spread between seeds comes on top."
