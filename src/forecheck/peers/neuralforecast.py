"""Networks of neuralforecast: one for all series."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from forecheck.errors import UsageError
from forecheck.peers.base import Assignment, Forecasts, History, Peer
from forecheck.peers.frames import forecasts_of, frame_of

_QUIET = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False}


class NeuralForecastPeer(Peer):
    """A network with its library's defaults, and inputs of two horizons or seasons; trained once."""

    library = "neuralforecast"
    trained = True

    def __init__(self, model: str, task: Assignment, options: Mapping[str, Any]) -> None:
        super().__init__(model, task, options)
        from neuralforecast import models

        kind = getattr(models, model, None)
        if not isinstance(kind, type):
            raise UsageError(f"neuralforecast has no model {model!r}", "Write its name as in neuralforecast.models.")
        usual = {"h": task.horizon, "input_size": 2 * max(task.horizon, task.period), "random_seed": task.seed}
        given = usual | {"scaler_type": "robust"} | _QUIET | dict(options)
        self._inputs = int(given["input_size"])
        try:
            self._network = kind(**given)
        except TypeError as error:
            raise UsageError(f"neuralforecast:{model} cannot be made: {error}") from error
        self._made: Any = None

    def fit(self, histories: Sequence[History]) -> None:
        """One network, on the series that hold a window."""
        from neuralforecast import NeuralForecast

        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        long = [history for history in histories if len(history.values) >= self._inputs + self.task.horizon]
        self._made = NeuralForecast(models=[self._network], freq=1)
        self._made.fit(frame_of(long or histories))

    def forecast(self, histories: Sequence[History]) -> Forecasts:
        """From the last steps of every history."""
        cut = [replace(history, values=history.values[-self._inputs :]) for history in histories]
        made = self._made.predict(df=frame_of(cut))
        return forecasts_of(made, len(histories), self.task.horizon).astype(np.float64)
