"""Is one forecaster better than another? Tests on overlapping window losses, with margins and seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from forecheck.errors import DataError, UsageError
from forecheck.statistics.means import Mean, mean_over_seeds, mean_over_windows, refuse_unknown
from forecheck.statistics.multiple import CORRECTIONS, Correction, holm, threshold
from forecheck.statistics.planning import Needs, what_would_decide

__all__ = [
    "AS_FORECASTER",
    "MINIMUM_BLOCKS",
    "Comparison",
    "Mean",
    "Needs",
    "Outcome",
    "SeedClaim",
    "compare",
    "holm",
    "mean_over_seeds",
    "mean_over_windows",
]

Outcome = Literal["greater", "less", "equivalent", "undecided"]
AS_FORECASTER: dict[Outcome, str] = {
    "greater": "worse",
    "less": "better",
    "equivalent": "no difference",
    "undecided": "undecided",
}
"""What an outcome says of a forecaster whose loss is compared with another's."""
SeedClaim = Literal["no", "yes", "if several"]

MINIMUM_BLOCKS = 8
"""Below n / H = 8 independent stretches no verdict is given (their sizes: docs/results/calibration.md)."""


@dataclass(frozen=True)
class Comparison:
    """What the data say about one difference.

    Attributes:
        outcome: `greater` or `less` than zero by more than the margin, `equivalent` within it, or `undecided`.
        effect: the difference relative to the reference loss.
        interval: its interval at `level`, likewise relative.
        margin: relative margin of practical importance.
        smallest_margin: relative margin at which equivalence would just pass (TOST at 1 - level).
        p_greater: p-value for greater than +margin, adjusted for the family.
        p_less: p-value for less than -margin, adjusted.
        p_equivalent: TOST p-value, adjusted.
        blocks: n / H, independent stretches of the test part.
        seeds: seeds that entered.
        mean: the difference with its uncertainty, in the units of the loss.
        reference: the loss that the effect is relative to.
        level: of the interval.
        reason: why undecided; empty otherwise.
        needs: what would decide it, if seeds or windows could; None if it is decided or cannot be judged.
    """

    outcome: Outcome
    effect: float
    interval: tuple[float, float]
    margin: float
    smallest_margin: float
    p_greater: float
    p_less: float
    p_equivalent: float
    blocks: float
    seeds: int
    mean: Mean
    reference: float
    level: float = 0.95
    reason: str = ""
    needs: Needs | None = None

    @property
    def refused(self) -> bool:
        """Whether nothing is said at all: too few independent stretches, or one seed for a claim about several."""
        return self.outcome == "undecided" and self.needs is None


def compare(
    differences: list[Float[np.ndarray, "_ time"]],
    reference: float,
    horizon: int,
    *,
    margin: float = 0.01,
    alpha: float = 0.05,
    over_seeds: SeedClaim = "no",
    correction: Correction = "holm",
) -> list[Comparison]:
    """Compare a family of arms with one reference loss; p-values are adjusted over the family.

    Args:
        differences: for every arm, its loss minus the reference's, by seed and origin.
        reference: mean loss of the reference; effects and margin are relative to it (taken as known).
        horizon: H in windows: how many consecutive windows share targets.
        margin: relative margin of practical importance.
        alpha: level of every family of tests.
        correction: `holm` bounds the chance of any false claim, `fdr` the share of false ones among the claims.
        over_seeds: `no` claims something of these fits only; `yes` of the architecture, so that the spread between
            seeds enters and one seed decides nothing; `if several` is `yes` for arms with more than one seed.

    Returns:
        One comparison an arm: `greater` if its loss is above the reference's by more than the margin, and so on.

    Raises:
        DataError: if a loss is not finite, there are fewer than three windows, or the reference loss is not positive.
        UsageError: if the overlap or the level makes no sense.
    """
    if horizon < 1 or not 0 < alpha < 0.5:
        raise UsageError(
            f"windows overlap by at least one and tests have a level below one half, got {horizon} and {alpha:g}",
            "Count the overlap in windows, and use a level such as 0.05.",
        )
    for k, rows in enumerate(differences):
        refuse_unknown(rows, f"the differences of window losses, arm {k + 1} of {len(differences)}")
    if not 0 < reference < np.inf:
        raise DataError(
            f"a difference cannot be put in relation to a reference loss of {reference:g}",
            "The reference must make some error on the test part, and a finite one.",
        )
    means = [
        mean_over_seeds(rows, horizon)
        if over_seeds != "no" and len(rows) > 1
        else mean_over_windows(rows.mean(axis=0), horizon)
        for rows in differences
    ]
    family = _Family(means, margin * reference, alpha, correction)
    return [_judged(family, k, rows, reference, margin, over_seeds) for k, rows in enumerate(differences)]


class _Family:
    """The tests of all arms: three questions, each a family of its own."""

    def __init__(self, means: list[Mean], bound: float, alpha: float, correction: Correction) -> None:
        self.means, self.bound, self.alpha = means, bound, alpha
        self._adjust = CORRECTIONS[correction]
        rows = [self._alone(mean) for mean in means]
        self._alone_by_question = [list(column) for column in zip(*rows, strict=True)]
        self.adjusted = [self._adjust(column) for column in self._alone_by_question]

    def _alone(self, mean: Mean) -> tuple[float, float, float]:
        """p-values of greater, less and equivalent, not adjusted."""
        return mean.p_above(self.bound), mean.p_below(-self.bound), mean.p_within(self.bound)

    # A difference may lie on either side, so each one-sided test has half the level.
    @property
    def levels(self) -> tuple[float, float, float]:
        """Of the three questions."""
        return self.alpha / 2, self.alpha / 2, self.alpha

    def outcome(self, k: int) -> Outcome:
        """The outcome of the three tests for one arm, after adjustment for all."""
        greater, less, equivalent = (column[k] for column in self.adjusted)
        if min(greater, less) < self.alpha / 2:
            return "greater" if greater < less else "less"
        return "equivalent" if equivalent < self.alpha else "undecided"

    def needs(self, k: int, reference: float) -> Needs:
        """What would decide one arm, the others staying as they are."""
        limits = [
            threshold(column, k, level, self._adjust)
            for column, level in zip(self._alone_by_question, self.levels, strict=True)
        ]

        def decides(mean: Mean) -> bool:
            return any(p < limit for p, limit in zip(self._alone(mean), limits, strict=True))

        needs = what_would_decide(self.means[k], decides, reference=reference, level=1 - self.alpha)
        alone = any(p < level for p, level in zip(self._alone(self.means[k]), self.levels, strict=True))
        among = f"decided on its own, but not after the correction over the {len(self.means)} arms; " if alone else ""
        return replace(needs, sentence=among + needs.sentence)


def _judged(
    family: _Family, k: int, rows: Float[np.ndarray, "seed time"], reference: float, margin: float, claim: SeedClaim
) -> Comparison:
    """One arm of a family."""
    mean, alpha = family.means[k], family.alpha
    outcome: Outcome = "undecided"
    reason, needs = "", None
    if mean.stretches < MINIMUM_BLOCKS:
        reason = (
            f"the test part holds only {mean.stretches:.1f} independent stretches of the horizon (at least "
            f"{MINIMUM_BLOCKS} are needed): use {MINIMUM_BLOCKS / mean.stretches:.1f} times as much test data, "
            "a shorter horizon or more series"
        )
    elif claim == "yes" and len(rows) < 2:
        reason = "one seed says nothing about the spread between seeds: use two or more"
    else:
        outcome = family.outcome(k)
        if outcome == "undecided":
            needs = family.needs(k, reference)
            reason = needs.sentence
    low, high = mean.interval(1 - alpha)
    greater, less, equivalent = (column[k] for column in family.adjusted)
    return Comparison(
        outcome,
        mean.mean / reference,
        (low / reference, high / reference),
        margin,
        mean.smallest_margin(alpha) / reference,
        greater,
        less,
        equivalent,
        mean.stretches,
        len(rows),
        mean,
        reference,
        1 - alpha,
        reason,
        needs,
    )
