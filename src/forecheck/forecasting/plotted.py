"""A forecast as a matplotlib figure, where matplotlib is installed."""

from __future__ import annotations

from typing import Any

import numpy as np

from forecheck.errors import UsageError
from forecheck.forecasting.forecast import Forecast
from forecheck.forecasting.page import behind_of, curves_of, losses_of, places_of
from forecheck.reports.forecast_curves import Curves, seasons

_MOST = 6
_SEEN, _AHEAD, _EARLIER = "0.25", "C0", "C1"


def figure_of(forecast: Forecast, series: Any = (), history: int | None = None) -> Any:
    """History, forecast and intervals, one panel a series; see `Forecast.plot`.

    Args:
        forecast: with what lies behind it.
        series: one name or several; by default the six with the largest errors.
        history: steps of history to draw; by default what suits horizon and season.

    Raises:
        UsageError: if matplotlib is not installed, there is no such series, the history is not positive, or the data of
            the forecast are not known.
    """
    behind = behind_of(forecast)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "a plot needs matplotlib, which is not installed",
            "Install it with: pip install 'forecheck[plot]'; or write a page: forecast.to_html(\"forecast.html\").",
        ) from error
    period = behind.period
    if history is not None and history < 1:
        raise UsageError(f"the history to draw is a positive number of steps, got {history}")
    losses, _ = losses_of(forecast, behind)
    places = places_of(forecast.names, series)
    if not len(places):
        order = np.arange(len(forecast.names)) if losses is None else np.argsort(-np.nan_to_num(losses), kind="stable")
        places = order[:_MOST]
    length = history or max(3 * forecast.horizon, 4 * period, 40)
    drawn = curves_of(forecast, places, length, losses)
    wide = 1 if len(drawn) == 1 else 2
    tall = -(-len(drawn) // wide)
    figure = Figure(figsize=(9, 3.6) if wide == 1 else (11, 2.9 * tall), layout="constrained")
    for axes, curves in zip(figure.subplots(tall, wide, squeeze=False).flat, drawn, strict=False):
        _draw(axes, curves, period)
    for axes in figure.axes[len(drawn) :]:
        axes.set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"{behind.panel.name}: {forecast.horizon} steps by {forecast.model}".replace("$", r"\$"))
    return figure


def _draw(axes: Any, curves: Curves, period: int) -> None:
    """One series."""
    start = len(curves.history)
    ahead = curves.time[start:]
    for k, (level, (low, high)) in enumerate(curves.bands.items()):
        shade = {"color": _AHEAD, "alpha": 0.28 if k == 0 else 0.15, "linewidth": 0}
        axes.fill_between(ahead, low, high, label=f"{level:g} % interval", **shade)
    axes.plot(curves.time[:start], curves.history, color=_SEEN, linewidth=1.1, label="observed")
    joined = np.concatenate([curves.history[-1:], curves.point])
    axes.plot(curves.time[start - 1 :], joined, color=_AHEAD, linewidth=1.6, label="forecast")
    if curves.earlier is not None:
        first = start - curves.earlier.back
        places = slice(first, first + len(curves.earlier.values))
        label = "forecast from the last rolling origin"
        axes.plot(curves.time[places], curves.earlier.values, "--", color=_EARLIER, linewidth=1, label=label)
    for place in seasons(start, len(curves.time), period):
        axes.axvline(curves.time[place], color="0.85", linewidth=0.6, zorder=0)
    axes.axvline(curves.time[start - 1], color="0.6", linewidth=0.8, zorder=0)
    # A dollar begins a formula there.
    axes.set_title(curves.name.replace("$", r"\$"), loc="left", fontsize="medium")
    axes.set_ylabel(curves.unit.replace("$", r"\$"))
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    if curves.time.dtype.kind == "M":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
