"""A forecaster of sktime; needs `pip install 'forecheck[sktime]'`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from forecheck.data.load import load
from forecheck.forecasting.forecast import make_forecast
from forecheck.verbs.fit import fit as fit_model

try:
    import pandas as pd
    from sktime.forecasting.base import BaseForecaster
except ImportError as error:
    raise ImportError(
        "forecheck.integrations.sktime needs sktime, which is not installed: pip install 'forecheck[sktime]'"
    ) from error


class ForecheckForecaster(BaseForecaster):  # type: ignore[misc]
    """Models of forecheck behind sktime's interface.

    The steps are those of the longest horizon asked for, so it is needed at `fit`. All columns of a frame are forecast
    together, as channels of one series.

    Args:
        model: a model's name, or auto.
        sp: steps of a season; None for what the step of the data has.
        lookback: L; None for what suits the model.
        options: by model, options that differ from the defaults.
        workers: processes; 0 for none.

    Examples:
        >>> from sktime.datasets import load_airline
        >>> from forecheck.integrations.sktime import ForecheckForecaster
        >>> forecaster = ForecheckForecaster("combination", sp=12)
        >>> y_pred = forecaster.fit(load_airline(), fh=[1, 2, 3]).predict()
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": ["forecheck"],
        "maintainers": ["forecheck"],
        "python_dependencies": None,
        "scitype:y": "both",
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "capability:exogenous": False,
        "capability:insample": False,
        "capability:missing_values": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "requires-fh-in-fit": True,
        "X-y-must-have-same-index": False,
        "enforce_index_type": None,
    }

    def __init__(
        self,
        model: str = "auto",
        sp: int | None = None,
        lookback: int | None = None,
        options: dict[str, dict[str, Any]] | None = None,
        workers: int = 0,
    ) -> None:
        self.model = model
        self.sp = sp
        self.lookback = lookback
        self.options = options
        self.workers = workers
        super().__init__()

    def _fit(self, y: Any, X: Any, fh: Any) -> ForecheckForecaster:
        self._columns = y.columns
        self._panel = _panel(y)
        self._steps = np.asarray(fh.to_relative(self.cutoff), dtype=np.int64)
        self._fitted = fit_model(
            self._panel,
            horizon=int(self._steps.max()),
            model=self.model,
            period=self.sp,
            lookback=self.lookback,
            options=self.options,
            workers=self.workers,
        )
        return self

    def _predict(self, fh: Any, X: Any) -> Any:
        return self._framed(fh, "{model}")

    def _predict_interval(self, fh: Any, X: Any, coverage: list[float]) -> Any:
        ends = [
            (column, share, end)
            for column in self._interval_names()
            for share in coverage
            for end in ("lower", "upper")
        ]
        made = {
            (share, end): self._framed(fh, f"{{model}}-{end[:2].replace('up', 'hi')}-{100 * share:g}", 100 * share)
            for share in coverage
            for end in ("lower", "upper")
        }
        parts = {(column, share, end): made[share, end].iloc[:, k] for k, column in enumerate(self._interval_names())
                 for share in coverage for end in ("lower", "upper")}  # fmt: skip
        return pd.DataFrame({key: parts[key] for key in ends}, columns=pd.MultiIndex.from_tuples(ends))

    def _interval_names(self) -> list[Any]:
        """The names of the variables as sktime writes them above intervals."""
        return list(self._get_varnames())

    def _framed(self, fh: Any, column: str, level: float | None = None) -> Any:
        """One column of the forecast at the steps of a horizon, a column a variable."""
        made = make_forecast(self._fitted, self._panel, () if level is None else (round(level, 9),))
        values = np.asarray(made.columns[column.format(model=made.model)]).reshape(-1, made.horizon)
        steps = np.asarray(fh.to_relative(self.cutoff), dtype=np.int64)
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame(values[:, steps - 1].T, index=index, columns=self._columns)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:  # noqa: ARG003  sktime gives it
        """Parameters that sktime's tests make it with."""
        return [{"model": "combination"}, {"model": "combination", "sp": 4}]


def _panel(y: Any) -> Any:
    """The values with their time, if their index has one, under names that text can tell apart."""
    frame = y.set_axis([f"c{k}" for k in range(y.shape[1])], axis=1)
    if isinstance(frame.index, pd.PeriodIndex):
        frame = frame.set_axis(frame.index.to_timestamp(), axis=0)
    dated = isinstance(frame.index, pd.DatetimeIndex)
    frame = frame.rename_axis(index="date").reset_index() if dated else frame.reset_index(drop=True)
    return load(frame, time="date" if dated else None, name="y")
