"""Forecasts: what a fit says about the steps after the end of every series, in real units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.combination.seasons import known_seasons
from forecheck.data.causal import causal
from forecheck.data.frequency import stamp
from forecheck.data.memory import available_memory
from forecheck.data.panel import Panel
from forecheck.data.tabular import Columns
from forecheck.errors import DataError, UsageError
from forecheck.forecasting.behind import Behind, behind_combination, behind_windows
from forecheck.forecasting.candidates import COMBINATION
from forecheck.forecasting.combined import Combined, bands, unit_names
from forecheck.forecasting.counts import check_counts, counted
from forecheck.forecasting.fit import run_fit
from forecheck.forecasting.fitted import Fitted
from forecheck.forecasting.predicted import predict_rows
from forecheck.outputs import write_output
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol


@dataclass(frozen=True, eq=False)
class Forecast(Columns):
    """Forecasts of every series and channel, in real units.

    Attributes:
        model: what made them.
        columns: `unique_id` (whole numbers where the data had such), `ds`, the model's name, and `<model>-lo-<level>`,
            `<model>-hi-<level>`.
        info: why this model, what its validation and test losses are, and how the intervals were calibrated.
        behind: the data that were forecast and what is known of the errors; None of a forecast from elsewhere.
    """

    model: str
    columns: dict[str, Any]
    info: dict[str, Any]
    behind: Behind | None = field(default=None, repr=False)

    @property
    def names(self) -> list[str | int]:
        """Every unit: a series, a channel of it where there are several."""
        return self.columns["unique_id"][:: self.horizon]

    @property
    def horizon(self) -> int:
        """H, steps of every unit."""
        return len(self.columns["ds"]) // len(set(self.columns["unique_id"]))

    @property
    def levels(self) -> list[float]:
        """Levels of the intervals, in percent."""
        return [float(name.partition("-lo-")[2]) for name in self.columns if name.startswith(f"{self.model}-lo-")]

    def __repr__(self) -> str:
        stamps, series = np.asarray(self.columns["ds"]), len(set(self.columns["unique_id"]))
        bands = [name.partition("-lo-")[2] for name in self.columns if "-lo-" in name]
        intervals = f", intervals of {', '.join(bands)} %" if bands else ""
        steps = f"{len(stamps) // series} steps, {stamp(stamps.min())} to {stamp(stamps.max())}"
        return f"<Forecast {self.model}: {series} series, {steps}{intervals}>"

    def _repr_html_(self) -> str:
        """The page, in a frame of its own; without the data the first rows."""
        if self.behind is not None:
            from forecheck.forecasting.page import framed

            return framed(self)
        names, count = list(self.columns), len(self.columns["ds"])
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(_cell(self.columns[name][row]))}</td>' for name in names)}</tr>"
            for row in range(min(count, _ROWS))
        )
        more = f"<p>{count - _ROWS} rows more</p>" if count > _ROWS else ""
        return f"<table><caption>{escape(repr(self))}</caption><tr>{head}</tr>{rows}</table>{more}"

    def to_html(self, path: str | Path | None = None, *, show: Sequence[Any] = ()) -> str:
        """One offline HTML page with history, forecast and intervals by series. Also written to `path`, if given.

        The series with the largest errors at rolling origins, or on the test part, and typical ones are drawn; the
        others, as many as half a megabyte holds, can be searched.

        Args:
            path: of a file.
            show: names of series that are to be on it, before all others.

        Raises:
            UsageError: if there is no such series, or this forecast came without its data.
            WriteError: if the system does not let it.
        """
        from forecheck.forecasting.page import page_of

        page = page_of(self, show)
        if path is not None:
            write_output(path, page.encode("utf-8"))
        return page

    def cross_validation(self) -> Any:
        """The combination's forecasts from the rolling origins that it was weighted by, as a frame with `cutoff`.

        Raises:
            UsageError: if the model is another, or the series are too short for rolling origins.
        """
        from forecheck.forecasting.crossed import rolling_frame
        from forecheck.forecasting.page import behind_of

        return rolling_frame(behind_of(self))

    def plot(self, series: Any = (), *, history: int | None = None) -> Any:
        """A matplotlib figure of history, forecast and intervals (needs matplotlib).

        Args:
            series: one name or several; by default the six with the largest errors before.
            history: steps of history to draw; by default what suits horizon and season.

        Raises:
            UsageError: if matplotlib is not installed, there is no such series, or this forecast came without its data.
        """
        from forecheck.forecasting.plotted import figure_of

        return figure_of(self, series, history)


_ROWS = 20
"""Shown in a notebook."""


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.6g}" if isinstance(value, float) else stamp(value)


def run_forecast(
    panel: Panel, protocol: Protocol, means: Means, *, levels: Sequence[float] = (), integer: bool = False, **how: Any
) -> Forecast:
    """Fit and forecast the same panel; see `forecheck.forecasting.fit.run_fit` for the arguments.

    Args:
        panel: the data.
        protocol: horizon, split and margin; without a lookback every model has its own.
        means: engine, and the store of fits.
        levels: coverage of the intervals, in percent.
        integer: round forecasts and ends of intervals to whole numbers.
        **how: model, candidates, options and refit, as in `run_fit`.

    Raises:
        DataError: if a series is too short, there are too few windows for a level, or data are no whole numbers whose
            forecasts are to be.
        UsageError: if a name, option or level is wrong.
    """
    if integer:
        check_counts(panel)
    fitted = run_fit(panel, protocol, means, levels=levels, **how)
    if isinstance(fitted, Fitted) and len(fitted.series) < len(panel.series):  # some have no scale and no forecast
        panel = panel.only(np.isin(panel.series, fitted.series))
    return make_forecast(fitted, panel, levels, integer=integer)


def make_forecast(
    fitted: Fitted | Combined, panel: Panel, levels: Sequence[float] = (), *, integer: bool = False
) -> Forecast:
    """Forecast the steps after the end of every series of a panel that the fit can read.

    Args:
        fitted: a fit; nothing is fitted here, but a combination, which is made anew of these data.
        panel: the data of the fit, or others with the same channels and step; see `Fitted.aligned`.
        levels: coverage of the intervals, in percent; of those that the fit is calibrated for.
        integer: round forecasts and ends of intervals to whole numbers.

    Raises:
        DataError: if the panel is not of the kind that was fitted, a series is shorter than the lookback, a
            forecast is not finite, or the data are no whole numbers and their forecasts are to be.
        UsageError: if the fit has no interval of a level.
    """
    if integer:
        check_counts(panel)
        plain = make_forecast(fitted, panel, levels)
        return replace(plain, columns=counted(plain.columns))
    if isinstance(fitted, Combined):
        panel = fitted.aligned(panel)
        made, info = fitted.combine(panel)
        columns = _columns(panel, bands(made, levels, panel), fitted.horizon)
        return Forecast(COMBINATION, columns, info, behind_combination(made, panel, _period(fitted, panel)))
    widths = {f"{level:g}": fitted.width(level) for level in levels}
    panel = fitted.aligned(panel)
    mean, std = (part[:, None, :] for part in fitted.scale_of(panel))  # (series, 1, channel)
    task = fitted.forecaster.task
    _check_room(panel, task.horizon, len(levels))
    ends = panel.offsets[1:]
    known = causal(panel)  # as inputs were when it was trained
    rows = np.stack([known[end - task.lookback : end] for end in ends])
    x, y = predict_rows(fitted.forecaster, rows, mean, std)
    name = fitted.forecaster.name
    # Smaller differences are lost in the arithmetic of float32, where calibration may have seen none.
    rounding = np.finfo(np.float32).eps * np.maximum(np.abs(x).max(axis=1, keepdims=True), np.abs(y))
    bands_of = {name: y}
    for level, width in widths.items():
        reach = np.maximum(width, rounding)
        bands_of |= {f"{name}-lo-{level}": y - reach, f"{name}-hi-{level}": y + reach}
    real = {key: values * std + mean for key, values in bands_of.items()}
    return Forecast(
        name,
        _columns(panel, real, task.horizon),
        fitted.info,
        behind_windows(fitted.losses_of(panel), panel, task.period),
    )


def _period(fitted: Combined, panel: Panel) -> int:
    """Steps of the shortest season of a combination."""
    return (*known_seasons(panel.frequency, fitted.period), 1)[0]


def _columns(
    panel: Panel, values: Mapping[str, Float[np.ndarray, "series horizon channel"]], horizon: int
) -> dict[str, Any]:
    """Names, stamps and values, series by series and channel by channel.

    Raises:
        DataError: if a value is no number, in the units of the data.
    """
    ends = panel.offsets[1:]
    stamps = np.stack([panel.frequency.future(panel.time[end - 1], horizon) for end in ends])
    names = unit_names(panel)
    columns: dict[str, Any] = {
        "unique_id": np.repeat(np.array(names, dtype=object), horizon).tolist(),
        "ds": np.repeat(stamps, len(panel.channels), axis=0).reshape(-1),
    }
    for key, each in values.items():
        laid = each.transpose(0, 2, 1)  # (series, channel, horizon)
        bad = np.argwhere(~np.isfinite(laid))
        if len(bad):
            series, channel, step = bad[0]
            raise DataError(
                f"the forecast {key} for {panel.name} is not finite, first for "
                f"{names[series * laid.shape[1] + channel]} at step {step + 1}",
                "Look at the last rows of that series, and try another model with --model.",
            )
        columns[key] = laid.reshape(-1)
    return columns


def _check_room(panel: Panel, horizon: int, levels: int) -> None:
    """Refuse a table that the free memory does not hold (UsageError)."""
    rows, free = len(panel.series) * len(panel.channels) * horizon, available_memory()
    needed = rows * (200 + 60 * levels)  # bytes: what is computed, and the table's texts, stamps and numbers
    if free is not None and needed > free:
        raise UsageError(
            f"a forecast of {rows:,} rows needs about {needed / 1e9:.3g} GB of memory, {free / 1e9:.3g} GB are free",
            "Give a shorter --horizon, or fewer series.",
        )
