"""Forecasts that repeat what was: the last value, means and medians, and seasons."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from forecheck.combination.ragged import Ragged

_SEASONS = 4
Forecasts = dict[str, Float[np.ndarray, "series horizon"]]


def naive_members(batch: Ragged, horizon: int, seasons: tuple[int, ...]) -> Forecasts:
    r"""Last value, mean and median; and for every season its last one and the mean of the last four.

    .. math:: \hat y_{T+h} = y_T, \quad \bar y, \quad y_{T+h-m}, \quad
              \tfrac14 \textstyle\sum_{k=0}^{3} y_{T+h-m-km}

    Args:
        batch: series in their own units.
        horizon: H.
        seasons: steps of the seasons that are known, without 1. Mean and median are over the last four of the
            shortest, or of 8 steps.

    Returns:
        By name; NaN for series that are shorter than a season.

    Source: Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, 5.2.
    """
    x = batch.values
    recent = x[:, -_SEASONS * (min(seasons) if seasons else 8) :]
    flat = {"last": x[:, -1], "mean": np.nanmean(recent, axis=1), "median": np.nanmedian(recent, axis=1)}
    found = {name: np.repeat(value[:, None], horizon, axis=1) for name, value in flat.items()}
    for season in seasons:
        phase = np.arange(horizon) % season
        width = x.shape[1]
        if width < season:
            continue
        found[f"season {season}"] = x[:, width - season + phase]
        whole = min(_SEASONS, width // season)
        if whole > 1:
            last = x[:, width - whole * season :].reshape(len(x), whole, season)
            known = ~np.isnan(last)
            total = np.where(known, last, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1))
            found[f"seasons {season}"] = np.where(known.any(axis=1), total, np.nan)[:, phase]
    return found
