"""Regressors on lags, by mlforecast: one for all series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from forecheck.errors import DataError, UsageError
from forecheck.peers.base import Assignment, Forecasts, History, Peer
from forecheck.peers.frames import forecasts_of, frame_of

_REGRESSORS = {
    "LGBM": ("lightgbm", "LGBMRegressor", {"n_jobs": 1, "verbosity": -1}),
    "XGB": ("xgboost", "XGBRegressor", {"n_jobs": 1}),
    "RandomForest": ("sklearn.ensemble", "RandomForestRegressor", {"n_jobs": 1}),
    "Ridge": ("sklearn.linear_model", "Ridge", {}),
}
_CHUNK = 2_000_000
"""Numbers of the histories that are forecast at once."""


class MLForecastPeer(Peer):
    """Lags of the seasons on differences by one step, scaled series by series; fitted once, forecast recursively."""

    library = "mlforecast"

    def __init__(self, model: str, task: Assignment, options: Mapping[str, Any]) -> None:
        super().__init__(model, task, options)
        if model not in _REGRESSORS:
            raise UsageError(f"mlforecast:{model} is not known", f"Regressors: {', '.join(_REGRESSORS)}.")
        module, name, usual = _REGRESSORS[model]
        try:
            kind = getattr(import_module(module), name)
        except ImportError as error:
            raise UsageError(
                f"mlforecast:{model} needs {module.partition('.')[0]}, which is not installed",
                "Run: pip install 'forecheck[peers]'.",
            ) from error
        given = usual | ({} if model == "Ridge" else {"random_state": task.seed}) | dict(options)
        try:
            self._regressor = kind(**given)
        except TypeError as error:
            raise UsageError(f"mlforecast:{model} cannot be made: {error}") from error
        self._made: Any = None
        self._needed = 0

    def fit(self, histories: Sequence[History]) -> None:
        """One regressor, on the series that hold the lags."""
        from mlforecast import MLForecast
        from mlforecast.target_transforms import Differences, LocalStandardScaler

        longest = max(len(history.values) for history in histories)
        m = max(self.task.period, 4)
        near = range(1, m + 1) if m <= 24 else (1, 2, 3, 4, 5, 6, 7, 8, 12)
        usual = sorted({*near, *self.task.seasons, *(2 * season for season in self.task.seasons)})
        lags = [lag for lag in usual if lag < longest // 2 - 2]
        if not lags:
            raise DataError(f"no series is long enough for mlforecast:{self.model}", "Leave it out.")
        self._needed = lags[-1] + 2
        served = [history for history in histories if len(history.values) > self._needed]
        self._made = MLForecast(
            models=[self._regressor],
            freq=1,
            lags=lags,
            target_transforms=[Differences([1]), LocalStandardScaler()],
            num_threads=1,
        )
        self._made.fit(frame_of(served), static_features=[])

    def forecast(self, histories: Sequence[History]) -> Forecasts:
        """From the end of every history that holds the lags."""
        found = np.full((len(histories), self.task.horizon), np.nan)
        long = [row for row, history in enumerate(histories) if len(history.values) > self._needed]
        for history in histories:
            if len(history.values) <= self._needed:
                self.failures.setdefault(history.name, f"fewer than {self._needed + 1} values before a window")
        size = max(1, _CHUNK // max((len(histories[row].values) for row in long), default=1))
        for first in range(0, len(long), size):
            rows = long[first : first + size]
            made = self._made.predict(self.task.horizon, new_df=frame_of([histories[row] for row in rows]))
            found[rows] = forecasts_of(made, len(rows), self.task.horizon)
        return found
