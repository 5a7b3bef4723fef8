"""Is one forecaster better than another? Tests on overlapping window losses, with margins and seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

Outcome = Literal["greater", "less", "equivalent", "undecided"]
AS_FORECASTER: dict[Outcome, str] = {
    "greater": "worse",
    "less": "better",
    "equivalent": "no difference",
    "undecided": "undecided",
}
"""What an outcome says of a forecaster whose loss is compared with another's."""
SeedClaim = Literal["no", "yes", "if several"]
Correction = Literal["holm", "fdr"]

MINIMUM_BLOCKS = 8
"""Below n / H = 8 independent stretches no verdict is given (their sizes: docs/results/calibration.md)."""
PHASES = 8


@dataclass(frozen=True)
class Mean:
    """A mean with its uncertainty: (mean - truth) / se follows t with `df` degrees of freedom."""

    mean: float
    se: float
    df: float
    between: float = 0.0
    """Variance between seeds, of one seed."""
    seeds: int = 1
    window_df: float = 0.0
    """Degrees of freedom of the windows' part of the variance."""

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided confidence interval."""
        half = self.se * float(stats.t.ppf((1 + level) / 2, self.df)) if self.se > 0 else 0.0
        return self.mean - half, self.mean + half

    def p_above(self, bound: float) -> float:
        """One-sided p-value of H0: truth <= bound."""
        if self.se == 0:
            return 0.0 if self.mean > bound else 1.0
        return float(stats.t.sf((self.mean - bound) / self.se, self.df))

    def p_below(self, bound: float) -> float:
        """One-sided p-value of H0: truth >= bound."""
        return Mean(-self.mean, self.se, self.df).p_above(-bound)

    def p_within(self, margin: float) -> float:
        """TOST p-value of H0: |truth| >= margin (Schuirmann 1987): the larger of the two one-sided ones."""
        return max(self.p_above(-margin), self.p_below(margin))

    def smallest_margin(self, alpha: float = 0.05) -> float:
        """The smallest margin for which TOST at level `alpha` finds equivalence."""
        low, high = self.interval(1 - 2 * alpha)
        return max(-low, high)


def cosine_variance(series: Float[np.ndarray, " time"], terms: int) -> float:
    r"""Long-run variance by an equal-weighted cosine estimator (EWC).

    .. math:: z_j = \sqrt{2/n} \sum_{t=1}^{n} d_t \cos(\pi j (t - 1/2) / n), \qquad
        \hat\Omega = \frac{1}{B} \sum_{j=1}^{B} z_j^2

    Source: Lazarus, Lewis, Stock, Watson 2018, JBES 36:541.
    """
    from scipy.fft import dct

    # The orthonormal type-2 cosine transform is exactly z_j for j >= 1.
    z = dct(series, type=2, norm="ortho")[1 : terms + 1]
    return float(np.mean(z**2))


def cosine_terms(count: int, horizon: int) -> int:
    """B = max(2, floor(n / 2H)): as many cosines as windows of overlap H allow."""
    return max(2, count // (2 * horizon))


def mean_over_windows(differences: Float[np.ndarray, " time"], horizon: int) -> Mean:
    """Mean of overlapping window losses, against t with B degrees of freedom (EWC).

    Args:
        differences: one value an origin, in time order.
        horizon: H in windows: how many consecutive windows share targets.
    """
    terms = cosine_terms(len(differences), horizon)
    variance = cosine_variance(differences, terms)
    return Mean(float(differences.mean()), math.sqrt(variance / len(differences)), terms)


def mean_over_seeds(differences: Float[np.ndarray, "seed time"], horizon: int) -> Mean:
    r"""Mean over windows and seeds: a claim about the architecture, not about one checkpoint.

    .. math:: d_{s,t} = \mu + a_s + b_t + e, \qquad \mathrm{SE}^2 = s_a^2 / S + \hat\Omega / n

    with Omega from the seed-averaged series and Satterthwaite's degrees of freedom.

    Raises:
        ValueError: with fewer than two seeds, which say nothing about the variance between seeds.
    """
    seeds = len(differences)
    if seeds < 2:
        raise ValueError("a claim about an architecture needs at least two seeds")
    windows = mean_over_windows(differences.mean(axis=0), horizon)
    return _with_seeds(windows, float(differences.mean(axis=1).var(ddof=1)), seeds)


def _with_seeds(windows: Mean, between: float, seeds: int) -> Mean:
    """Add the variance between seeds to that of the windows (Satterthwaite)."""
    seed_part, window_part = between / seeds, windows.se**2
    total = seed_part + window_part
    spread = seed_part**2 / (seeds - 1) + window_part**2 / windows.df
    df = total**2 / spread if spread > 0 else windows.df
    return Mean(windows.mean, math.sqrt(total), df, between, seeds, windows.df)


def mean_without_overlap(differences: Float[np.ndarray, " time"], horizon: int, phases: int = PHASES) -> Mean:
    """Cross-check: ordinary t on every H-th window, averaged over a few phases.

    The phases share data, so they make the point estimate steadier but add no degrees of freedom.
    """
    starts = np.unique(np.linspace(0, horizon - 1, min(phases, horizon)).round().astype(int))
    parts = [differences[start::horizon] for start in starts if len(differences[start::horizon]) >= 2]
    if not parts:
        return Mean(float(differences.mean()), math.inf, 1)
    se = float(np.median([part.std(ddof=1) / math.sqrt(len(part)) for part in parts]))
    return Mean(float(np.mean([part.mean() for part in parts])), se, min(len(part) for part in parts) - 1)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given."""
    order = np.argsort(p_values)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def false_discovery_rate(p_values: list[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values (1995), in the order given."""
    order = np.argsort(p_values)[::-1]
    adjusted = [0.0] * len(p_values)
    running = 1.0
    for place, index in enumerate(order):
        running = min(running, len(p_values) / (len(p_values) - place) * p_values[index])
        adjusted[index] = running
    return adjusted


_CORRECTIONS = {"holm": holm, "fdr": false_discovery_rate}


@dataclass(frozen=True)
class Comparison:
    """What the data say about one difference.

    Attributes:
        outcome: `greater` or `less` than zero by more than the margin, `equivalent` within it, or `undecided`.
        effect: the difference relative to the reference loss.
        interval: its 95 % interval, likewise relative.
        margin: relative margin of practical importance.
        smallest_margin: relative margin at which equivalence would just pass (5 % level).
        p_greater: p-value for greater than +margin, adjusted for the family.
        p_less: p-value for less than -margin, adjusted.
        p_equivalent: TOST p-value, adjusted.
        blocks: n / H, independent stretches of the test part.
        seeds: seeds that entered.
        cross_check: relative mean and 95 % interval on non-overlapping windows.
        reason: why undecided; empty otherwise.
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
    cross_check: tuple[float, float, float]
    reason: str = ""


def compare(
    differences: list[Float[np.ndarray, "seed time"]],
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
    """
    bound = margin * reference
    means = [
        mean_over_seeds(rows, horizon)
        if over_seeds != "no" and len(rows) > 1
        else mean_over_windows(rows.mean(axis=0), horizon)
        for rows in differences
    ]
    checks = [mean_without_overlap(rows.mean(axis=0), horizon) for rows in differences]
    adjust = _CORRECTIONS[correction]
    greater = adjust([mean.p_above(bound) for mean in means])
    less = adjust([mean.p_below(-bound) for mean in means])
    equivalent = adjust([mean.p_within(bound) for mean in means])
    results = []
    for i, (rows, mean, check) in enumerate(zip(differences, means, checks, strict=True)):
        blocks = rows.shape[1] / horizon
        low, high = (end / reference for end in mean.interval())
        check_low, check_high = check.interval()
        outcome: Outcome = "undecided"
        reason = ""
        if blocks < MINIMUM_BLOCKS:
            reason = (
                f"the test part holds only {blocks:.1f} independent stretches of the horizon (at least "
                f"{MINIMUM_BLOCKS} are needed): use more test data, a shorter horizon or more series"
            )
        elif over_seeds == "yes" and len(rows) < 2:
            reason = "one seed says nothing about the spread between seeds: use two or more"
        elif not (_holds(check, mean.mean) or _holds(mean, check.mean)):
            reason = "the cross-check on non-overlapping windows disagrees with the main test"
        # A difference may lie on either side, so each one-sided test has half the level.
        elif min(greater[i], less[i]) < alpha / 2:
            outcome = "greater" if greater[i] < less[i] else "less"
        elif equivalent[i] < alpha:
            outcome = "equivalent"
        else:
            reason = _what_would_decide(mean, bound, len(differences))
        results.append(
            Comparison(
                outcome,
                mean.mean / reference,
                (low, high),
                margin,
                mean.smallest_margin(alpha) / reference,
                greater[i],
                less[i],
                equivalent[i],
                blocks,
                len(rows),
                (check.mean / reference, check_low / reference, check_high / reference),
                reason,
            )
        )
    return results


def _holds(mean: Mean, value: float) -> bool:
    """Whether a value lies in the 95 % interval, up to rounding."""
    low, high = mean.interval()
    slack = 1e-9 * max(abs(value), abs(mean.mean))
    return low - slack <= value <= high + slack


def _what_would_decide(mean: Mean, bound: float, family: int) -> str:
    """What it would take to decide, in words."""
    distance = abs(abs(mean.mean) - bound)

    def decides(candidate: Mean) -> bool:
        low, high = candidate.interval()
        return high - candidate.mean < distance or (-bound < low and high < bound)

    if decides(mean):
        return f"decided on its own, but not after the correction over the {family} arms"
    if mean.seeds > 1:
        within = Mean(mean.mean, math.sqrt(max(0.0, mean.se**2 - mean.between / mean.seeds)), mean.window_df)
        for seeds in range(mean.seeds + 1, 51):
            if decides(_with_seeds(within, mean.between, seeds)):
                return f"the interval reaches across the margin; about {seeds} seeds (now {mean.seeds}) would decide it"
    half = mean.interval()[1] - mean.mean
    factor = (half / distance) ** 2 if distance > 0 else math.inf
    if factor > 100:
        return "the effect lies so near the margin that no realistic amount of data would decide it"
    more = f"about {max(1.1, factor):.1f} times as much test data"
    return f"the interval reaches across the margin; {more} would decide it"
