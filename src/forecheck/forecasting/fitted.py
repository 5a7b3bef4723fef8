"""A fit and everything that a later forecast needs of it: scales, names, the step in time, and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.scaling import Scaler
from forecheck.errors import DataError, UsageError
from forecheck.forecasters.base import Forecaster


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted forecaster with what ties it to its data.

    Attributes:
        forecaster: what forecasts.
        scaler: mean and standard deviation of the training rows.
        series: names of the series, in the order of the scaler's rows.
        channels: names of the channels, in the order of the forecaster.
        frequency: the step of the data.
        widths: half-widths of the intervals by level in percent (`80`, `97.5`), standardised units; series share
            them, channels do not.
        info: why this model, its losses, and how the intervals were calibrated.
        origin: the data, the split, the fit's report and the versions; to be read, not used.
        losses: mean absolute error on the test part, standardised units; NaN where nothing was observed. None of a fit
            that was read from a folder.
    """

    forecaster: Forecaster
    scaler: Scaler
    series: tuple[str, ...]
    channels: tuple[str, ...]
    frequency: Frequency
    widths: Mapping[str, Float[np.ndarray, "horizon channel"]]
    info: dict[str, Any]
    origin: dict[str, Any]
    losses: Float[np.ndarray, "series channel"] | None = None

    def __repr__(self) -> str:
        task, levels = self.forecaster.task, list(self.widths)
        return (
            f"<Fitted {self.forecaster.name}: {task.lookback} to {task.horizon} steps, every {self.frequency}, "
            f"{len(self.series)} series x {len(self.channels)} channels, "
            f"{f'intervals of {levels[0]} to {levels[-1]} %' if levels else 'no intervals'}>"
        )

    @property
    def horizon(self) -> int:
        """H, steps that it forecasts."""
        return self.forecaster.task.horizon

    def _repr_html_(self) -> str:
        """What it is, for a notebook."""
        rows = {"model": self.forecaster.name, "lookback": self.forecaster.task.lookback}
        rows |= {"horizon": self.forecaster.task.horizon, "series": len(self.series)}
        rows |= {"channels": ", ".join(self.channels), "step": self.frequency, "parameters": self.forecaster.parameters}
        cells = "".join(f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
        return f"<table><caption>a fit of forecheck</caption>{cells}</table>"

    def aligned(self, panel: Panel) -> Panel:
        """The panel with its channels in the order of the fit.

        Raises:
            DataError: if it lacks channels or has others, its step is another, it has series that were not fitted
                (their scale is not known), or a series is shorter than the lookback.
        """
        kind = of_one_kind(panel, self.channels, self.frequency)
        known = set(self.series)
        if strange_series := [name for name in panel.series if name not in known]:
            raise DataError(
                f"the model was not fitted on series {_listed(strange_series)} of {panel.name}: "
                "every series is scaled by its own training rows",
                "Drop these series, or fit a model on them.",
            )
        check_lengths(panel, self.forecaster.task.lookback)
        return kind

    def scale_of(self, panel: Panel) -> tuple[Float[np.ndarray, "series channel"], Float[np.ndarray, "series channel"]]:
        """Mean and standard deviation of an aligned panel's series."""
        places = {name: row for row, name in enumerate(self.series)}
        rows = [places[name] for name in panel.series]
        return self.scaler.mean[rows], self.scaler.std[rows]

    def losses_of(self, panel: Panel) -> Float[np.ndarray, "series channel"] | None:
        """Errors on the test part of an aligned panel's series, if they are known."""
        if self.losses is None:
            return None
        places = {name: row for row, name in enumerate(self.series)}
        return self.losses[[places[name] for name in panel.series]]

    def width(self, level: float) -> Float[np.ndarray, "horizon channel"]:
        """Half-width of the interval of a level in percent.

        Raises:
            UsageError: if the fit has none.
        """
        check_level(level)
        if f"{level:g}" not in self.widths:
            raise UsageError(
                f"the fit has no interval of {level:g} %",
                f"It has {_listed(self.widths) or 'none'}; fit again with --level {level:g}.",
            )
        return self.widths[f"{level:g}"]


def of_one_kind(panel: Panel, channels: tuple[str, ...], frequency: Frequency) -> Panel:
    """The panel with its channels in the order of a fit.

    Args:
        panel: the data.
        channels: names of the channels of the fit, in its order.
        frequency: step of the data of the fit.

    Raises:
        DataError: if it lacks channels or has others, or its step is another.
    """
    places, fitted = {name: place for place, name in enumerate(panel.channels)}, set(channels)
    missing = [name for name in channels if name not in places]
    strange = [name for name in panel.channels if name not in fitted]
    if missing or strange:
        parts = [("lacks", missing)] * bool(missing) + [("has", strange)] * bool(strange)
        said = " and ".join(f"{word} {_listed(names)}" for word, names in parts)
        raise DataError(
            f"{panel.name} {said}; the model was fitted on channels {_listed(channels)}",
            "Give the channels of the fit under the same names" + (", and --drop the others." if strange else "."),
        )
    if len(set(panel.channels)) < len(panel.channels):
        raise DataError(f"{panel.name} has several channels of one name: {_listed(panel.channels)}")
    if _step(panel.frequency) != _step(frequency):
        raise DataError(
            f"{panel.name} has a row every {panel.frequency}, but the model was fitted on a row every {frequency}",
            "Give data of the same step, or fit a model on these.",
        )
    order = [places[name] for name in channels]
    filled = None if panel.filled is None else panel.filled[:, order]
    return replace(panel, values=panel.values[:, order], channels=channels, filled=filled)


def check_level(level: float) -> None:
    """Refuse what is no coverage (UsageError)."""
    if 0 < level < 1:
        raise UsageError(f"a level is a percentage, got {level:g}", f"For {level:.0%} write {100 * level:g}.")
    if not 0 < level < 100:
        raise UsageError(f"a level is a percentage between 0 and 100, got {level:g}")


def check_lengths(panel: Panel, lookback: int) -> None:
    """Refuse series that do not fill a lookback (DataError)."""
    short = np.flatnonzero(panel.lengths < lookback)
    if len(short):
        raise DataError(
            f'series "{panel.series[short[0]]}" of {panel.name} has {panel.lengths[short[0]]} rows, '
            f"fewer than the lookback {lookback}",
            "Give a shorter --lookback, or drop the series.",
        )


def _step(frequency: Frequency) -> tuple[Any, ...]:
    """What of a frequency is a property of the step and not of how many rows it was read from."""
    return frequency.unit, frequency.count, frequency.month_end


def _listed(names: Sequence[str] | Mapping[str, Any], limit: int = 8) -> str:
    shown = ", ".join(f'"{name}"' if isinstance(names, Sequence) else f"{name} %" for name in list(names)[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
