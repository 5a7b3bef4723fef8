"""Models of statsforecast: one a series, its constants fitted on the training rows."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.errors import UsageError
from forecheck.peers.base import Assignment, Forecasts, History, Peer


class StatsForecastPeer(Peer):
    """A local model; with its constants as they were fitted it runs over every history and forecasts from its end.

    Models that cannot be run over other values (`forward`) are fitted on every history instead.
    """

    library = "statsforecast"
    together = 32

    def __init__(self, model: str, task: Assignment, options: Mapping[str, Any]) -> None:
        super().__init__(model, task, options)
        self._fitted: dict[str, Any] = {}
        self._made()  # an unknown option is refused before any work is done

    def _made(self) -> Any:
        from statsforecast import models

        kind = getattr(models, self.model, None)
        if not isinstance(kind, type):
            raise UsageError(f"statsforecast has no model {self.model!r}", "Write its name as in statsforecast.models.")
        given = dict(self.options)
        if "season_length" in inspect.signature(kind).parameters:
            given.setdefault("season_length", self.task.period)
        try:
            return kind(**given)
        except TypeError as error:
            raise UsageError(f"statsforecast:{self.model} cannot be made: {error}") from error

    def fit(self, histories: Sequence[History]) -> None:
        """One model a series."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for history in histories:
                values = np.ascontiguousarray(history.values, dtype=np.float64)
                self._fitted[history.name] = self.tried(history.name, partial(self._fit, values))

    def _fit(self, values: Float[np.ndarray, " time"]) -> Any:
        return self._made().fit(values)

    def forecast(self, histories: Sequence[History]) -> Forecasts:
        """From the end of every history."""
        found = np.full((len(histories), self.task.horizon), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for row, history in zip(found, histories, strict=True):
                fitted = self._fitted.get(history.name)
                mean = None if fitted is None else self.tried(history.name, partial(self._one, fitted, history))
                row[:] = np.nan if mean is None else mean
        return found

    def _one(self, fitted: Any, history: History) -> Any:
        values = np.ascontiguousarray(history.values, dtype=np.float64)
        if hasattr(fitted, "forward"):
            try:
                return fitted.forward(y=values, h=self.task.horizon)["mean"]
            except NotImplementedError:
                pass
        return self._made().forecast(y=values, h=self.task.horizon)["mean"]
