"""The mean of overlapping window losses and its uncertainty: windows alone, and windows with seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from forecheck.errors import DataError


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
    """Degrees of freedom of the windows' part of the variance; 0 if it is the only part."""
    stretches: float = 0.0
    """n / H, independent stretches of the test part; 0 if unknown."""

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided confidence interval."""
        half = self.se * float(special.stdtrit(self.df, (1 + level) / 2)) if self.se > 0 else 0.0
        return self.mean - half, self.mean + half

    def p_above(self, bound: float) -> float:
        """One-sided p-value of H0: truth <= bound."""
        if self.se == 0:
            return 0.0 if self.mean > bound else 1.0
        return float(special.stdtr(self.df, (bound - self.mean) / self.se))

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

    def extended(self, seeds: int | None = None, windows: float = 1.0) -> Mean:
        r"""What the uncertainty would be with other seeds and more windows, the mean staying as it is.

        .. math:: \mathrm{SE}^2 = s_a^2 / S + \Omega / (f n)

        Args:
            seeds: S; as many as now if not given. Needs a mean over seeds.
            windows: f, so many times the windows; their degrees of freedom grow alike.
        """
        window_part = max(0.0, self.se**2 - self.between / self.seeds) / windows
        df = (self.window_df or self.df) * windows
        alone = Mean(self.mean, math.sqrt(window_part), df, stretches=self.stretches * windows)
        if self.seeds < 2:
            return alone
        return with_seeds(alone, self.between, self.seeds if seeds is None else seeds)


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
    r"""How many cosines the variance is averaged over.

    .. math:: B = \max(2, \min(\lfloor n / 2H \rfloor, \lfloor n^{2/3} / 5 \rfloor))

    Windows of overlap H allow n / 2H. The other bound is for short horizons, where n / 2H would take step losses for
    independent; it has half the factor 0.4 of Lazarus et al. 2018, which keeps the level up to an autocorrelation of
    0.9 (compared in docs/statistics.md).
    """
    return max(2, min(count // (2 * horizon), int(math.cbrt(count**2) / 5)))


def mean_over_windows(differences: Float[np.ndarray, " time"], horizon: int) -> Mean:
    """Mean of overlapping window losses, against t with B degrees of freedom (EWC).

    Args:
        differences: one value an origin, in time order.
        horizon: H in windows: how many consecutive windows share targets.

    Raises:
        DataError: if there are fewer than three windows, or a value is not finite.
    """
    refuse_unknown(differences[None], "the differences of window losses")
    terms = cosine_terms(len(differences), horizon)
    variance = cosine_variance(differences, terms)
    se = math.sqrt(variance / len(differences))
    return Mean(float(differences.mean()), se, terms, window_df=terms, stretches=len(differences) / horizon)


def mean_over_seeds(differences: Float[np.ndarray, "seed time"], horizon: int) -> Mean:
    r"""Mean over windows and seeds: a claim about the architecture, not about one checkpoint.

    .. math:: d_{s,t} = \mu + a_s + b_t + e, \qquad \mathrm{SE}^2 = s_a^2 / S + \hat\Omega / n

    with Omega from the seed-averaged series and Satterthwaite's degrees of freedom.

    Args:
        differences: by seed and origin, origins in time order.
        horizon: H in windows: how many consecutive windows share targets.

    Raises:
        ValueError: with fewer than two seeds, which say nothing about the variance between seeds.
        DataError: as `mean_over_windows`.
    """
    seeds = len(differences)
    if seeds < 2:
        raise ValueError("a claim about an architecture needs at least two seeds")
    refuse_unknown(differences, "the differences of window losses")
    windows = mean_over_windows(differences.mean(axis=0), horizon)
    return with_seeds(windows, float(differences.mean(axis=1).var(ddof=1)), seeds)


def with_seeds(windows: Mean, between: float, seeds: int) -> Mean:
    """Add the variance between seeds to that of the windows (Satterthwaite 1946).

    Args:
        windows: mean with the windows' part of the variance.
        between: variance between seeds, of one seed.
        seeds: S, at least 2.
    """
    seed_part, window_part = between / seeds, windows.se**2
    total = seed_part + window_part
    spread = seed_part**2 / (seeds - 1) + window_part**2 / windows.df
    df = total**2 / spread if spread > 0 else windows.df
    return Mean(windows.mean, math.sqrt(total), df, between, seeds, windows.df, windows.stretches)


def refuse_unknown(losses: Float[np.ndarray, "seed time"], what: str) -> None:
    """Refuse losses that no statement can rest on.

    Args:
        losses: by seed and origin.
        what: what they are, for the message.

    Raises:
        DataError: if there are fewer than three windows, or a value is not finite.
    """
    windows = losses.shape[1]
    if windows < 3:
        raise DataError(
            f"{what}: {windows} test window(s) say nothing about their spread, at least 3 are needed",
            "Use a longer test part or a shorter horizon.",
        )
    unknown = np.argwhere(~np.isfinite(losses))
    if len(unknown):
        seed, window = unknown[0]
        raise DataError(
            f"{what}: {len(unknown)} of {losses.size} values are not finite numbers, "
            f"the first of seed {seed} at test window {window}",
            "A model whose training diverged forecasts such values: lower its learning rate, or leave it out.",
        )
