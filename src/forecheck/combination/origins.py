"""Rolling origins inside the history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from forecheck.combination.ragged import Ragged, naive_error

_MOST = 12


@dataclass(frozen=True)
class Origin:
    """A place from where the past forecasts what is known.

    Attributes:
        end: steps after it.
        horizon: steps of them that are forecast.
    """

    end: int
    horizon: int


def rolling_origins(lengths: Int[np.ndarray, " series"], horizon: int, period: int, most: int = _MOST) -> list[Origin]:
    """Up to twelve origins, the earliest first, as far apart as half of the history allows.

    The usual (median) series keeps two seasons and two steps before the first, so that seasons can be seen there as
    they are in the end; where less than three steps would be left, half of its rows. Where the horizon does not fit
    in, three fifths of what is left are forecast.

    Args:
        lengths: values of the series.
        horizon: H.
        period: steps a season.
        most: origins.
    """
    usual = int(np.median(lengths))
    needed = max(2 * period + 2, 8)
    if usual - needed < min(horizon, 3):
        needed = min(needed, max(3, usual // 2))
    room = usual - needed
    if room < 1:
        return []
    ahead = min(horizon, max(1, 3 * room // 5))
    count = max(1, min(most, room - ahead + 1))
    step = max(1, min(horizon, (room - ahead) // max(1, count - 1)))
    if step > period > 1:
        step -= step % period  # origins at the phase of the season from which the forecast will start
    return [Origin(ahead + k * step, ahead) for k in reversed(range(count))]


def truth_of(batch: Ragged, origin: Origin) -> Float[np.ndarray, "series horizon"]:
    """What came after an origin; NaN where it was not observed."""
    width = batch.values.shape[1]
    part = slice(width - origin.end, width - origin.end + origin.horizon)
    return np.where(batch.truth[:, part], batch.values[:, part], np.nan)


def units_at(batch: Ragged, origin: Origin, lag: int) -> Float[np.ndarray, " series"]:
    """Naive error of the series before an origin; NaN where there are less than three values or no change.

    Args:
        batch: the series.
        origin: where the past ends.
        lag: of the naive error.
    """
    past = batch.before(origin.end)
    unit = naive_error(past, lag)
    return np.where((past.lengths >= 3) & (unit > 0), unit, np.nan)
