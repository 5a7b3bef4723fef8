"""The pooled maps of a batch at every origin, and which of them forecasts best there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from forecheck.combination.maps import (
    ANCHORS,
    RIDGES,
    apply_map,
    fit_maps,
    moments,
    series_weights,
    usual_lookbacks,
)
from forecheck.combination.origins import Origin
from forecheck.combination.ragged import Ragged, in_units, naive_error

FEWEST = 10
"""Windows that a map is fitted on at least."""


class Chosen(NamedTuple):
    """A map: its anchor, its lookback and its ridge; and its pull to the pooled map, where every series has its own."""

    anchor: str
    lookback: int
    ridge: float
    pull: float | None = None


class Pooled:
    """Maps fitted before every origin and before the end; moments are summed from origin to origin.

    Units are the naive errors of whole series: they only say how series count beside each other.

    Args:
        batch: series in their own units.
        seasons: steps of the known seasons.
        horizon: H.
        origins: the earliest first.
    """

    def __init__(self, batch: Ragged, seasons: tuple[int, ...], horizon: int, origins: list[Origin]) -> None:
        self.horizon, self.origins = horizon, origins
        self.ends = [*(origin.end for origin in origins), 0]
        width = batch.values.shape[1]
        room = width - self.ends[0] - horizon - 1
        self.lookbacks = [lookback for lookback in usual_lookbacks(seasons) if lookback <= room]
        unit = naive_error(batch, seasons[0] if seasons else 1)
        self.unit = np.where(unit > 0, unit, 1.0)
        self.batch = in_units(batch, self.unit)
        self._moments = []
        if not self.lookbacks:
            return
        longest = self.lookbacks[-1]
        weights = np.where(unit > 0, series_weights(batch, longest + horizon), 0.0)
        reached, total = 0, None
        for end in self.ends:
            new = moments(self.batch, weights, longest, horizon, reached, width - end)
            total = new if total is None else total + new
            self._moments.append(total)
            reached = width - end

    def forecasts(self, place: int, only: Chosen | None = None) -> Iterator[tuple[Chosen, Float[np.ndarray, "_ _"]]]:
        """Forecasts (series, horizon) of all maps, or of one, from an origin; NaN for series that are too short.

        Args:
            place: number of the origin; -1 is the end.
            only: the map that is wanted.
        """
        if not self.lookbacks or self._moments[place].windows < FEWEST:
            return
        past = self.batch.before(self.ends[place])
        for anchor in ANCHORS if only is None else (only.anchor,):
            for lookback in self.lookbacks if only is None else (only.lookback,):
                maps = fit_maps(self._moments[place], lookback, anchor, self.horizon)
                for ridge, weights in zip(RIDGES, maps, strict=True):
                    if only is None or ridge == only.ridge:
                        forecast = apply_map(past, weights, anchor) * self.unit[:, None]
                        yield Chosen(anchor, lookback, ridge), forecast

    def mean_moments(self, place: int, lookback: int) -> Float[np.ndarray, "joint joint"] | None:
        """Moments of the mean window of all series up to an origin, its past cut to a lookback; None if there are few.

        Args:
            place: number of the origin.
            lookback: one of `lookbacks`.
        """
        found = self._moments[place]
        if found.windows < FEWEST or found.gram[0, 0] <= 0:
            return None
        start = 1 + found.lookback - lookback
        keep = np.r_[0, start : len(found.gram)]
        return found.gram[np.ix_(keep, keep)] / found.gram[0, 0]
