"""Rows as a detector sees them: standardised by the fit, with the phase of the season, and gaps where values lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from forecheck.data.causal import causal
from forecheck.data.panel import Panel
from forecheck.data.scaling import Scaler

_ROUNDING = 1e-6  # of a step: calendars of series on other grids are fractions


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a panel.

    Attributes:
        values: standardised; what was filled as it was known before, the training mean before a first observation.
        truth: standardised; NaN where it was filled, which nothing is scored by.
        offsets: first row of every series and, last, the number of rows.
        series: of every series, its place in the fit.
        phase: of the season, of every row.
    """

    values: Float[np.ndarray, "time channel"]
    truth: Float[np.ndarray, "time channel"]
    offsets: Int[np.ndarray, " series_plus_one"]
    series: Int[np.ndarray, " series"]
    phase: Int[np.ndarray, " time"]


def rows_of(panel: Panel, scaler: Scaler, names: Sequence[str], period: int, start: Any) -> Rows:
    """The rows of a panel, all series of which are in the fit and have a scale there.

    Args:
        panel: the data.
        scaler: of the fit.
        names: of the series of the fit, in the order of the scaler.
        period: steps a season; 1 for rows whose phases are not told apart.
        start: stamp from which phases are counted.
    """
    places = {name: place for place, name in enumerate(names)}
    series = np.array([places[name] for name in panel.series])
    own = Scaler(scaler.mean[series], scaler.std[series])
    truth = own.scale(panel)
    values = truth
    if panel.filled is not None:
        known = causal(panel)
        values = np.where(np.isnan(known), 0.0, own.scale(panel, known))
        truth = np.where(panel.filled, np.nan, truth)
    steps = np.floor(panel.frequency.distance(start, panel.time) + _ROUNDING) if period > 1 else np.zeros(len(values))
    return Rows(values, truth, panel.offsets, series, np.mod(steps, period).astype(np.int64))
