"""All members from one origin: classical ones, and maps where series are long enough for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from forecheck.combination.naive import Forecasts, naive_members
from forecheck.combination.ragged import Ragged
from forecheck.combination.seasonal import decompose
from forecheck.combination.smoothing import smoothing_members

_RECENT = 400
"""Steps that smoothing looks back: what was before has no weight even at the smallest constant."""
FALLBACK = "theta"
"""The member whose forecasts stand in where another cannot be made."""


class Bounds(NamedTuple):
    """What forecasts are kept within."""

    low: Float[np.ndarray, " series"]
    high: Float[np.ndarray, " series"]


def classical(past: Ragged, seasons: tuple[int, ...], horizon: int) -> Forecasts:
    """Naive and smoothing members of every series, by name.

    Args:
        past: the series up to the origin.
        seasons: steps of the known seasons, the shortest first.
        horizon: H.
    """
    period = seasons[0] if seasons else 1
    past = begun(past)
    recent = past.last(max(_RECENT, 8 * period))
    found = naive_members(past, horizon, seasons)
    found |= smoothing_members(recent, decompose(recent, period), horizon)
    limits = bounds_of(past, horizon)
    return {name: bounded(filled_in(forecast, found[FALLBACK]), limits) for name, forecast in found.items()}


def begun(past: Ragged) -> Ragged:
    """The past with zeros in series that have not begun; what is forecast for them is never looked at."""
    return Ragged(np.where((past.lengths > 0)[:, None], past.values, 0.0), past.truth)


def filled_in(
    forecast: Float[np.ndarray, "series horizon"], other: Float[np.ndarray, "series horizon"]
) -> Float[np.ndarray, "series horizon"]:
    """A forecast, with another one where it is not finite."""
    return np.where(np.isfinite(forecast), forecast, other)


def bounds_of(past: Ragged, horizon: int) -> Bounds:
    """The range of every series and once more that range to either side, per length of the series.

    Series that never were negative are forecast by what is not negative.

    Args:
        past: the series.
        horizon: H.
    """
    past = begun(past)
    low, high = np.nanmin(past.values, axis=1), np.nanmax(past.values, axis=1)
    room = (high - low) * np.maximum(1.0, horizon / np.maximum(1, past.lengths))
    return Bounds(np.where(low >= 0, np.maximum(low - room, 0.0), low - room), high + room)


def bounded(forecast: Float[np.ndarray, "series horizon"], limits: Bounds) -> Float[np.ndarray, "series horizon"]:
    """A forecast within the limits of its series.

    Args:
        forecast: of every series.
        limits: as `bounds_of` gives them.
    """
    return np.clip(forecast, limits.low[:, None], limits.high[:, None])
