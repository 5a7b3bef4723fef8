"""An estimator in the manner of scikit-learn, which need not be installed: `fit`, `predict`, `get_params`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.errors import UsageError
from forecheck.forecasting.combined import Combined
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.forecast import Forecast, make_forecast
from forecheck.verbs.common import levels
from forecheck.verbs.fit import fit as fit_model


class Forecaster:
    """Forecasts the steps after the end of what it was fitted on.

    `sklearn.base.clone`, pipelines of parameters and searches over them work, since parameters are kept as they are
    given and looked at by `fit` alone.

    Args:
        model: a model's name, or auto.
        horizon: H, steps to forecast.
        level: coverages of intervals in percent, one or several.
        period: steps of a season; None for what the step of the data has.
        lookback: L; None for what suits the model.
        options: by model, options that differ from the defaults.
        time: the time column of a frame, if it cannot be guessed.
        series: the column of a frame that names the series.
        target: the columns of a frame to forecast.
        fill: how to fill missing values: linear, last or seasonal.
        workers: processes; 0 for none.
        store: folder of results; None for the user's cache.

    Attributes:
        fitted_: the fit, and why this model: `fitted_.info`.
        panel_: the data that it was fitted on.
        forecast_: the last forecast in full: `.to_html()`, `.plot()`, `.info`.
    """

    fitted_: Fitted | Combined
    panel_: Panel
    forecast_: Forecast

    def __init__(
        self,
        model: str = "auto",
        horizon: int = 12,
        *,
        level: float | Sequence[float] = (),
        period: int | None = None,
        lookback: int | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        time: str | None = None,
        series: str | None = None,
        target: str | Sequence[str] | None = None,
        fill: str | None = None,
        workers: int | None = 0,
        store: Path | str | None = None,
    ) -> None:
        self.model = model
        self.horizon = horizon
        self.level = level
        self.period = period
        self.lookback = lookback
        self.options = options
        self.time = time
        self.series = series
        self.target = target
        self.fill = fill
        self.workers = workers
        self.store = store

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in _defaults()}

    def set_params(self, **params: Any) -> Forecaster:
        """Change parameters; a fit stays what it is until the next one.

        Raises:
            UsageError: if there is no such parameter.
        """
        for name, value in params.items():
            if name not in _defaults():
                raise UsageError(f"a Forecaster has no parameter {name!r}", f"There are {', '.join(_defaults())}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """As it is written, without what is left at its default."""
        changed = {name: value for name, value in self.get_params().items() if not _same(value, _defaults()[name])}
        return f"Forecaster({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def fit(self, y: Any, X: Any = None) -> Forecaster:
        """Fit on a frame, a panel, or numbers: one series, or a row a step and a column a series.

        Args:
            y: a pandas, polars or pyarrow frame, a pandas or polars series, a panel, a file, a named set, or numbers.
            X: none; known futures are columns of the frame.

        Raises:
            DataError: if the data cannot be used as they are.
            UsageError: if a parameter is wrong, or there is an X.
        """
        if X is not None:
            raise UsageError("a Forecaster takes no X", "Put all that is known into the frame y.")
        self._kind = _kind(y)
        self.panel_ = self._read(y)
        self.fitted_ = fit_model(
            self.panel_,
            horizon=self.horizon,
            model=self.model,
            level=self.level,
            period=self.period,
            lookback=self.lookback,
            options=self.options,
            workers=self.workers,
            store=self.store,
        )
        return self

    def predict(self, y: Any = None) -> Any:
        """The steps after the end of the data of the fit, or of other data of the same kind.

        Args:
            y: the other data; they are not fitted.

        Returns:
            Of a frame a frame of the same library, with `unique_id`, `ds`, the model and its intervals; of numbers the
            forecasts alone, (horizon,) or (horizon, column).

        Raises:
            UsageError: if it was not fitted.
            DataError: if the other data are of another kind.
        """
        if not hasattr(self, "fitted_"):
            raise UsageError("this Forecaster is not fitted yet", "Call fit first.")
        panel, kind = (self.panel_, self._kind) if y is None else (self._read(y), _kind(y))
        if isinstance(self.fitted_, Fitted) and y is None and len(self.fitted_.series) < len(panel.series):
            panel = panel.only(np.isin(panel.series, self.fitted_.series))
        self.forecast_ = make_forecast(self.fitted_, panel, levels(self.level))
        if kind == "numbers":
            found = np.asarray(self.forecast_.columns[self.forecast_.model]).reshape(-1, self.forecast_.horizon).T
            return found[:, 0] if self._flat else found
        return {"pandas": self.forecast_.to_pandas, "polars": self.forecast_.to_polars}.get(
            kind, self.forecast_.to_arrow
        )()

    def fit_predict(self, y: Any) -> Any:
        """Both, one after the other."""
        return self.fit(y).predict()

    def _read(self, y: Any) -> Panel:
        """What was given, as a panel."""
        if _kind(y) != "numbers":
            if isinstance(y, Panel):
                return y
            return load(y, time=self.time, series=self.series, target=self.target, fill=self.fill)
        import pyarrow as pa

        try:
            numbers = np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"what is to be fitted is no array of numbers: {error}", "Give numbers, or a frame."
            ) from None
        self._flat = numbers.ndim == 1
        if numbers.ndim not in (1, 2) or not numbers.size:
            raise UsageError(
                f"numbers to fit are one series, or a row a step and a column a series; got shape {numbers.shape}"
            )
        columns = numbers[:, None] if self._flat else numbers
        names = ["y"] if self._flat else [f"y{k}" for k in range(columns.shape[1])]
        return load(pa.table(dict(zip(names, columns.T, strict=True))), fill=self.fill, name="numbers")


def _defaults() -> dict[str, Any]:
    given = inspect.signature(Forecaster.__init__).parameters
    return {name: each.default for name, each in given.items() if name != "self"}


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def _kind(y: Any) -> str:
    """The library of a frame; `numbers` for an array or a list."""
    if isinstance(y, np.ndarray | list | tuple):
        return "numbers"
    module = type(y).__module__.partition(".")[0]
    return module if module in ("pandas", "polars") else "arrow"
