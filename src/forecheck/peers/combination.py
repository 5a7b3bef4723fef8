"""The forecast combination, made anew at every place from all rows before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from forecheck.combination.combine import FEWEST, combine
from forecheck.combination.ragged import ragged
from forecheck.errors import UsageError
from forecheck.peers.base import Assignment, Forecasts, History, Peer


class CombinationPeer(Peer):
    """Members, weights and maps are chosen by rolling origins inside the histories: there is nothing to fit before."""

    library = ""
    together = 1

    def __init__(self, model: str, task: Assignment, options: Mapping[str, Any]) -> None:
        super().__init__(model, task, options)
        if options:
            raise UsageError("the combination has no options", "Leave --set out.")

    def fit(self, histories: Sequence[History]) -> None:
        """Nothing."""

    def forecast(self, histories: Sequence[History]) -> Forecasts:
        """One combination a place, over all series there."""
        parts = []
        for _, group in groupby(histories, key=lambda history: history.place):
            there = list(group)
            found = np.full((len(there), self.task.horizon), np.nan)
            long = np.array([len(history.values) >= FEWEST for history in there])
            for history in there:
                if len(history.values) < FEWEST:
                    self.failures.setdefault(history.name, f"fewer than {FEWEST} values before a window")
            if long.any():
                batch = ragged([history.values for history, enough in zip(there, long, strict=True) if enough])
                found[long] = combine(batch, self.task.horizon, self.task.seasons).point
            parts.append(found)
        return np.concatenate(parts)
