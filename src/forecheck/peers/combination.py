"""The forecast combination, made anew at every place from all rows before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Bool

from forecheck.combination.beside import combine_beside
from forecheck.combination.combine import FEWEST, combine
from forecheck.combination.ragged import from_panel, ragged
from forecheck.data.panel import Panel
from forecheck.errors import UsageError
from forecheck.peers.base import Assignment, Forecasts, History, Peer


class CombinationPeer(Peer):
    """Members, weights and maps are chosen by rolling origins inside the histories: there is nothing to fit before."""

    library = ""
    uses_known = True
    together = 1

    def __init__(self, model: str, task: Assignment, options: Mapping[str, Any]) -> None:
        super().__init__(model, task, options)
        if options:
            raise UsageError("the combination has no options", "Leave --set out.")

    def fit(self, histories: Sequence[History]) -> None:
        """Do nothing: everything is fitted inside the histories that are forecast."""

    def forecast(self, histories: Sequence[History]) -> Forecasts:
        """One combination a place, over all series there."""
        parts = []
        for _, group in groupby(histories, key=lambda history: history.place):
            there = list(group)
            found = np.full((len(there), self.task.horizon), np.nan)
            long = self._long(there)
            if long.any():
                batch = ragged([history.values for history, enough in zip(there, long, strict=True) if enough])
                found[long] = combine(batch, self.task.horizon, self.task.seasons).point
            parts.append(found)
        return np.concatenate(parts)

    def forecast_beside(self, panel: Panel, histories: Sequence[History]) -> Forecasts:
        """The combination with known columns, or without them where it says so."""
        channels, horizon = len(panel.channels), self.task.horizon
        found = np.full((len(histories), horizon), np.nan)
        enough = np.asarray(self._long(histories).reshape(-1, channels).all(axis=1))
        if not enough.any():
            return found
        panel = panel.only(enough)
        assert panel.covariates is not None
        batch = from_panel(panel)
        made = combine_beside(panel, panel.covariates, batch, horizon, self.task.seasons)
        for part, worth in made.worths.items():
            self.used.setdefault(part, []).append(worth.used)
        found[np.repeat(enough, channels)] = made.point
        return found

    def _long(self, histories: Sequence[History]) -> Bool[np.ndarray, " history"]:
        """Which have enough values; others are named."""
        long = np.array([len(history.values) >= FEWEST for history in histories])
        for history, enough in zip(histories, long, strict=True):
            if not enough:
                self.failures.setdefault(history.name, f"fewer than {FEWEST} values before a window")
        return long


class ChannelsPeer(CombinationPeer):
    """The combination that never sees known columns: what they are worth is the difference."""

    uses_known = False
