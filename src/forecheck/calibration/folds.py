"""Does the test keep its level on the losses of several folds laid end to end?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from forecheck.calibration.context import Context
from forecheck.calibration.losses import overlapping_losses
from forecheck.calibration.result import Check, Part, Table
from forecheck.calibration.size import LIBERAL, NOMINAL
from forecheck.nn.seeding import derive
from forecheck.statistics.inference import mean_over_seeds, mean_over_windows

FOLDS = (2, 4, 8)
COUNT, HORIZON = 384, 24
"""Windows of a fold, and their horizon: 16 stretches."""
SEEDS = 3


@dataclass(frozen=True)
class Levels:
    """Random levels of the folds, as multiples of the standard error of one fold's mean difference.

    Attributes:
        level: standard deviation of a fold's level in the loss of each arm.
        shared: rho, how much of its variance both arms share.
        luck: standard deviation of what every fit of a fold differs by, for each of three seeds; 0 for one seed.
    """

    level: float = 0.0
    shared: float = 1.0
    luck: float = 0.0

    @property
    def covered(self) -> bool:
        """Whether the test is meant to hold: all seeds' fits of a fold agree on which arm is better by how much."""
        return self.level == 0 or self.shared == 1

    def __str__(self) -> str:
        """In words."""
        if self.luck:
            return f"{SEEDS} seeds, each fit with luck of its own, {self.luck:g} x the error of a fold"
        return f"a level of each fold, {self.level:g} x the error of a fold, {100 * self.shared:g} % of it shared"


SETTINGS = (
    Levels(),
    *(Levels(level, shared) for level in (1.0, 3.0) for shared in (1.0, 0.9, 0.0)),
    *(Levels(luck=luck) for luck in (1.0, 3.0)),
)


def fold_differences(rng: np.random.Generator, folds: int, levels: Levels) -> Float[np.ndarray, "seed time"]:
    r"""Differences of two arms' losses over folds laid end to end, with mean zero.

    .. math:: d_{skt} = u_{kt} + (g_{1k} - g_{2k}) + a_{sk}, \qquad
        \mathrm{Cov}(g_{1k}, g_{2k}) = \rho\, \mathrm{Var}(g_{1k})

    Args:
        rng: of everything.
        folds: K.
        levels: standard deviations of g and a, and rho: what both arms share of a fold's level cancels.
    """
    seeds = SEEDS if levels.luck else 1
    weights = np.convolve(np.ones(COUNT), np.ones(HORIZON)) / (COUNT * HORIZON)
    error = math.sqrt(float(np.square(weights).sum()))
    u = overlapping_losses(rng, folds, COUNT, HORIZON)
    own = levels.level * math.sqrt(2 * (1 - levels.shared)) * rng.standard_normal((folds, 1))
    luck = levels.luck * rng.standard_normal((seeds, folds, 1))
    return (u + error * (own + luck)).reshape(seeds, -1)


def fold_size(folds: int, levels: Levels, repeats: int) -> int:
    """Rejections of a true zero at nominal 5 %.

    Args:
        folds: how many are laid end to end.
        levels: what folds and seeds have of their own.
        repeats: simulated comparisons.
    """
    rng = np.random.default_rng(derive(0, f"folds {folds} {levels}"))
    hits = 0
    for _ in range(repeats):
        rows = fold_differences(rng, folds, levels)
        mean = mean_over_seeds(rows, HORIZON) if len(rows) > 1 else mean_over_windows(rows[0], HORIZON)
        low, high = mean.interval(1 - NOMINAL)
        hits += not low <= 0 <= high
    return hits


def run_folds(context: Context) -> Part:
    """Sizes over the number of folds, and over how much of the folds' level the arms share."""
    repeats = context.scale.decisions
    cells = [(levels, folds) for levels in SETTINGS for folds in FOLDS]
    hits: dict[tuple[Levels, int], int] = {}
    for done, (levels, folds) in enumerate(cells):
        context.report("folds", done, len(cells))
        key = {"part": "folds", "folds": folds, "repeats": repeats} | asdict(levels)
        hits[levels, folds] = context.once(key, partial(fold_size, folds, levels, repeats))
    context.report("folds", len(cells), len(cells))
    checks = [
        Check.share(
            f"{folds} folds; {levels}",
            hits[levels, folds],
            repeats,
            LIBERAL,
            required=levels.covered,
            strict=False,
        )
        for levels, folds in cells
    ]
    rows = [[str(levels), *(f"{hits[levels, folds] / repeats:.3f}" for folds in FOLDS)] for levels in SETTINGS]
    table = Table("Rejections at nominal 5 %", ("levels", *(f"{k} folds" for k in FOLDS)), rows)
    return Part("folds", "Size of the test on folds laid end to end", _ABOUT, checks, [table])


_ABOUT = (
    f"Loss differences of {COUNT} windows a fold, H {HORIZON}, laid end to end and tested as one series. What both "
    "arms share of a fold's level cancels. The luck of every fit is covered by the spread between seeds. A difference "
    "that changes from fold to fold for all seeds alike is not covered, and reported only: few folds say little of the "
    "spread between folds, so what is said holds for these stretches of time."
)
