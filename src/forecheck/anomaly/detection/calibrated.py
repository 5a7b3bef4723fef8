"""Conformal p-values of scores, and the threshold of a rate of false alarms."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from forecheck.errors import DataError, UsageError

USUAL = 1.0
"""False alarms per 1000 steps."""


def p_values(scores: Float[np.ndarray, " _"], calibration: Float[np.ndarray, " _"]) -> Float[np.ndarray, " _"]:
    r"""Share of calibration scores that are as large, the new one counted among them.

    .. math:: p = \frac{1 + |\{i : s_i \ge s\}|}{n + 1}

    At most a share a of new scores has p <= a if they are exchangeable with those of the calibration part. Ties count
    against the alarm.

    Args:
        scores: NaN where there is none, which gives NaN.
        calibration: of the calibration part, the smallest first.

    Source: Vovk et al., *Algorithmic Learning in a Random World*, 2005; Laxhammar & Falkman, *Inductive conformal
    anomaly detection*, 2015.
    """
    count = len(calibration)
    as_large = count - np.searchsorted(calibration, scores, side="left")
    return np.where(np.isnan(scores), np.nan, (1 + as_large) / (count + 1))


def threshold(calibration: Float[np.ndarray, " _"], false_alarms: float) -> float:
    r"""The score above which there is an alarm: p <= false_alarms / 1000.

    Args:
        calibration: the smallest first.
        false_alarms: per 1000 steps.
    """
    rank = _rank(len(calibration), false_alarms)
    return float(calibration[len(calibration) - rank])


def rate_of(count: int, asked: float | None) -> float:
    """False alarms per 1000 steps: what is asked, or the usual rate, or the least that so many scores can tell.

    Raises:
        UsageError: if the rate is none.
        DataError: if there are too few calibration scores for it.
    """
    if asked is not None and not (0 < asked < 1000):
        raise UsageError(
            f"false alarms are counted per 1000 steps, more than 0 and fewer than 1000, got {asked:g}",
            "Write --false-alarms 1 for one in 1000 steps.",
        )
    if count < 1:
        raise DataError("the calibration part has no score", "Give more rows, or a larger --calibrate.")
    least = 1000 / (count + 1)
    if asked is None:
        return max(USUAL, least)
    if _rank(count, asked) < 1:
        raise DataError(
            f"{asked:g} false alarms per 1000 steps need {math.ceil(1000 / asked) - 1:,} calibration scores, "
            f"but there are {count:,}",
            f"Give --false-alarms {_rounded_up(least):g} or more, a larger --calibrate, or more rows.",
        )
    return asked


def expected_rate(count: int, false_alarms: float, steps: int) -> tuple[float, float]:
    r"""Where 95 in 100 rates per 1000 steps lie if all scores are exchangeable: beta-binomial.

    .. math:: A \sim \text{BetaBinomial}(n', m, n + 1 - m), \qquad m = \lfloor a (n + 1) \rfloor

    Args:
        count: n, calibration scores.
        false_alarms: per 1000 steps.
        steps: n', scored ones.
    """
    from scipy.stats import betabinom

    rank = _rank(count, false_alarms)
    low, high = betabinom.interval(0.95, steps, rank, count + 1 - rank)
    return 1000 * float(low) / steps, 1000 * float(high) / steps


def _rank(count: int, false_alarms: float) -> int:
    return math.floor(round((count + 1) * false_alarms / 1000, 9))


def _rounded_up(value: float) -> float:
    """To three digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.ceil(value / unit - 1e-9) * unit
