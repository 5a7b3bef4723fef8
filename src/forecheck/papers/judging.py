"""From numbers to verdicts: intervals, which side of a bound they lie on, and what several settings say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from forecheck.papers.claim import Estimate, Verdict

LEVEL = 0.95


def mean_estimate(values: Sequence[float]) -> Estimate:
    r"""Mean over independent repetitions (seeds) with its t interval; none for fewer than two.

    .. math:: \bar x \pm t_{S-1} \, s / \sqrt S
    """
    found = np.asarray(values, dtype=float)
    mean = float(found.mean())
    if len(found) < 2:
        return Estimate(mean)
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(found) - 1) * stats.sem(found))
    return Estimate(mean, mean - half, mean + half)


def ratio_estimate(values: Sequence[float], references: Sequence[float]) -> Estimate:
    r"""Geometric mean of ratios over independent repetitions, with the interval of its logarithm.

    .. math:: \exp \Big( \overline{\log (x / y)} \pm t_{S-1} \, s / \sqrt S \Big)

    For numbers of many sizes, such as errors that grow exponentially: of these one repetition would be the whole mean.
    """
    logarithms = np.log(np.asarray(values, dtype=float)) - np.log(np.asarray(references, dtype=float))
    return transformed(mean_estimate(logarithms.tolist()), lambda each: float(np.exp(each)))


def share_estimate(count: int, of: int) -> Estimate:
    """A share of independent cases with Wilson's interval."""
    bounds = stats.binomtest(count, of).proportion_ci(LEVEL, method="wilson")
    return Estimate(count / of, float(bounds.low), float(bounds.high))


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, no interval."""
    return sum(values) / len(values)


def averaged(repeats: Sequence[Sequence[float]]) -> list[float]:
    """Means over repeats, position by position."""
    return [mean(column) for column in zip(*repeats, strict=True)]


def transformed(estimate: Estimate, change: Callable[[float], float]) -> Estimate:
    """An estimate in another unit; `change` must increase."""
    low, high = (None if each is None else change(each) for each in (estimate.low, estimate.high))
    return Estimate(change(estimate.value), low, high)


def slope_estimate(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """Least-squares slope of y on x with its t interval."""
    line = stats.linregress(x, y)
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(x) - 2) * line.stderr)
    return Estimate(float(line.slope), float(line.slope) - half, float(line.slope) + half)


def holds(estimate: Estimate, *, above: float | None = None, below: float | None = None) -> bool | None:
    """Whether a number lies above and below bounds: True or False if its whole interval says so, else None.

    Args:
        estimate: without an interval it is taken as exact.
        above: must exceed this.
        below: must stay under this.
    """
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    checks = []
    if above is not None:
        checks.append(True if low > above else False if high <= above else None)
    if below is not None:
        checks.append(True if high < below else False if low >= below else None)
    return both(*checks)


def both(*checks: bool | None) -> bool | None:
    """True if all are, False if one is, else None."""
    if False in checks:
        return False
    return None if None in checks else True


def opposite(check: bool | None) -> bool | None:
    """Not, if it is known."""
    return None if check is None else not check


def all_or_none(reached: Sequence[bool]) -> bool | None:
    """True if every one is, False if none is, else None."""
    return True if all(reached) else None if any(reached) else False


def verdict_of(held: Sequence[bool | None]) -> Verdict:
    """What several settings say together.

    Confirmed or refuted if all say so; uneven if some do and others do not, or cannot tell; not testable here if none
    can tell.
    """
    if not held or all(each is None for each in held):
        return Verdict.UNTESTABLE
    if all(held):
        return Verdict.CONFIRMED
    return Verdict.REFUTED if all(each is False for each in held) else Verdict.UNEVEN
