"""What columns beside the channels are worth: how it is measured, and as it is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from forecheck.combination.origins import Origin
from forecheck.statistics.metrics import observed_mean

Losses = Float[np.ndarray, "origin series"]
_LEVEL = 0.95
_HELP = "the error at rolling origins is lower with them"
_UNPROVED = "rolling origins do not say that they help"
_APART = 3
"""Origins that do not overlap, from which on the interval of a gain is over origins."""


@dataclass(frozen=True)
class Worth:
    """Mean absolute scaled errors at rolling origins, with known (or past) columns and without them.

    Attributes:
        used: whether the forecast is the one with them.
        why: in a sentence.
        without: MASE without them; None if there is no origin.
        with_them: MASE with them; None if they could not be tried.
        gain: by how much of the loss without them it is lower with them.
        interval: of the gain at 95 %; None where there is a single origin.
        lag: steps of the differences that the effects of known columns were fitted on; of past ones how many values.
        ridge: of the regression.
        constant: columns that never change in the history, which were set aside.
        collinear: columns that others give exactly; their effect is shared.
        leaking: columns that are the target itself, and by how many steps they are behind it.
    """

    used: bool
    why: str
    without: float | None = None
    with_them: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    lag: int | None = None
    ridge: float | None = None
    constant: tuple[str, ...] = ()
    collinear: tuple[str, ...] = ()
    leaking: Mapping[str, int] = field(default_factory=dict)

    def judged(self, before: Losses, after: Losses, origins: Sequence[Origin]) -> Worth:
        """With the gain and its interval; used if that lies above zero.

        Args:
            before: losses without the columns.
            after: losses with them.
            origins: of the losses, the earliest first.
        """
        without = mean_of(before)
        gain, reach = gain_of(before - after, origins)
        used = reach is not None and gain > reach
        share = max(without, np.finfo(float).tiny)
        ends = None if reach is None else (float((gain - reach) / share), min(1.0, float((gain + reach) / share)))
        return replace(
            self,
            used=bool(used),
            why=_HELP if used else _UNPROVED,
            without=without,
            with_them=mean_of(after),
            gain=float(gain / share),
            interval=ends,
        )


def losses_of(
    errors: Float[np.ndarray, "origin series step"], others: Float[np.ndarray, "origin series step"]
) -> Losses:
    """Mean absolute error of every origin and series, over what both have.

    Args:
        errors: in the units of the series before the origin; NaN where unknown.
        others: of the forecast that they are held against.
    """
    missing = np.isnan(errors) | np.isnan(others)
    return observed_mean(np.abs(np.where(missing, np.nan, errors)), axis=2)


def mean_of(losses: Losses) -> float:
    """Over all that are known; 0 if none is."""
    return float(np.nanmean(losses)) if np.isfinite(losses).any() else 0.0


def gain_of(gains: Losses, origins: Sequence[Origin]) -> tuple[float, float | None]:
    """Mean gain, and half of its interval at 95 %; None where it rests on one number.

    The interval is over origins, of which as many count as do not overlap: whether these series gain at another time.
    Where fewer than three do not overlap, it is over series.

    Args:
        gains: NaN where unknown.
        origins: of the gains, the earliest first.
    """
    first, last = origins[0], origins[-1]
    apart = (first.end - last.end) / first.horizon + 1
    axis = 1 if apart >= _APART else 0
    count = (~np.isnan(gains)).sum(axis=axis)
    mean = np.nansum(gains, axis=axis)[count > 0] / count[count > 0]
    independent = min(len(mean), apart) if axis else len(mean)
    if independent <= 1:
        return mean_of(gains), None
    error = float(mean.std(ddof=1)) / np.sqrt(independent)
    return mean_of(gains), error * float(stdtrit(independent - 1, (1 + _LEVEL) / 2))
