"""Errors of forecasts, window by window."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Shaped


def loss_by_time(
    losses: Float[np.ndarray, "window channel"], times: Shaped[np.ndarray, " window"]
) -> Float[np.ndarray, " time"]:
    """One loss an origin time: the mean over channels, and over all series that start a window at that time.

    Channels and series at one time are correlated, so they count as one observation.

    Args:
        losses: loss of every window and channel.
        times: origin time of every window, in any order.

    Returns:
        Losses in the order of time.
    """
    _, index = np.unique(times, return_inverse=True)
    totals = np.bincount(index, weights=losses.mean(axis=1))
    counts: Int[np.ndarray, " time"] = np.bincount(index)
    return totals / counts
