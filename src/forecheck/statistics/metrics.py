"""Errors of forecasts, window by window."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped


def observed_mean(
    values: Float[np.ndarray, "*shape"], axis: int | tuple[int, ...] | None = None
) -> Float[np.ndarray, "*rest"]:
    r"""Mean over what was observed: over all that is not NaN, NaN where nothing is.

    .. math:: \frac{1}{|O|} \sum_{i \in O} v_i, \qquad O = \{i : v_i \text{ is not NaN}\}

    Args:
        values: losses, NaN where the target was never observed.
        axis: over which to take the mean; all by default.
    """
    unseen = np.isnan(values)
    if not unseen.any():
        return np.asarray(values.mean(axis=axis))
    total, count = np.where(unseen, 0.0, values).sum(axis=axis), (~unseen).sum(axis=axis)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))


def loss_by_time(
    losses: Float[np.ndarray, "window channel"], times: Shaped[np.ndarray, " window"]
) -> Float[np.ndarray, " time"]:
    """One loss an origin time: the mean over channels, and over all series that start a window at that time.

    Channels and series at one time are correlated, so they count as one observation.

    Args:
        losses: loss of every window and channel; NaN for a channel of which the window observed nothing, which is
            left out of the mean over channels.
        times: origin time of every window, in any order.

    Returns:
        Losses in the order of time. NaN for a time at which a window observed nothing at all: such windows are to be
        left out beforehand (`forecheck.data.splits.origins`), not counted as no loss.
    """
    _, index = np.unique(times, return_inverse=True)
    found: Float[np.ndarray, " time"] = np.bincount(index, weights=observed_mean(losses, axis=1)) / np.bincount(index)
    return found
