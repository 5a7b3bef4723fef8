"""Forecasts of a fitted forecaster from rows of the data, as it saw them when it was trained."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from forecheck.forecasters.base import Forecaster

_BATCH = 64

Inputs = Float[np.ndarray, "window lookback channel"]
Scale = Float[np.ndarray, "window 1 channel"]


def predict_rows(
    forecaster: Forecaster, rows: Inputs, mean: Scale, std: Scale
) -> tuple[Inputs, Float[np.ndarray, "window horizon channel"]]:
    """The standardised windows, what was never observed at the mean, and their forecasts, standardised as well.

    Args:
        forecaster: fitted.
        rows: real values; NaN before a channel's first observation.
        mean, std: of the training rows of each window's series.
    """
    x = np.where(np.isnan(rows), 0.0, (rows - mean) / std)
    batches = torch.split(torch.from_numpy(x.astype(np.float32)), _BATCH)
    return x, np.concatenate([forecaster.predict(part).numpy() for part in batches]).astype(np.float64)
