"""The series as every rolling origin sees them: as they are, or without what known columns explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from forecheck.combination.origins import Origin, truth_of
from forecheck.combination.pooled import Chosen, Pooled
from forecheck.combination.ragged import Ragged
from forecheck.combination.regression import Effects


@dataclass(frozen=True, eq=False)
class View:
    """What an origin forecasts, and what is added to that.

    Attributes:
        batch: the series, without effects.
        ahead: effects on the steps after the end.
    """

    batch: Ragged
    ahead: Float[np.ndarray, "series horizon"]

    def truth(self, origin: Origin) -> Float[np.ndarray, "series step"]:
        """What came after an origin, without effects: errors are the same as with them."""
        return truth_of(self.batch, origin)


def views_of(batch: Ragged, origins: list[Origin], horizon: int, effects: Effects | None) -> list[View]:
    """A view an origin, and last that from the end; equal objects where they are the same.

    Args:
        batch: the series.
        origins: the earliest first.
        horizon: H.
        effects: of known columns; None for the series as they are.
    """
    if effects is None:
        return [View(batch, np.zeros((len(batch.values), horizon)))] * (len(origins) + 1)
    width = batch.values.shape[1]
    views = {}
    for each in effects.values:
        if id(each) not in views:
            views[id(each)] = View(replace(batch, values=batch.values - each[:, :width]), each[:, width:])
    return [views[id(each)] for each in effects.values]


class PooledViews:
    """The pooled maps of every view.

    Args:
        views: as `views_of` gives them.
        seasons: steps of the known seasons.
        horizon: H.
        origins: the earliest first.
    """

    def __init__(self, views: list[View], seasons: tuple[int, ...], horizon: int, origins: list[Origin]) -> None:
        self._views = views
        self._how = seasons, horizon, origins
        self._latest: tuple[View, Pooled] | None = None

    @property
    def shared(self) -> Pooled | None:
        """The maps, where all places have the same view."""
        return self._of(self._views[0]) if len({id(view) for view in self._views}) == 1 else None

    def forecasts(self, place: int, only: Chosen | None = None) -> Iterator[tuple[Chosen, Float[np.ndarray, "_ _"]]]:
        """As `Pooled.forecasts`, from the view of a place."""
        return self._of(self._views[place]).forecasts(place, only)

    def _of(self, view: View) -> Pooled:
        if self._latest is None or self._latest[0] is not view:  # one at a time: moments are large
            self._latest = view, Pooled(view.batch, *self._how)
        return self._latest[1]
